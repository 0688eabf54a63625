"""PHP's serialization, data only: what its serialize() writes and unserialize() reads. Sans-I/O.

One value is `N;`, `b:1;`, `i:-7;`, `d:0.5;`, `s:BYTES:"...";` or `a:COUNT:{KEY VALUE ...}`, where a
key is an `i:` or an `s:`. Objects and references are refused: reading them would run code, or make
values that contain themselves.

An array here is a dict in PHP's order. As PHP has it, a string key that is a canonical decimal of
64 bits is an integer, and the last of equal keys counts, in the place of the first.

Reading is as strict as unserialize(), and stricter in what that takes and no PHP 7 or 8 writes:
bytes behind the value, integers beyond 64 bits (PHP warns and takes the nearest), numbers with so
many zeros in front that they are longer than 64 bits need, floats of over 1080 characters, and `S:`
with its escapes. PHP reads 4096 arrays inside each other, this 64.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

from pushline.errors import SerializedError

Key = int | str | bytes
Value: TypeAlias = "bool | int | float | str | bytes | dict[Key, Value] | None"

MAX_DEPTH = 64
"""Arrays inside each other."""
SMALLEST, LARGEST = -(2**63), 2**63 - 1
NUMBER_SPAN = 23
"""Bytes in which an integer, a length or a count ends: `i:`, a sign, 19 digits and `;`."""
FLOAT_SPAN = 1083
"""PHP_DOUBLE_MAX_LENGTH of main/php.h, and `d:` and `;` around it."""

_decimal = re.compile(rb"0|-?[1-9][0-9]{0,18}").fullmatch
_float_text = re.compile(rb"[-+.0-9eE]+").fullmatch


def loads(data: bytes) -> Value:
    """The one value in `data`. A string, also as a key, is str where it is UTF-8, else bytes.

    Raises SerializedError. Takes time and memory in proportion to `data`, whatever it declares.
    """
    try:
        value, end = _READERS[data[:2]](data, 0, MAX_DEPTH)
    except (KeyError, ValueError):
        raise _malformed(0) from None
    except RecursionError:
        raise SerializedError("nested too deep") from None
    if end != len(data):
        raise SerializedError(f"something behind the value, at byte {end}")
    return value


def dumps(value: object) -> bytes:
    """`value` as PHP 8 writes it: a Value, in which a list or a tuple is an array of keys 0 to n-1.

    Raises SerializedError for what PHP's data cannot hold: other types, integers beyond 64 bits,
    lone surrogates, and more than 64 arrays inside each other, as in one that contains itself.
    """
    parts: list[bytes] = []
    try:
        _write(value, parts.append, MAX_DEPTH)
    except RecursionError:
        raise SerializedError("nested too deep") from None
    except UnicodeEncodeError:
        raise SerializedError("text with a lone surrogate") from None
    return b"".join(parts)


def plain(value: Value) -> object:
    """`value` as Python and JSON have it.

    Arrays with the keys 0 to n-1 in order, so also empty ones, become lists. In others each key
    becomes text, with `\\xff` for a byte that is none. Other values stay, bytes and NaN too.
    """
    if not isinstance(value, dict):
        return value
    if [*value] == [*range(len(value))]:
        return [plain(item) for item in value.values()]
    return _with_text_keys(value)


def plain_session(value: Value) -> dict[str, Any]:
    """A session, which is always a dict with text for keys; what is inside is as in `plain`.

    Raises SerializedError where `value` is no array.
    """
    if not isinstance(value, dict):
        raise SerializedError("a session that is no array")
    return _with_text_keys(value)


def _with_text_keys(array: dict[Key, Value]) -> dict[str, object]:
    return {_text_key(key): plain(item) for key, item in array.items()}


def _text_key(key: Key) -> str:
    return key.decode(errors="backslashreplace") if isinstance(key, bytes) else str(key)


# Reading. A reader is given the place of its value's first byte, and how many arrays may still be
# inside each other; it returns the value and the place behind it, or raises KeyError or ValueError.

_Reader = Callable[[bytes, int, int], tuple[Value, int]]
_KeyReader = Callable[[bytes, int, int], tuple[Key, int]]


def _read_null(_data: bytes, at: int, _depth: int) -> tuple[None, int]:
    return None, at + 2


def _read_bool(data: bytes, at: int, _depth: int) -> tuple[bool, int]:
    return _BOOLS[data[at + 2 : at + 4]], at + 4


def _read_int(data: bytes, at: int, _depth: int) -> tuple[int, int]:
    end = data.index(b";", at, at + NUMBER_SPAN)
    text = data[at + 2 : end]
    if not text.isdigit() and not (text[:1] in b"+-" and text[1:].isdigit()):
        raise ValueError
    number = int(text)
    if not SMALLEST <= number <= LARGEST:
        raise ValueError
    return number, end + 1


def _read_float(data: bytes, at: int, _depth: int) -> tuple[float, int]:
    end = data.index(b";", at, at + FLOAT_SPAN)
    text = data[at + 2 : end]
    if _float_text(text):
        return float(text), end + 1
    return _SPECIAL_FLOATS[text], end + 1


def _read_text(data: bytes, at: int, _depth: int) -> tuple[str | bytes, int]:
    quote = data.index(b':"', at, at + NUMBER_SPAN)
    size = data[at + 2 : quote]
    start = quote + 2
    end = start + int(size)
    if not size.isdigit() or data[end : end + 2] != b'";':
        raise ValueError
    text = data[start:end]
    try:
        return text.decode(), end + 2
    except UnicodeDecodeError:
        return text, end + 2


def _read_text_key(data: bytes, at: int, _depth: int) -> tuple[Key, int]:
    text, end = _read_text(data, at, 0)
    if type(text) is str and text < ":" and _is_number(text.encode()):
        return int(text), end
    return text, end


def _read_array(data: bytes, at: int, depth: int) -> tuple[dict[Key, Value], int]:
    brace = data.index(b":{", at, at + NUMBER_SPAN)
    count = data[at + 2 : brace]
    if not count.isdigit():
        raise ValueError
    if not depth:
        raise SerializedError("nested too deep")
    array: dict[Key, Value] = {}
    at = brace + 2
    try:
        for _ in range(int(count)):
            key, at = _KEY_READERS[data[at : at + 2]](data, at, 0)
            array[key], at = _READERS[data[at : at + 2]](data, at, depth - 1)
    except (KeyError, ValueError):
        raise _malformed(at) from None
    if data[at : at + 1] != b"}":
        raise _malformed(at)
    return array, at + 1


def _refuse_object(_data: bytes, at: int, _depth: int) -> NoReturn:
    raise SerializedError(f"an object, at byte {at}")


def _refuse_reference(_data: bytes, at: int, _depth: int) -> NoReturn:
    raise SerializedError(f"a reference, at byte {at}")


def _malformed(at: int) -> SerializedError:
    return SerializedError(f"not PHP's serialization, at byte {at}")


def _is_number(text: bytes) -> bool:
    """Whether it is an integer where it is a key; false for all that begins behind the digits."""
    return text < b":" and bool(_decimal(text)) and SMALLEST <= int(text) <= LARGEST


_BOOLS = {b"0;": False, b"1;": True}
_SPECIAL_FLOATS = {b"INF": float("inf"), b"-INF": float("-inf"), b"NAN": float("nan")}
_KEY_READERS: dict[bytes, _KeyReader] = {b"i:": _read_int, b"s:": _read_text_key}
_READERS: dict[bytes, _Reader] = {
    b"N;": _read_null,
    b"b:": _read_bool,
    b"i:": _read_int,
    b"d:": _read_float,
    b"s:": _read_text,
    b"a:": _read_array,
    b"O:": _refuse_object,
    b"C:": _refuse_object,
    b"E:": _refuse_object,
    b"R:": _refuse_reference,
    b"r:": _refuse_reference,
}


# Writing. A writer puts the parts of its value, inside which there may be `depth` more arrays.

_Put = Callable[[bytes], object]
_Writer = Callable[[Any, _Put, int], object]


def _write(value: object, put: _Put, depth: int) -> None:
    (_WRITERS.get(type(value)) or _inherited(_WRITERS, value))(value, put, depth)


def _inherited(table: Mapping[type, Any], value: object) -> Any:
    """What stands in the table for the nearest base of the value's type."""
    for base in type(value).__mro__:
        if base in table:
            return table[base]
    raise SerializedError(f"PHP's data has no {type(value).__name__} here")


def _write_null(_value: None, put: _Put, _depth: int) -> None:
    put(b"N;")


def _write_bool(value: bool, put: _Put, _depth: int) -> None:
    put(b"b:1;" if value else b"b:0;")


def _write_int(value: int, put: _Put, _depth: int) -> None:
    put(_int_part(value))


def _write_float(value: float, put: _Put, _depth: int) -> None:
    put(f"d:{_float_digits(value)};".encode())


def _write_text(value: str, put: _Put, _depth: int) -> None:
    put(_bytes_part(value.encode()))


def _write_bytes(value: bytes, put: _Put, _depth: int) -> None:
    put(_bytes_part(value))


def _write_dict(value: Mapping[Any, object], put: _Put, depth: int) -> None:
    _write_array({_key_part(key): item for key, item in value.items()}, put, depth)


def _write_list(value: Sequence[object], put: _Put, depth: int) -> None:
    _write_array({b"i:%d;" % index: item for index, item in enumerate(value)}, put, depth)


def _write_array(items: dict[bytes, object], put: _Put, depth: int) -> None:
    if not depth:
        raise SerializedError("nested too deep, or an array inside itself")
    put(b"a:%d:{" % len(items))
    for key, item in items.items():
        put(key)
        _write(item, put, depth - 1)
    put(b"}")


def _key_part(key: object) -> bytes:
    part: bytes = (_KEY_PARTS.get(type(key)) or _inherited(_KEY_PARTS, key))(key)
    return part


def _text_key_part(key: str) -> bytes:
    return _bytes_key_part(key.encode())


def _bytes_key_part(key: bytes) -> bytes:
    return b"i:%b;" % key if _is_number(key) else _bytes_part(key)


def _int_part(value: int) -> bytes:
    if not SMALLEST <= value <= LARGEST:
        raise SerializedError("an integer beyond 64 bits")
    return b"i:%d;" % value


def _bytes_part(value: bytes) -> bytes:
    return b's:%d:"%b";' % (len(value), value)


def _float_digits(value: float) -> str:
    """The shortest digits that give the same float again, which Python finds too.

    PHP writes an exponent from 1e17 on, Python from 1e16 on; both below 1e-4 (zend_gcvt of
    Zend/zend_strtod.c, with 17 digits).
    """
    text = float.__repr__(value)
    digits, _, exponent = text.partition("e")
    if not exponent:
        return _SPECIAL_DIGITS.get(text) or text.removesuffix(".0")
    if exponent == "+16":
        return digits.replace(".", "").ljust(17 + (value < 0), "0")
    return f"{digits if '.' in digits else digits + '.0'}E{int(exponent):+d}"


_SPECIAL_DIGITS = {"inf": "INF", "-inf": "-INF", "nan": "NAN"}
_KEY_PARTS: dict[type, Callable[[Any], bytes]] = {
    int: _int_part,
    str: _text_key_part,
    bytes: _bytes_key_part,
}
_WRITERS: dict[type, _Writer] = {
    type(None): _write_null,
    bool: _write_bool,
    int: _write_int,
    float: _write_float,
    str: _write_text,
    bytes: _write_bytes,
    dict: _write_dict,
    list: _write_list,
    tuple: _write_list,
}

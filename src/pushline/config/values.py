"""Kinds of values: how each is read from TOML and from plain text, written back, and worded."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Generic, TypeVar

from pushline.address import Address

T = TypeVar("T")
Network = IPv4Network | IPv6Network

LONGEST_SECRET = 512
"""Characters."""
LONGEST_PREFIX = 64
"""Characters."""
MASK = "********"
"""Shown for a secret; everyone knows it, so it is none."""

_UNITS = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "B": 1}
_SIZE = re.compile(r"([0-9]{1,15}) ?(B|KiB|MiB|GiB)?")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_APPLICATION = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")
# A browser leaves the default port out, so an origin that names it would match nothing.
_ORIGIN = re.compile(
    r"(?!http:.*:80$|https:.*:443$)"
    r"[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:]+\]|[a-z0-9._-]+)(?::[1-9][0-9]{0,4})?"
)


class RefusedError(ValueError):
    """A value, `value`, that its kind does not allow."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of value.

    `read` takes what TOML gives, and raises RefusedError; `from_text` makes the like of a flag's or
    an environment variable's text; `write` is TOML again. `allowed` goes on after "must be".
    """

    allowed: str
    read: Callable[[object], T]
    write: Callable[[T], str]
    from_text: Callable[[str], object] = str
    unit: str = ""
    secret: bool = False


def quoted(text: str) -> str:
    """A TOML string; escaped where it would not print."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def listed(words: tuple[str, ...], last: str = " or ") -> str:
    """`a, b or c`"""
    return last.join((", ".join(words[:-1]), words[-1])) if words[1:] else words[0]


# --- true or false, words, text ---------------------------------------------------------------


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise RefusedError(value)
    return value


def _boolean_from_text(text: str) -> object:
    return _BOOLEANS.get(text.lower(), text)


FLAG = Kind("true or false", _boolean, lambda value: str(value).lower(), _boolean_from_text)


def choice(*words: str, empty: str = "") -> Kind[str]:
    """One of `words`; or `""`, which means `empty`."""
    allowed = tuple(map(quoted, words)) + ((f'"" ({empty})',) if empty else ())

    def read(value: object) -> str:
        if isinstance(value, str) and (value in words or (empty and not value)):
            return value
        raise RefusedError(value)

    return Kind(listed(allowed), read, quoted)


def _text(value: object) -> str:
    if not (isinstance(value, str) and value.isprintable()):
        raise RefusedError(value)
    return value


def _application(value: object) -> str:
    text = _text(value)
    if text and not _APPLICATION.fullmatch(text):
        raise RefusedError(value)
    return text


def _word(value: object) -> str:
    text = _text(value)
    if text and not _TOKEN.fullmatch(text):
        raise RefusedError(value)
    return text


def _secret(value: object) -> str:
    text = _text(value)
    masked = text and not text.strip("*")
    if len(text) > LONGEST_SECRET or text != text.strip() or masked:
        raise RefusedError(value)
    return text


def _prefix(value: object) -> str:
    text = _text(value)
    if not 0 < len(text) <= LONGEST_PREFIX or not text.isascii() or " " in text:
        raise RefusedError(value)
    return text


APPLICATION = Kind('MODULE:NAME, as in "chat:app", or "" for none', _application, quoted)
WORD = Kind('a name without blanks, as in "chat-1", or "" for automatic', _word, quoted)
PATH = Kind('a path, or "" for none', _text, quoted)
PREFIX = Kind(
    f'1 to {LONGEST_PREFIX} printable ASCII characters without blanks, as in "pushline:"',
    _prefix,
    quoted,
)
SECRET = Kind(
    f"printable text of at most {LONGEST_SECRET} characters, no space at either end, "
    "and not only asterisks, which mask one",
    _secret,
    lambda value: quoted(MASK if value else ""),
    secret=True,
)


# --- numbers ----------------------------------------------------------------------------------


def _number_from_text(text: str) -> object:
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def _in_range(value: object, low: float, high: float, zero: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusedError(value)
    # NaN is in no range.
    if not (low <= value <= high or (zero and value == 0)):
        raise RefusedError(value)
    return value


def _span(low: str, high: str, zero: str) -> str:
    return f"from {low} to {high}" + (f", or 0 ({zero})" if zero else "")


def _write_seconds(value: float) -> str:
    return str(int(value) if value.is_integer() else value)


def seconds(low: float, high: float, zero: str = "") -> Kind[float]:
    """A time; 0 is allowed where `zero` says what it means."""
    return Kind(
        f"a number of seconds {_span(str(low), str(high), zero)}",
        lambda value: float(_in_range(value, low, high, zero)),
        _write_seconds,
        _number_from_text,
        unit="seconds",
    )


def count(low: int, high: int, zero: str = "") -> Kind[int]:
    """A whole number; 0 is allowed where `zero` says what it means."""

    def read(value: object) -> int:
        if isinstance(value, float):
            raise RefusedError(value)
        return int(_in_range(value, low, high, zero))

    return Kind(f"a whole number {_span(str(low), str(high), zero)}", read, str, _number_from_text)


def size_text(size: int) -> str:
    """`65536` as `64 KiB`: the largest unit that divides it."""
    unit = next(unit for unit, factor in _UNITS.items() if size and size % factor == 0)
    return f"{size // _UNITS[unit]} {unit}"


def _bytes(text: str) -> int | None:
    match = _SIZE.fullmatch(text)
    return int(match[1]) * _UNITS[match[2] or "B"] if match else None


def size(low: str, high: str, zero: str = "") -> Kind[int]:
    """A number of bytes, or text with a unit; 0 is allowed where `zero` says what it means."""
    number = count(_bytes(low) or 0, _bytes(high) or 0, zero)

    def read(value: object) -> int:
        try:
            return number.read(_bytes(value) if isinstance(value, str) else value)
        except RefusedError:
            raise RefusedError(value) from None

    return Kind(
        f'a size {_span(low, high, zero)}, in bytes or as in "64 KiB"',
        read,
        lambda value: quoted(size_text(value)) if value else "0",
        _number_from_text,
    )


# --- addresses and lists ------------------------------------------------------------------------


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError(text)
    return text


def _token(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError(text)
    return text


_URL = re.compile(r"(?:rediss?|unix|rediss?\+sentinel)://[^\s]+")
_NEXT_URL = re.compile(r",\s*(?=[a-z+]+://)")
"""Commas stand inside of URLs too, between Sentinels."""
_PASSWORDS = re.compile(r"(?<=:)[^:@/]+(?=@)|(?<=password=)[^&]+")


def _url(text: str) -> str:
    masked = any(not password.strip("*") for password in _PASSWORDS.findall(text))
    if not _URL.fullmatch(text) or not text.isprintable() or masked:
        raise ValueError(text)
    return text


def _items_from_text(text: str) -> object:
    return [item.strip() for item in text.split(",")] if text.strip() else []


def list_of(parse: Callable[[str], T], each: str, least: int = 0) -> Kind[tuple[T, ...]]:
    """A list of at least `least` strings, or a single one; in plain text commas separate them.

    `parse` raises ValueError for a string that is none of them.
    """

    def item(value: object) -> T:
        if not isinstance(value, str):
            raise RefusedError(value)
        try:
            return parse(value)
        except ValueError:
            raise RefusedError(value) from None

    def read(value: object) -> tuple[T, ...]:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or len(items) < least:
            raise RefusedError(value)
        return tuple(map(item, items))

    def write(items: tuple[T, ...]) -> str:
        return f"[{', '.join(quoted(str(item)) for item in items)}]"

    return Kind(f"a list of {each}", read, write, _items_from_text)


def _tcp(text: str) -> Address:
    if text.startswith("unix:"):
        raise ValueError(text)
    return Address.parse(text)


def _one_address(value: object) -> tuple[Address, ...]:
    if not isinstance(value, str):
        raise RefusedError(value)
    return TCP_ADDRESSES.read([value] if value else [])


ONE_ADDRESS = Kind(
    'an address, "HOST:PORT", or "" for none',
    _one_address,
    lambda addresses: quoted("".join(map(str, addresses))),
)
"""A tuple of one, or of none."""
_ADDRESSES = 'addresses, each "HOST:PORT", "[IPv6]:PORT" or "unix:/PATH"'
ADDRESSES = list_of(Address.parse, _ADDRESSES)
SOME_ADDRESSES = list_of(Address.parse, f"one or more {_ADDRESSES}", least=1)
TCP_ADDRESSES = list_of(_tcp, 'addresses, each "HOST:PORT"')
NETWORKS = list_of(ip_network, 'networks, each as in "10.0.0.0/8" or "fd00::/8"')
_urls = list_of(_url, 'URLs, each as in "redis://127.0.0.1:6379/0"')
URLS = Kind(
    _urls.allowed,
    _urls.read,
    lambda urls: f"[{', '.join(quoted(_PASSWORDS.sub(MASK, url)) for url in urls)}]",
    lambda text: _NEXT_URL.split(text.strip()) if text.strip() else [],
    secret=True,
)
"""Of Redises; they may hold passwords."""
TOKENS = list_of(_token, 'names without blanks, each as in "chat" or "v1.json"')
ORIGINS = list_of(_origin, 'origins as a browser sends them, each as in "https://example.com"')

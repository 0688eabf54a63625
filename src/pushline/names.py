"""What a uid, a utype and a group are: names of 1 to 255 bytes of UTF-8, no control characters.

And what a client_id is: 20 hexadecimal digits, the node's address and the connection's number.
"""

import re

from pushline.errors import BadClientIdError, BadNameError

LONGEST_NAME = 255
"""Bytes of UTF-8."""
DEFAULT_UTYPE = "0"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CLIENT_ID = re.compile(r"[0-9a-fA-F]{20}")
_DIGITS = tuple(map(str, range(256)))
"""Small numbers, as most utypes are, at hand."""
_SURELY_SHORT = LONGEST_NAME // 4  # characters: UTF-8 has at most four bytes for one


def check_name(name: str) -> str:
    """`name` as it is; raises BadNameError where it cannot be a uid, utype or group."""
    if name.isprintable() and 0 < len(name) <= _SURELY_SHORT:
        return name  # nearly every name there is, without a search and an encoding
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise BadNameError("a name holds a lone surrogate") from None
    if not 0 < size <= LONGEST_NAME:
        raise BadNameError(f"a name has 1 to {LONGEST_NAME} bytes, this one {size}")
    if _CONTROL.search(name):
        raise BadNameError("a name holds a control character")
    return name


def name_of(value: object) -> str:
    """The name for a JSON string or 64-bit integer: `42` and `"42"` are the same one."""
    if type(value) is int and 0 <= value < len(_DIGITS):
        return _DIGITS[value]
    if isinstance(value, str):
        return check_name(value)
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return str(value)
    raise BadNameError("a name is a non-empty string or a 64-bit integer")


def utype_of(value: object) -> str:
    """The utype for a JSON value; missing or `null` is the default one, 0."""
    return DEFAULT_UTYPE if value is None else name_of(value)


def client_id_of(address: int, connection: int) -> str:
    """The name of a client: its node's address (48 bits), its number there (32 bits)."""
    return f"{address:012x}{connection:08x}"


def check_client_id(client_id: str) -> str:
    """`client_id` in lower case; raises BadClientIdError where it cannot be one."""
    if not isinstance(client_id, str) or not _CLIENT_ID.fullmatch(client_id):
        raise BadClientIdError(f"a client_id is 20 hexadecimal digits, not {client_id!r:.60}")
    return client_id.lower()


def split_client_id(client_id: str) -> tuple[int, int]:
    """The node's address and the number there, of a checked client_id."""
    number = int(client_id, 16)
    return number >> 32, number & 0xFFFFFFFF

"""What a uid, a utype and a group are: names of 1 to 255 bytes of UTF-8, no control characters."""

import re

from pushline.errors import BadNameError

LONGEST_NAME = 255
"""Bytes of UTF-8."""
DEFAULT_UTYPE = "0"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
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
    if isinstance(value, str):
        return check_name(value)
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return str(value)
    raise BadNameError("a name is a non-empty string or a 64-bit integer")


def utype_of(value: object) -> str:
    """The utype for a JSON value; missing or `null` is the default one, 0."""
    return DEFAULT_UTYPE if value is None else name_of(value)

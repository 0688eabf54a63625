"""What to say to the text port: one line for each push, checked before anything is sent."""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import accumulate

import msgspec

from pushline.codecs.push_json import decode
from pushline.errors import BadLineError, BadNameError, InvalidPushError
from pushline.names import name_of, utype_of

MAX_LINE = 1024 * 1024
"""Bytes without the line end: the server's default for text.max_line."""
MAX_DEPTH = 500
"""Of lists and objects inside each other. Pythons differ in what they can read: any can read it."""

Uid = str | int
Uids = Uid | Iterable[Uid]
"""One uid, or several: a list, a tuple, a set, a query's result."""
Data = Mapping[str, object]
"""A JSON object. Its values are what JSON has, and dates and times (ISO 8601), UUID and Decimal
(strings), bytes (Base64), enums, sets, dataclasses, and structs of msgspec."""
Push = bytes | str | tuple[Uids, Data]
"""A ready line, or whom and what."""

_RESERVED = frozenset({"uid", "utype"})
_NOT_UIDS = (bytes, bytearray, memoryview, Mapping)
"""Iterable, but what they give is not what is meant."""

# msgspec's own encoder would write NaN as null. It helps with what the standard one does not know.
_encode = json.JSONEncoder(
    allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=msgspec.to_builtins
).encode

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class Composer:
    """Writes pushes as lines without line ends, of at most `max_line` bytes.

    Every method raises InvalidPushError for what the server would not understand, and
    BadNameError for a uid or utype that is none.
    """

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._max_line = max_line

    def to_uid(self, uid: Uids, data: Data, utype: Uid | None) -> bytes:
        """`data` for one uid or several; never a broadcast."""
        return self._line(_addressee(uid), data, utype)

    def to_all(self, data: Data, utype: Uid | None) -> bytes:
        """`data` for everyone in `utype`: what the text port does with an empty uid."""
        return self._line("", data, utype)

    def ready(self, line: bytes | str) -> bytes:
        """A line that is written already, as it is; its line end may be there or not."""
        line = _utf8(line).removesuffix(b"\n").removesuffix(b"\r")
        if b"\n" in line:
            raise InvalidPushError("a line end inside the line: one line is one push")
        return self._checked(line)

    def any_of(self, push: Push, utype: Uid | None) -> bytes:
        """A ready line, or a uid and its data as a tuple."""
        return self.ready(push) if isinstance(push, bytes | str) else self.to_uid(*push, utype)

    def _line(self, uid: Uid | list[Uid], data: Data, utype: Uid | None) -> bytes:
        utype_of(utype)
        head = {"uid": uid} if utype is None else {"uid": uid, "utype": utype}
        return self._checked(_json({**head, **_fields(data)}))

    def _checked(self, line: bytes) -> bytes:
        if len(line) > self._max_line:
            size = f"a push of more than {self._max_line} bytes, which is the most that is taken"
            raise InvalidPushError(f"{size} (the server's text.max_line, the client's max_line)")
        try:
            decode(line)
        except BadLineError as error:
            raise InvalidPushError(str(error)) from None
        if line.count(b"{") + line.count(b"[") > MAX_DEPTH:
            _check_depth(line)
        return line


def _addressee(uid: Uids) -> Uid | list[Uid]:
    if isinstance(uid, str | int):
        return _one(uid)
    if not isinstance(uid, Iterable) or isinstance(uid, _NOT_UIDS):
        raise BadNameError(
            f"a uid is a string or an integer, or several in a list, not {uid!r:.60}"
        )
    uids = [_one(each) for each in uid]
    if not uids:
        raise BadNameError("a push to no uid at all; push_all is for everyone")
    return uids


def _one(uid: Uid) -> Uid:
    name_of(uid)
    if uid in ("0", 0):  # an enum's member too, whose name is another
        raise BadNameError("uid 0 cannot be pushed to: the text port takes it for an empty one")
    return uid


def _fields(data: Data) -> Data:
    if not isinstance(data, Mapping):
        raise InvalidPushError(f"the data of a push is a mapping, not {type(data).__name__}")
    if not _RESERVED.isdisjoint(data):
        raise InvalidPushError(
            "data with a key `uid` or `utype`: it would change who gets the push"
        )
    return data


def _json(fields: Mapping[str, object]) -> bytes:
    try:
        return _utf8(_encode(fields))
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidPushError(f"the data of a push is not for JSON: {error}") from None


def _check_depth(line: bytes) -> None:
    steps = (_STEPS.get(byte, 0) for byte in _STRING.sub(b"", line))
    if max(accumulate(steps)) > MAX_DEPTH:
        raise InvalidPushError(f"nested too deep: more than {MAX_DEPTH} lists and objects")


def _utf8(text: bytes | str) -> bytes:
    try:
        return text.encode() if isinstance(text, str) else bytes(text)
    except UnicodeEncodeError:
        raise InvalidPushError("a lone surrogate in a push") from None

"""A back end's line of JSON as a Command; the line itself is the message, never encoded again."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from pushline.commands import SendToAll, SendToUid
from pushline.errors import BadLineError, BadNameError
from pushline.messages import Message
from pushline.names import DEFAULT_UTYPE, check_name, name_of


class _Push(msgspec.Struct, gc=False):
    uid: Any = None
    utype: Any = None


_decode = msgspec.json.Decoder(_Push).decode
_WHY = {"Input data was truncated": "truncated, or half of a surrogate pair as \\ud800"}
"""What the decoder says too briefly."""


def decode(line: bytes) -> SendToUid | SendToAll:
    """The Command for one line without its line end; raises BadLineError, which says why."""
    try:
        if not line.isascii():
            line.decode()  # msgspec does not check the UTF-8 of what it skips
        push = _decode(line)
        uid, utype = push.uid, push.utype
        utype = DEFAULT_UTYPE if utype is None else name_of(utype)
        if type(uid) is str and uid and uid != "0":
            return SendToUid((check_name(uid),), utype, Message(line))
        return _COMMANDS[type(uid)](uid, utype, Message(line))
    except UnicodeDecodeError:
        raise BadLineError("utf8", "not UTF-8") from None
    except RecursionError:
        raise BadLineError("json", "nested too deep") from None
    except msgspec.MsgspecError as error:
        raise BadLineError("json", _WHY.get(str(error), str(error)) if line else "empty") from None
    except BadNameError as error:
        raise BadLineError("name", str(error)) from None


def _to_number(uid: int, utype: str, message: Message) -> SendToUid | SendToAll:
    return SendToUid((name_of(uid),), utype, message) if uid else SendToAll(utype, message)


def _to_many(uids: Iterable[object], utype: str, message: Message) -> SendToUid:
    """Distinct uids, in their order. What cannot be a uid matches nobody."""
    return SendToUid(tuple(dict.fromkeys(filter(None, map(_member, uids)))), utype, message)


def _member(uid: object) -> str | None:
    if isinstance(uid, list | dict):
        raise BadNameError("a list or an object inside the list of uids")
    try:
        if type(uid) is int:
            return name_of(uid) if uid else None
        return None if uid in _EMPTY else name_of(uid)
    except BadNameError:
        return None


def _to_list(uids: list[object], utype: str, message: Message) -> SendToUid | SendToAll:
    return _to_many(uids, utype, message) if uids else SendToAll(utype, message)


def _to_values(uids: dict[str, object], utype: str, message: Message) -> SendToUid:
    """PHP writes a list with gaps as an object."""
    if not uids:
        raise BadNameError("an empty object is no uid")
    return _to_many(uids.values(), utype, message)


def _to_everyone(_empty: object, utype: str, message: Message) -> SendToAll:
    return SendToAll(utype, message)


def _to_false(uid: bool, utype: str, message: Message) -> SendToAll:
    if uid:
        raise BadNameError("true is no uid")
    return SendToAll(utype, message)


def _to_nobody(_uid: object, _utype: str, _message: Message) -> SendToAll:
    raise BadNameError("a uid is a string or a 64-bit integer")


_EMPTY = ("", "0", 0)
"""What PHP calls empty, among strings and integers."""

_COMMANDS: dict[type, Callable[[Any, str, Message], SendToUid | SendToAll]] = {
    str: _to_everyone,
    int: _to_number,
    list: _to_list,
    dict: _to_values,
    bool: _to_false,
    type(None): _to_everyone,
    float: _to_nobody,
}

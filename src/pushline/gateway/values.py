"""What people give to the verbs, checked and in the form that Commands have."""

from collections.abc import Iterable, Mapping

from pushline.commands import Session
from pushline.errors import AppError, BadClientIdError, BadMessageError, BadNameError
from pushline.messages import NORMAL, Close, Message
from pushline.names import check_client_id, name_of

Name = str | int
"""A uid, utype or group; an integer is its decimal text."""
Names = Name | Iterable[Name]
"""One, or several: a list, a tuple, a set, a query's result."""
ClientIds = str | Iterable[str]
"""One client_id, or several."""
Data = str | bytes
"""A text message, or a binary one."""

LONGEST_REASON = 119
"""Bytes of UTF-8, as `Close` has it."""
_NOT_SEVERAL = (bytes, bytearray, memoryview, Mapping)
"""Iterable, but what they give is not what is meant."""


def names_of(names: Names) -> tuple[str, ...]:
    """The distinct ones, in their order. Raises BadNameError."""
    if isinstance(names, str | int):
        return (name_of(names),)
    if not isinstance(names, Iterable) or isinstance(names, _NOT_SEVERAL):
        raise BadNameError(
            f"a name is a string or an integer, or several in a list, not {names!r:.60}"
        )
    return tuple(dict.fromkeys(map(name_of, names)))


def client_ids_of(client_ids: ClientIds) -> tuple[str, ...]:
    """The distinct ones, in their order. Raises BadClientIdError."""
    if isinstance(client_ids, str):
        return (check_client_id(client_ids),)
    if not isinstance(client_ids, Iterable) or isinstance(client_ids, _NOT_SEVERAL):
        raise BadClientIdError(
            f"a client_id is a string, or several in a list, not {client_ids!r:.60}"
        )
    return tuple(dict.fromkeys(map(check_client_id, client_ids)))


def excluded(client_ids: ClientIds | None) -> frozenset[str]:
    """Those that get nothing. Raises BadClientIdError."""
    return frozenset() if client_ids is None else frozenset(client_ids_of(client_ids))


def message_of(data: Data) -> Message:
    """Text as a text message, bytes as a binary one. Raises BadMessageError."""
    if isinstance(data, bytes):
        return Message(data, binary=True)
    if not isinstance(data, str):
        raise BadMessageError(f"a message is str or bytes, not {type(data).__name__}")
    try:
        return Message(data.encode())
    except UnicodeEncodeError:
        raise BadMessageError("a lone surrogate in a message") from None


def last_message_of(data: Data | None) -> Message | None:
    """The same, where there may be none."""
    return None if data is None else message_of(data)


def close_of(code: int, reason: str) -> Close:
    """A close that an application may ask for (RFC 6455, section 7.4.2). Raises AppError."""
    if type(code) is not int or (code != NORMAL.code and not 3000 <= code <= 4999):
        raise AppError(f"a close code is {NORMAL.code}, or from 3000 to 4999, not {code!r:.60}")
    if not isinstance(reason, str):
        raise AppError(f"the reason of a close is text, not {reason!r:.60}")
    try:
        size = len(reason.encode())
    except UnicodeEncodeError:
        raise AppError("a lone surrogate in the reason of a close") from None
    if size > LONGEST_REASON:
        raise AppError(f"the reason of a close has up to {LONGEST_REASON} bytes, this one {size}")
    return Close(code, reason)


def session_of(session: Session) -> Session:
    """`session` as it is. Raises AppError."""
    if not isinstance(session, dict) or not all(isinstance(key, str) for key in session):
        raise AppError("a session is a dict with text keys")
    return session

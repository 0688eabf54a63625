"""What an application keeps for a connection: a dict, or serialized data as a wire brought it.

A dict is one object for as long as the connection lives, which handlers may hold. Serialized data
is opaque: it is given back to the byte as it came, and read only when somebody has to look inside.
"""

import contextlib
import copy
import logging

from pushline.codecs.php_serialize import Key, Value, dumps, loads, plain_session
from pushline.commands import Session
from pushline.connection import Connection
from pushline.errors import SerializedError

Array = dict[Key, Value]
"""As PHP has it, a list too."""
log = logging.getLogger(__name__)

ATTEMPTS = 3
"""To copy a session that somebody may be changing."""


def session_of(connection: Connection) -> Session:
    """The connection's own dict. Raises SerializedError for what cannot be one."""
    session = connection.session
    if not isinstance(session, dict):
        session = connection.session = _decoded(session)
    return session


def copy_of(connection: Connection) -> Session:
    """Deep, unless something in it has no copy, or a handler's thread keeps changing it.

    Raises SerializedError for what cannot be a dict.
    """
    if not isinstance(connection.session, dict):
        return _decoded(connection.session)
    session = dict(connection.session)
    for _ in range(ATTEMPTS):
        with contextlib.suppress(Exception):
            return copy.deepcopy(session)
    return session


def serialized(connection: Connection) -> bytes:
    """For a wire; empty where nothing was ever set. Raises SerializedError for what PHP lacks."""
    session = connection.session
    if isinstance(session, dict):
        return dumps(session)
    return session or b""


def for_wire(connection: Connection) -> bytes:
    """The same; empty, and logged, where an application keeps something in it that PHP lacks."""
    try:
        return serialized(connection)
    except SerializedError as error:
        log.warning("a session that no wire can have: %s", error)
        return b""


def put(connection: Connection, session: Session | bytes) -> None:
    """In place of what was there."""
    if isinstance(connection.session, dict):
        _refill(connection.session, _decoded(session) if isinstance(session, bytes) else session)
    else:
        connection.session = session if isinstance(session, bytes) else copy.deepcopy(session)


def merge(connection: Connection, changes: Session | bytes, *, whole_lists: bool) -> None:
    """Into what is there, array by array; a list replaces one, or is merged by index, as PHP does.

    Raises SerializedError for serialized data that has to be read and cannot be.
    """
    if isinstance(changes, dict) and not isinstance(connection.session, bytes):
        _merge(session_of(connection), copy.deepcopy(changes))
    elif not connection.session:
        put(connection, changes)
    else:
        old = _array(serialized(connection))
        new = _array(changes if isinstance(changes, bytes) else dumps(changes))
        merged = _replaced(old, new, whole_lists or isinstance(changes, dict))
        put(connection, dumps(merged))


def _decoded(session: Session | bytes | None) -> Session:
    return plain_session(loads(session)) if isinstance(session, bytes) and session else {}


def _refill(session: Session, new: Session) -> None:
    new = copy.deepcopy(new)
    session.clear()
    session.update(new)


def _merge(session: Session, changes: Session) -> None:
    for key, value in changes.items():
        old = session.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        else:
            session[key] = value


def _array(session: bytes) -> Array:
    value = loads(session)
    if not isinstance(value, dict):
        raise SerializedError("a session that is no array")
    return value


def _replaced(old: Array, new: Array, whole_lists: bool) -> Array:
    """PHP's array_replace_recursive. With `whole_lists` a list inside is one value."""
    merged = dict(old)
    for key, value in new.items():
        before = old.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            whole = whole_lists and _is_list(value or before)
            merged[key] = value if whole else _replaced(before, value, whole_lists)
        else:
            merged[key] = value
    return merged


def _is_list(array: Array) -> bool:
    return bool(array) and [*array] == [*range(len(array))]

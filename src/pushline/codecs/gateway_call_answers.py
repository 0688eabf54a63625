"""What the payloads of gateways' answers say. Sans-I/O.

Every function raises BadFrameError ("serialized") for what is no answer to its question.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from pushline.codecs.php_serialize import Value, loads, plain_session
from pushline.commands import Session
from pushline.errors import BadFrameError, SerializedError
from pushline.names import client_id_of

LAST_CONNECTION: Final = 2**32 - 1
"""The largest connection_id; 0 is none."""

Fields = Mapping[Any, Value]
"""What a select tells of one connection: by the names of the fields."""


def number_in(payload: bytes) -> int:
    """A count, or 1 for yes."""
    value = _value(payload)
    return value if isinstance(value, int) else _refuse()


def names_in(payload: bytes) -> list[str]:
    """The values of a list: names."""
    return [*map(name_in, _array(_value(payload)).values())]


def numbers_in(payload: bytes) -> dict[str, int]:
    """Names and a number for each."""
    items = _array(_value(payload)).items()
    return {name_in(name): _number(number) for name, number in items}


def clients_in(place: int, payload: bytes) -> list[str]:
    """The client_ids for a list of connections."""
    return _clients(place, _value(payload))


def clients_by_name_in(place: int, payload: bytes) -> dict[str, list[str]]:
    """The same for each of several names."""
    items = _array(_value(payload)).items()
    return {name_in(name): _clients(place, connections) for name, connections in items}


def selected_in(payload: bytes) -> dict[int, Fields]:
    """What was selected of each connection."""
    items = _array(_value(payload)).items()
    return {_connection(number): _array(fields) for number, fields in items}


def uid_in(fields: Fields) -> str | None:
    """Whose a connection is."""
    uid = fields.get("uid")
    return None if uid is None else name_in(uid)


def groups_in(fields: Fields) -> list[str]:
    """Which groups it is in."""
    groups = fields.get("groups")
    return [] if groups is None else [*map(name_in, _array(groups))]


def session_in(payload: bytes) -> Session | None:
    """One session; None where the connection is gone. Raises SerializedError."""
    return None if payload == b"N;" else session_of(payload)


def sessions_in(place: int, payload: bytes) -> dict[str, Session]:
    """The sessions of several, by client_id. Raises SerializedError, which names the client."""
    sessions: dict[str, Session] = {}
    for client, session in serialized_sessions_in(place, payload).items():
        try:
            sessions[client] = session_of(session)
        except SerializedError as error:
            raise SerializedError(f"the session of {client}: {error}") from None
    return sessions


def serialized_sessions_in(place: int, payload: bytes) -> dict[str, bytes]:
    """The same as they come; empty where a session was never set."""
    items = _array(_value(payload)).items()
    return {client_id_of(place, _connection(number)): bytes_in(data) for number, data in items}


def session_of(data: bytes) -> Session:
    """A session as Python has it. It is empty where it was never set. Raises SerializedError."""
    return plain_session(loads(data)) if data else {}


def name_in(value: object) -> str:
    """A name: an integer is its decimal text, and bytes that are no UTF-8 stand as `\\xff`."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value) if isinstance(value, str | int) else _refuse()


def bytes_in(value: object) -> bytes:
    """A string as it was."""
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, bytes) else _refuse()


def distinct(lists: Iterable[Iterable[str]]) -> list[str]:
    """All that stands in them, each once, in its order."""
    return [*dict.fromkeys(item for items in lists for item in items)]


def _value(payload: bytes) -> Value:
    try:
        return loads(payload)
    except SerializedError as error:
        raise BadFrameError("serialized", f"an answer: {error}") from None


def _array(value: Value) -> dict[int | str | bytes, Value]:
    return value if isinstance(value, dict) else _refuse()


def _number(value: object) -> int:
    return value if type(value) is int else _refuse()


def _connection(value: object) -> int:
    number = _number(value)
    return number if 0 < number <= LAST_CONNECTION else _refuse()


def _clients(place: int, connections: Value) -> list[str]:
    numbers = _array(connections).values()
    return [client_id_of(place, _connection(number)) for number in numbers]


def _refuse() -> NoReturn:
    raise BadFrameError("serialized", "an answer to another question")

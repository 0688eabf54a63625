"""Questions whose answers stay as serialized as they come. Sans-I/O."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pushline.codecs.gateway_call import Ask, Call, Parts
from pushline.codecs.gateway_call_answers import (
    bytes_in,
    groups_in,
    selected_in,
    serialized_sessions_in,
    uid_in,
)
from pushline.codecs.gateway_call_sends import as_map, by_place, select_frame
from pushline.codecs.gateway_frames import Cmd, encode
from pushline.commands import Select, Selected, SerializedSession, SerializedSessions
from pushline.names import client_id_of, split_client_id

GONE: Final = b"N;"
"""The answer where a connection is not there."""


def _session(command: SerializedSession) -> Call[bytes | None]:
    place, connection = split_client_id(command.client)
    parts = Parts({place: encode(Cmd.GET_SESSION, connection_id=connection)})

    def merge(read: Sequence[bytes]) -> bytes | None:
        return next((session for session in read if session != GONE), None)

    return Ask(parts, lambda _, payload: payload, merge)


def _sessions(command: SerializedSessions) -> Call[dict[str, bytes]]:
    return Ask(Parts(others=sessions_frame(command.group)), serialized_sessions_in, _merged)


def sessions_frame(group: str | None) -> bytes:
    """A question about the sessions of a group's members, or of everyone."""
    if group is None:
        return encode(Cmd.ALL_SESSIONS)
    return encode(Cmd.SESSIONS_OF_GROUP, ext=group.encode())


def _merged(read: Sequence[Mapping[str, bytes]]) -> dict[str, bytes]:
    return {client: session for sessions in read for client, session in sessions.items()}


def _select(command: Select) -> Call[list[Selected]]:
    fields = ["uid", "groups", "session"] if command.sessions else ["uid", "groups"]
    named = {"groups": command.groups, "uid": command.uids}
    where = {key: names for key, names in named.items() if names is not None}
    only = {
        place: select_frame(fields, {**where, "connection_id": as_map(connections)})
        for place, connections in by_place(command.clients or ()).items()
    }
    of_all = command.clients is None or where
    others = select_frame(fields, where) if of_all else b""

    def read(place: int, payload: bytes) -> list[Selected]:
        selected = selected_in(payload)
        return [_selected(place, connection, found) for connection, found in selected.items()]

    return Ask(Parts(only, others), read, lambda read: [each for found in read for each in found])


def _selected(place: int, connection: int, fields: Mapping[object, Any]) -> Selected:
    session = bytes_in(fields["session"] or "") if "session" in fields else None
    client = client_id_of(place, connection)
    return Selected(client, uid_in(fields), tuple(groups_in(fields)), session)


BY_COMMAND: Final[dict[type, Callable[[Any], Call[Any]]]] = {
    SerializedSession: _session,
    SerializedSessions: _sessions,
    Select: _select,
}
"""How each type of Command is put."""

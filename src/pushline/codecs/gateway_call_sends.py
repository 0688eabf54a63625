"""Sends as gateways take them. Sans-I/O."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from pushline.codecs.gateway_call import AskThenTell, Call, Parts, Tell
from pushline.codecs.gateway_call_answers import clients_by_name_in, selected_in, uid_in
from pushline.codecs.gateway_frames import BINARY, PLAIN, Cmd, encode
from pushline.commands import SendToAll, SendToClient, SendToGroup, SendToUid, Sent
from pushline.errors import UnsupportedError
from pushline.messages import Message
from pushline.names import DEFAULT_UTYPE, client_id_of, split_client_id

AT_A_TIME: Final = 10_000
"""Connections or uids in one frame, which gateways bound (PHP's: 10 MB): of more, several are made.
A connection that is named in one of them is in no other, so it still gets one copy."""

UNKNOWN: Final = Sent(None, None)
"""The answer to every send: gateways give none."""
NOTHING: Final = Tell(Parts(), UNKNOWN)
"""A send to nobody at all."""

_json: Final = msgspec.json.Encoder().encode


def by_place(clients: Iterable[str]) -> dict[int, list[int]]:
    """The connections of `clients`, by their gateways' places."""
    connections: dict[int, list[int]] = {}
    for client in clients:
        place, connection = split_client_id(client)
        connections.setdefault(place, []).append(connection)
    return connections


def as_map(connections: Iterable[int]) -> dict[int, int]:
    """As PHP writes a set of ids."""
    return {connection: connection for connection in connections}


def flag_of(message: Message) -> int:
    """What a frame says of `message`, which is its body."""
    return PLAIN | BINARY if message.binary else PLAIN


def check_utype(utype: str) -> None:
    """Raises UnsupportedError for any but the default one."""
    if utype != DEFAULT_UTYPE:
        raise UnsupportedError(
            f"GatewayWorker's wire has no utypes: over it everybody's is 0, not {utype!r}"
        )


def select_frame(fields: list[str], where: Mapping[str, object]) -> bytes:
    """A question about connections; an empty `where` is PHP's empty array, and means all."""
    return encode(Cmd.SELECT, ext=_json({"fields": fields, "where": where or []}))


def about_all_of(cmd: Cmd, names: Iterable[str]) -> tuple[Parts, *tuple[Parts, ...]]:
    """A question about all of these: as many as it takes."""
    first, *more = (Parts(others=encode(cmd, ext=_json(chunk))) for chunk in _chunks(names))
    return first, *more


def _to_uids(command: SendToUid) -> Call[Sent]:
    check_utype(command.utype)
    if not command.uids:
        return NOTHING
    if command.exclude:
        return _to_uids_but(command)
    message = command.message
    flag, body = flag_of(message), message.data
    frames = [
        encode(Cmd.SEND_TO_UID, flag=flag, ext=_json(uids), body=body)
        for uids in _chunks(command.uids)
    ]
    return Tell(Parts(others=b"".join(frames)), UNKNOWN)


def _to_uids_but(command: SendToUid) -> Call[Sent]:
    """The wire has no exclusion from a user's connections: they are asked for first."""
    message, exclude = command.message, command.exclude

    def then(place: int, payload: bytes) -> bytes:
        found = clients_by_name_in(place, payload).values()
        clients = (client for clients in found for client in clients)
        return _to_found(clients, exclude, message)

    parts, *more = about_all_of(Cmd.CLIENTS_OF_UIDS, command.uids)
    return AskThenTell(parts, then, UNKNOWN, more=more)


def _to_groups(command: SendToGroup) -> Call[Sent]:
    if command.utype is not None:
        check_utype(command.utype)
    groups = command.groups
    if not groups:
        return NOTHING
    direct = _group_parts(command)
    where = {"groups": groups}
    if command.utype is not None:
        return _to_selected(command, where, bound=True)
    if len(groups) == 1:
        return Tell(direct, UNKNOWN)
    # PHP's gateways send a message to several groups once for each that a connection is in.
    return _to_selected(command, where, bound=False, ours=direct)


def _group_parts(command: SendToGroup) -> Parts:
    message = command.message

    def frame(exclude: dict[int, int] | None) -> bytes:
        ext = _json({"group": command.groups, "exclude": exclude})
        return encode(Cmd.SEND_TO_GROUP, flag=flag_of(message), ext=ext, body=message.data)

    excluded = by_place(sorted(command.exclude))
    return Parts({place: frame(as_map(ids)) for place, ids in excluded.items()}, frame(None))


def _to_clients(command: SendToClient) -> Call[Sent]:
    message = command.message
    if len(command.clients) == 1:
        place, connection = split_client_id(command.clients[0])
        flag = flag_of(message)
        frame = encode(Cmd.SEND_TO_ONE, connection_id=connection, flag=flag, body=message.data)
        return Tell(Parts({place: frame}), UNKNOWN)
    connections = by_place(command.clients)
    frames = {place: _to_connections(ids, message) for place, ids in connections.items()}
    return Tell(Parts(frames), UNKNOWN)


def _to_all(command: SendToAll) -> Call[Sent]:
    if command.utype is not None:
        check_utype(command.utype)
        return _to_selected(command, {}, bound=True)
    message = command.message
    excluded = by_place(sorted(command.exclude))
    frames = {
        place: _to_all_frame(message, _json({"exclude": as_map(ids)}))
        for place, ids in excluded.items()
    }
    return Tell(Parts(frames, _to_all_frame(message)), UNKNOWN)


def _to_selected(
    command: SendToGroup | SendToAll,
    where: Mapping[str, object],
    *,
    bound: bool,
    ours: Parts | None = None,
) -> Call[Sent]:
    """To those that a select finds, or only to those of them that are `bound` to a uid."""
    message, exclude = command.message, command.exclude

    def then(place: int, payload: bytes) -> bytes:
        clients = (
            client_id_of(place, connection)
            for connection, fields in selected_in(payload).items()
            if not bound or uid_in(fields) is not None
        )
        return _to_found(clients, exclude, message)

    question = select_frame(["uid"] if bound else [], where)
    return AskThenTell(Parts(others=question), then, UNKNOWN, ours)


def _to_found(clients: Iterable[str], exclude: frozenset[str], message: Message) -> bytes:
    """Frames for those of one gateway's clients that are not excluded."""
    connections = [split_client_id(client)[1] for client in clients if client not in exclude]
    return _to_connections(connections, message)


def _to_connections(connections: list[int], message: Message) -> bytes:
    chunks = _chunks(connections)
    return b"".join(
        _to_all_frame(message, _json({"connections": as_map(chunk)})) for chunk in chunks
    )


def _to_all_frame(message: Message, ext: bytes = b"") -> bytes:
    return encode(Cmd.SEND_TO_ALL, flag=flag_of(message), ext=ext, body=message.data)


def _chunks(items: Iterable[Any]) -> Iterable[list[Any]]:
    rest = iter(items)
    while chunk := list(islice(rest, AT_A_TIME)):
        yield chunk


BY_COMMAND: Final[dict[type, Callable[[Any], Call[Any]]]] = {
    SendToUid: _to_uids,
    SendToGroup: _to_groups,
    SendToClient: _to_clients,
    SendToAll: _to_all,
}
"""How each type of Command is put."""

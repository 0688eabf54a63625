"""Questions as gateways take them, and how the answers of several become one. Sans-I/O."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pushline.codecs.gateway_call import Ask, Call, Parts, Tell
from pushline.codecs.gateway_call_answers import (
    Fields,
    clients_by_name_in,
    clients_in,
    distinct,
    groups_in,
    names_in,
    number_in,
    numbers_in,
    selected_in,
    session_in,
    sessions_in,
    uid_in,
)
from pushline.codecs.gateway_call_selects import sessions_frame
from pushline.codecs.gateway_call_sends import about_all_of, check_utype, select_frame
from pushline.codecs.gateway_frames import Cmd, encode
from pushline.commands import (
    Clients,
    ClientsOfGroups,
    ClientsOfUids,
    CountOfClients,
    CountOfUids,
    CountsOfGroups,
    Groups,
    GroupsOfClient,
    IsOnline,
    Session,
    SessionOfClient,
    Sessions,
    UidOfClient,
    Uids,
    UidsOfGroups,
    UidsOnline,
)
from pushline.names import client_id_of, split_client_id

# --- of one client ------------------------------------------------------------------------------
# Only its own gateway is asked; where that is not known, nothing is read.


def _is_online(command: IsOnline) -> Call[bool]:
    place, connection = split_client_id(command.client)
    parts = Parts({place: encode(Cmd.IS_ONLINE, connection_id=connection)})
    return Ask(parts, lambda _, payload: number_in(payload), any)


def _session_of_client(command: SessionOfClient) -> Call[Session | None]:
    place, connection = split_client_id(command.client)
    parts = Parts({place: encode(Cmd.GET_SESSION, connection_id=connection)})
    return Ask(parts, lambda _, payload: session_in(payload), _first)


def _uid_of_client(command: UidOfClient) -> Call[str | None]:
    return _of_client(command.client, "uid", uid_in, _first)


def _groups_of_client(command: GroupsOfClient) -> Call[list[str]]:
    return _of_client(command.client, "groups", groups_in, distinct)


def _of_client(
    client: str,
    field: str,
    value_in: Callable[[Fields], Any],
    merge: Callable[[Sequence[Any]], Any],
) -> Call[Any]:
    place, connection = split_client_id(client)
    question = select_frame([field], {"connection_id": {connection: connection}})

    def read(_place: int, payload: bytes) -> Any:
        return value_in(selected_in(payload).get(connection, {}))

    return Ask(Parts({place: question}), read, merge)


def _first(read: Sequence[Any]) -> Any:
    return read[0] if read else None


# --- of users -----------------------------------------------------------------------------------


def _uids_online(command: UidsOnline) -> Call[dict[str, bool]]:
    def merge(read: Sequence[Mapping[str, list[str]]]) -> dict[str, bool]:
        found = _together(read)
        return {uid: bool(found.get(uid)) for uid in command.uids}

    return _of_uids(command, merge)


def _clients_of_uids(command: ClientsOfUids) -> Call[dict[str, list[str]]]:
    def merge(read: Sequence[Mapping[str, list[str]]]) -> dict[str, list[str]]:
        found = _together(read)
        return {uid: distinct([found.get(uid, ())]) for uid in command.uids}

    return _of_uids(command, merge)


def _of_uids(
    command: UidsOnline | ClientsOfUids,
    merge: Callable[[Sequence[Mapping[str, list[str]]]], Any],
) -> Call[Any]:
    check_utype(command.utype)
    uids = command.uids
    if not uids:
        return Tell(Parts(), {})
    if len(uids) > 1:
        parts, *more = about_all_of(Cmd.CLIENTS_OF_UIDS, uids)
        return Ask(parts, clients_by_name_in, merge, more)
    question = encode(Cmd.CLIENTS_OF_UID, ext=uids[0].encode())

    def read(place: int, payload: bytes) -> Mapping[str, list[str]]:
        return {uids[0]: clients_in(place, payload)}

    return Ask(Parts(others=question), read, merge)


def _uids(command: Uids) -> Call[list[str]]:
    return _of_users(command, distinct)


def _count_of_uids(command: CountOfUids) -> Call[int]:
    return _of_users(command, lambda read: len(distinct(read)))


def _of_users(command: Uids | CountOfUids, merge: Callable[[Sequence[Any]], Any]) -> Call[Any]:
    check_utype(command.utype)

    def read(_place: int, payload: bytes) -> list[str]:
        found = map(uid_in, selected_in(payload).values())
        return [uid for uid in found if uid is not None]

    return Ask(Parts(others=select_frame(["uid"], _members_of(command.group))), read, merge)


def _members_of(group: str | None) -> Mapping[str, object]:
    return {} if group is None else {"groups": [group]}


# --- of groups and of everyone ------------------------------------------------------------------


def _clients(command: Clients) -> Call[list[str]]:
    def read(place: int, payload: bytes) -> list[str]:
        return [client_id_of(place, connection) for connection in selected_in(payload)]

    # PHP's client asks for a field, too; with none the answer would be the same, and shorter.
    return Ask(Parts(others=select_frame(["uid"], _members_of(command.group))), read, distinct)


def _count_of_clients(_command: CountOfClients) -> Call[int]:
    return Ask(Parts(others=encode(Cmd.COUNT_OF_GROUP)), lambda _, payload: number_in(payload), sum)


def _counts_of_groups(command: CountsOfGroups) -> Call[dict[str, int]]:
    groups = command.groups
    if groups is None:
        return _counts_of_all_groups()
    if not groups:
        return Tell(Parts(), {})

    def merge(read: Sequence[Mapping[str, int]]) -> dict[str, int]:
        total = Counter[str]()
        for counts in read:
            total.update(counts)
        return {group: total[group] for group in groups}

    if len(groups) > 1:
        parts, *more = about_all_of(Cmd.COUNTS_OF_GROUPS, groups)
        return Ask(parts, lambda _, payload: numbers_in(payload), merge, more)
    question = Parts(others=encode(Cmd.COUNT_OF_GROUP, ext=groups[0].encode()))
    return Ask(question, lambda _, payload: {groups[0]: number_in(payload)}, merge)


def _counts_of_all_groups() -> Call[dict[str, int]]:
    def merge(read: Sequence[Mapping[str, list[str]]]) -> dict[str, int]:
        return {group: len(clients) for group, clients in _joined(read).items()}

    return _of_all_groups(["groups"], _clients_by_group, merge)


def _groups(_command: Groups) -> Call[list[str]]:
    question = encode(Cmd.GROUP_NAMES)
    return Ask(Parts(others=question), lambda _, payload: names_in(payload), distinct)


def _uids_of_groups(command: UidsOfGroups) -> Call[dict[str, list[str]]]:
    check_utype(command.utype)
    return _of_all_groups(["uid", "groups"], _uids_by_group, _joined)


def _clients_of_groups(_command: ClientsOfGroups) -> Call[dict[str, list[str]]]:
    return _of_all_groups(["groups"], _clients_by_group, _joined)


def _of_all_groups(
    fields: list[str],
    read: Callable[[int, bytes], dict[str, list[str]]],
    merge: Callable[[Sequence[Mapping[str, list[str]]]], Any],
) -> Call[Any]:
    return Ask(Parts(others=select_frame(fields, {})), read, merge)


def _clients_by_group(place: int, payload: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for connection, fields in selected_in(payload).items():
        for group in groups_in(fields):
            found.setdefault(group, []).append(client_id_of(place, connection))
    return found


def _uids_by_group(_place: int, payload: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for fields in selected_in(payload).values():
        uid = uid_in(fields)
        for group in groups_in(fields):
            found.setdefault(group, []).extend([] if uid is None else [uid])
    return found


def _joined(read: Sequence[Mapping[str, list[str]]]) -> dict[str, list[str]]:
    """By group, what all gateways have."""
    return {group: distinct([found]) for group, found in _together(read).items()}


def _together(read: Sequence[Mapping[str, list[str]]]) -> dict[str, list[str]]:
    """By name, what stands in all answers."""
    together: dict[str, list[str]] = {}
    for found in read:
        for name, values in found.items():
            together.setdefault(name, []).extend(values)
    return together


def _sessions(command: Sessions) -> Call[dict[str, Session]]:
    def merge(read: Sequence[dict[str, Session]]) -> dict[str, Session]:
        return {client: session for sessions in read for client, session in sessions.items()}

    return Ask(Parts(others=sessions_frame(command.group)), sessions_in, merge)


BY_COMMAND: Final[dict[type, Callable[[Any], Call[Any]]]] = {
    IsOnline: _is_online,
    UidsOnline: _uids_online,
    ClientsOfUids: _clients_of_uids,
    UidOfClient: _uid_of_client,
    GroupsOfClient: _groups_of_client,
    SessionOfClient: _session_of_client,
    Uids: _uids,
    CountOfUids: _count_of_uids,
    Clients: _clients,
    CountOfClients: _count_of_clients,
    CountsOfGroups: _counts_of_groups,
    Groups: _groups,
    UidsOfGroups: _uids_of_groups,
    ClientsOfGroups: _clients_of_groups,
    Sessions: _sessions,
}
"""How each type of Command is put."""

"""The recorded calls of PHP's GatewayClient, each with our verb, and what that has to return."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from pushline.commands import Sent
from pushline.gateway import Gateway
from pushline.names import client_id_of
from tests.gatewayworker.recorded import RECORDED

PLACE: Final = 0x7F00000108FC
"""Of the gateway in the recording, 127.0.0.1:2300."""
ROOMS: Final = "sendToGroup list excluding A"
"""The only call that is put in other words to gateways of PHP's: they would send a message to
several groups once for each that a connection is in."""

Shape = Callable[[Any], Any]
"""What our verb returns, of what PHP's has returned."""


class Ids:
    """The client_ids of the four browsers at a gateway that is somewhere else."""

    def __init__(self, place: int = PLACE) -> None:
        self.place = place
        self.a, self.b, self.c, self.d = (client_id_of(place, number) for number in range(1, 5))

    def of(self, php: Any) -> Any:
        """What PHP has returned, with them in place of the recorded ones."""
        if isinstance(php, dict):
            return {self.of(key): self.of(value) for key, value in php.items()}
        if isinstance(php, list):
            return [self.of(item) for item in php]
        recorded = RECORDED["client_ids"].values()
        return client_id_of(self.place, int(php[12:], 16)) if php in recorded else php


def _sent(_php: object) -> Sent:
    return Sent(None, None)


def _nothing(_php: object) -> None:
    return None


def _same(php: Any) -> Any:
    return php


def _names(php: dict[str, object]) -> list[str]:
    return [str(name) for name in php.values()]


def _name_lists(php: dict[str, dict[str, object]]) -> dict[str, list[str]]:
    return {key: _names(names) for key, names in php.items()}


def _flags(php: dict[str, int]) -> dict[str, bool]:
    return {key: bool(flag) for key, flag in php.items()}


def _session(php: Any) -> Any:
    return php or {}


def _sessions(php: dict[str, Any]) -> Any:
    return {client: session or {} for client, session in php.items()}


Verb = Callable[[Gateway, Ids], Awaitable[Any]]
CHANGE: Final = {"n": 2, "deep": {"x": True, "y": None, "z": 1.5}}

VERBS: Final[dict[str, tuple[Verb, Shape]]] = {
    "bindUid A u1": (lambda g, i: g.bind_uid(i.a, "u1"), _nothing),
    "bindUid B u1": (lambda g, i: g.bind_uid(i.b, "u1"), _nothing),
    "bindUid C u2": (lambda g, i: g.bind_uid(i.c, "u2"), _nothing),
    "joinGroup A room1": (lambda g, i: g.join_group(i.a, "room1"), _nothing),
    "joinGroup C room1": (lambda g, i: g.join_group(i.c, "room1"), _nothing),
    "joinGroup B room2": (lambda g, i: g.join_group(i.b, "room2"), _nothing),
    "joinGroup A 7 (integer name)": (lambda g, i: g.join_group(i.a, 7), _nothing),
    "setSession A": (lambda g, i: g.set_session(i.a, {"name": "Ann", "n": 1}), _nothing),
    "updateSession A": (lambda g, i: g.update_session(i.a, CHANGE), _nothing),
    "getSession A": (lambda g, i: g.get_session(i.a), _session),
    "getSession D (never set)": (lambda g, i: g.get_session(i.d), _session),
    "sendToAll": (lambda g, _: g.send_to_all("hello all"), _sent),
    "sendToAll to list A,B": (lambda g, i: g.send_to_all("hello AB", [i.a, i.b]), _sent),
    "sendToAll excluding A": (lambda g, i: g.send_to_all("not A", None, [i.a]), _sent),
    "sendToClient C": (lambda g, i: g.send_to_client(i.c, "hello C"), _sent),
    "sendToUid u1": (lambda g, _: g.send_to_uid("u1", "hello u1"), _sent),
    "sendToUid list": (lambda g, _: g.send_to_uid(["u1", "u2", "ghost"], "hello uids"), _sent),
    "sendToGroup room1": (lambda g, _: g.send_to_group("room1", "hello room1"), _sent),
    ROOMS: (lambda g, i: g.send_to_group(["room1", "room2"], "hello rooms", [i.a]), _sent),
    "isOnline A": (lambda g, i: g.is_online(i.a), bool),
    "isUidOnline u1": (lambda g, _: g.is_uid_online("u1"), bool),
    "isUidOnline ghost": (lambda g, _: g.is_uid_online("ghost"), bool),
    "isUidsOnline": (lambda g, _: g.is_uids_online(["u1", "ghost"]), _flags),
    "getAllClientIdCount": (lambda g, _: g.get_all_client_id_count(), _same),
    "getClientIdCountByGroup room1": (lambda g, _: g.get_client_id_count_by_group("room1"), _same),
    "batchGetClientIdCountByGroup": (
        lambda g, _: g.batch_get_client_id_count_by_group(["room1", "room2", "none"]),
        _same,
    ),
    "getAllClientSessions": (lambda g, _: g.get_all_client_sessions(), _sessions),
    "getClientSessionsByGroup room1": (
        lambda g, _: g.get_client_sessions_by_group("room1"),
        _sessions,
    ),
    "getClientIdListByGroup room1": (lambda g, _: g.get_client_id_list_by_group("room1"), _names),
    "getAllClientIdList": (lambda g, _: g.get_all_client_id_list(), _names),
    "getClientIdByUid u1": (lambda g, _: g.get_client_id_by_uid("u1"), _same),
    "batchGetClientIdByUid": (
        lambda g, _: g.batch_get_client_id_by_uid(["u1", "u2", "ghost"]),
        _same,
    ),
    "getUidByClientId A": (lambda g, i: g.get_uid_by_client_id(i.a), _same),
    "getUidListByGroup room1": (lambda g, _: g.get_uid_list_by_group("room1"), _names),
    "getUidCountByGroup room1": (lambda g, _: g.get_uid_count_by_group("room1"), _same),
    "getAllUidList": (lambda g, _: g.get_all_uid_list(), _names),
    "getAllUidCount": (lambda g, _: g.get_all_uid_count(), _same),
    "getAllGroupIdList": (lambda g, _: g.get_all_group_id_list(), _names),
    "getAllGroupUidList": (lambda g, _: g.get_all_group_uid_list(), _name_lists),
    "getAllGroupUidCount": (lambda g, _: g.get_all_group_uid_count(), _same),
    "getAllGroupClientIdList": (lambda g, _: g.get_all_group_client_id_list(), _name_lists),
    "getAllGroupClientIdCount": (lambda g, _: g.get_all_group_client_id_count(), _same),
    "unbindUid C": (lambda g, i: g.unbind_uid(i.c, "u2"), _nothing),
    "leaveGroup C room1": (lambda g, i: g.leave_group(i.c, "room1"), _nothing),
    "ungroup room2": (lambda g, _: g.ungroup("room2"), _nothing),
    "closeClient C with message": (lambda g, i: g.close_client(i.c, "bye"), _nothing),
    "destoryClient D": (lambda g, i: g.destroy_client(i.d), _nothing),
}


class RecordedCall(NamedTuple):
    """`request` and `reply` (empty where there was none) are what went to the gateway and back."""

    name: str
    verb: Verb
    request: bytes
    reply: bytes
    returned: Any
    """As our verb has it, with the recorded client_ids."""


def _recorded(call: dict[str, Any]) -> RecordedCall:
    flow = {
        sent["way"]: bytes.fromhex(sent["hex"])
        for sent in call["flow"]
        if sent["peer"] == "gateway"
    }
    verb, shape = VERBS[call["call"]]
    returned = shape(call["returned"])
    return RecordedCall(call["call"], verb, flow["request"], flow.get("reply", b""), returned)


CALLS: Final = [_recorded(call) for call in RECORDED["calls"]]

"""The verbs' own part: who carries them out, and how they are called. What they do to clients is
in `contracts`."""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

import pytest

from pushline.commands import Command, SendToClient, SendToUid, Sent
from pushline.errors import AppError, BadMessageError, BadNameError
from pushline.gateway import Gateway, SyncGateway, close_of, message_of
from pushline.loop_runner import LoopRunner
from pushline.messages import Close
from pushline.node import Node
from tests.core import Keeper

T = TypeVar("T")

ORIGINAL = """
sendToAll sendToClient sendToUid sendToGroup closeClient destroyClient bindUid unbindUid joinGroup
leaveGroup ungroup isOnline isUidOnline isUidsOnline getClientIdByUid batchGetClientIdByUid
getUidByClientId getUidListByGroup getUidCountByGroup getAllUidList getAllUidCount
getClientIdListByGroup getClientIdCountByGroup batchGetClientIdCountByGroup getAllClientIdList
getAllClientIdCount getClientSessionsByGroup getAllClientSessions getAllGroupIdList
getAllGroupUidList getAllGroupUidCount getAllGroupClientIdList getAllGroupClientIdCount getSession
setSession updateSession
"""
"""GatewayClient's verbs."""
VERBS = {re.sub("([A-Z])", r"_\1", name).lower() for name in ORIGINAL.split()} | {
    *("close_uid", "close_group", "groups_of_client")
}


class Wire:
    """An Executor whose answers come a pass later, and to sends and actions not at all."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.partial = node.partial
        self.commands: list[Command[Any]] = []

    def execute(self, command: Command[T]) -> Awaitable[T]:
        self.commands.append(command)
        answer: Any = self._node.execute(command)
        if isinstance(answer, Sent):
            answer = Sent(None, None)
        elif isinstance(answer, bool | int):
            answer = None
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, answer)
        return future


class Same:
    """A Runner in the same thread, for coroutines that wait for nothing."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        with pytest.raises(StopIteration) as end:
            coroutine.send(None)
        value: T = end.value.value
        return value


@pytest.fixture
async def keeper() -> Keeper:
    return Keeper(asyncio.get_running_loop())


@pytest.fixture
def node(keeper: Keeper) -> Node:
    return Node(keeper.hub, keeper.outbox)


@pytest.fixture
def gateway(node: Node) -> Gateway:
    gateway = Gateway()
    gateway.attach(node, Same())
    return gateway


# --- which verbs there are ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Gateway, SyncGateway])
def test_there_are_the_original_verbs_and_three_more(kind: type) -> None:
    public = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if name[0] != "_"}
    assert public - {"attach", "partial"} == VERBS


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_plain_verb_is_described_as_the_one_to_await(verb: str) -> None:
    plain, awaited = getattr(SyncGateway, verb), getattr(Gateway, verb)
    assert inspect.iscoroutinefunction(awaited)
    assert not inspect.iscoroutinefunction(plain)
    assert (plain.__name__, plain.__doc__) == (verb, awaited.__doc__)
    assert inspect.signature(plain) == inspect.signature(awaited)
    assert awaited.__doc__


# --- who carries them out -----------------------------------------------------------------------


async def test_before_an_application_runs_a_verb_says_so() -> None:
    gateway = Gateway()
    with pytest.raises(AppError, match="the application is not running yet"):
        await gateway.send_to_uid("uid1", "hello")
    with pytest.raises(AppError, match="the application is not running yet"):
        await asyncio.to_thread(gateway.sync.send_to_uid, "uid1", "hello")


async def test_what_is_malformed_is_refused_before_an_application_runs_too() -> None:
    with pytest.raises(BadNameError):
        await Gateway().send_to_uid("", "hello")


async def test_an_answer_that_is_there_is_not_waited_for(keeper: Keeper, gateway: Gateway) -> None:
    keeper.log_in("uid1")
    assert gateway.sync.send_to_uid(["uid1", "away"], "hello") == Sent(1, ("away",))


async def test_an_answer_that_comes_later_is_waited_for(keeper: Keeper, node: Node) -> None:
    connection, gateway = keeper.log_in("uid1"), Gateway()
    gateway.attach(Wire(node), Same())
    assert await gateway.get_client_id_by_uid("uid1") == [node.client_id(connection)]


async def test_a_wire_without_answers_to_sends_and_actions_says_so(
    keeper: Keeper, node: Node
) -> None:
    client, gateway = node.client_id(keeper.log_in("uid1")), Gateway()
    gateway.attach(Wire(node), Same())
    assert await gateway.send_to_uid("away", "hello") == Sent(None, None)
    assert await gateway.join_group(client, "a") is None
    assert await gateway.ungroup("a") is None
    assert await gateway.close_uid("uid1") is None
    assert await gateway.close_client(client) is None


async def test_the_same_name_twice_is_sent_once_and_in_its_order(node: Node) -> None:
    gateway, wire = Gateway(), Wire(node)
    gateway.attach(wire, Same())
    one, two = f"{1:020x}", f"{0xA:020x}"
    uids: list[str | int] = [7, "b", "7", "a", "b"]
    await gateway.send_to_uid(iter(uids), "text", exclude=[one, one])
    await gateway.send_to_client((two, one, two.upper()), b"binary")
    uid, client = wire.commands
    assert isinstance(uid, SendToUid)
    assert (uid.uids, uid.utype, uid.exclude) == (("7", "b", "a"), "0", frozenset({one}))
    assert (uid.message.data, uid.message.binary) == (b"text", False)
    assert isinstance(client, SendToClient)
    assert client.clients == (two, one)
    assert (client.message.data, client.message.binary) == (b"binary", True)


async def test_plain_code_reaches_the_loop_from_its_thread(keeper: Keeper, node: Node) -> None:
    keeper.log_in("uid1")
    gateway = Gateway()
    gateway.attach(node, LoopRunner(asyncio.get_running_loop(), 10))
    assert await asyncio.to_thread(gateway.sync.get_all_uid_list) == ["uid1"]
    with pytest.raises(AppError, match="without `sync`"):
        gateway.sync.get_all_uid_list()


# --- values -------------------------------------------------------------------------------------


def test_text_and_bytes_are_messages() -> None:
    assert (message_of("é").data, message_of("é").binary) == ("é".encode(), False)
    assert (message_of(b"\xff").data, message_of(b"\xff").binary) == (b"\xff", True)


@pytest.mark.parametrize(
    ("data", "why"),
    [("\ud800", "lone surrogate"), (None, "not NoneType"), (bytearray(b"m"), "not bytearray")],
)
def test_what_is_no_message_is_refused_and_told_why(data: Any, why: str) -> None:
    with pytest.raises(BadMessageError, match=why):
        message_of(data)


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (3000, "a"), (4999, "x" * 119), (3503, "é" * 59 + "x")]
)
def test_an_application_closes_for_a_reason_of_its_own(code: int, reason: str) -> None:
    assert close_of(code, reason) == Close(code, reason)


@pytest.mark.parametrize(
    ("code", "reason", "why"),
    [
        *((code, "", "from 3000 to 4999") for code in (0, 999, 1001, 1005, 1006, 2999, 5000)),
        *((code, "", "from 3000 to 4999") for code in ("3503", None, 3503.5, True)),
        (3503, "x" * 120, "up to 119 bytes, this one 120"),
        (3503, "é" * 60, "up to 119 bytes, this one 120"),
        (3503, "\ud800", "lone surrogate"),
        (3503, None, "is text"),
    ],
)
def test_what_is_no_close_is_refused_and_told_why(code: Any, reason: Any, why: str) -> None:
    with pytest.raises(AppError, match=why):
        close_of(code, reason)

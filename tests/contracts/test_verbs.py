"""What every verb promises, in every world. Nothing here looks behind the Gateway."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from pushline.commands import Sent, Session
from pushline.errors import (
    AppError,
    BadClientIdError,
    BadMessageError,
    BadNameError,
    PushlineError,
    UnsupportedError,
)
from pushline.gateway import Gateway
from pushline.messages import ABNORMAL, KICKED, Close
from tests.contracts.world import Tab, World

T = TypeVar("T")
END = "that is all"


def answer(world: World, value: T) -> T | None:
    """What an action answers with."""
    return value if world.counts else None


def sent(world: World, delivered: int, *offline: str) -> Sent:
    """What a send answers with."""
    return Sent(delivered, offline) if world.counts else Sent(None, None)


def listed(world: World, names: Any) -> Any:
    """A list, or several by name, in an order that can be compared."""
    if isinstance(names, dict):
        return {key: listed(world, each) for key, each in names.items()}
    return names if world.ordered or not isinstance(names, list) else sorted(names)


Test = Callable[[World], Awaitable[None]]


def of_utypes(test: Test) -> Test:
    """A test of utypes other than 0: a wire that has none says so at once."""

    @functools.wraps(test)
    async def tried(world: World) -> None:
        if world.utypes:
            await test(world)
        else:
            with pytest.raises(UnsupportedError, match="utype"):
                await test(world)

    return tried


async def heard(world: World, *tabs: Tab) -> list[list[str | bytes]]:
    """What has come to each until now: a message that is sent now comes behind it."""
    return [await _heard(world, tab) for tab in tabs]


async def _heard(world: World, tab: Tab) -> list[str | bytes]:
    await world.gateway.send_to_client(tab.client_id, END)
    messages: list[str | bytes] = []
    while (message := await tab.received()) != END:
        messages.append(message)
    return messages


async def connect(world: World, uid: str | int | None = None, *groups: str, utype: int = 0) -> Tab:
    tab = await world.connect()
    if uid is not None:
        await world.gateway.bind_uid(tab.client_id, uid, utype)
    for group in groups:
        await world.gateway.join_group(tab.client_id, group)
    return tab


async def gone(world: World) -> str:
    """The client_id of one that was here."""
    tab = await connect(world, "gone", "gone")
    await world.gateway.set_session(tab.client_id, {"name": "gone"})
    await tab.leave()
    return tab.client_id


# --- send_to_client -----------------------------------------------------------------------------


@pytest.mark.parametrize("message", ["text", "", "张 😀\0\n", b"binary", b"", b"\xff\0" * 70_000])
async def test_a_message_comes_as_it_was_sent(world: World, message: str | bytes) -> None:
    tab, other = await world.connect(), await world.connect()
    assert await world.gateway.send_to_client(tab.client_id, message) == sent(world, 1)
    assert await heard(world, tab, other) == [[message], []]


async def test_a_client_that_is_listed_twice_gets_one_copy(world: World) -> None:
    one, two, other = [await world.connect() for _ in range(3)]
    targets = [two.client_id, one.client_id, two.client_id.upper()]
    assert await world.gateway.send_to_client(targets, "hello") == sent(world, 2)
    assert await heard(world, one, two, other) == [["hello"], ["hello"], []]


async def test_clients_that_are_not_there_are_named(world: World) -> None:
    tab, away = await world.connect(), await gone(world)
    send = world.gateway.send_to_client
    assert await send(away, "hello") == sent(world, 0, away)
    assert await send([away, tab.client_id], "hello") == sent(world, 1, away)
    assert await send([], "nobody") == sent(world, 0)
    assert await heard(world, tab) == [["hello"]]


# --- send_to_uid --------------------------------------------------------------------------------


async def test_every_connection_of_a_user_gets_it(world: World) -> None:
    one, two, other = [await connect(world, uid) for uid in ("u1", "u1", "u2")]
    assert await world.gateway.send_to_uid("u1", "hello") == sent(world, 2)
    assert await heard(world, one, two, other) == [["hello"], ["hello"], []]


async def test_a_number_is_the_uid_of_its_digits(world: World) -> None:
    tab = await connect(world, 42)
    assert await world.gateway.send_to_uid("42", "one") == sent(world, 1)
    assert await world.gateway.send_to_uid([42, "42"], "two") == sent(world, 1)
    assert await heard(world, tab) == [["one", "two"]]


async def test_users_who_are_not_there_are_named(world: World) -> None:
    tab = await connect(world, "u1")
    send = world.gateway.send_to_uid
    assert await send("away", "hello") == sent(world, 0, "away")
    several: list[str | int] = ["away", "u1", 7, "u1"]
    assert await send(iter(several), "hello") == sent(world, 1, "away", "7")
    assert await send([], "nobody") == sent(world, 0)
    assert await heard(world, tab) == [["hello"]]


@of_utypes
async def test_a_uid_belongs_to_its_utype(world: World) -> None:
    person, shop = await connect(world, "u1"), await connect(world, "u1", utype=1)
    assert await world.gateway.send_to_uid("u1", "shop", utype=1) == sent(world, 1)
    assert await world.gateway.send_to_uid("u1", "shop", utype="1") == sent(world, 1)
    assert await world.gateway.send_to_uid("u1", "nobody", utype=2) == sent(world, 0, "u1")
    assert await heard(world, person, shop) == [[], ["shop", "shop"]]


async def test_who_is_excluded_gets_nothing_and_is_not_offline(world: World) -> None:
    one, two = await connect(world, "u1"), await connect(world, "u1")
    send, away = world.gateway.send_to_uid, await gone(world)
    assert await send("u1", "two", exclude=one.client_id) == sent(world, 1)
    assert await send("u1", "one", exclude={two.client_id.upper(), away}) == sent(world, 1)
    assert await send("u1", "none", exclude=[one.client_id, two.client_id]) == sent(world, 0)
    assert await heard(world, one, two) == [["one"], ["two"]]


# --- send_to_group ------------------------------------------------------------------------------


async def test_every_member_of_a_group_gets_it(world: World) -> None:
    one, two = await connect(world, None, "a"), await connect(world, "u2", "a", "b")
    other = await connect(world, "u3", "b")
    assert await world.gateway.send_to_group("a", b"hello") == sent(world, 2)
    assert await heard(world, one, two, other) == [[b"hello"], [b"hello"], []]


async def test_who_is_in_two_of_the_groups_gets_one_copy(world: World) -> None:
    both, one = await connect(world, None, "a", "7"), await connect(world, 1, "7")
    none = await connect(world, 2, "c")
    assert await world.gateway.send_to_group(["a", 7, "a"], "hello") == sent(world, 2)
    assert await heard(world, both, one, none) == [["hello"], ["hello"], []]


async def test_groups_without_members_are_named(world: World) -> None:
    tab = await connect(world, "u1", "a")
    send = world.gateway.send_to_group
    assert await send("empty", "nobody") == sent(world, 0, "empty")
    assert await send(["empty", "a", 5], "hello") == sent(world, 1, "empty", "5")
    assert await send([], "nobody") == sent(world, 0)
    assert await heard(world, tab) == [["hello"]]


async def test_a_group_can_be_narrowed_to_who_has_a_uid(world: World) -> None:
    person, nobody = await connect(world, "u1", "a"), await connect(world, None, "a", "b")
    send = world.gateway.send_to_group
    assert await send("a", "people", utype=0) == sent(world, 1)
    assert await send(["a", "b"], "people again", utype=0) == sent(world, 1, "b")
    assert await heard(world, person, nobody) == [["people", "people again"], []]


@of_utypes
async def test_a_group_can_be_narrowed_to_a_utype(world: World) -> None:
    person, nobody = await connect(world, "u1", "a"), await connect(world, None, "a")
    shop = await connect(world, "u1", "a", "b", utype=1)
    send = world.gateway.send_to_group
    assert await send("a", "people", utype=0) == sent(world, 1)
    assert await send(["a", "b"], "shops", utype=1) == sent(world, 1)
    assert await send("b", "nobody", utype=0) == sent(world, 0, "b")
    assert await send("a", "all") == sent(world, 3)
    expected = [["people", "all"], ["all"], ["shops", "all"]]
    assert await heard(world, person, nobody, shop) == expected


async def test_a_member_can_be_excluded(world: World) -> None:
    one, two, three = [await connect(world, None, "a", "b") for _ in range(3)]
    send = world.gateway.send_to_group
    assert await send("a", "not to one", one.client_id) == sent(world, 2)
    assert await send(["a", "b"], "to three", [one.client_id, two.client_id]) == sent(world, 1)
    expected = [[], ["not to one"], ["not to one", "to three"]]
    assert await heard(world, one, two, three) == expected


# --- send_to_all --------------------------------------------------------------------------------


async def test_everyone_gets_a_message_to_all_bound_or_not(world: World) -> None:
    tabs = [await world.connect(), await connect(world, "u1")]
    assert await world.gateway.send_to_all("all") == sent(world, 2)
    assert await world.gateway.send_to_all(b"people", utype=0) == sent(world, 1)
    assert await heard(world, *tabs) == [["all"], ["all", b"people"]]


@of_utypes
async def test_a_message_to_all_of_a_utype_is_for_nobody_else(world: World) -> None:
    tabs = [await world.connect(), await connect(world, "u1"), await connect(world, "u1", utype=1)]
    assert await world.gateway.send_to_all("shops", utype=1) == sent(world, 1)
    assert await world.gateway.send_to_all("nobody", utype=2) == sent(world, 0)
    assert await heard(world, *tabs) == [[], [], ["shops"]]


async def test_a_message_to_all_excludes(world: World) -> None:
    one, two, three = [await connect(world, "u1") for _ in range(3)]
    send, both = world.gateway.send_to_all, (one.client_id, two.client_id)
    assert await send("not to one", exclude=one.client_id) == sent(world, 2)
    assert await send("to three", exclude=both, utype=0) == sent(world, 1)
    expected = [[], ["not to one"], ["not to one", "to three"]]
    assert await heard(world, one, two, three) == expected


async def test_a_message_to_all_of_a_list_is_for_nobody_else(world: World) -> None:
    one, two, other = [await world.connect() for _ in range(3)]
    send, both, away = world.gateway.send_to_all, [one.client_id, two.client_id], await gone(world)
    assert await send("both", [*both, away]) == sent(world, 2, away)
    assert await send("two", both, one.client_id) == sent(world, 1)
    assert await send("nobody", []) == sent(world, 0)
    assert await heard(world, one, two, other) == [["both"], ["both", "two"], []]


async def test_a_list_of_clients_has_no_utype(world: World) -> None:
    tab = await connect(world, "u1")
    with pytest.raises(AppError, match="not of both"):
        await world.gateway.send_to_all("hello", [tab.client_id], utype=0)
    assert await heard(world, tab) == [[]]


async def test_a_message_to_very_many_comes_to_each(world: World) -> None:
    tabs = [await connect(world, None, "a") for _ in range(70)]
    assert await world.gateway.send_to_group("a", "group") == sent(world, 70)
    assert await world.gateway.send_to_all("all") == sent(world, 70)
    assert await heard(world, *tabs) == [["group", "all"]] * 70


async def test_messages_come_in_the_order_in_which_they_were_sent(world: World) -> None:
    tab, gateway = await connect(world, "u1", "a"), world.gateway
    for number in range(0, 100, 4):
        await gateway.send_to_uid("u1", str(number))
        await gateway.send_to_all(str(number + 1))
        await gateway.send_to_group("a", str(number + 2))
        await gateway.send_to_client(tab.client_id, str(number + 3))
    assert await heard(world, tab) == [list(map(str, range(100)))]


# --- what is refused ----------------------------------------------------------------------------

NOBODY = "0" * 19 + "1"
Call = Callable[[Gateway, Any], Awaitable[object]]


def none(value: object) -> Any:
    """Something that is none, where None itself is an answer."""
    return 1.5 if value is None else value


NAMES: list[Any] = ["", "a\nb", "\ud800", "x" * 256, True, None, 1.5, b"u1", {"u1": 1}, 2**63]
NAMING: dict[str, Call] = {
    "send_to_all": lambda g, name: g.send_to_all("m", utype=none(name)),
    "send_to_uid": lambda g, name: g.send_to_uid(name, "m"),
    "send_to_uid, one of": lambda g, name: g.send_to_uid(["u1", name], "m"),
    "send_to_uid, utype": lambda g, name: g.send_to_uid("u1", "m", utype=name),
    "send_to_group": lambda g, name: g.send_to_group(name, "m"),
    "send_to_group, one of": lambda g, name: g.send_to_group(["a", name], "m"),
    "close_uid": lambda g, name: g.close_uid(["u1", name], "m"),
    "close_uid, utype": lambda g, name: g.close_uid("u1", "m", utype=name),
    "close_group": lambda g, name: g.close_group(["a", name], "m"),
    "bind_uid": lambda g, name: g.bind_uid(NOBODY, name),
    "bind_uid, utype": lambda g, name: g.bind_uid(NOBODY, "u2", name),
    "unbind_uid": lambda g, name: g.unbind_uid(NOBODY, none(name)),
    "join_group": lambda g, name: g.join_group(NOBODY, name),
    "leave_group": lambda g, name: g.leave_group(NOBODY, name),
    "ungroup": lambda g, name: g.ungroup(name),
    "is_uid_online": lambda g, name: g.is_uid_online(name),
    "is_uids_online": lambda g, name: g.is_uids_online([name]),
    "get_client_id_by_uid": lambda g, name: g.get_client_id_by_uid(name),
    "batch_get_client_id_by_uid": lambda g, name: g.batch_get_client_id_by_uid([name]),
    "get_uid_list_by_group": lambda g, name: g.get_uid_list_by_group(name),
    "get_uid_count_by_group": lambda g, name: g.get_uid_count_by_group(name),
    "get_all_uid_list": lambda g, name: g.get_all_uid_list(name),
    "get_all_uid_count": lambda g, name: g.get_all_uid_count(name),
    "get_client_id_list_by_group": lambda g, name: g.get_client_id_list_by_group(name),
    "get_client_id_count_by_group": lambda g, name: g.get_client_id_count_by_group(name),
    "batch_get_client_id_count": lambda g, name: g.batch_get_client_id_count_by_group([name]),
    "get_client_sessions_by_group": lambda g, name: g.get_client_sessions_by_group(name),
    "get_all_group_uid_list": lambda g, name: g.get_all_group_uid_list(name),
    "get_all_group_uid_count": lambda g, name: g.get_all_group_uid_count(name),
}

CLIENT_IDS = [
    "",
    "0" * 19,
    "0" * 21,
    "g" * 20,
    "0" * 20 + "\n",
    "\u0660" * 20,
    7,
    None,
    b"0" * 20,
    {},
]
CLIENTS: dict[str, Call] = {
    "send_to_all": lambda g, client: g.send_to_all("m", [NOBODY, client]),
    "send_to_all, exclude": lambda g, client: g.send_to_all("m", exclude=[client]),
    "send_to_client": lambda g, client: g.send_to_client(client, "m"),
    "send_to_client, one of": lambda g, client: g.send_to_client([NOBODY, client], "m"),
    "send_to_uid, exclude": lambda g, client: g.send_to_uid("u1", "m", exclude=[client]),
    "send_to_group, exclude": lambda g, client: g.send_to_group("a", "m", [client]),
    "close_client": lambda g, client: g.close_client(client),
    "destroy_client": lambda g, client: g.destroy_client(client),
    "bind_uid": lambda g, client: g.bind_uid(client, "u2"),
    "unbind_uid": lambda g, client: g.unbind_uid(client),
    "join_group": lambda g, client: g.join_group(client, "b"),
    "leave_group": lambda g, client: g.leave_group(client, "a"),
    "is_online": lambda g, client: g.is_online(client),
    "get_uid_by_client_id": lambda g, client: g.get_uid_by_client_id(client),
    "groups_of_client": lambda g, client: g.groups_of_client(client),
    "get_session": lambda g, client: g.get_session(client),
    "set_session": lambda g, client: g.set_session(client, {}),
    "update_session": lambda g, client: g.update_session(client, {}),
}

MESSAGES = ["\ud800", 7, None, bytearray(b"m"), {"a": 1}, ["m"]]
SENDING: dict[str, Call] = {
    "send_to_all": lambda g, message: g.send_to_all(message),
    "send_to_all, of a list": lambda g, message: g.send_to_all(message, []),
    "send_to_client": lambda g, message: g.send_to_client(NOBODY, message),
    "send_to_uid": lambda g, message: g.send_to_uid("u1", message),
    "send_to_group": lambda g, message: g.send_to_group("a", message),
    "close_client": lambda g, message: g.close_client(NOBODY, none(message)),
    "close_uid": lambda g, message: g.close_uid("u1", none(message)),
    "close_group": lambda g, message: g.close_group("a", none(message)),
}

SESSIONS: list[Any] = [None, [], "name", {1: "one"}]
KEEPING: dict[str, Call] = {
    "set_session": lambda g, session: g.set_session(NOBODY, session),
    "update_session": lambda g, session: g.update_session(NOBODY, session),
}

CLOSES: list[Any] = [
    (999, ""),
    (1006, ""),
    (2999, ""),
    (5000, ""),
    (3503, "x" * 120),
    (3503, "\ud800"),
]
CLOSING: dict[str, Call] = {
    "close_client": lambda g, how: g.close_client(NOBODY, code=how[0], reason=how[1]),
    "close_uid": lambda g, how: g.close_uid("u1", code=how[0], reason=how[1]),
    "close_group": lambda g, how: g.close_group("a", code=how[0], reason=how[1]),
}

REFUSED = [
    *((call, NAMES, BadNameError) for call in NAMING.items()),
    *((call, CLIENT_IDS, BadClientIdError) for call in CLIENTS.items()),
    *((call, MESSAGES, BadMessageError) for call in SENDING.items()),
    *((call, SESSIONS, AppError) for call in KEEPING.items()),
    *((call, CLOSES, AppError) for call in CLOSING.items()),
]


@pytest.mark.parametrize(
    ("call", "values", "error"),
    [(call, values, error) for (_, call), values, error in REFUSED],
    ids=[name for (name, _), _, _ in REFUSED],
)
async def test_what_is_malformed_is_refused_and_nothing_is_done(
    world: World, call: Call, values: list[Any], error: type[PushlineError]
) -> None:
    tab, gateway = await connect(world, "u1", "a"), world.gateway
    for value in values:
        with pytest.raises(error):
            await call(gateway, value)
    assert await heard(world, tab) == [[]]
    assert await gateway.get_uid_by_client_id(tab.client_id) == "u1"
    assert await gateway.groups_of_client(tab.client_id) == ["a"]


# --- closing ------------------------------------------------------------------------------------


async def test_a_client_is_closed_behind_all_that_was_sent_to_it(world: World) -> None:
    tab, gateway = await connect(world, "u1", "a"), world.gateway
    await gateway.send_to_client(tab.client_id, "before")
    assert await gateway.close_client(tab.client_id, "last") == answer(world, True)
    assert await gateway.send_to_client(tab.client_id, "late") == sent(world, 0, tab.client_id)
    assert [await tab.received(), await tab.received()] == ["before", "last"]
    assert await tab.closed() == KICKED
    assert await gateway.close_client(tab.client_id) == answer(world, False)


@pytest.mark.parametrize("message", ["", b"", b"binary"])
async def test_a_last_message_is_any_message(world: World, message: str | bytes) -> None:
    tab = await world.connect()
    await world.gateway.close_client(tab.client_id, message, code=4999, reason="x" * 119)
    assert await tab.received() == message
    assert await tab.closed() == Close(4999, "x" * 119)


async def test_without_a_last_message_there_is_none(world: World) -> None:
    tab = await world.connect()
    await world.gateway.close_client(tab.client_id, code=1000, reason="")
    assert await tab.closed() == Close(1000, "")


async def test_one_that_was_closed_is_nowhere_any_more(world: World) -> None:
    tab, gateway = await connect(world, "u1", "a"), world.gateway
    await gateway.close_client(tab.client_id)
    await _is_nowhere(gateway, tab)


async def test_every_connection_of_a_user_is_closed(world: World) -> None:
    one, two, other = [await connect(world, uid) for uid in ("u1", "u1", "u2")]
    close = world.gateway.close_uid
    assert await close("u1", "bye", code=3011, reason="moved") == answer(world, 2)
    for tab in (one, two):
        assert await tab.received() == "bye"
        assert await tab.closed() == Close(3011, "moved")
    assert await close("u1") == answer(world, 0)
    assert await heard(world, other) == [[]]


@of_utypes
async def test_connections_of_a_user_of_another_utype_are_not_closed(world: World) -> None:
    person, shop = await connect(world, "u1"), await connect(world, "u1", utype=1)
    assert await world.gateway.close_uid(["u1", "u1", "u2"], utype=1) == answer(world, 1)
    assert await shop.closed() == KICKED
    assert await heard(world, person) == [[]]


async def test_every_member_of_the_groups_is_closed_once(world: World) -> None:
    both, one, other = [await connect(world, None, *groups) for groups in ("ab", "b", "c")]
    close = world.gateway.close_group
    assert await close(["a", "b", "empty"], "bye", code=3011, reason="") == answer(world, 2)
    for tab in (both, one):
        assert await tab.received() == "bye"
        assert await tab.closed() == Close(3011, "")
    assert await close("a") == answer(world, 0)
    assert await heard(world, other) == [[]]


async def test_one_that_is_destroyed_ends_without_a_word(world: World) -> None:
    tab, gateway = await connect(world, "u1", "a"), world.gateway
    assert await gateway.destroy_client(tab.client_id) == answer(world, True)
    assert await tab.closed() == ABNORMAL
    await _is_nowhere(gateway, tab)
    assert await gateway.destroy_client(tab.client_id) == answer(world, False)


async def _is_nowhere(gateway: Gateway, tab: Tab) -> None:
    assert not await gateway.is_online(tab.client_id)
    assert not await gateway.is_uid_online("u1")
    assert await gateway.get_all_uid_list() == []
    assert await gateway.get_all_group_id_list() == []
    assert await gateway.get_all_client_id_list() == []


# --- users and groups ---------------------------------------------------------------------------


async def test_a_new_uid_replaces_the_old(world: World) -> None:
    tab, gateway = await connect(world, "old"), world.gateway
    assert await gateway.bind_uid(tab.client_id, "new") == answer(world, True)
    assert await gateway.get_uid_by_client_id(tab.client_id) == "new"
    assert await gateway.get_all_uid_list() == ["new"]
    await gateway.send_to_uid("old", "old")
    await gateway.send_to_uid("new", "new")
    assert await heard(world, tab) == [["new"]]


@of_utypes
async def test_a_uid_of_another_utype_replaces_the_old(world: World) -> None:
    tab, gateway = await connect(world, "old"), world.gateway
    assert await gateway.bind_uid(tab.client_id, "new", 1) == answer(world, True)
    assert await gateway.get_uid_by_client_id(tab.client_id) == "new"
    assert await gateway.get_all_uid_list() == []
    assert await gateway.get_all_uid_list(1) == ["new"]
    await gateway.send_to_uid("old", "old")
    await gateway.send_to_uid("new", "new", utype=1)
    assert await heard(world, tab) == [["new"]]


async def test_the_same_uid_again_changes_nothing(world: World) -> None:
    one, two = await connect(world, "u1"), await connect(world, "u1")
    assert await world.gateway.bind_uid(one.client_id, "u1") == answer(world, True)
    both = [one.client_id, two.client_id]
    assert listed(world, await world.gateway.get_client_id_by_uid("u1")) == listed(world, both)
    await world.gateway.send_to_uid("u1", "once")
    assert await heard(world, one) == [["once"]]


async def test_whatever_is_bound_can_be_unbound_or_only_one_uid(world: World) -> None:
    tab, gateway = await connect(world, 1), world.gateway
    assert await gateway.unbind_uid(tab.client_id, 2) == answer(world, False)
    assert await gateway.get_uid_by_client_id(tab.client_id) == "1"
    assert await gateway.unbind_uid(tab.client_id, 1) == answer(world, True)
    assert await gateway.get_uid_by_client_id(tab.client_id) is None
    await gateway.bind_uid(tab.client_id, 3)
    assert await gateway.unbind_uid(tab.client_id) == answer(world, True)
    assert await gateway.unbind_uid(tab.client_id) == answer(world, False)
    assert not await gateway.is_uid_online(3)
    assert await gateway.is_online(tab.client_id)


async def test_the_end_of_an_older_connection_leaves_the_newer_one_bound(world: World) -> None:
    old, new = await connect(world, "u1", "a"), await connect(world, "u1", "a")
    await old.leave()
    assert await world.gateway.get_client_id_by_uid("u1") == [new.client_id]
    assert await world.gateway.get_client_id_list_by_group("a") == [new.client_id]


async def test_a_group_is_joined_once_and_left(world: World) -> None:
    tab, gateway = await connect(world, None, "b", "a"), world.gateway
    assert await gateway.join_group(tab.client_id, "b") == answer(world, True)
    assert await gateway.groups_of_client(tab.client_id) == ["b", "a"]
    assert await gateway.leave_group(tab.client_id, "b") == answer(world, True)
    assert await gateway.leave_group(tab.client_id, "b") == answer(world, False)
    assert await gateway.groups_of_client(tab.client_id) == ["a"]
    assert await gateway.get_all_group_id_list() == ["a"]
    await gateway.send_to_group(["a", "b"], "once")
    assert await heard(world, tab) == [["once"]]


async def test_a_group_that_is_dissolved_leaves_its_members_connected(world: World) -> None:
    one, two, gateway = (
        await connect(world, 1, "a", "b"),
        await connect(world, 2, "a"),
        world.gateway,
    )
    assert await gateway.ungroup("a") == answer(world, 2)
    assert await gateway.ungroup("a") == answer(world, 0)
    assert await gateway.get_all_group_id_list() == ["b"]
    assert await gateway.groups_of_client(one.client_id) == ["b"]
    assert await gateway.groups_of_client(two.client_id) == []
    await gateway.send_to_group(["a", "b"], "hello")
    assert await heard(world, one, two) == [["hello"], []]
    assert await gateway.join_group(two.client_id, "a") == answer(world, True)
    assert await gateway.get_client_id_list_by_group("a") == [two.client_id]


async def test_nothing_is_done_to_one_that_is_gone(world: World) -> None:
    away, gateway = await gone(world), world.gateway
    no = answer(world, False)
    assert await gateway.bind_uid(away, "u1") == no
    assert await gateway.unbind_uid(away) == no
    assert await gateway.join_group(away, "a") == no
    assert await gateway.leave_group(away, "gone") == no
    assert await gateway.set_session(away, {"a": 1}) == no
    assert await gateway.update_session(away, {"a": 1}) == no
    assert await gateway.close_client(away) == no
    assert await gateway.destroy_client(away) == no
    assert await gateway.get_session(away) is None
    assert await gateway.get_uid_by_client_id(away) is None
    assert await gateway.groups_of_client(away) == []
    assert not await gateway.is_online(away)
    assert await gateway.get_all_uid_count() == 0
    assert await gateway.get_all_group_id_list() == []


# --- questions ----------------------------------------------------------------------------------


async def test_who_is_online(world: World) -> None:
    tab, gateway = await connect(world, "u1"), world.gateway
    assert await gateway.is_online(tab.client_id)
    assert await gateway.is_online(tab.client_id.upper())
    assert await gateway.is_uid_online("u1")
    assert not await gateway.is_uid_online(7)
    assert await gateway.is_uids_online(["u1", 7, "u1"]) == {"u1": True, "7": False}
    assert await gateway.is_uids_online([]) == {}


async def test_very_many_names_are_asked_for_in_one_call(world: World) -> None:
    """Together they are longer than any frame of GatewayWorker's wire."""
    tab, other, gateway = await connect(world, "u1"), await connect(world, None, "a"), world.gateway
    names = ["u1", *(f"{number:x>250}" for number in range(43_000)), "a", "u2"]
    assert [name for name, yes in (await gateway.is_uids_online(names)).items() if yes] == ["u1"]
    found = await gateway.batch_get_client_id_by_uid(names)
    assert (list(found), found["u1"], found["u2"]) == (names, [tab.client_id], [])
    counts = await gateway.batch_get_client_id_count_by_group(names)
    assert (list(counts), counts["a"], counts["u2"]) == (names, 1, 0)
    await gateway.send_to_uid(names, "all", exclude=other.client_id)
    await gateway.send_to_uid(names, "none", exclude=tab.client_id)
    assert await heard(world, tab, other) == [["all"], []]


@of_utypes
async def test_users_of_another_utype_are_others(world: World) -> None:
    person, shop = await connect(world, "u1", "a"), await connect(world, "u1", "a", "b", utype=1)
    gateway, ids = world.gateway, [shop.client_id]
    assert await gateway.is_uid_online("u1", 1)
    assert await gateway.is_uids_online(["u1", "u2"], 1) == {"u1": True, "u2": False}
    assert await gateway.is_uids_online(["u1"], 2) == {"u1": False}
    assert await gateway.get_client_id_by_uid("u1", "1") == ids
    assert await gateway.get_client_id_by_uid("u1") == [person.client_id]
    assert await gateway.batch_get_client_id_by_uid("u1", 1) == {"u1": ids}
    assert await gateway.get_uid_by_client_id(shop.client_id) == "u1"


@of_utypes
async def test_a_utype_has_its_own_users(world: World) -> None:
    await connect(world, "u1", "b", "a")
    await connect(world, "u2", "a", utype=1)
    gateway = world.gateway
    assert await gateway.get_all_uid_list("1") == ["u2"]
    assert await gateway.get_all_uid_count("1") == 1
    assert await gateway.get_all_uid_list(2) == []
    assert await gateway.get_all_uid_count(2) == 0
    assert await gateway.get_uid_list_by_group("a", 1) == ["u2"]
    assert await gateway.get_uid_count_by_group("a", 1) == 1
    assert await gateway.get_all_group_uid_list() == {"b": ["u1"], "a": ["u1"]}
    assert await gateway.get_all_group_uid_list(1) == {"b": [], "a": ["u2"]}
    assert await gateway.get_all_group_uid_count(1) == {"b": 0, "a": 1}


async def test_which_connections_a_user_has(world: World) -> None:
    one, two = await connect(world, "u1"), await connect(world, "u1")
    gateway, both = world.gateway, [one.client_id, two.client_id]
    assert listed(world, await gateway.get_client_id_by_uid("u1")) == listed(world, both)
    assert await gateway.get_client_id_by_uid("u2") == []
    expected: dict[str, list[str]] = {"7": [], "u1": both}
    assert listed(world, await gateway.batch_get_client_id_by_uid([7, "u1", 7])) == listed(
        world, expected
    )
    assert await gateway.batch_get_client_id_by_uid([]) == {}


async def test_who_and_where_a_client_is(world: World) -> None:
    tab, stranger = await connect(world, 42, "b", "7"), await world.connect()
    gateway = world.gateway
    assert await gateway.get_uid_by_client_id(tab.client_id) == "42"
    assert await gateway.get_uid_by_client_id(stranger.client_id) is None
    assert await gateway.groups_of_client(tab.client_id) == ["b", "7"]
    assert await gateway.groups_of_client(stranger.client_id) == []


async def test_who_is_in_a_group(world: World) -> None:
    tabs = [await connect(world, uid, "a") for uid in ("u2", "u1", "u2", None)]
    gateway, counts = world.gateway, {"b": 0, "a": 4, "7": 0}
    assert listed(world, await gateway.get_uid_list_by_group("a")) == listed(world, ["u2", "u1"])
    assert await gateway.get_uid_count_by_group("a") == 2
    everyone = listed(world, [tab.client_id for tab in tabs])
    assert listed(world, await gateway.get_client_id_list_by_group("a")) == everyone
    assert await gateway.get_client_id_count_by_group("a") == 4
    assert await gateway.batch_get_client_id_count_by_group(["b", "a", 7]) == counts
    assert await gateway.get_uid_list_by_group("b") == []
    assert await gateway.get_uid_count_by_group("b") == 0
    assert await gateway.get_client_id_list_by_group("b") == []
    assert await gateway.get_client_id_count_by_group("b") == 0


async def test_who_is_here(world: World) -> None:
    tabs = [await connect(world, uid) for uid in ("u2", "u1", "u2", None)]
    gateway = world.gateway
    assert listed(world, await gateway.get_all_uid_list()) == listed(world, ["u2", "u1"])
    assert await gateway.get_all_uid_count() == 2
    everyone = listed(world, [tab.client_id for tab in tabs])
    assert listed(world, await gateway.get_all_client_id_list()) == everyone
    assert await gateway.get_all_client_id_count() == 4


async def test_which_groups_there_are_and_who_is_in_them(world: World) -> None:
    one = await connect(world, "u1", "b", "a")
    two = await connect(world, None, "a")
    three = await connect(world, "u1", "a")
    gateway = world.gateway
    assert listed(world, await gateway.get_all_group_id_list()) == listed(world, ["b", "a"])
    assert await gateway.get_all_group_uid_list() == {"b": ["u1"], "a": ["u1"]}
    assert await gateway.get_all_group_uid_count() == {"b": 1, "a": 1}
    members = {"b": [one.client_id], "a": [one.client_id, two.client_id, three.client_id]}
    found = await gateway.get_all_group_client_id_list()
    assert listed(world, found) == listed(world, members)
    assert await gateway.get_all_group_client_id_count() == {"b": 1, "a": 3}


async def test_where_nobody_is_nothing_is_found(world: World) -> None:
    gateway = world.gateway
    assert await gateway.get_all_uid_list() == await gateway.get_all_client_id_list() == []
    assert await gateway.get_all_uid_count() == await gateway.get_all_client_id_count() == 0
    assert await gateway.get_all_group_id_list() == []
    assert await gateway.get_all_group_uid_list() == {}
    assert await gateway.get_all_group_uid_count() == {}
    assert await gateway.get_all_group_client_id_list() == {}
    assert await gateway.get_all_group_client_id_count() == {}
    assert await gateway.get_all_client_sessions() == {}
    assert await gateway.get_client_sessions_by_group("a") == {}
    assert await gateway.send_to_all("nobody") == sent(world, 0)


# --- sessions -----------------------------------------------------------------------------------

SESSION: Session = {"name": "张", "seen": [1, 2.5, None, True], "cart": {"a": {"n": 1}}, "": ""}


async def test_a_session_is_kept_and_replaced(world: World) -> None:
    tab, gateway = await world.connect(), world.gateway
    assert await gateway.get_session(tab.client_id) == {}
    assert await gateway.set_session(tab.client_id, SESSION) == answer(world, True)
    assert await gateway.get_session(tab.client_id) == SESSION
    assert await gateway.set_session(tab.client_id, {"other": 1}) == answer(world, True)
    assert await gateway.get_session(tab.client_id) == {"other": 1}


async def test_a_session_is_merged_dict_by_dict(world: World) -> None:
    tab, gateway = await world.connect(), world.gateway
    changes: list[Session] = [
        {"cart": {"a": {"n": 1}, "b": 2}, "list": [1, 2], "text": "old"},
        {"cart": {"a": {"m": 3}}, "list": [3], "text": {"new": 1}},
        {"cart": {"b": {"c": 4}}, "text": None},
    ]
    for change in changes:
        assert await gateway.update_session(tab.client_id, change) == answer(world, True)
    merged = {"cart": {"a": {"n": 1, "m": 3}, "b": {"c": 4}}, "list": [3], "text": None}
    assert await gateway.get_session(tab.client_id) == merged


async def test_sessions_are_copies(world: World) -> None:
    tab, gateway = await world.connect(), world.gateway
    mine: Session = {"cart": {"a": 1}}
    await gateway.set_session(tab.client_id, mine)
    mine["cart"]["a"] = 2
    await gateway.update_session(tab.client_id, more := {"more": {"b": 1}})
    more["more"]["b"] = 2
    expected = {"cart": {"a": 1}, "more": {"b": 1}}
    answers = [
        await gateway.get_session(tab.client_id),
        (await gateway.get_all_client_sessions())[tab.client_id],
    ]
    for session in answers:
        assert session == expected
        session["cart"]["a"] = 3
    assert await gateway.get_session(tab.client_id) == expected


async def test_the_sessions_of_a_group_and_of_all(world: World) -> None:
    one, two, gateway = await connect(world, "u1", "a"), await connect(world, "u2"), world.gateway
    await gateway.set_session(one.client_id, {"name": "one"})
    sessions: dict[str, Session] = {one.client_id: {"name": "one"}}
    assert await gateway.get_client_sessions_by_group("a") == sessions
    assert await gateway.get_client_sessions_by_group("b") == {}
    assert await gateway.get_all_client_sessions() == {**sessions, two.client_id: {}}


# --- plain code ---------------------------------------------------------------------------------


async def test_plain_code_has_the_same_verbs_in_its_threads(world: World) -> None:
    tab, sync = await connect(world, "u1", "a"), world.gateway.sync

    def plain() -> list[object]:
        with pytest.raises(BadNameError):
            sync.send_to_uid("", "hello")
        return [
            sync.send_to_uid("u1", "one"),
            sync.send_to_group("a", b"two", exclude=None),
            sync.join_group(tab.client_id, "b"),
            sync.groups_of_client(tab.client_id),
        ]

    answers = [sent(world, 1), sent(world, 1), answer(world, True), ["a", "b"]]
    assert await asyncio.to_thread(plain) == answers
    assert await heard(world, tab) == [["one", b"two"]]

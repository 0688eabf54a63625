"""Which worker gets what, over clients and links that the test holds; a tick is a second."""

import logging
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from pushline.codecs.gateway_frames import BINARY, OURS, Cmd, Frame, LinkReader, Place
from pushline.connection import Connection
from pushline.heartbeat import Heartbeat
from pushline.hub import Hub
from pushline.listeners.roster import FULL, HELD, STALLED, Roster, Route, Worker
from pushline.messages import NO_WORKER, NORMAL, Close
from tests.core import Keeper, Loop

PLACE = Place(0x7F000001, 2300, 0x7F000001, 40980, 7272)
BODY = b'a:1:{s:3:"get";a:0:{}}'
WAIT, LIMIT = 3, 10
UNLIMITED = 1 << 30
Event = tuple[str, int, str]
"""What happened, to the client of which number, and what it said."""


class Watched(Roster):
    """Notes of whom nothing more is kept, though not all could be delivered."""

    given_up: set[Route]

    def _give_up(self, route: Route) -> None:
        self.given_up.add(route)
        super()._give_up(route)


class World(Keeper):
    """Clients that are all of one roster's."""

    def __init__(
        self, loop: Loop, *, expected: bool = True, pings: bool = False, limit: int = LIMIT
    ) -> None:
        super().__init__(loop)
        self.hub = Hub(count(1).__next__)
        self.heartbeat = Heartbeat(self.wheel, ping=0, pong=8, timeout=1000)
        self.roster = Watched(
            self.wheel, self.heartbeat, wait=WAIT, limit=limit, expected=expected, pings=pings
        )
        self.roster.given_up = set()
        self.limit = limit
        self.routes: dict[int, Route] = {}
        self.events: list[Event] = []
        """In the order in which workers were told, by whichever link."""

    def closed(self, connection: Connection, close: Close, *, by_peer: bool) -> None:
        super().closed(connection, close, by_peer=by_peer)
        self.roster.left(connection.state)
        connection.resume_reading()

    def arrive(self) -> "Tab":
        tab = Tab(self)
        self.hub.add(tab)
        self.heartbeat.start(tab)
        tab.state = self.routes[tab.id] = Route(tab, PLACE, BODY)
        self.roster.arrived(tab.state)
        return tab

    def join(self, name: str = "App:0", mark: int = 0) -> "Link":
        link = Link(self)
        link.worker = self.roster.join(("127.0.0.1", name), link, mark)
        return link

    def told(self, tab: "Tab") -> list[str]:
        return [f"{what} {said}".strip() for what, number, said in self.events if number == tab.id]


class Tab(Connection):
    """Reads as a WebSocket does: nothing while it is paused, and then at once what had come."""

    __slots__ = ("come", "paused", "said", "world")

    def __init__(self, world: World) -> None:
        super().__init__(world.connect().transport, world, lambda message: message.data)
        self.world = world
        self.come: list[str | bytes] = []
        self.said: list[str | bytes] = []
        self.paused = False

    @property
    def route(self) -> Route:
        route = self.state
        assert isinstance(route, Route)
        return route

    def say(self, *messages: str | bytes) -> None:
        self.come += messages
        self._read()

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        if self.paused:
            self.paused = False
            self._read()

    def _read(self) -> None:
        while self.come and not self.paused and not self.sealed:
            self.said.append(self.come.pop(0))
            self.world.roster.said(self.route, self.said[-1])


class Link:
    """A worker's, which takes so many frames and then no more."""

    worker: Worker

    def __init__(self, world: World) -> None:
        self.room = UNLIMITED
        self.frames: list[Frame] = []
        self.handed_over = False
        self._world = world

    @property
    def stalled(self) -> bool:
        return self.room <= 0

    def post(self, frame: bytes) -> None:
        assert not self.handed_over
        self.room -= 1
        (event,) = LinkReader(1 << 20).feed(frame)
        assert isinstance(event, Frame)
        self.frames.append(event)
        route = self._world.routes.get(event.connection_id)
        if route is not None and route.before:
            assert self._world.roster.events_waiting >= self._world.limit, "out of turn"
        self._world.events.append((_NAMES[event.cmd], event.connection_id, event.body.decode()))

    def hand_over(self, *, ours: bool) -> None:
        assert ours == bool(self.worker.mark)
        self.handed_over = True

    def finish(self) -> None:
        """It has done all, and is gone."""
        self._world.roster.leave(self.worker)
        self._world.roster.finished(self.worker)

    def take(self, room: int = UNLIMITED) -> None:
        """It takes so many frames more."""
        self.room = room
        self._world.roster.unstick(self.worker)

    @property
    def told(self) -> list[str]:
        """In short."""
        of = [(_NAMES[each.cmd], each.connection_id, each.body.decode()) for each in self.frames]
        return [f"{what} {number} {said}".strip() for what, number, said in of if what != "open"]


_NAMES = {
    int(Cmd.CONNECT): "connect",
    int(Cmd.WEBSOCKET_CONNECT): "open",
    int(Cmd.MESSAGE): "message",
    int(Cmd.CLOSE): "close",
    int(Cmd.PING): "ping",
}


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def world(loop: Loop) -> World:
    """Where workers have the application."""
    return World(loop)


def loads(world: World) -> list[int]:
    return [len(worker.routes) for worker in world.roster.workers.values()]


# --- to whom ------------------------------------------------------------------------------------


def test_a_worker_is_told_in_the_order_in_which_it_happened(world: World) -> None:
    link, tab = world.join(), world.arrive()
    tab.say("one", "two")
    tab.close(NORMAL)
    assert link.told == ["connect 1", "message 1 one", "message 1 two", "close 1"]
    assert [each.cmd for each in link.frames[:2]] == [Cmd.CONNECT, Cmd.WEBSOCKET_CONNECT]
    assert link.frames[1].body == BODY
    assert loads(world) == [0]


def test_each_new_client_goes_to_the_worker_that_has_the_fewest(world: World) -> None:
    links = [world.join(f"App:{number}") for number in range(3)]
    tabs = [world.arrive() for _ in range(7)]
    assert loads(world) == [3, 2, 2]
    for tab in tabs[1::3]:
        tab.close(NORMAL)
    assert loads(world) == [3, 0, 2]
    world.arrive()
    world.arrive()
    assert loads(world) == [3, 2, 2]
    assert "connect 8" in links[1].told


def test_a_client_stays_with_its_worker_whoever_else_comes(world: World) -> None:
    first, tab = world.join("App:0"), world.arrive()
    others = [world.join(f"App:{number}") for number in range(1, 4)]
    tab.say("hi")
    tab.close(NORMAL)
    assert first.told == ["connect 1", "message 1 hi", "close 1"]
    assert [other.told for other in others] == [[], [], []]


def test_only_workers_of_pushline_are_told_that_they_have_pushlines_gateway(world: World) -> None:
    ours, php = world.join("App:0", OURS), world.join("App:1")
    for tab in (world.arrive(), world.arrive()):
        tab.say(b"\1", "text")
        tab.close(NORMAL)
    assert {each.flag & OURS for each in ours.frames} == {OURS}
    assert {each.flag & OURS for each in php.frames} == {0}
    assert [each.flag & BINARY for each in ours.frames if each.cmd == Cmd.MESSAGE] == [BINARY, 0]
    assert [each.flag & BINARY for each in php.frames if each.cmd == Cmd.MESSAGE] == [0, 0]


def test_the_session_goes_with_messages_and_the_end(world: World) -> None:
    link, tab = world.join(), world.arrive()
    tab.session = b'a:1:{s:1:"n";i:1;}'
    tab.say("hi")
    tab.close(NORMAL)
    assert [each.ext for each in link.frames] == [b"", b"", tab.session, tab.session]


def test_a_session_that_php_cannot_have_is_left_out_and_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    link, tab = world.join(), world.arrive()
    tab.session = {"at": object()}
    tab.say("hi")
    assert link.frames[-1].ext == b""
    assert "a session that no wire can have: " in caplog.text


# --- one worker in the place of another ---------------------------------------------------------


def test_one_with_the_same_key_takes_the_place_of_the_one_before(world: World) -> None:
    old = world.join("App:0")
    world.arrive()
    new = world.join("App:0")
    assert (old.handed_over, loads(world)) == (True, [1])
    world.arrive()
    assert (old.told, new.told) == (["connect 1"], ["connect 2"])
    old.finish()
    assert list(world.roster.workers.values()) == [new.worker]


def test_what_clients_do_waits_until_the_one_before_has_done_all_that_it_was_told(
    world: World,
) -> None:
    old, tab, leaving = world.join("App:0", OURS), world.arrive(), world.arrive()
    tab.say("for the old one")
    new, late = world.join("App:0", OURS), world.arrive()
    tab.say("one", "two")
    leaving.say("last words")
    leaving.close(NORMAL)
    late.say("hi")
    assert (world.roster.events_waiting, tab.paused, late.paused) == (3, True, False)
    assert new.told == ["connect 3", "message 3 hi"]
    old.finish()
    assert old.told == ["connect 1", "connect 2", "message 1 for the old one"]
    assert new.told[2:] == [
        *("message 1 one", "message 1 two"),
        *("message 2 last words", "close 2"),
    ]
    assert (world.roster.events_waiting, tab.paused, loads(world)) == (0, False, [2])


def test_they_wait_no_longer_for_it_than_for_one_that_is_not_here(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    old, tab = world.join("App:0", OURS), world.arrive()
    new = world.join("App:0", OURS)
    tab.say("hi")
    world.advance(WAIT)
    assert new.told == []
    world.advance(1)
    assert new.told == ["message 1 hi"]
    assert world.closes == []
    assert [record.getMessage()[:36] for record in caplog.records] == [
        "worker App:0 has not finished in time"[:36]
    ]
    tab.say("again")
    old.finish()
    assert new.told == ["message 1 hi", "message 1 again"]


def test_they_wait_for_all_that_were_before(world: World) -> None:
    first, tab = world.join("App:0"), world.arrive()
    second = world.join("App:0")
    tab.say("one")
    third = world.join("App:0")
    second.finish()
    assert third.told == []
    first.finish()
    assert third.told == ["message 1 one"]


def test_where_there_is_no_room_to_wait_they_do_not(world: World) -> None:
    world.join("App:0")
    tabs = [world.arrive() for _ in range(LIMIT + 3)]
    new = world.join("App:0")
    for tab in tabs:
        tab.say("hi")
    assert world.roster.events_waiting == LIMIT
    assert new.told == [f"message {LIMIT + each} hi" for each in (1, 2, 3)]
    assert world.closes == []


def test_the_new_one_may_go_too_while_they_wait(world: World) -> None:
    old, tab, leaving = world.join("App:0"), world.arrive(), world.arrive()
    new = world.join("App:0")
    tab.say("hi")
    leaving.close(NORMAL)
    new.finish()
    old.finish()
    assert (new.told, world.roster.events_waiting) == ([], 2)
    world.advance(WAIT)
    other = world.join("App:1")
    assert sorted(other.told) == ["close 2", "message 1 hi"]
    assert loads(world) == [1]


def test_and_if_no_other_comes_they_are_told_to_reconnect(world: World) -> None:
    old, tab = world.join("App:0"), world.arrive()
    new = world.join("App:0")
    tab.say("hi")
    new.finish()
    old.finish()
    world.advance(WAIT + 1)
    assert world.closes == [(tab, NO_WORKER)]


def test_the_same_name_at_another_address_is_another_worker(world: World) -> None:
    link = world.join("App:0")
    world.roster.join(("10.0.0.1", "App:0"), Link(world), 0)
    assert not link.handed_over
    assert len(world.roster.workers) == 2


def test_clients_that_waited_for_the_old_one_are_read_from_again(world: World) -> None:
    old, stuck, full = world.join("App:0", OURS), world.arrive(), world.arrive()
    world.roster.pause(full.route, FULL)
    old.room = 0
    stuck.say("one", "two")
    full.come += ["three"]
    assert (stuck.paused, full.paused) == (True, True)
    new = world.join("App:0", OURS)
    old.finish()
    assert new.told == ["message 1 two", "message 2 three"]
    assert (stuck.paused, full.paused) == (False, False)


def test_a_worker_is_gone_and_its_clients_move_with_what_they_do_next(world: World) -> None:
    dead, other = world.join("App:0"), world.join("App:1")
    tabs = [world.arrive() for _ in range(4)]
    dead.finish()
    assert loads(world) == [2]
    tabs[0].say("hi")
    tabs[2].close(NORMAL)
    assert other.told[2:] == ["message 1 hi", "close 3"]
    assert loads(world) == [3]


# --- nobody there -------------------------------------------------------------------------------


def test_what_happens_while_nobody_is_there_waits_in_its_order(world: World) -> None:
    tab = world.arrive()
    tab.say("one", "two")
    assert (world.roster.events_waiting, tab.paused, tab.come) == (2, True, ["two"])
    link = world.join()
    assert link.told == ["connect 1", "message 1 one", "message 1 two"]
    assert (world.roster.events_waiting, tab.paused) == (0, False)


def test_a_client_that_waits_is_not_expected_to_show_that_it_lives(world: World) -> None:
    tab = world.arrive()
    tab.say("hi")
    assert tab.slot is None
    world.join()
    assert tab.slot is not None


def test_one_that_comes_and_goes_while_nobody_is_there_is_told_with_what_it_said(
    world: World,
) -> None:
    tab, silent = world.arrive(), world.arrive()
    tab.say("hi")
    tab.close(NORMAL)
    silent.close(NORMAL)
    link = world.join()
    assert link.told == ["connect 1", "message 1 hi", "close 1"]
    assert (world.roster.events_waiting, loads(world)) == (0, [0])


def test_after_the_wait_it_is_closed_and_may_reconnect(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    silent, tab = world.arrive(), world.arrive()
    tab.say("hi")
    world.advance(WAIT)
    assert world.closes == []
    world.advance(1)
    assert sorted(world.closes, key=lambda each: each[0].id) == [
        (silent, NO_WORKER),
        (tab, NO_WORKER),
    ]
    assert (world.roster.events_waiting, silent.state.waiting, tab.state.waiting) == (0, [], [])
    assert "no worker for " in caplog.text
    assert world.join().told == []


def test_the_wait_begins_with_the_first_thing_that_waits(world: World) -> None:
    tab = world.arrive()
    world.advance(WAIT)
    tab.say("hi")
    world.advance(1)
    assert world.closes == [(tab, NO_WORKER)]


def test_a_worker_that_dies_and_comes_back_in_time_misses_nothing(world: World) -> None:
    dead, tab, leaving = world.join(), world.arrive(), world.arrive()
    dead.finish()
    tab.say("one", "two")
    leaving.close(NORMAL)
    world.advance(WAIT)
    back = world.join()
    assert back.told == ["message 1 one", "message 1 two", "close 2"]
    assert world.closes == [(leaving, NORMAL)]


def test_a_silent_client_waits_for_nothing_when_its_worker_is_gone(world: World) -> None:
    dead, tab = world.join(), world.arrive()
    dead.finish()
    world.advance(100)
    assert (world.closes, world.roster.events_waiting) == ([], 0)
    tab.say("hi")
    assert world.join().told == ["message 1 hi"]


def test_a_worker_that_knew_a_client_is_told_that_it_was_given_up(world: World) -> None:
    dead, tab = world.join(), world.arrive()
    dead.finish()
    tab.say("hi")
    world.advance(WAIT + 1)
    assert world.closes == [(tab, NO_WORKER)]
    assert world.join().told == ["close 1"]


def test_what_waits_is_bounded_and_who_is_over_it_is_closed_at_once(world: World) -> None:
    tabs = [world.arrive() for _ in range(LIMIT)]
    assert world.roster.events_waiting == LIMIT
    late = world.arrive()
    assert world.closes == [(late, NO_WORKER)]
    tabs[0].say("hi")
    assert world.closes == [(late, NO_WORKER), (tabs[0], NO_WORKER)]
    assert world.roster.events_waiting == LIMIT - 1
    assert len(world.join().told) == LIMIT - 1


def test_ends_are_bounded_too(world: World) -> None:
    dead = world.join()
    tabs = [world.arrive() for _ in range(3 * LIMIT)]
    dead.finish()
    for tab in tabs:
        tab.close(NORMAL)
    assert world.roster.events_waiting == LIMIT
    assert len(world.join().told) == LIMIT
    assert world.wheel.items() != []  # the closes of the connections themselves
    assert not [item for item in world.wheel.items() if isinstance(item, Route)]


# --- where logins are not the workers' ----------------------------------------------------------


@pytest.fixture
def optional(loop: Loop) -> World:
    """Where nobody waits before the first worker has come."""
    return World(loop, expected=False)


def test_before_the_first_worker_has_come_nothing_waits(optional: World) -> None:
    tab, gone = optional.arrive(), optional.arrive()
    tab.say("early")
    gone.close(NORMAL)
    optional.advance(100)
    assert (optional.roster.events_waiting, tab.paused) == (0, False)
    link = optional.join()
    assert link.told == []
    tab.say("hi")
    assert link.told == ["connect 1", "message 1 hi"]


def test_one_of_whom_no_worker_was_told_leaves_unnoticed(optional: World) -> None:
    tab = optional.arrive()
    link = optional.join()
    tab.close(NORMAL)
    assert link.told == []


def test_once_one_has_come_there_is_a_wait_as_anywhere(optional: World) -> None:
    optional.join().finish()
    tab = optional.arrive()
    tab.say("hi")
    optional.advance(WAIT)
    assert optional.join().told == ["connect 1", "message 1 hi"]


# --- a link that takes nothing, and clients that are too busy -----------------------------------


def test_a_link_that_takes_nothing_stops_those_of_its_clients_who_say_something(
    world: World,
) -> None:
    slow, other = world.join("App:0"), world.join("App:1")
    of_slow, of_other, silent = world.arrive(), world.arrive(), world.arrive()
    slow.room = 0
    for tab in (of_slow, of_other):
        tab.say("one", "two")
    assert [tab.paused for tab in (of_slow, of_other, silent)] == [True, False, False]
    assert slow.told[2:] == ["message 1 one"]  # bounded by one for each client
    assert other.told[1:] == ["message 2 one", "message 2 two"]
    slow.take()
    assert slow.told[2:] == ["message 1 one", "message 1 two"]
    assert not of_slow.paused


def test_those_who_wait_for_a_link_go_on_in_their_order_and_as_far_as_it_takes_it(
    world: World,
) -> None:
    link = world.join()
    tabs = [world.arrive() for _ in range(4)]
    link.room = 0
    for tab in tabs:
        tab.say("one", "two", "three")
    assert len(link.told) == 4 + 4
    link.take(2)
    assert link.told[8:] == ["message 1 two", "message 1 three"]
    link.take(3)
    assert link.told[10:] == ["message 2 two", "message 2 three", "message 3 two"]
    assert [tab.paused for tab in tabs] == [True, False, True, True]
    link.take()
    assert not any(tab.paused for tab in tabs)
    assert len(link.told) == 4 + 4 * 3


def test_a_client_is_read_from_when_the_last_reason_not_to_is_gone(world: World) -> None:
    link, tab = world.join("App:0", OURS), world.arrive()
    link.room = 0
    tab.say("one", "two")
    world.roster.pause(tab.route, FULL)
    link.take()
    assert (tab.paused, tab.slot, tab.come) == (True, None, ["two"])
    world.roster.resume(tab.route, FULL)
    assert (tab.paused, tab.come) == (False, [])
    assert tab.slot is not None


def test_one_that_is_gone_is_no_longer_waited_for(world: World) -> None:
    link, tab = world.join(), world.arrive()
    link.room = 0
    tab.say("one", "two")
    tab.close(NORMAL)
    assert link.told == ["connect 1", "message 1 one", "close 1"]
    link.take()
    world.roster.resume(tab.route, FULL)
    world.roster.pause(tab.route, FULL)
    assert link.told == ["connect 1", "message 1 one", "close 1"]
    assert (tab.paused, link.worker.stuck, loads(world)) == (False, {}, [0])


# --- pings --------------------------------------------------------------------------------------


def test_workers_elsewhere_are_pinged_every_25_seconds(loop: Loop) -> None:
    world = World(loop, pings=True)
    old = world.join("App:0")
    world.advance(24)
    assert old.frames == []
    world.advance(1)
    new = world.join("App:0")
    world.advance(50)
    assert [each.cmd for each in old.frames] == [Cmd.PING]
    assert [each.cmd for each in new.frames] == [Cmd.PING, Cmd.PING]
    new.finish()
    assert world.wheel.items() == []


def test_workers_here_are_not(world: World) -> None:
    link = world.join()
    world.advance(100)
    assert link.frames == []


# --- whatever happens ---------------------------------------------------------------------------

KEYS = ("App:0", "App:1", "App:2")
CROWD = 6


class AnyUse(RuleBasedStateMachine):
    """Of each client workers are told, together, all that it did, once and in its order."""

    expected = True
    limit = 8

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.world = World(self.loop, expected=self.expected, limit=self.limit)
        self.roster = self.world.roster
        self.tabs: list[Tab] = []
        self.links: dict[str, Link] = {}
        self.olds: list[Link] = []
        """Those that are to finish yet."""
        self.before: dict[Tab, Worker | None] = {}
        self.dropped: dict[Tab, int] = {}

    def _here(self) -> list[Tab]:
        return [tab for tab in self.tabs if not tab.sealed]

    def _link(self, number: int) -> Link | None:
        links = list(self.links.values())
        return links[number % len(links)] if links else None

    def _tab(self, number: int) -> Tab | None:
        here = self._here()
        return here[number % len(here)] if here else None

    @initialize(tabs=st.integers(1, 3), keys=st.sets(st.sampled_from(KEYS), max_size=2))
    def begin(self, tabs: int, keys: set[str]) -> None:
        for key in sorted(keys) if self.expected else ():
            self.join(key, OURS)
        for _ in range(tabs):
            self.arrive()

    @rule()
    def arrive(self) -> None:
        if len(self._here()) < CROWD:
            self.tabs.append(self.world.arrive())

    @rule(number=st.integers(0, CROWD), messages=st.integers(1, 3))
    def say(self, number: int, messages: int) -> None:
        if tab := self._tab(number):
            nobody = not self.expected and not self.roster.workers and not self.links_were
            tab.say(*(f"{len(tab.said) + len(tab.come) + each}" for each in range(messages)))
            if nobody:
                self.dropped[tab] = len(tab.said)

    @rule(number=st.integers(0, CROWD), how=st.sampled_from(["close", "destroy", "lost", "ended"]))
    def end(self, number: int, how: str) -> None:
        if tab := self._tab(number):
            ending: dict[str, Any] = {"close": lambda: tab.close(NORMAL)}
            ending.get(how, getattr(tab, how))()
            assert tab.sealed

    links_were = False

    @rule(key=st.sampled_from(KEYS), mark=st.sampled_from([0, OURS]))
    def join(self, key: str, mark: int) -> None:
        self.links_were = True
        before = self.links.get(key)
        self.links[key] = self.world.join(key, mark)
        if before is not None:
            assert before.handed_over
            self.olds.append(before)

    @rule(number=st.integers(0, 3))
    def finish(self, number: int) -> None:
        if self.olds:
            self.olds.pop(number % len(self.olds)).finish()

    @rule(number=st.integers(0, 2), finished=st.booleans())
    def leave(self, number: int, finished: bool) -> None:
        if link := self._link(number):
            self.links = {key: each for key, each in self.links.items() if each is not link}
            if finished:
                link.finish()
            else:  # it has only said its last word
                self.roster.leave(link.worker)
                self.olds.append(link)

    @rule(number=st.integers(0, 2), room=st.sampled_from([0, 1, 2]))
    def stall(self, number: int, room: int) -> None:
        if link := self._link(number):
            link.room = min(link.room, room)

    @rule(number=st.integers(0, 2), room=st.sampled_from([1, 3, UNLIMITED]))
    def take(self, number: int, room: int) -> None:
        if link := self._link(number):
            link.take(room)

    @rule(number=st.integers(0, CROWD))
    def worker_is_full(self, number: int) -> None:
        if (tab := self._tab(number)) and tab.route.worker:
            self.roster.pause(tab.route, FULL)

    @rule(number=st.integers(0, CROWD))
    def worker_has_room(self, number: int) -> None:
        if (tab := self._tab(number)) and tab.route.worker:
            self.roster.resume(tab.route, FULL)

    @rule()
    def tick(self) -> None:
        self.world.advance(1)

    @invariant()
    def what_waits_is_counted(self) -> None:
        held = self.roster._held
        waiting = {route for tab in self.tabs for route in [tab.route] if route in held}
        assert set(held) == waiting
        assert self.roster.events_waiting == sum(held.values()) <= self.limit + 2 * CROWD
        to_workers = {route for route in waiting if not route.before}
        assert not (to_workers and self.roster.workers)
        scheduled = {item for item in self.world.wheel.items() if isinstance(item, Route)}
        assert scheduled == to_workers
        for tab in self.tabs:
            assert len(tab.route.waiting) <= held.get(tab.route, 0)

    @invariant()
    def each_client_is_one_workers(self) -> None:
        workers = {link.worker for link in self.links.values()}
        assert set(self.roster.workers.values()) == workers
        for worker in workers:
            assert all(route.worker is worker for route in worker.routes)
            assert all(not each.gone or each in self.roster._held for each in worker.routes)
            assert set(worker.stuck) <= set(worker.routes)
            assert worker.link.stalled or not worker.stuck
        for tab in self.tabs:
            mine = tab.route.worker
            assert mine is None or (mine in workers and tab.route in mine.routes)
            assert tab.route.gone == tab.sealed
            olds = [old for old in self.olds if tab.route in old.worker.moved]
            assert tab.route.before == len(olds)
            assert not (tab.sealed and tab.route.paused)
            if self.before.get(tab) in workers and not tab.sealed:
                assert mine is self.before[tab]
            self.before[tab] = mine

    @invariant()
    def each_is_read_from_unless_there_is_a_reason(self) -> None:
        for tab in self._here():
            route = tab.route
            assert tab.paused == bool(route.paused)
            assert (tab.slot is None) == tab.paused
            assert bool(route.paused & HELD) == bool(route.waiting)
            stuck = route.worker.stuck if route.worker else {}
            assert bool(route.paused & STALLED) == (route in stuck)
            assert not route.paused & FULL or route.worker
            assert tab.paused or not tab.come

    @invariant()
    def all_is_told_in_its_order(self) -> None:
        for tab in self.tabs:
            assert self._is_in_order(tab, self.world.told(tab))

    def _is_in_order(self, tab: Tab, told: list[str]) -> bool:
        everything = self._everything(tab)
        if tab.route in self.roster.given_up and told and told[-1] == "close":
            return told[:-1] == everything[: len(told) - 1]
        return told == everything[: len(told)]

    def _everything(self, tab: Tab) -> list[str]:
        said = tab.said[self.dropped.get(tab, 0) :]
        messages = [f"message {each!s}" for each in said]
        opening = ["connect", f"open {BODY.decode()}"]
        return opening + messages + ["close"] * tab.sealed

    def teardown(self) -> None:
        for tab in self._here():
            self.roster.resume(tab.route, FULL)
        for old in self.olds:
            old.finish()
        if not self.links:
            self.join("App:0", 0)
        for link in self.links.values():
            link.take()
        for tab in self.tabs:
            told = self.world.told(tab)
            unnoticed = tab.sealed and not tab.said and not told
            never = not self.expected and not told
            if tab.route not in self.roster.given_up and not unnoticed and not never:
                assert told == self._everything(tab)
        for tab in self._here():
            tab.close(NORMAL)
        assert loads(self.world) == [0] * len(self.links)
        assert self.roster.events_waiting == 0
        self.loop.close()


class WithLogins(AnyUse):
    expected = False


class InAHurry(AnyUse):
    limit = 2


@pytest.mark.parametrize("use", [AnyUse, WithLogins, InAHurry])
def test_whatever_happens_all_is_told_once_and_in_order(
    use: type[AnyUse], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    run_state_machine_as_test(use, settings=settings(max_examples=150, deadline=None))

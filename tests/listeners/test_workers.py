"""Workers behind the inner port of a real service: what they get of browsers, and when."""

import contextlib
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest

from pushline import App, Client
from pushline.codecs.gateway_frames import BINARY, OURS, Cmd, Frame, encode
from pushline.codecs.login import token_of
from pushline.codecs.php_serialize import loads
from pushline.listeners import gateway as gateway_module
from pushline.listeners.gateway import PASS_BYTES
from pushline.messages import NO_LOGIN, NO_WORKER, SHUTDOWN
from pushline.service import Service
from tests.browser import BINARY as BINARY_FRAME
from tests.browser import CLOSE, PING, TEXT, Browser, EndedError, connect, encoded
from tests.listeners.inner_port import (
    Gateway,
    Peer,
    read_from,
    serving,
    taken,
    worker_greeting,
    workers_of,
)

NO_WORKER_FRAME = (CLOSE, b"\x0b\xc3no worker")
"""3011: it may reconnect."""
WAIT = "0.4"
"""Seconds for which events wait where a test waits for the end of that."""
COUNT = encode(Cmd.COUNT_OF_GROUP)
LEAVE = encode(Cmd.LEAVE)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """Where workers have the application. Its clients have the ids 1, 2, 3..."""
    with serving(draw=count(1).__next__, AUTH_MODE="app") as gateway:
        yield gateway


@pytest.fixture
def worker(gateway: Gateway) -> Iterator[Peer]:
    with gateway.worker() as worker:
        yield worker


def send(number: int, body: bytes) -> bytes:
    return encode(Cmd.SEND_TO_ONE, connection_id=number, body=body)


def is_empty(gateway: Gateway) -> bool:
    """Nobody is here, nothing waits."""
    return gateway.metric("connections") == gateway.metric("events_waiting") == 0


# --- a worker and its clients -------------------------------------------------------------------


def test_a_worker_hears_what_a_browser_does_and_answers_it(gateway: Gateway, worker: Peer) -> None:
    with gateway.browse() as browser:
        browser.send_text("hi")
        assert worker.events(3) == ["connect 1", "open 1", "message 1 hi"]
        worker.send(send(1, b"echo:hi"))
        assert browser.receive() == (TEXT, b"echo:hi")
    assert worker.event() == "close 1"


def test_an_event_names_the_client_as_commands_and_others_do(
    gateway: Gateway, worker: Peer
) -> None:
    with gateway.browse("/p?room=1", Cookie="sid=42"):
        event, opened = worker.unit(), worker.unit()
        assert isinstance(event, Frame)
        assert isinstance(opened, Frame)
        place = event.local_ip << 16 | event.local_port
        assert place == gateway.look(lambda service: service.node.address)
        host, _, port = gateway.address.rpartition(":")
        assert (event.local_ip, event.local_port) == (0x7F000001, int(port))
        assert host == "127.0.0.1"
        body = loads(opened.body)
        assert isinstance(body, dict)
        assert (body["get"], body["cookie"]) == ({"room": "1"}, {"sid": "42"})


def test_workers_in_charge_have_every_connection_in_the_hub(gateway: Gateway, worker: Peer) -> None:
    with gateway.browse(), gateway.browse():
        worker.events(4)
        assert worker.ask(COUNT) == 2
        worker.send(encode(Cmd.BIND_UID, connection_id=1, ext=b"u1"))
        assert worker.ask(encode(Cmd.CLIENTS_OF_UID, ext=b"u1")) == {0: 1}


def test_answers_and_events_come_in_the_order_in_which_they_were_due(
    gateway: Gateway, worker: Peer
) -> None:
    with gateway.browse():
        worker.events(2)
        worker.send(COUNT, encode(Cmd.KICK, connection_id=1, body=b"bye"), COUNT)
        assert loads(worker.answer()) == 1
        assert worker.event() == "close 1"
        assert loads(worker.answer()) == 0


def test_a_session_is_there_with_the_next_message(gateway: Gateway, worker: Peer) -> None:
    session = b'a:1:{s:4:"hits";i:1;}'
    with gateway.browse() as browser:
        worker.events(2)
        worker.send(encode(Cmd.SET_SESSION, connection_id=1, ext=session))
        worker.settle()
        browser.send_text("hi")
        event = worker.unit()
        assert isinstance(event, Frame)
        assert (event.ext, event.body) == (session, b"hi")


def test_what_was_binary_is_marked_for_workers_of_ours(gateway: Gateway) -> None:
    with gateway.worker("App:0", ours=True) as ours, gateway.browse() as browser:
        browser.send_frame(BINARY_FRAME, b"\1")
        browser.send_text("text")
        events = [ours.unit() for _ in range(4)]
        flags = [event.flag for event in events if isinstance(event, Frame)]
        assert [flag & OURS for flag in flags] == [OURS] * 4
        assert [flag & BINARY for flag in flags] == [0, 0, BINARY, 0]


def test_clients_are_shared_out_and_each_stays_where_it_is(gateway: Gateway) -> None:
    with (
        gateway.worker("App:0") as first,
        gateway.worker("App:1") as second,
        gateway.browse() as one,
        gateway.browse() as two,
        gateway.browse() as three,
    ):
        for browser in (one, two, three) * 2:
            browser.send_text("hi")
            browser.settle()
        assert [event for event in first.events(8) if "message" in event] == [
            *("message 1 hi", "message 3 hi"),
            *("message 1 hi", "message 3 hi"),
        ]
        assert second.events(4) == ["connect 2", "open 2", "message 2 hi", "message 2 hi"]


# --- another one in its place -------------------------------------------------------------------


def test_a_reload_loses_nothing_runs_nothing_twice_and_keeps_the_order(gateway: Gateway) -> None:
    with gateway.worker("App:0", ours=True) as old, gateway.browse() as browser:
        browser.send_text("to the old one")
        browser.settle()
        with gateway.worker("App:0", ours=True) as new:
            browser.send_text("to the new one")
            assert old.events(4) == [
                *("connect 1", "open 1", "message 1 to the old one"),
                "handed over 0",
            ]
            old.send(send(1, b"from the old one"))
            assert browser.message() == b"from the old one"
            assert old.ask(COUNT) == 1
            assert new.settle() == []
            old.say_last()
            assert old.rest() == b""
            assert new.event() == "message 1 to the new one"
            gateway.wait(lambda service: len(service._gateway.links) == 1)
            assert gateway.metric("workers") == 1
            browser.send_text("hi")
            assert new.event() == "message 1 hi"


def test_one_of_phps_sees_that_another_has_its_place_by_the_end_of_our_side(
    gateway: Gateway,
) -> None:
    with (
        gateway.worker("App:0") as old,
        gateway.browse() as browser,
        gateway.worker("App:0") as new,
    ):
        assert old.events(2) == ["connect 1", "open 1"]
        old.send(COUNT, send(1, b"done"))
        assert browser.message() == b"done"
        assert old.rest() == b""
        browser.send_text("hi")
        gateway.wait_for_events(1)
        old.leave()
        assert new.event() == "message 1 hi"


def test_one_that_does_not_finish_is_not_waited_for_for_ever() -> None:
    with (
        serving(draw=count(1).__next__, AUTH_MODE="app", GATEWAY_WORKER_WAIT=WAIT) as gateway,
        gateway.worker("App:0", ours=True) as old,
        gateway.browse() as browser,
        gateway.worker("App:0", ours=True) as new,
    ):
        browser.send_text("hi")
        assert new.event() == "message 1 hi"
        old.send(send(1, b"late"))
        assert browser.message() == b"late"


@pytest.mark.parametrize("ours", [True, False])
def test_an_old_one_neither_pauses_clients_nor_gets_them_again(
    gateway: Gateway, ours: bool
) -> None:
    with gateway.worker("App:0", ours=ours) as old, gateway.browse() as browser:
        with gateway.worker("App:0", ours=True) as new:
            pause = encode(Cmd.PAUSE, connection_id=1)
            old.send(pause, worker_greeting("App:0"), worker_greeting("App:1"), send(1, b"done"))
            assert browser.message() == b"done"
            old.say_last()
            browser.send_text("hi")
            assert new.event() == "message 1 hi"
        assert gateway.refused() == {}


def test_an_old_one_that_does_not_read_gets_all_that_it_was_sent_and_the_new_one_the_rest(
    gateway: Gateway,
) -> None:
    messages = numbered(300)
    with gateway.worker(receive_buffer=4096) as old, gateway.browse() as browser:
        flood = say(browser, messages)
        gateway.wait_for_a_stalled_link()
        with gateway.worker() as new:
            told = []
            with contextlib.suppress(EndedError):
                while True:
                    told.append(old.event())
            old.leave()
            told += new.events(len(messages) + 2 - len(told))
            flood.join()
    assert told == ["connect 1", "open 1", *(f"message 1 {each}" for each in messages)]


class Silent:
    """The link of another worker."""

    stalled = False

    def post(self, frame: bytes) -> None: ...

    def hand_over(self, *, ours: bool) -> None: ...


def test_what_it_was_sent_in_the_same_pass_still_goes_to_the_old_one(
    gateway: Gateway, worker: Peer
) -> None:
    def replace(service: Service) -> None:
        roster = service._roster
        assert roster is not None
        (old,) = roster.workers.values()
        old.link.post(encode(Cmd.PING))
        new = roster.join(old.key, Silent(), 0)
        old.link.post(encode(Cmd.PING))  # an answer, for all it knows
        roster.leave(new)

    gateway.look(replace)
    assert worker.event() == "ping 0"
    assert worker.rest() == b""


def numbered(many: int, size: int = 10_000) -> list[str]:
    return [f"{number}".ljust(size, "x") for number in range(many)]


def say(browser: Browser, messages: list[str]) -> threading.Thread:
    """While somebody else listens."""
    data = b"".join(encoded(TEXT, message.encode()) for message in messages)
    thread = threading.Thread(target=browser.socket.sendall, args=(data,), daemon=True)
    thread.start()
    return thread


# --- an end, and nobody there -------------------------------------------------------------------


@pytest.mark.parametrize("how", ["an end", "last words", "reset", "nonsense"])
def test_a_worker_ends_and_its_clients_go_to_another_with_what_they_say_next(
    gateway: Gateway, how: str
) -> None:
    with (
        gateway.worker("App:0") as ending,
        gateway.browse() as browser,
        gateway.worker("App:1") as other,
    ):
        ending.events(2)
        if how == "reset":
            reset = struct.pack("ii", 1, 0)
            ending.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        if how == "nonsense":
            ending.send(bytes(4))
        elif how == "last words":
            ending.say_last()
        else:
            ending.leave()
        gateway.wait_for_workers(1)
        browser.send_text("hi")
        assert other.event() == "message 1 hi"
    assert gateway.refused() == ({"length": 1} if how == "nonsense" else {})


def test_one_of_ours_that_leaves_finishes_before_another_has_its_clients(gateway: Gateway) -> None:
    with (
        gateway.worker("App:0", ours=True) as leaving,
        gateway.browse() as browser,
        gateway.worker("App:1", ours=True) as other,
    ):
        leaving.send(LEAVE)
        assert leaving.events(3) == ["connect 1", "open 1", "handed over 0"]
        gateway.wait_for_workers(1)
        browser.send_text("hi")
        gateway.wait_for_events(1)
        leaving.send(send(1, b"done"))
        assert browser.message() == b"done"
        assert leaving.ask(COUNT) == 1
        assert other.settle() == []
        leaving.say_last()
        assert leaving.rest() == b""
        assert other.event() == "message 1 hi"


def test_who_is_no_worker_cannot_leave(gateway: Gateway, worker: Peer) -> None:
    with Peer(gateway.address) as client:
        client.send(LEAVE)
        assert client.settle() == []
    assert gateway.metric("workers") == 1
    assert gateway.refused() == {}


def test_a_worker_that_is_being_ended_has_no_clients_any_more(gateway: Gateway) -> None:
    """It may take a while, where it does not read what it was sent before."""
    with (
        gateway.worker("App:0", receive_buffer=4096) as ending,
        gateway.browse() as browser,
        gateway.worker("App:1") as other,
    ):
        while not gateway.unsent():
            browser.send_text("x" * 1000)
            browser.settle()
        ending.send(bytes(4))
        gateway.wait_for_workers(1)
        browser.send_text("hi")
        assert other.event() == "message 1 hi"
        assert gateway.metric("gateway_links") == 2


def test_one_that_ends_by_itself_has_commanded_all_and_gets_what_it_was_sent(
    gateway: Gateway,
) -> None:
    with gateway.worker() as ending, gateway.browse() as browser:
        browser.send_text("hi")
        browser.settle()
        ending.send(*(send(1, b"%d" % number) for number in range(2000)), COUNT)
        ending.say_last()
        assert ending.events(3) == ["connect 1", "open 1", "message 1 hi"]
        assert ending.answer() == b"i:1;"
        assert ending.rest() == b""
        assert [browser.message() for _ in range(2000)] == [b"%d" % each for each in range(2000)]


def test_while_nobody_is_there_a_browser_waits_and_is_then_told_to_reconnect() -> None:
    with serving(AUTH_MODE="app", GATEWAY_WORKER_WAIT=WAIT) as gateway:
        started = time.monotonic()
        with gateway.browse() as silent, gateway.browse() as browser:
            browser.send_text("hi")
            gateway.wait_for_events(3)
            for each in (silent, browser):
                assert each.receive() == NO_WORKER_FRAME
        assert time.monotonic() - started >= float(WAIT)
        gateway.wait(lambda service: not service.metrics.open)
        assert is_empty(gateway)
        assert gateway.metric(f'closed_total{{code="{NO_WORKER.code}"}}') == 2


def test_one_that_comes_in_time_gets_all_in_its_order(gateway: Gateway) -> None:
    with gateway.browse() as browser:
        for said in ("one", "two", "three"):
            browser.send_text(said)
        gateway.wait_for_events(2)
        with gateway.worker() as worker:
            assert worker.events(5) == [
                *("connect 1", "open 1"),
                *("message 1 one", "message 1 two", "message 1 three"),
            ]
            assert gateway.metric("events_waiting") == 0
            worker.send(send(1, b"hi"))
            assert browser.message() == b"hi"


def test_a_browser_that_gives_up_waiting_is_told_of_too(gateway: Gateway) -> None:
    with gateway.browse() as browser:
        browser.send_text("hi")
        gateway.wait_for_events(2)
        gateway.look(lambda service: service.hub.connections[1].destroy())
    with gateway.worker() as worker:
        assert worker.events(4) == ["connect 1", "open 1", "message 1 hi", "close 1"]


def test_what_waits_is_bounded() -> None:
    with serving(AUTH_MODE="app", GATEWAY_WORKER_QUEUE="3") as gateway:
        with gateway.browse(), gateway.browse(), gateway.browse() as third:
            with connect(gateway.browsers) as late:
                assert late.receive() == NO_WORKER_FRAME
            third.send_text("hi")
            assert third.receive() == NO_WORKER_FRAME
            assert gateway.metric("events_waiting") == 2
            with gateway.worker() as worker:
                assert len(worker.events(4)) == 4
        gateway.wait(lambda service: not service.metrics.open)
        gateway.pass_time(4)
        assert is_empty(gateway)


def test_a_browser_that_waits_is_not_taken_for_dead() -> None:
    with (
        serving(AUTH_MODE="app", HEARTBEAT_PING="0.1", HEARTBEAT_PONG="0.1") as gateway,
        gateway.browse() as browser,
    ):
        browser.send_text("hi")
        gateway.wait_for_events(2)
        gateway.pass_time(1)
        assert gateway.metric("connections") == 1
        with gateway.worker() as worker:
            assert len(worker.events(3)) == 3
            assert browser.receive() == (PING, b"")


# --- logins that are not theirs -----------------------------------------------------------------


def test_where_logins_are_open_nothing_waits_before_the_first_worker_has_come() -> None:
    with (
        serving(draw=count(1).__next__, GATEWAY_WORKER_WAIT="0.01") as gateway,
        connect(gateway.browsers).login("u1") as browser,
    ):
        browser.send_text("early")
        browser.settle()
        gateway.pass_time(10)
        assert (gateway.metric("connections"), gateway.metric("events_waiting")) == (1, 0)
        with gateway.worker() as worker:
            browser.send_text("hi")
            assert worker.events(3) == ["connect 1", "open 1", "message 1 hi"]
            with connect(gateway.browsers) as other:
                assert worker.events(2) == ["connect 2", "open 2"]
                other.login("u2").settle()
                other.send_text("after the login")
                assert worker.event() == "message 2 after the login"
                assert worker.ask(encode(Cmd.CLIENTS_OF_UID, ext=b"u2")) == {0: 2}
        gateway.wait_for_workers(0)
        browser.send_text("nobody there")
        assert browser.receive() == NO_WORKER_FRAME


def test_with_tokens_workers_hear_only_of_what_follows_the_login() -> None:
    with (
        serving(
            draw=count(1).__next__, AUTH_MODE="token", AUTH_SECRET="s", AUTH_TIMEOUT="0.5"
        ) as gateway,
        gateway.worker() as worker,
        gateway.browse() as browser,
        gateway.browse() as stranger,
    ):
        worker.events(4)
        stranger.send_text("no login")
        browser.login("u1", token=token_of("u1", "0", "s")).settle()
        browser.send_text("hi")
        assert worker.event() == "message 1 hi"
        worker.send(encode(Cmd.SEND_TO_ALL, body=b"to those who are in"))
        assert browser.message() == b"to those who are in"
        assert stranger.close_code() == NO_LOGIN.code
        assert worker.event() == "close 2"


# --- an application here ------------------------------------------------------------------------


def echo() -> App:
    app = App()

    @app.on_message
    async def say(client: Client, message: str | bytes) -> None:
        await client.send(message)

    return app


def test_where_the_application_is_here_workers_get_nothing_and_that_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        serving(echo(), draw=count(1).__next__, APP_LOAD="chat:app") as gateway,
        Peer(gateway.address) as one,
        Peer(gateway.address) as two,
    ):
        one.send(worker_greeting("App:0"))
        two.send(worker_greeting("App:1"))
        with gateway.browse() as browser:
            browser.login("u1").send_text("hi")
            assert browser.message() == b"hi"
            one.send(send(1, b"all the same"))
            assert browser.message() == b"all the same"
        assert (one.settle(), two.settle()) == ([], [])
        assert gateway.metric("workers") == 0
    assert caplog.text.count("workers get none") == 1


def test_where_workers_are_to_have_the_events_the_application_gets_none() -> None:
    with (
        serving(
            echo(),
            draw=count(1).__next__,
            APP_LOAD="chat:app",
            AUTH_MODE="app",
            GATEWAY_EVENTS="workers",
        ) as gateway,
        gateway.worker() as worker,
        gateway.browse() as browser,
    ):
        browser.send_text("hi")
        assert worker.events(3) == ["connect 1", "open 1", "message 1 hi"]
        assert taken(browser) == []


# --- who is slow --------------------------------------------------------------------------------


def test_a_worker_that_does_not_read_stops_its_browsers_only_and_misses_nothing(
    gateway: Gateway,
) -> None:
    messages = numbered(1000)
    with (
        gateway.worker("App:0", receive_buffer=4096) as slow,
        gateway.browse() as of_slow,
        gateway.worker("App:1") as quick,
        gateway.browse() as of_quick,
    ):
        flood = say(of_slow, messages)
        gateway.wait_for_a_stalled_link()
        assert quick.events(2) == ["connect 2", "open 2"]
        for number in range(100):
            of_quick.send_text(f"{number}")
            assert quick.event() == f"message 2 {number}"
            assert gateway.unsent() < 2 * PASS_BYTES
        assert flood.is_alive()
        assert slow.events(2) == ["connect 1", "open 1"]
        assert slow.events(len(messages)) == [f"message 1 {each}" for each in messages]
        flood.join()
        of_slow.send_text("last")
        assert slow.event() == "message 1 last"


def test_what_browsers_say_in_one_pass_is_bounded_though_it_is_told_with_a_session(
    gateway: Gateway, worker: Peer
) -> None:
    """Small messages become large with their heads and sessions."""
    session = b's:10000:"' + bytes(10_000) + b'";'
    with gateway.browse() as browser:
        worker.events(2)
        worker.send(encode(Cmd.SET_SESSION, connection_id=1, ext=session))
        worker.settle()
        flood = say(browser, [f"{number % 10}" for number in range(5000)])
        most = 0
        for number in range(5000):
            assert worker.event() == f"message 1 {number % 10}"
            if number % 100 == 0:
                most = max(most, gateway.unsent())
        flood.join()
        assert most < 3 * PASS_BYTES


def test_a_worker_that_takes_nothing_while_browsers_come_and_go_is_ended(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gateway_module, "MOST_BYTES", 200_000)
    with gateway.worker("App:0", receive_buffer=4096), gateway.browse() as stays:
        stays.settle()
        padding = {"X_Padding": "x" * 8000}
        for _ in range(1000):
            connect(gateway.browsers, headers=padding).disconnect()
            if gateway.refused():
                break
        assert gateway.refused() == {"limit": 1}
        gateway.wait_for_workers(0)
        with gateway.worker("App:1") as other:
            stays.send_text("hi")
            while "message" not in (event := other.event()):
                assert event.startswith("close")
            assert event == "message 1 hi"
    assert "limit: does not take what it is told" in caplog.text


def test_a_worker_of_ours_has_a_client_wait_and_go_on(gateway: Gateway) -> None:
    with (
        gateway.worker("App:0", ours=True) as worker,
        gateway.browse() as busy,
        gateway.browse() as other,
    ):
        worker.events(4)
        worker.send(encode(Cmd.PAUSE, connection_id=1))
        worker.settle()
        busy.send_text("one")
        busy.send_text("two")
        other.send_text("hi")
        assert worker.event() == "message 2 hi"
        assert worker.settle() == []
        worker.send(encode(Cmd.RESUME, connection_id=1))
        assert worker.events(2) == ["message 1 one", "message 1 two"]
        worker.send(*(encode(cmd, connection_id=9) for cmd in (Cmd.PAUSE, Cmd.RESUME)))
        busy.send_text("three")
        assert worker.event() == "message 1 three"


def test_only_its_own_worker_has_a_client_wait(gateway: Gateway) -> None:
    pause = encode(Cmd.PAUSE, connection_id=1)
    with (
        gateway.worker("App:0", ours=True) as worker,
        gateway.browse() as browser,
        gateway.worker("App:1", ours=True) as other,
        Peer(gateway.address) as client,
    ):
        for peer in (other, client):
            peer.send(pause)
            peer.settle()
        browser.send_text("hi")
        assert worker.events(3) == ["connect 1", "open 1", "message 1 hi"]


def test_one_that_waits_for_a_worker_that_dies_goes_on_with_the_next(gateway: Gateway) -> None:
    with gateway.browse() as browser:
        with gateway.worker(ours=True) as worker:
            worker.events(2)
            worker.send(encode(Cmd.PAUSE, connection_id=1))
            worker.settle()
            browser.send_text("hi")
        gateway.wait_for_events(1)
        with gateway.worker() as worker:
            assert worker.event() == "message 1 hi"


# --- pings, and the end -------------------------------------------------------------------------


def test_workers_are_pinged_where_others_reach_the_gateway_from_afar() -> None:
    with serving(GATEWAY_ADVERTISE="10.0.0.1:2300", AUTH_MODE="app") as gateway:
        with gateway.worker() as worker, Peer(gateway.address) as client:
            gateway.pass_time(24)
            assert worker.settle() == []
            gateway.pass_time(1)
            assert worker.event() == "ping 0"
            worker.send(encode(Cmd.PING))
            assert worker.settle() == client.settle() == []
        assert gateway.refused() == {}


def test_workers_here_are_not_pinged(gateway: Gateway, worker: Peer) -> None:
    gateway.pass_time(100)
    assert worker.settle() == []


def test_workers_hear_of_the_end_of_every_client_when_the_server_ends() -> None:
    with (
        serving(draw=count(1).__next__, AUTH_MODE="app", SHUTDOWN_TIME="0.1") as gateway,
        gateway.worker() as worker,
        gateway.browse() as one,
        gateway.browse() as two,
    ):
        worker.events(4)
        gateway.runs.run(gateway.service.drain())
        assert sorted(worker.events(2)) == ["close 1", "close 2"]
        assert one.close_code() == two.close_code() == SHUTDOWN.code
        worker.send(COUNT)
        assert worker.answer() == b"i:0;"
        gateway.look(lambda service: service.stop())
        assert worker.rest() == b""


def test_many_come_and_go_and_leave_nothing_behind(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with gateway.worker() as worker, read_from(worker):
        for _ in range(300):
            with connect(gateway.browsers) as browser:
                browser.send_text("hi")
        gateway.wait(lambda service: not service.metrics.open)
        assert is_empty(gateway)
        (worker_of,) = gateway.look(workers_of).values()
        assert worker_of.routes == {}
    assert caplog.text == ""

"""An application in the server's process: its events, over real sockets."""

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pushline import App, AppError, BadNameError, Client, Close, DeadlineError, HttpError
from pushline.app.inbox import Inbox
from tests.app.serving import Serving, serving
from tests.browser import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    Browser,
    RefusedError,
    dial,
    encoded,
    request,
)
from tests.faults.unharmed import wait_until


class Seen(list[object]):
    """What handlers noted."""

    def wait(self, size: int) -> "Seen":
        wait_until(lambda: len(self) >= size)
        return self


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def seen() -> Seen:
    return Seen()


def echo(app: App) -> None:
    @app.on_message
    async def message(client: Client, data: str | bytes) -> None:
        await client.send(data)


# --- registering --------------------------------------------------------------------------------


def test_decorators_give_the_function_back(app: App) -> None:
    def function(*_: object) -> None: ...

    for event in ("on_start", "on_connect", "on_message", "on_close", "on_stop"):
        assert getattr(app, event)(function) is function


def test_a_second_handler_of_an_event_is_refused(app: App) -> None:
    echo(app)
    with pytest.raises(AppError, match="on_message has a handler already"):
        echo(app)


@pytest.mark.parametrize("event", ["on_start", "on_connect", "on_message", "on_close", "on_stop"])
def test_a_function_of_another_shape_is_refused(app: App, event: str) -> None:
    def takes_four(one: object, two: object, three: object, four: object) -> None: ...

    def generates(*_: object) -> Iterator[None]:
        yield

    for function in (takes_four, generates):
        with pytest.raises(AppError, match=f"@app.{event}"):
            getattr(app, event)(function)


def test_a_name_from_the_request_that_is_none_is_answered_with_400(app: App) -> None:
    @app.on_connect
    async def connect(client: Client) -> None:
        await client.bind(client.request.query["name"])

    with serving(app) as server:
        with pytest.raises(RefusedError) as error:
            server.connect(f"/?name={'x' * 300}")
        assert error.value.status == 400


def test_brackets_after_an_event_are_pointed_out(app: App) -> None:
    with pytest.raises(AppError, match="without brackets"):
        app.on_message("chat")  # type: ignore[type-var]


# --- messages -----------------------------------------------------------------------------------


def test_text_comes_as_str_and_binary_as_bytes_and_both_go_back(app: App, seen: Seen) -> None:
    @app.on_message
    async def message(client: Client, data: str | bytes) -> None:
        seen.append(data)
        await client.send(data)

    with serving(app) as server, server.connect() as browser:
        browser.send_text("héllo")
        browser.send_frame(BINARY, b"\0\xff")
        assert browser.receive() == (TEXT, "héllo".encode())
        assert browser.receive() == (BINARY, b"\0\xff")
        assert seen == ["héllo", b"\0\xff"]


@pytest.mark.parametrize("kind", ["async", "plain"])
def test_one_clients_messages_are_handled_one_at_a_time_and_in_order(
    app: App, seen: Seen, kind: str
) -> None:
    async def waits(client: Client, data: str) -> None:
        seen.append(f"{data} begins")
        await asyncio.sleep(0)
        seen.append(f"{data} ends")

    def blocks(client: Client, data: str) -> None:
        seen.append(f"{data} begins")
        time.sleep(0.001)  # gives the other threads a chance to come in between
        seen.append(f"{data} ends")

    app.on_message(waits if kind == "async" else blocks)
    with serving(app) as server, server.connect() as browser:
        browser.send_raw(b"".join(encoded(TEXT, b"%d" % number) for number in range(50)))
        seen.wait(100)
    assert seen == [f"{n} {what}" for n in range(50) for what in ("begins", "ends")]


@pytest.mark.parametrize("kind", ["async", "plain"])
def test_other_clients_are_served_while_one_handler_waits(app: App, kind: str) -> None:
    let_go, waiting = threading.Event(), threading.Event()

    async def waits(client: Client, data: str) -> None:
        if data == "wait":
            waiting.set()
            await asyncio.to_thread(let_go.wait, 10)
        await client.send(data)

    def blocks(client: Client, data: str) -> None:
        if data == "wait":
            waiting.set()
            let_go.wait(10)
        client.sync.send(data)

    app.on_message(waits if kind == "async" else blocks)
    with serving(app) as server, server.connect() as one, server.connect() as other:
        one.send_text("wait")
        assert waiting.wait(10)
        for number in range(20):
            other.send_text(str(number))
            assert other.message() == b"%d" % number
        let_go.set()
        assert one.message() == b"wait"


def test_an_exception_is_logged_with_its_client_and_counted_and_closes_nothing(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    @app.on_message
    async def message(client: Client, data: str) -> None:
        if data == "id":
            await client.send(client.id)
        elif data == "exit":
            raise SystemExit
        else:
            raise LookupError(data)

    with serving(app) as server, server.connect() as browser:
        browser.send_text("first fault")
        browser.send_text("exit")
        browser.send_text("id")
        client_id = browser.message().decode()
        assert server.process.service.metrics.app_errors == {"on_message": 2}
    assert "first fault" in caplog.text
    assert client_id in caplog.text


async def awaits_what_is_cancelled(*_: object) -> None:
    task = asyncio.ensure_future(asyncio.sleep(60))
    task.cancel()
    await task


async def raises_a_group(*_: object) -> None:
    raise BaseExceptionGroup("several", [asyncio.CancelledError()])


def finds_nothing(*_: object) -> None:
    next(iter(()))


def exits(*_: object) -> None:
    raise SystemExit


ODD_FAULTS = [awaits_what_is_cancelled, raises_a_group, finds_nothing, exits]


@pytest.mark.parametrize("fault", ODD_FAULTS)
def test_a_fault_of_any_kind_ends_only_its_own_call(
    app: App, seen: Seen, fault: Callable[..., object]
) -> None:
    app.on_message(fault)
    app.on_close(lambda _, reason: seen.append(reason.code))
    with serving(app, APP_QUEUE="2") as server, server.connect() as browser:
        flood(browser, 10)
        browser.settle()
        browser.send_frame(CLOSE, (4000).to_bytes(2))
        assert seen.wait(1) == [4000]
        assert server.process.service.metrics.app_errors["on_message"] == 10


@pytest.mark.parametrize("fault", ODD_FAULTS)
def test_a_fault_of_any_kind_in_on_connect_is_answered_with_500(
    app: App, fault: Callable[..., object]
) -> None:
    app.on_connect(fault)
    with serving(app) as server:
        with pytest.raises(RefusedError) as error:
            server.connect()
        assert error.value.status == 500
        assert server.process.service.metrics.upgraded == 0


@pytest.mark.parametrize(
    "refusal",
    [(101, "x"), (204, "x"), (999, "x"), (403, "x", None), (403, "x", (("A", "b\r\nc"),))],
)
def test_a_refusal_that_is_no_answer_is_answered_with_500(
    app: App, refusal: tuple[object, ...], caplog: pytest.LogCaptureFixture
) -> None:
    @app.on_connect
    async def connect(client: Client) -> None:
        raise HttpError(*refusal)  # type: ignore[arg-type]

    with serving(app) as server:
        with pytest.raises(RefusedError) as error:
            server.connect()
        assert error.value.status == 500
    assert "cannot be an answer" in caplog.text


def test_an_on_connect_that_does_not_care_whether_its_client_is_there(app: App, seen: Seen) -> None:
    @app.on_connect
    async def connect(client: Client) -> None:
        seen.append("begun")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        seen.append("goes on")

    with serving(app) as server:
        plug = dial(server.address)
        plug.sendall(request(server.address))
        seen.wait(1)
        plug.close()
        seen.wait(2)
        wait_until(lambda: server.process.service.metrics.upgraded == 0)
        assert server.process.run(app.gateway.get_all_client_id_count()) == 0


def test_a_client_that_never_logged_in_has_its_id_in_on_close(app: App, seen: Seen) -> None:
    app.on_close(lambda client, reason: seen.append((len(client.id), reason.code)))
    with serving(app, AUTH_MODE="open", AUTH_TIMEOUT="0.05") as server, server.connect():
        assert seen.wait(1) == [(20, 3502)]


def test_a_session_that_has_no_copy_is_answered_all_the_same(app: App, seen: Seen) -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]

    @app.on_message
    async def message(client: Client, data: str) -> None:
        client.session.update(deep=deep, name="Ada")
        session = await app.gateway.get_session(client.id)
        seen.append(session and session["name"])

    with serving(app) as server, server.connect() as browser:
        browser.send_text("go")
        assert seen.wait(1) == ["Ada"]


def test_sessions_can_be_asked_for_while_threads_change_them(app: App, seen: Seen) -> None:
    stopped = threading.Event()

    @app.on_message
    def message(client: Client, data: str) -> None:
        client.session["lock"] = threading.Lock()  # has no copy
        for number in itertools.count():
            if stopped.is_set():
                break
            client.session[str(number % 50)] = number
            client.session.pop(str((number + 25) % 50), None)
        seen.append("done")

    with serving(app) as server, server.connect() as browser:
        browser.send_text("go")
        wait_until(lambda: bool(server.process.call(lambda: len(desk_of(server)))))
        for _ in range(300):
            server.process.run(app.gateway.get_all_client_sessions())
        stopped.set()
        seen.wait(1)


def test_without_a_handler_messages_are_dropped(app: App) -> None:
    with serving(app) as server, server.connect() as browser:
        browser.send_text("anybody?")
        browser.settle()


def test_what_is_known_of_a_client_is_always_right_here(app: App, seen: Seen) -> None:
    @app.on_message
    async def message(client: Client, data: str) -> None:
        await app.gateway.bind_uid(client.id, data)
        seen.append((await client.refresh(), client.uid, app.process))

    @app.on_close
    async def closed(client: Client, reason: Close) -> None:
        seen.append(await client.refresh())

    with serving(app) as server:
        with server.connect() as browser:
            browser.send_text("ann")
            assert seen.wait(1) == [(True, "ann", 0)]
        assert seen.wait(2)[1:] == [False]


# --- the queue ----------------------------------------------------------------------------------


def flood(browser: Browser, count: int) -> None:
    browser.send_raw(b"".join(encoded(TEXT, b"%d" % number) for number in range(count)))


def test_a_full_queue_pauses_reading_and_nothing_is_lost(app: App, seen: Seen) -> None:
    let_go = threading.Event()

    @app.on_message
    async def message(client: Client, data: str) -> None:
        await asyncio.to_thread(let_go.wait, 10)
        seen.append(int(data))

    with serving(app, APP_QUEUE="8") as server, server.connect() as browser:
        flood(browser, 5000)
        browser.send_frame(PING, b"later")
        with pytest.raises(TimeoutError):  # not even a ping is read before there is room
            browser.receive(0.3)
        (inbox,) = server.process.call(lambda: list(desk_of(server)))
        assert 7 <= len(inbox._events or ()) <= 8  # one of them may be in hand
        let_go.set()
        assert browser.receive()[1] == b"later"
        seen.wait(5000)
    assert seen == list(range(5000))


def desk_of(server: Serving) -> dict[Inbox, "asyncio.Task[None]"]:
    running = server.process.service._running
    assert running is not None
    return running.desk.busy


def test_while_its_queue_is_full_a_client_is_not_taken_for_dead(app: App) -> None:
    let_go = threading.Event()

    @app.on_message
    async def message(client: Client, data: str) -> None:
        await asyncio.to_thread(let_go.wait, 10)
        if data == "9":
            await client.send("all")

    settings = {"APP_QUEUE": "2", "HEARTBEAT_PING": "0.1", "HEARTBEAT_PONG": "0.1"}
    with serving(app, **settings) as server, server.connect() as browser:
        flood(browser, 10)
        wait_until(lambda: bool(server.process.call(lambda: len(desk_of(server)))))
        time.sleep(0.6)  # three times what the heartbeat allows
        let_go.set()
        assert browser.message() == b"all"
        assert browser.close_code() == 3012  # and then it counts again


def test_while_its_queue_is_full_a_client_that_dies_is_noticed(app: App, seen: Seen) -> None:
    @app.on_message
    async def message(client: Client, data: str) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            seen.append(data)

    settings = {"APP_QUEUE": "2", "HEARTBEAT_PING": "0.1", "HEARTBEAT_PONG": "0.1"}
    with serving(app, **settings) as server:
        with server.connect() as browser:
            flood(browser, 1000)
            wait_until(lambda: bool(server.process.call(lambda: len(desk_of(server)))))
        assert server.process.call(lambda: len(server.process.service.hub.connections)) == 1
        wait_until(lambda: not server.process.call(lambda: server.process.service.metrics.open))
        assert seen == []  # whoever hangs goes on doing so


def test_a_client_that_is_closed_while_paused_ends_in_order(app: App, seen: Seen) -> None:
    let_go = threading.Event()

    @app.on_message
    async def message(client: Client, data: str) -> None:
        await asyncio.to_thread(let_go.wait, 10)
        seen.append(data)

    @app.on_close
    async def closed(client: Client, reason: Close) -> None:
        seen.append(reason)

    with serving(app, APP_QUEUE="4") as server, server.connect() as browser:
        flood(browser, 100)
        wait_until(lambda: bool(server.process.call(lambda: len(desk_of(server)))))
        (client_id,) = server.process.run(app.gateway.get_all_client_id_list())
        wait_until(lambda: server.process.call(lambda: next(iter(desk_of(server)))._paused))
        assert server.process.run(app.gateway.close_client(client_id))
        assert browser.close_code() == 3503
        browser.send_frame(CLOSE, (3503).to_bytes(2))
        assert browser.wait_ended(2) == b""
        let_go.set()
        wait_until(lambda: Close(3503, "kicked") in seen)
    assert len(seen) in (5, 6)  # the queue, one in hand perhaps, and the end
    assert seen[:-1] == [str(number) for number in range(len(seen) - 1)]


# --- connecting ---------------------------------------------------------------------------------


def test_on_connect_sees_the_request(app: App, seen: Seen) -> None:
    @app.on_connect
    async def connect(client: Client) -> None:
        request = client.request
        seen.extend([request.path, request.query, request.headers["x-one"], request.cookies])
        seen.append(request.address.host)

    with serving(app) as server:
        browser = server.connect("/a%20b?room=1", X_One="first", Cookie="sid=abc")
        browser.disconnect()
    assert seen == ["/a b", {"room": "1"}, "first", {"sid": "abc"}, "127.0.0.1"]


@pytest.mark.parametrize("kind", ["async", "plain"])
def test_it_refuses_with_a_status(app: App, kind: str, seen: Seen) -> None:
    async def refuses(client: Client) -> None:
        await asyncio.sleep(0)
        raise HttpError(403, "members only", (("X-Why", "no member"),))

    def plainly(client: Client) -> None:
        raise HttpError(403, "members only", (("X-Why", "no member"),))

    app.on_connect(refuses if kind == "async" else plainly)
    app.on_close(lambda _, reason: seen.append(reason))
    with serving(app) as server:
        with pytest.raises(RefusedError) as error:
            server.connect()
        assert error.value.status == 403
        assert b"X-Why: no member\r\n" in error.value.answer
        assert error.value.answer.endswith(b"\r\n\r\nmembers only\n")
        assert server.process.run(app.gateway.get_all_client_id_count()) == 0
        wait_until(lambda: server.process.service.metrics.open == 0)
        assert server.process.service.metrics.upgraded == 0
    assert seen == []


def test_an_exception_refuses_with_500_and_is_logged(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    @app.on_connect
    async def connect(client: Client) -> None:
        raise LookupError("no such thing")

    with serving(app) as server:
        with pytest.raises(RefusedError) as error:
            server.connect()
        assert error.value.status == 500
        assert b"no such thing" not in error.value.answer
    assert "no such thing" in caplog.text


def test_who_is_not_decided_over_in_time_gets_503(app: App) -> None:
    @app.on_connect
    async def connect(client: Client) -> None:
        await asyncio.Event().wait()

    with serving(app, APP_CONNECT_TIME="0.1") as server:
        with pytest.raises(RefusedError) as error:
            server.connect()
        assert error.value.status == 503


def test_a_client_that_goes_away_while_it_is_decided_over_ends_that(app: App, seen: Seen) -> None:
    @app.on_connect
    async def connect(client: Client) -> None:
        seen.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    with serving(app) as server:
        plug = dial(server.address)
        plug.sendall(request(server.address))
        seen.wait(1)
        plug.close()
        seen.wait(2)
        wait_until(lambda: server.process.service.metrics.upgraded == 0)
        assert server.process.run(app.gateway.get_all_client_id_count()) == 0


def test_what_on_connect_sets_holds_from_the_acceptance_on(app: App) -> None:
    @app.on_connect
    async def connect(client: Client) -> None:
        await client.bind("alice", 2)
        await client.join("room")
        await client.join("hall")
        client.session["since"] = 1
        await client.send("welcome")
        assert (client.uid, client.utype) == ("alice", "2")
        assert client.groups == ("room", "hall")
        assert not await app.gateway.is_online(client.id)

    with serving(app) as server, server.connect() as browser:
        assert browser.message() == b"welcome"
        run, gateway = server.process.run, app.gateway
        (client_id,) = run(gateway.get_client_id_by_uid("alice", 2))
        assert run(gateway.get_client_id_list_by_group("room")) == [client_id]
        assert run(gateway.get_session(client_id)) == {"since": 1}
        assert run(gateway.send_to_group("hall", "hi")).delivered == 1
        assert browser.message() == b"hi"


def test_messages_sent_before_the_acceptance_are_bounded(app: App, seen: Seen) -> None:
    @app.on_connect
    async def connect(client: Client) -> None:
        for _ in range(2000):
            await client.send("x")

    with serving(app) as server, pytest.raises(RefusedError, match="500"):
        server.connect()


def test_what_a_client_sends_before_it_is_accepted_is_not_lost(app: App, seen: Seen) -> None:
    let_go = threading.Event()

    @app.on_connect
    async def connect(client: Client) -> None:
        await asyncio.to_thread(let_go.wait, 10)

    echo(app)
    with serving(app) as server:
        plug = dial(server.address)
        plug.sendall(request(server.address) + encoded(TEXT, b"eager"))
        plug.sendall(encoded(TEXT, b"beaver"))
        let_go.set()
        browser = Browser(plug)
        browser.read_head()
        assert [browser.message(), browser.message()] == [b"eager", b"beaver"]
        browser.disconnect()


# --- closing ------------------------------------------------------------------------------------


def test_on_close_comes_last_with_the_reason_and_the_session(app: App, seen: Seen) -> None:
    @app.on_message
    async def message(client: Client, data: str) -> None:
        client.session["last"] = data
        await client.join("room")
        await client.bind("alice")

    @app.on_close
    async def closed(client: Client, reason: Close) -> None:
        seen.append((reason, dict(client.session), client.uid, client.groups))
        seen.append((await client.send("gone?"), await client.join("hall"), await client.close()))
        seen.append(await app.gateway.get_client_id_by_uid("alice"))

    with serving(app) as server, server.connect() as browser:
        browser.send_raw(
            encoded(TEXT, b"one") + encoded(TEXT, b"two") + encoded(CLOSE, b"\x0f\xa0bye")
        )
        seen.wait(3)
    assert seen[0] == (Close(4000, "bye"), {"last": "two"}, None, ()) or seen[0] == (
        Close(4000, "bye"),
        {"last": "two"},
        "alice",
        ("room",),
    )
    assert seen[1:] == [(False, False, False), []]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda browser: browser.disconnect(), Close(1006, "connection lost")),
        (lambda browser: browser.send_frame(TEXT, b"\xff"), Close(1007, "invalid UTF-8")),
    ],
)
def test_each_end_has_its_reason(
    app: App, seen: Seen, end: Callable[[Browser], None], reason: Close
) -> None:
    app.on_close(lambda _, reason: seen.append(reason))
    with serving(app) as server, server.connect() as browser:
        browser.settle()
        end(browser)
        assert seen.wait(1) == [reason]


def test_a_handler_closes_its_client_behind_a_last_message(app: App) -> None:
    @app.on_message
    async def message(client: Client, data: str) -> None:
        await client.send("before")
        assert await client.close("bye", code=4001, reason="enough")
        assert not await client.send("after")

    with serving(app) as server, server.connect() as browser:
        browser.send_text("x")
        assert [browser.message(), browser.message()] == [b"before", b"bye"]
        assert browser.receive() == (CLOSE, (4001).to_bytes(2) + b"enough")


# --- plain functions ----------------------------------------------------------------------------


def test_plain_functions_have_all_verbs_in_sync(app: App, seen: Seen) -> None:
    @app.on_message
    def message(client: Client, data: str) -> None:
        seen.append(threading.current_thread() is not threading.main_thread())
        client.sync.bind("alice")
        client.sync.join("room")
        seen.append(app.gateway.sync.send_to_uid("alice", "by uid").delivered)
        seen.append(app.gateway.sync.get_uid_list_by_group("room"))
        with pytest.raises(BadNameError):
            client.sync.join("")
        client.sync.leave("room")
        client.sync.unbind()
        seen.append((client.uid, client.groups))
        client.sync.close("bye")

    with serving(app) as server, server.connect() as browser:
        browser.send_text("go")
        assert [browser.message(), browser.message()] == [b"by uid", b"bye"]
    assert seen == [True, 1, ["alice"], (None, ())]


def test_sync_in_the_loop_is_refused_at_once(app: App, seen: Seen) -> None:
    @app.on_message
    async def message(client: Client, data: str) -> None:
        with pytest.raises(AppError, match="await"):
            client.sync.send("x")
        with pytest.raises(AppError, match="await"):
            app.gateway.sync.is_online(client.id)
        await client.send("refused")

    with serving(app) as server, server.connect() as browser:
        browser.send_text("go")
        assert browser.message() == b"refused"


def test_sync_waits_no_longer_than_its_deadline(app: App, seen: Seen) -> None:
    in_hand, blocked, let_go = threading.Event(), threading.Event(), threading.Event()

    @app.on_message
    def message(client: Client, data: str) -> None:
        in_hand.set()
        assert blocked.wait(10)
        with pytest.raises(DeadlineError):
            client.sync.send("x")
        let_go.set()
        seen.append("late")

    async def block() -> None:
        blocked.set()
        assert let_go.wait(10)

    with serving(app, APP_SYNC_TIMEOUT="0.1") as server, server.connect() as browser:
        browser.send_text("go")
        assert in_hand.wait(10)
        server.process.run(block())
        seen.wait(1)


# --- start and stop -----------------------------------------------------------------------------


def test_it_starts_before_a_port_is_open_and_stops_after_the_last_client(
    app: App, seen: Seen
) -> None:
    @app.on_start
    async def start() -> None:
        seen.append(("start", await app.gateway.get_all_client_id_count()))

    @app.on_close
    async def closed(client: Client, reason: Close) -> None:
        seen.append(("closed", reason.code))

    @app.on_stop
    def stop() -> None:
        seen.append(("stop", app.gateway.sync.get_all_client_id_count()))

    with serving(app) as server, server.connect() as browser:
        browser.settle()
        assert seen == [("start", 0)]
        draining = server.process.begin(server.process.service.drain())
        assert browser.close_code() == 3001
        browser.disconnect()
        draining.result(10)
    assert seen == [("start", 0), ("closed", 3001), ("stop", 0)]


def test_a_server_whose_on_start_raises_does_not_start(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    @app.on_start
    def start() -> None:
        raise LookupError("no database")

    with pytest.raises(AppError, match="no database"), serving(app):
        pass
    assert "no database" in caplog.text


def test_handlers_that_hang_do_not_hold_up_the_end(app: App, seen: Seen) -> None:
    hanging = threading.Event()

    @app.on_message
    async def message(client: Client, data: str) -> None:
        hanging.set()
        await asyncio.Event().wait()

    @app.on_stop
    async def stop() -> None:
        seen.append("stop")
        await asyncio.Event().wait()

    with serving(app, SHUTDOWN_TIME="0.5") as server, server.connect() as browser:
        browser.send_text("x")
        assert hanging.wait(10)
        draining = server.process.begin(server.process.service.drain())
        browser.close_code()
        browser.disconnect()
        draining.result(3)
        server.process.settle()
        assert server.process.tasks() == 0
    assert seen == ["stop"]


def test_timers_run_from_the_start_to_the_stop(app: App, seen: Seen) -> None:
    @app.every(0.01)
    def tick() -> None:
        seen.append(app.gateway.sync.get_all_client_id_count())
        raise LookupError("noted")

    with serving(app) as server, server.connect() as browser:
        browser.settle()
        wait_until(lambda: seen[-1:] == [1])
        wait_until(lambda: server.process.service.metrics.app_errors["timer"] > 0)
        server.process.run(server.process.service.drain())
        last = len(seen)
        time.sleep(0.1)
        assert len(seen) == last


def test_the_gateway_says_that_it_is_not_running_yet(app: App) -> None:
    with pytest.raises(AppError, match="not running"):
        asyncio.run(app.gateway.send_to_all("x"))


# --- logins -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["open", "token"])
def test_with_a_login_the_app_sees_what_follows_it(app: App, seen: Seen, mode: str) -> None:
    @app.on_message
    async def message(client: Client, data: str) -> None:
        seen.append((client.uid, data))

    secret = "s3cret"
    with serving(app, AUTH_MODE=mode, AUTH_SECRET=secret) as server, server.connect() as browser:
        browser.send_frame(BINARY, b"too early")
        login(browser, "alice", secret if mode == "token" else "")
        browser.send_text("hello")
        seen.wait(1)
        assert server.process.service.metrics.logins == 1
    assert seen == [("alice", "hello")]


def login(browser: Browser, uid: str, secret: str) -> None:
    from pushline.codecs.login import encode

    browser.send_text(encode(uid, "0", secret) if secret else uid)


def test_a_uid_from_on_connect_is_as_good_as_a_login(app: App, seen: Seen) -> None:
    @app.on_connect
    async def connect(client: Client) -> None:
        await client.bind(client.request.cookies["sid"])

    echo(app)
    settings = {"AUTH_MODE": "token", "AUTH_SECRET": "s3cret", "AUTH_TIMEOUT": "0.1"}
    with serving(app, **settings) as server, server.connect(Cookie="sid=alice") as browser:
        browser.send_text("hello")
        assert browser.message() == b"hello"
        time.sleep(0.5)  # past auth.timeout
        assert server.process.run(app.gateway.send_to_uid("alice", "still")).delivered == 1
        assert browser.message() == b"still"


def test_with_an_app_in_charge_there_is_no_time_for_a_login(app: App) -> None:
    echo(app)
    with serving(app, AUTH_TIMEOUT="0.05") as server, server.connect() as browser:
        time.sleep(0.4)
        browser.send_text("here")
        assert browser.message() == b"here"


# --- watching -----------------------------------------------------------------------------------


def test_a_handler_that_takes_long_is_logged_once_and_shows_in_the_metrics(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    let_go, hanging = threading.Event(), threading.Event()

    @app.on_message
    async def message(client: Client, data: str) -> None:
        hanging.set()
        await asyncio.to_thread(let_go.wait, 10)

    with serving(app, APP_SLOW="0.1") as server, server.connect() as browser:
        browser.send_text("x")
        assert hanging.wait(10)
        wait_until(lambda: "takes long" in caplog.text)
        text = server.process.call(server.process.service.metrics_text)
        assert "\npushline_app_handlers 1\n" in text
        (client_id,) = server.process.run(app.gateway.get_all_client_id_list())
        let_go.set()
        wait_until(lambda: not server.process.call(lambda: len(desk_of(server))))
    assert caplog.text.count("takes long") == 1
    assert client_id in caplog.text

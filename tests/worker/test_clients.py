"""What an App gets of its clients' events, and what goes back to their gateway."""

import asyncio
import threading
from typing import Any
from unittest.mock import ANY

import pytest

from pushline import App, AppError, Client, Close, HttpError
from pushline.codecs.gateway_frames import BINARY, OURS, PLAIN, Cmd
from pushline.codecs.php_serialize import dumps
from pushline.commands import (
    GroupsOfClient,
    IsOnline,
    JoinGroup,
    Kick,
    SendToClient,
    SerializedSession,
    SetSession,
    UidOfClient,
)
from pushline.errors import BadNameError, UnavailableError, UnsupportedError
from pushline.messages import GATEWAY_LOST, INTERNAL_ERROR, NO_STATUS
from tests.worker.gateways import until
from tests.worker.world import CLIENT, World, event, request, serving

Notes = list[object]


def echo(app: App, notes: Notes) -> None:
    """Have the app note all that happens, and send messages back."""

    @app.on_connect
    async def connected(client: Client) -> None:
        notes.append(("connect", client.request.path))

    @app.on_message
    async def said(client: Client, data: str | bytes) -> None:
        notes.append(data)
        await client.send(data)

    @app.on_close
    async def closed(client: Client, reason: Close) -> None:
        notes.append(reason)


def with_echo() -> tuple[App, Notes]:
    app = App()
    notes: Notes = []
    echo(app, notes)
    return app, notes


class Caller(World):
    """One client that is there, to call its verbs."""

    client: Client

    async def come(self) -> None:
        self.connect()
        await self.settle()
        self.client = self.clients._inboxes[1].client


async def caller(app: App | None = None) -> Caller:
    world = Caller(app or App())
    await world.come()
    return world


# --- events -------------------------------------------------------------------------------------


async def test_a_client_comes_says_something_and_goes() -> None:
    app, notes = with_echo()
    async with serving(app) as world:
        world.connect(target="/room?x=1")
        world.say("hi")
        world.say(b"\x00\xff")
        assert len(world.clients) == 1
        world.leave()
        assert len(world.clients) == 0
        await world.settle()
        assert notes == [("connect", "/room"), "hi", b"\x00\xff", NO_STATUS]
        assert world.line.said == []  # it had left already when its messages were handled


async def test_what_is_sent_is_text_or_marked_as_binary() -> None:
    app, _ = with_echo()
    async with serving(app) as world:
        world.connect()
        world.say("hi")
        world.say(b"\x00\xff")
        await world.settle()
        sent = [(frame.flag, frame.connection_id, frame.body) for frame in world.line.sent]
        assert sent == [(PLAIN, 1, b"hi"), (PLAIN | BINARY, 1, b"\x00\xff")]


@pytest.mark.parametrize(
    ("flag", "body", "data"),
    [
        (PLAIN, b"caf\xc3\xa9", "caf\xe9"),
        (PLAIN, b"\xff", b"\xff"),
        (PLAIN | BINARY, b"text", b"text"),
        (PLAIN | OURS, b"text", "text"),
        (PLAIN, b"", ""),
    ],
)
async def test_a_message_is_text_unless_it_is_marked_or_cannot_be(
    flag: int, body: bytes, data: str | bytes
) -> None:
    app, notes = with_echo()
    async with serving(app) as world:
        world.connect()
        world.take(Cmd.MESSAGE, flag=flag, body=body)
        await world.settle()
        assert notes[1:] == [data]


async def test_no_message_is_handled_before_the_client_is_let_in() -> None:
    app, notes = App(), []
    let_in = asyncio.Event()

    @app.on_connect
    async def connected(client: Client) -> None:
        await let_in.wait()
        notes.append("let in")

    @app.on_message
    async def said(client: Client, data: str) -> None:
        notes.append(data)

    async with serving(app) as world:
        world.connect()
        world.say("hi")
        await asyncio.sleep(0)
        assert notes == []
        let_in.set()
        await world.settle()
        assert notes == ["let in", "hi"]


async def test_one_that_came_over_from_another_worker_is_not_new() -> None:
    app, notes = with_echo()
    async with serving(app) as world:
        world.say("hi")
        world.say("again")
        world.leave(number=2)
        await world.settle()
        assert notes == ["hi", "again", NO_STATUS]


async def test_one_that_came_over_before_it_was_open_is_new() -> None:
    app, notes = with_echo()
    async with serving(app) as world:
        world.take(Cmd.WEBSOCKET_CONNECT, body=request("/here"))
        await world.settle()
        assert notes == [("connect", "/here")]


async def test_one_without_a_websocket_is_new_with_its_first_message() -> None:
    app, notes = with_echo()
    async with serving(app) as world:
        world.take(Cmd.CONNECT)
        world.say("hi")
        world.say("again")
        await world.settle()
        assert notes == [("connect", ""), "hi", "again"]


async def test_one_that_never_was_open_leaves_without_a_word() -> None:
    app, notes = with_echo()
    async with serving(app) as world:
        world.take(Cmd.CONNECT)
        assert len(world.clients) == 1
        world.leave()
        assert len(world.clients) == 0
        await world.settle()
        assert notes == []


@pytest.mark.parametrize("cmd", [Cmd.CONNECT, Cmd.WEBSOCKET_CONNECT])
async def test_a_number_that_is_given_again_has_lost_its_client(cmd: Cmd) -> None:
    app, notes = with_echo()
    async with serving(app) as world:
        world.connect()
        world.take(cmd, body=request("/new") if cmd == Cmd.WEBSOCKET_CONNECT else b"")
        world.say("hi")
        await world.settle()
        assert NO_STATUS in notes
        assert len(world.clients) == 1


async def test_pings_and_unknown_events_are_nothing() -> None:
    app, notes = with_echo()
    async with serving(app) as world:
        world.take(Cmd.PING, number=0)
        world.take(99, number=0)
        await world.settle()
        assert notes == []
        assert len(world.clients) == 0


async def test_a_link_that_is_lost_takes_its_clients_with_it() -> None:
    app, notes = with_echo()
    async with serving(app) as world:
        world.connect()
        world.take(Cmd.CONNECT, number=2)
        world.clients.lose()
        await world.settle()
        assert notes == [("connect", "/"), GATEWAY_LOST]
        assert len(world.clients) == 0


async def test_an_app_without_handlers_is_no_harm() -> None:
    async with serving(App()) as world:
        world.connect()
        world.say("hi", session=dumps({"a": 1}))
        world.leave()
        await world.settle()
        assert world.line.written == []


async def test_plain_handlers_work_in_threads_and_speak_by_sync() -> None:
    app, notes = App(), []

    @app.on_message
    def said(client: Client, data: str) -> None:
        notes.append(threading.current_thread() is threading.main_thread())
        client.session["said"] = data
        client.sync.send(data.upper())

    async with serving(app) as world:
        world.connect()
        world.say("hi")
        await world.settle()
        assert notes == [False]
        assert world.line.said == [
            ("SEND_TO_ONE", b"", b"HI"),
            ("SET_SESSION", dumps({"said": "hi"}), b""),
        ]


# --- the request --------------------------------------------------------------------------------


async def test_the_request_is_that_of_the_event() -> None:
    app, notes = App(), []

    @app.on_connect
    async def connected(client: Client) -> None:
        notes.append(client.request)

    async with serving(app) as world:
        world.connect(
            target="/a%20b?token=abc&x=1&x=2",
            HTTP_COOKIE="sid=42; b=2",
            HTTP_USER_AGENT="caf\xe9".encode("latin-1"),
            HTTP_X_NAME="caf\xe9",
        )
        await world.settle()
    (request_,) = notes
    assert request_.path == "/a b"
    assert request_.query == {"token": "abc", "x": "2"}
    assert request_.cookies == {"sid": "42", "b": "2"}
    assert request_.headers["user-agent"] == "caf\xe9"
    assert request_.headers["x-name"] == "caf\xe9".encode().decode("latin-1")
    assert str(request_.address) == "127.0.0.1:41748"


@pytest.mark.parametrize("body", [b"", b"N;", b'O:3:"Foo":0:{}', dumps({"server": 5})])
async def test_a_request_that_cannot_be_read_is_empty(body: bytes) -> None:
    app, notes = with_echo()
    async with serving(app) as world:
        world.take(Cmd.WEBSOCKET_CONNECT, body=body)
        await world.settle()
        assert notes == [("connect", "")]


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "ext"),
    [
        (HttpError(403, "members only"), b'{"code":3503,"reason":"members only"}'),
        (HttpError(403, "x" * 200), b'{"code":3503,"reason":"%b"}' % (b"x" * 119)),
        (HttpError(403, "\u20ac" * 50), b'{"code":3503,"reason":"%b"}' % ("\u20ac" * 39).encode()),
        (BadNameError("no name"), b'{"code":3501,"reason":"no name"}'),
        (
            ZeroDivisionError(),
            b'{"code":%d,"reason":"%b"}' % (INTERNAL_ERROR.code, INTERNAL_ERROR.reason.encode()),
        ),
    ],
)
async def test_who_is_refused_is_closed_and_nothing_of_it_is_handled(
    error: Exception, ext: bytes
) -> None:
    app, notes = with_echo()
    app.handlers.pop("on_connect")

    @app.on_connect
    async def connected(client: Client) -> None:
        raise error

    async with serving(app) as world:
        world.connect()
        world.say("hi")
        await world.settle()
        world.say("hi")
        world.leave()
        await world.settle()
        assert notes == []
        assert world.line.said == [("KICK", ext, b"N;")]
        assert world.metrics.app_errors["on_connect"] == isinstance(error, ZeroDivisionError)


# --- the session --------------------------------------------------------------------------------


async def test_a_session_comes_with_each_event_and_goes_back_behind_what_was_sent() -> None:
    app = App()

    @app.on_message
    async def said(client: Client, data: str) -> None:
        if data == "count":
            client.session["hits"] = client.session.get("hits", 0) + 1
        await client.send(data)

    async with serving(app) as world:
        world.connect()
        for text in ("count", "hi", "count"):  # all under way before the first was handled
            world.say(text)
        await world.settle()
        world.line.answers = {SerializedSession: dumps({"hits": 7})}
        world.say("count", session=dumps({"hits": 7}))
        await world.settle()
        assert [part for part in world.line.said if part[0] == "SET_SESSION"] == [
            ("SET_SESSION", dumps({"hits": hits}), b"") for hits in (1, 2, 8)
        ]
        assert world.line.said[0] == ("SEND_TO_ONE", b"", b"count")


async def test_a_handler_works_with_the_session_of_its_own_event() -> None:
    app, notes = App(), []

    @app.on_message
    async def said(client: Client, data: str) -> None:
        notes.append((data, client.session.get("n")))

    @app.on_close
    async def closed(client: Client, reason: Close) -> None:
        notes.append(("end", client.session.get("n")))

    async with serving(app) as world:
        world.connect()
        for number in range(3):
            world.say(str(number), session=dumps({"n": number}))
        world.leave(session=dumps({"n": "last"}))
        await world.settle()
        assert notes == [("0", 0), ("1", 1), ("2", 2), ("end", "last")]


async def test_an_unreadable_session_is_the_handlers_error_and_stays() -> None:
    app, notes = App(), []

    @app.on_message
    async def said(client: Client, data: str) -> None:
        with pytest.raises(AppError, match="an object"):
            client.session["x"] = 1
        notes.append(data)

    async with serving(app) as world:
        world.connect()
        world.say("hi", session=b'a:1:{i:0;O:3:"Foo":0:{}}')
        await world.settle()
        assert notes == ["hi"]
        assert world.line.said == []


async def test_a_session_that_cannot_be_kept_is_logged_and_the_next_event_is_handled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, notes = App(), []

    @app.on_message
    async def said(client: Client, data: str) -> None:
        client.session["x"] = object()
        notes.append(data)

    async with serving(app) as world:
        world.connect()
        world.say("one")
        world.say("two")
        await world.settle()
        assert notes == ["one", "two"]
        assert world.metrics.app_errors["session"] == 2
        assert "session failed" in caplog.text
        assert world.line.said == []


async def test_a_handler_that_raises_has_changed_the_session_too() -> None:
    app = App()

    @app.on_message
    async def said(client: Client, data: str) -> None:
        client.session["said"] = data
        raise ZeroDivisionError

    async with serving(app) as world:
        world.connect()
        world.say("hi")
        await world.settle()
        assert world.line.said == [("SET_SESSION", dumps({"said": "hi"}), b"")]


async def test_another_clients_handler_changes_a_session() -> None:
    app = App()
    clients: dict[str, Client] = {}

    @app.on_connect
    async def connected(client: Client) -> None:
        clients[client.request.path] = client

    @app.on_message
    async def said(client: Client, data: str) -> None:
        if data == "hi":
            await client.send(data)
        else:
            clients[data].session["by"] = client.request.path

    async with serving(app) as world:
        world.connect(1, "/ann")
        world.connect(2, "/bob")
        await world.settle()
        world.say("/bob", 1)
        world.say("hi", 1)
        await world.settle()
        assert [frame.connection_id for frame in world.line.sent] == [2, 1]
        assert world.line.said == [
            ("SET_SESSION", dumps({"by": "/ann"}), b""),
            ("SEND_TO_ONE", b"", b"hi"),
        ]


async def test_what_a_task_changes_goes_back_at_once() -> None:
    world = await caller()
    world.client.session["later"] = 1
    assert world.line.said == []  # it is not known yet that it was changed
    await asyncio.sleep(0)
    assert world.line.said == [("SET_SESSION", dumps({"later": 1}), b"")]


@pytest.mark.parametrize("at_the_end", [False, True])
async def test_what_a_thread_changes_goes_back_soon_and_at_the_end(at_the_end: bool) -> None:
    """It may take its time between asking for the session and changing it."""
    world = await caller()
    asked_for, may_change = threading.Event(), threading.Event()

    def change() -> None:
        session = world.client.session
        asked_for.set()
        may_change.wait()
        session["later"] = 1

    changing = asyncio.create_task(asyncio.to_thread(change))
    await asyncio.to_thread(asked_for.wait)
    world.clients._inboxes[1]._peer.keep_session()  # too early
    may_change.set()
    await changing
    if at_the_end:
        world.write_back.finish()
    else:
        await until(lambda: world.line.said)
    assert world.line.said == [("SET_SESSION", dumps({"later": 1}), b"")]


async def test_what_is_changed_while_its_own_handler_is_at_work_goes_back_behind_that() -> None:
    app = App()
    may_go_on = asyncio.Event()

    @app.on_message
    async def said(client: Client, data: str) -> None:
        session = client.session
        await may_go_on.wait()
        session["own"] = 1

    world = await caller(app)
    world.say("hi")
    world.client.session["before"] = 1
    for _ in range(3):
        await asyncio.sleep(0)
    assert world.line.said == []
    may_go_on.set()
    await world.settle()
    assert world.line.said == [("SET_SESSION", dumps({"before": 1, "own": 1}), b"")]


async def test_what_a_task_changes_is_newer_than_what_has_come_before() -> None:
    world = await caller()
    world.say("hi", session=dumps({"name": "Bob"}))
    world.client.session["later"] = 1
    await world.settle()
    assert world.line.said == [("SET_SESSION", dumps({"later": 1}), b"")]
    assert world.client.session == {"later": 1}


async def test_what_a_task_makes_of_a_session_that_cannot_be_kept_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = await caller()
    world.client.session["lock"] = threading.Lock()
    await asyncio.sleep(0)
    assert (world.metrics.app_errors["session"], world.line.said) == (1, [])
    assert f"session failed: {world.client!r}" in caplog.text


class Busy(dict[str, object]):
    """A thread changes it whenever it is gone through, until it `rests`."""

    rests = False

    def items(self) -> Any:
        if not self.rests:
            raise RuntimeError("dictionary changed size during iteration")
        return super().items()


async def test_a_session_that_a_thread_changes_right_now_is_tried_again() -> None:
    world = await caller()
    world.client.session["deep"] = busy = Busy(x=1)
    await asyncio.sleep(0)
    assert world.line.said == []
    busy.rests = True
    await until(lambda: world.line.said)
    assert world.line.said == [("SET_SESSION", dumps({"deep": {"x": 1}}), b"")]
    assert world.metrics.app_errors["session"] == 0


# --- what others set ----------------------------------------------------------------------------


async def resettable() -> tuple[Caller, Notes]:
    """A client whose handler has said Ann, where nothing was set before."""
    app, notes = App(), []

    @app.on_message
    async def said(client: Client, data: str) -> None:
        notes.append(client.session.get("name"))
        client.session.setdefault("name", "Ann")

    world = await caller(app)
    world.say("hi")
    await world.settle()
    return world, notes


async def test_a_session_that_others_have_set_back_is_that_of_the_next_message() -> None:
    world, notes = await resettable()
    world.line.answers = {SerializedSession: dumps({})}
    world.say("hi", session=b"")
    await world.settle()
    assert notes == [None, None]


async def test_a_session_that_is_changed_while_the_gateway_is_asked_stays_so() -> None:
    world, notes = await resettable()
    world.line.answers = {SerializedSession: dumps({})}
    world.line.may_answer.clear()
    world.say("hi")
    for _ in range(3):
        await asyncio.sleep(0)
    world.client.session["name"] = "Bob"
    world.line.may_answer.set()
    await world.settle()
    assert notes == [None, "Bob"]


@pytest.mark.parametrize("answer", [None, UnavailableError("gone")])
async def test_a_gateway_that_says_nothing_of_a_session_changes_nothing(answer: object) -> None:
    world, notes = await resettable()
    world.line.answers = {SerializedSession: answer}
    world.say("hi")
    await world.settle()
    assert notes == [None, "Ann"]


async def test_of_one_that_is_gone_no_session_is_asked_for() -> None:
    world, _ = await resettable()
    world.line.answers = {SerializedSession: dumps({"name": "Bob"})}
    world.leave()
    await world.settle()
    assert world.client.session == {"name": "Ann"}


# --- a client's verbs ---------------------------------------------------------------------------


async def test_its_verbs_go_out_at_once_in_their_order_as_php_sends_them() -> None:
    world = await caller()
    client = world.client
    assert client.id == CLIENT
    assert await client.bind(42)
    assert await client.join("a")
    assert await client.join("b")
    assert await client.leave("a")
    assert (client.uid, client.utype, client.groups) == ("42", "0", ("b",))
    assert await client.unbind()
    assert (client.uid, client.utype) == (None, None)
    assert await client.send("hi")
    assert await client.close("bye", code=3000, reason="later")
    assert world.line.said == [
        ("BIND_UID", b"42", b""),
        ("JOIN_GROUP", b"a", b""),
        ("JOIN_GROUP", b"b", b""),
        ("LEAVE_GROUP", b"a", b""),
        ("UNBIND_UID", b"", b""),
        ("SEND_TO_ONE", b"", b"hi"),
        ("KICK", b'{"code":3000,"reason":"later"}', b"bye"),
    ]
    assert {frame.connection_id for frame in world.line.sent} == {1}


async def test_of_one_that_is_gone_nothing_is_asked_and_its_verbs_say_so() -> None:
    world = await caller()
    client = world.client
    assert await client.close()
    world.line.written.clear()
    assert not await client.send("hi")
    assert not await client.close()
    assert not await client.join("a")
    assert not await client.leave("a")
    assert not await client.bind(1)
    assert not await client.unbind()
    assert (client.uid, client.groups, world.line.said) == (None, (), [])


async def test_only_the_uid_that_is_named_is_unbound() -> None:
    world = await caller()
    await world.client.bind("ann")
    await world.client.unbind("bob")
    assert world.client.uid == "ann"
    await world.client.unbind("ann")
    assert world.client.uid is None
    assert [part[1] for part in world.line.said[1:]] == [b"bob", b"ann"]


async def test_what_the_wire_does_not_have_is_refused() -> None:
    world = await caller()
    for call in (
        world.client.bind(1, utype=2),
        world.client.bind("0"),
        world.client.join("0"),
        world.client.leave("0"),
    ):
        with pytest.raises(UnsupportedError):
            await call
    assert (world.client.uid, world.line.said) == (None, [])


async def test_who_closed_a_client_knows_with_what() -> None:
    app, notes = with_echo()
    world = await caller(app)
    await world.client.close(code=3000, reason="later")
    world.say("on its way")
    world.leave()
    await world.settle()
    assert notes[1:] == [Close(3000, "later")]


ANN: dict[type, Any] = {UidOfClient: "ann", GroupsOfClient: ["a", "7"], IsOnline: True}
NOBODY: dict[type, Any] = {UidOfClient: None, GroupsOfClient: [], IsOnline: False}


async def test_refresh_asks_the_gateway() -> None:
    world = await caller()
    world.line.answers = ANN
    assert await world.client.refresh()
    assert (world.client.uid, world.client.groups) == ("ann", ("a", "7"))
    world.line.answers = NOBODY
    assert not await world.client.refresh()
    assert (world.client.uid, world.client.groups) == (None, ())


async def test_what_was_done_while_the_gateway_was_asked_is_not_undone() -> None:
    world = await caller()
    world.line.may_answer.clear()
    world.line.answers = NOBODY
    asking = asyncio.create_task(world.client.refresh())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await world.client.bind("ann")
    world.line.answers = ANN
    world.line.may_answer.set()
    assert await asking
    assert world.client.uid == "ann"


async def test_what_a_link_does_not_take_any_more_is_handed_on() -> None:
    world = await caller()
    world.line.takes_frames = False
    client = world.client
    client.session["a"] = 1
    world.clients._inboxes[1]._peer.keep_session()
    assert await client.send("hi")
    assert await client.join("a")
    assert await client.close(code=3000, reason="later")
    assert world.line.handed_on == [
        SetSession(CLIENT, {"a": 1}),
        SendToClient((CLIENT,), ANY),
        JoinGroup(CLIENT, "a"),
        Kick((CLIENT,), None, Close(3000, "later")),
    ]


# --- a full queue -------------------------------------------------------------------------------


@pytest.mark.parametrize("ours", [True, False])
async def test_a_client_that_says_too_much_is_not_read_from_until_half_is_done(ours: bool) -> None:
    app, notes = App(), []
    may_go_on = asyncio.Semaphore(0)

    @app.on_message
    async def said(client: Client, data: str) -> None:
        await may_go_on.acquire()
        notes.append(data)

    async with serving(app, queue=4) as world:
        world.line.takes_pauses = ours
        world.connect()
        for number in range(5):
            world.say(str(number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        paused = [("PAUSE", b"", b"")] if ours else []
        assert (world.line.said, world.line.paused) == (paused, 0 if ours else 1)
        for _ in range(5):
            may_go_on.release()
        await world.settle()
        assert notes == [*"01234"]
        assert world.line.paused == 0
        assert world.line.said == ([*paused, ("RESUME", b"", b"")] if ours else [])


def test_an_event_is_as_php_sends_it() -> None:
    frame = event(Cmd.MESSAGE, body=b"hi")
    assert (frame.local_ip, frame.local_port, frame.connection_id) == (0x7F000001, 2300, 1)

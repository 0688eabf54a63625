"""One process of a worker among gateways: its links, its end, and what goes over them."""

import asyncio
import gc
import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

import pytest

from pushline import App, Client, Close
from pushline.codecs.gateway_frames import HEAD, Cmd
from pushline.codecs.php_serialize import dumps
from pushline.config import Config, read
from pushline.gatewayworker import link
from pushline.messages import GATEWAY_LOST
from pushline.worker import worker as module
from pushline.worker import write_back
from pushline.worker.worker import Worker
from tests.gatewayworker.recorded import RECORDED, in_life
from tests.worker.gateways import Cluster, Gateway, Wire, cluster, until

KEY = "chat:0"


def configured(among: Cluster, settings: Mapping[str, str]) -> Config:
    """To ask the Register of these; `settings` are environment variables without PUSHLINE_."""
    given = {"REGISTER_JOIN": among.register, **settings}
    return read(None, {f"PUSHLINE_{name}": value for name, value in given.items()}, {})


@asynccontextmanager
async def working(app: App, among: Cluster, **settings: str) -> AsyncIterator[Worker]:
    """`app` among the gateways."""
    worker = Worker(configured(among, settings), app, KEY)
    try:
        await worker.start()
        yield worker
    finally:
        await worker.stop(1)
        worker.end()


def echo() -> tuple[App, list[object]]:
    """An app that notes what happens, and sends messages back."""
    app = App()
    notes: list[object] = []

    @app.on_connect
    async def connected(client: Client) -> None:
        notes.append(client.id)

    @app.on_message
    async def said(client: Client, data: str) -> None:
        notes.append(data)
        await client.send(data)

    @app.on_close
    async def closed(client: Client, reason: Close) -> None:
        notes.append(reason)

    return app, notes


# --- as PHP's -----------------------------------------------------------------------------------


def as_recorded() -> App:
    """What the recorded worker does."""
    app = App()

    @app.on_connect
    async def connected(client: Client) -> None:
        await client.send(json.dumps({"id": client.id}, separators=(",", ":")))

    @app.on_message
    async def said(client: Client, data: str) -> None:
        await client.send(f"echo:{data}")
        if data == "session":
            client.session["hits"] = client.session.get("hits", 0) + 1
            client.session["name"] = "Ann"

    return app


async def test_it_sends_what_phps_worker_sent() -> None:
    greeting, *_ = in_life("worker", "gateway")
    said = json.loads(greeting[HEAD:])
    settings = {"REGISTER_SECRET": said["secret_key"], "GATEWAY_SECRET": said["secret_key"]}
    async with cluster() as among, working(as_recorded(), among, **settings):
        wire = await among.gateways[0].worker()
        assert wire.greeting == {**said, "worker_key": KEY, "pushline": 1}
        expected = wire.bytes
        for sender, data in talk("gateway", "worker"):
            if sender == "gateway":
                wire.write(data)
            elif data != greeting:
                expected += data
                await until(lambda: len(wire.bytes) >= len(expected))  # noqa: B023 - at once
                assert wire.bytes.startswith(expected)
        assert wire.bytes == expected
        (line,) = {*among.lines}
        assert json.loads(line) == json.loads(in_life("worker", "register")[0])


def talk(one: str, other: str) -> Iterator[tuple[str, bytes]]:
    """What the two said to each other in the recorded life, with who said it."""
    for sent in RECORDED["worker"]:
        if {sent["from"], sent["to"]} == {one, other}:
            yield sent["from"], bytes.fromhex(sent["hex"])


# --- gateways come and go -----------------------------------------------------------------------


async def test_it_serves_the_clients_of_all_gateways() -> None:
    app, _ = echo()
    async with cluster(2) as among, working(app, among):
        for gateway in among.gateways:
            wire = await gateway.worker()
            wire.connect()
            wire.say("hi")
            await until(lambda: wire.said() == ["hi"])  # noqa: B023 - at once


async def test_a_gateway_that_comes_later_is_connected_to() -> None:
    app, _ = echo()
    async with cluster(0) as among, working(app, among):
        gateway = await among.add()
        wire = await gateway.worker()
        wire.connect()
        wire.say("hi")
        await until(lambda: wire.said() == ["hi"])


@pytest.mark.parametrize("ours", [True, False])
async def test_the_clients_of_a_gateway_that_is_gone_are_gone(ours: bool) -> None:
    app, notes = echo()
    async with cluster(2, ours=ours) as among, working(app, among):
        gone, stays = among.gateways
        for gateway in among.gateways:
            (await gateway.worker()).connect()
        await until(lambda: len(notes) == 2)
        await among.remove(gone)
        await until(lambda: notes[2:] == [GATEWAY_LOST])
        wire = stays.workers[0]
        wire.say("hi")
        await until(lambda: wire.said() == ["hi"])


async def test_a_gateway_that_comes_back_is_connected_to_again() -> None:
    app, notes = echo()
    async with cluster() as among, working(app, among):
        (gateway,) = among.gateways
        (await gateway.worker()).connect()
        gateway.stop()
        await until(lambda: GATEWAY_LOST in notes)
        await gateway.start()
        wire = await gateway.worker(2)
        wire.connect()
        wire.say("hi")
        await until(lambda: wire.said() == ["hi"])


async def test_without_a_register_it_starts_and_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READY", 0.2)
    app, _ = echo()
    async with cluster() as among:
        address, among.register = among.register, "127.0.0.1:1"
        async with working(app, among):
            assert among.gateways[0].workers == []
        among.register = address


async def test_events_may_come_before_a_link_is_known_to_be_there() -> None:
    app, _ = echo()

    def burst(wire: Wire) -> None:
        wire.connect()
        wire.say("hi")

    async with cluster() as among:
        (gateway,) = among.gateways
        gateway.at_once = burst
        async with working(app, among):
            wire = await gateway.worker()
            await until(lambda: wire.said() == ["hi"])
            wire.say("again")
            await until(lambda: wire.said() == ["hi", "again"])


async def test_a_link_that_is_lost_at_once_is_one_that_was_there() -> None:
    app, notes = echo()

    def burst(wire: Wire) -> None:
        wire.connect()
        wire.writer.transport.close()

    async with cluster() as among:
        (gateway,) = among.gateways
        gateway.at_once = burst
        async with working(app, among):
            await until(lambda: len(notes) >= 2)
            assert notes[1] == GATEWAY_LOST


async def test_pings_are_nothing() -> None:
    app, notes = echo()
    async with cluster() as among, working(app, among):
        wire = await among.gateways[0].worker()
        wire.tell(Cmd.PING, 0)
        wire.connect()
        await until(lambda: len(notes) == 1)


# --- the verbs of its gateway -------------------------------------------------------------------


async def test_verbs_and_clients_go_out_in_the_order_of_the_calls() -> None:
    app = App()

    @app.on_message
    async def said(client: Client, data: str) -> None:
        for number in range(50):
            await client.send(f"{number}")
            await app.gateway.send_to_client(client.id, f"and {number}")

    async with cluster() as among, working(app, among):
        wire = await among.gateways[0].worker()
        wire.connect()
        wire.say("go")
        await until(lambda: len(wire.said()) == 100)
        assert wire.said() == [part for n in range(50) for part in (f"{n}", f"and {n}")]
        assert len(among.gateways[0].wires) == 1


async def test_answers_come_among_the_events() -> None:
    app, answers = App(), []

    @app.on_message
    async def said(client: Client, data: str) -> None:
        answers.append(await app.gateway.is_online(client.id))

    async with cluster() as among, working(app, among):
        (gateway,) = among.gateways
        gateway.answer = b"i:1;"
        wire = await gateway.worker()
        for number in range(1, 11):
            wire.connect(number)
            wire.say("?", number)
        await until(lambda: answers == [True] * 10)


async def test_verbs_work_in_on_start_and_in_on_stop() -> None:
    app, answers = App(), []

    @app.on_start
    async def started() -> None:
        answers.append(await app.gateway.is_online(f"7f000001{gateway.port:04x}00000001"))
        await app.gateway.send_to_all("hello")

    @app.on_stop
    async def stopped() -> None:
        await app.gateway.send_to_all("goodbye")

    async with cluster() as among:
        (gateway,) = among.gateways
        gateway.answer = b"i:1;"
        async with working(app, among):
            assert answers == [True]
        await until(lambda: all(wire.ended for wire in gateway.wires))
    sent = [frame for wire in gateway.wires for frame in wire.frames if frame.cmd == 6]
    assert [frame.body for frame in sent] == [b"hello", b"goodbye"]


@pytest.mark.parametrize("ours", [True, False])
async def test_answers_come_though_a_client_says_more_than_may_wait(ours: bool) -> None:
    """PHP's gateways cannot stop reading one client: then the whole link is paused."""
    app, answers = App(), []

    @app.on_message
    async def said(client: Client, data: str) -> None:
        answers.append(await app.gateway.is_online(client.id))

    async with cluster(ours=ours) as among, working(app, among, APP_QUEUE="2"):
        (gateway,) = among.gateways
        gateway.answer = b"i:1;"
        wire = await gateway.worker()
        wire.connect()
        for _ in range(20):
            wire.say("?")
        await until(lambda: answers == [True] * 20)
        commands = {Cmd(frame.cmd).name for frame in wire.frames}
        assert ({"PAUSE", "RESUME"} <= commands) is ours


async def test_a_full_queue_pauses_the_link_of_a_php_gateway() -> None:
    async with cluster(ours=False) as among, slow(among, APP_QUEUE="2") as (app, worker):
        (gateway,) = among.gateways
        wire = await gateway.worker()
        wire.connect()
        text = "x" * 1000
        for _ in range(20_000):
            wire.say(text)
        await until(lambda: app.begun == [text])
        (line,) = worker._reach.lines.values()
        await until(lambda: line._pauses == 1)
        assert wire.writer.transport.get_write_buffer_size() > 0
        app.may_go_on.set()
        await until(lambda: len(wire.said()) == 20_000)


# --- the end ------------------------------------------------------------------------------------


class Slow:
    """An app whose handlers wait until they `may_go_on`, and then send."""

    def __init__(self) -> None:
        self.app = App()
        self.may_go_on = asyncio.Event()
        self.begun: list[str] = []

        @self.app.on_message
        async def said(client: Client, data: str) -> None:
            self.begun.append(data)
            await self.may_go_on.wait()
            client.session["last"] = data
            await client.send(data)

        @self.app.on_stop
        async def stopped() -> None:
            self.begun.append("stopped")


@asynccontextmanager
async def slow(among: Cluster, **settings: str) -> AsyncIterator[tuple[Slow, Worker]]:
    app = Slow()
    config = configured(among, settings)
    worker = Worker(config, app.app, KEY)
    await worker.start()
    try:
        yield app, worker
    finally:
        app.may_go_on.set()
        worker.end()


def all_said(gateway: Gateway) -> list[str]:
    """What client 1 was sent, over whatever connection."""
    return [text for wire in gateway.wires for text in wire.said()]


async def test_when_another_has_taken_its_place_it_finishes_over_the_same_link() -> None:
    async with cluster() as among, slow(among) as (app, worker):
        (gateway,) = among.gateways
        wire = await gateway.worker()
        wire.connect()
        wire.say("one")
        wire.say("two")
        wire.end()
        await until(lambda: app.begun == ["one"])
        stopping = asyncio.create_task(worker.stop(10))
        app.may_go_on.set()
        await stopping
        assert app.begun == ["one", "two", "stopped"]
        assert wire.said() == ["one", "two"]
        assert [frame.cmd for frame in wire.frames].count(Cmd.SET_SESSION) == 2
        await until(lambda: wire.ended)
        assert len(gateway.wires) == 1


async def test_when_it_stops_it_leaves_a_gateway_of_ours_and_finishes_over_the_same_link() -> None:
    async with cluster() as among, slow(among) as (app, worker):
        (gateway,) = among.gateways
        wire = await gateway.worker()
        wire.connect()
        wire.say("one")
        wire.say("two")
        await until(lambda: app.begun == ["one"])
        stopping = asyncio.create_task(worker.stop(10))
        await until(lambda: wire.frames[-1].cmd == Cmd.LEAVE)
        assert not wire.ended
        app.may_go_on.set()
        await stopping
        assert app.begun == ["one", "two", "stopped"]
        assert wire.said() == ["one", "two"]
        await until(lambda: wire.ended)
        assert len(gateway.wires) == 1


@pytest.mark.parametrize("register", ["there", "gone"])
async def test_when_it_stops_it_ends_links_to_phps_reads_them_and_sends_the_rest_as_a_client(
    register: str,
) -> None:
    async with cluster(ours=False) as among, slow(among) as (app, worker):
        (gateway,) = among.gateways
        wire = await gateway.worker()
        wire.connect()
        wire.say("one")
        await until(lambda: app.begun == ["one"])
        if register == "gone":
            among.lose_register()
        stopping = asyncio.create_task(worker.stop(2))
        await until(lambda: wire.ended)
        app.may_go_on.set()
        await stopping
        assert app.begun == ["one", "stopped"]
        assert wire.said() == []
        await until(lambda: all_said(gateway) == ["one"])
        (spare,) = gateway.wires[1:]
        assert not spare.is_worker
        assert Cmd.SET_SESSION in [frame.cmd for frame in spare.frames]


async def test_sessions_that_change_at_the_end_go_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a thread that has outlived its handler, and by on_stop, which is plain here."""
    monkeypatch.setattr(write_back, "SOON", 60.0)
    app = App()
    clients: list[Client] = []

    @app.on_message
    async def said(client: Client, data: str) -> None:
        clients.append(client)

    @app.on_stop
    def stopped() -> None:
        clients[1].session["by"] = "on_stop"

    def change() -> None:
        clients[0].session["by"] = "thread"

    async with cluster() as among:
        (gateway,) = among.gateways
        async with working(app, among):
            wire = await gateway.worker()
            for number in (1, 2):
                wire.connect(number)
                wire.say("hi", number)
            await until(lambda: len(clients) == 2)
            await asyncio.to_thread(change)
        changed = {1: dumps({"by": "thread"}), 2: dumps({"by": "on_stop"})}
        await until(lambda: gateway.sessions == changed)
        sent = [frame.connection_id for frame in wire.frames if frame.cmd == Cmd.SET_SESSION]
        assert sent == [1]  # the other one has gone another way


async def test_questions_under_way_are_asked_again_when_another_takes_its_place() -> None:
    app, answers = App(), []

    @app.on_message
    async def said(client: Client, data: str) -> None:
        answers.append(await app.gateway.is_online(client.id))

    async with cluster() as among, working(app, among):
        (gateway,) = among.gateways
        wire = await gateway.worker()
        gateway.silent.add(wire)
        wire.connect()
        wire.say("?")
        await until(lambda: wire.frames[-1].cmd == Cmd.IS_ONLINE)
        gateway.answer = b"i:1;"
        wire.end()
        await until(lambda: answers == [True])


async def test_a_process_without_clients_gives_way_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that never sent an event has not shown whether it is Pushline's."""
    monkeypatch.setattr(link, "DOUBT", 0.0)  # else it would be one that refuses the key
    app, _ = echo()
    async with cluster() as among, working(app, among):
        (gateway,) = among.gateways
        wire = await gateway.worker()
        wire.end()
        await until(lambda: [frame.cmd for frame in wire.frames].count(Cmd.PING) == 2)
        assert not wire.ended
    await until(lambda: wire.ended)
    assert len(gateway.wires) == 1


async def test_a_wrong_key_is_said_to_be_one(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = echo()
    async with cluster() as among:
        (gateway,) = among.gateways
        gateway.at_once = lambda wire: wire.writer.close()
        async with working(app, among):
            await until(lambda: "is its key" in caplog.text)


async def test_one_that_is_refused_is_not_said_to_be_connected_again_and_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    app, _ = echo()
    async with cluster() as among:
        (gateway,) = among.gateways
        connected = f"gateway 127.0.0.1:{gateway.port}: connected"
        gateway.at_once = lambda wire: wire.writer.close()
        async with working(app, among):
            await until(lambda: len(gateway.wires) == 2)
            assert caplog.messages.count(connected) == 1  # at first nothing is known yet
            gateway.at_once = None
            await until(lambda: caplog.messages.count(connected) == 2)
            assert gateway.workers
        assert caplog.text.count("is its key") == 1


async def test_a_register_that_hangs_beside_another_is_no_error(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READY", 0.2)
    app, _ = echo()
    with socket.create_server(("127.0.0.1", 0)) as hung:
        for join in ("{there},{hung}", "{gone},{there},{hung}"):
            async with cluster() as among:
                ports = {"hung": f"127.0.0.1:{hung.getsockname()[1]}", "gone": "127.0.0.1:1"}
                joined = join.format(there=among.register, **ports)
                async with working(app, among, REGISTER_JOIN=joined):
                    await among.gateways[0].worker()
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_a_gateway_that_hangs_while_we_leave_is_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ", 0.2)
    app, _ = echo()
    async with cluster() as among, working(app, among):
        wire = await among.gateways[0].worker()
        wire.connect()
        await until(lambda: wire.frames)
        cast(asyncio.Transport, wire.writer.transport).pause_reading()
    hung = f"gateway 127.0.0.1:{among.gateways[0].port}"
    assert f"{hung} does not end its side: what it still sends is lost" in caplog.text


async def test_a_handler_that_does_not_end_is_left_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with cluster() as among, slow(among) as (app, worker):
        wire = await among.gateways[0].worker()
        wire.connect()
        wire.say("one")
        wire.say("two")
        wire.say("three")
        await until(lambda: app.begun == ["one"])
        now = asyncio.get_running_loop().time
        began = now()
        await worker.stop(1)
        assert now() - began < 1.5
        assert app.begun == ["one", "stopped"]
        assert "1 handlers still run, and 2 messages wait for them" in caplog.text


async def test_who_was_to_follow_and_did_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    app, notes = echo()
    async with cluster() as among, working(app, among):
        (gateway,) = among.gateways
        wire = await gateway.worker()
        wire.connect()
        await until(lambda: len(notes) == 1)
        wire.end()
        again = await gateway.worker(2)
        again.say("hi")
        await until(lambda: again.said() == ["hi"])
        assert notes[1:] == ["hi"]  # it was with another for a while, and never gone

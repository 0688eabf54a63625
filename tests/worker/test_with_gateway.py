"""Browsers, a gateway and a worker, all real: what browsers see of it, also while it changes."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pushline.client import GatewayClient
from tests.ports import free_address
from tests.server import Server
from tests.worker.gateways import PATIENCE, until
from tests.worker.supervised import Supervised, write_app

AT_ONCE = 5
"""Messages of one tab that are under way."""
TABS = 8

SLOW = """
import asyncio
@app.on_connect
async def came(client):
    client.session["came"] = True
async def slowly(client, data):
    await asyncio.sleep(0.002)
    assert await app.gateway.is_online(client.id)
    assert client.session["came"]
    client.session["last"] = data
    await client.send(data)
app.handlers["on_message"] = slowly
"""
QUICK = """
async def echo(client, data):
    await client.send(data)
app.handlers["on_message"] = echo
"""


COUNTING = """
import asyncio, random
async def count(client, data):
    await asyncio.sleep(random.random() / 20)
    client.session["n"] = client.session.get("n", 0) + 1
    await client.send(str(client.session["n"] - 1))
app.handlers["on_message"] = count
"""


class Set(NamedTuple):
    """A server that browsers reach at `address`, and the Register of its gateway."""

    server: Server
    address: str
    register: str


@asynccontextmanager
async def gateway(**settings: str) -> AsyncIterator[Set]:
    register = free_address()
    ports = {"GATEWAY_LISTEN": "127.0.0.1:0", "REGISTER_LISTEN": register}
    joined = {"REGISTER_JOIN": register, **settings}
    server = Server(AUTH_MODE="app", **ports, **joined)
    await asyncio.to_thread(server.start)
    try:
        yield Set(server, f"ws://{server.websocket}", register)
    finally:
        server.kill()


class Tab:
    """A browser's tab that counts: it says 0, 1, 2, … and notes what comes back."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._room = asyncio.Semaphore(AT_ONCE)
        self.said = 0
        self.heard: list[str] = []
        self.closed = 0
        """With this code, once it was."""

    async def live(self, stopped: asyncio.Event) -> None:
        """Until then, and until nothing more comes."""
        async with connect(self._address, compression=None, ping_interval=None) as connection:
            listening = asyncio.create_task(self._listen(connection))
            try:
                while not stopped.is_set():
                    async with asyncio.timeout(PATIENCE):
                        await self._room.acquire()
                    await connection.send(str(self.said))
                    self.said += 1
                await until(lambda: len(self.heard) >= self.said or self.closed)
            except ConnectionClosed:
                pass
            await connection.close()
            await listening

    async def _listen(self, connection: ClientConnection) -> None:
        async for message in connection:
            self.heard.append(str(message))
            self._room.release()
        self.closed = connection.close_code or 0


@asynccontextmanager
async def tabs(address: str) -> AsyncIterator[list[Tab]]:
    """They count within, and are done behind it."""
    stopped = asyncio.Event()
    made = [Tab(address) for _ in range(TABS)]
    living = asyncio.gather(*(tab.live(stopped) for tab in made))
    try:
        await until(lambda: all(tab.heard for tab in made))
        yield made
    finally:
        stopped.set()
        await living


async def reload(worker: Supervised) -> None:
    command = worker.reload()
    assert await asyncio.to_thread(command.wait, PATIENCE) == 0
    output, errors = command.communicate()
    assert ("replaced" in output, errors) == (True, "")


async def all_hear_more(made: list[Tab]) -> None:
    """More than was under way: what is new has been said since."""
    counts = [len(tab.heard) + AT_ONCE for tab in made]
    await until(
        lambda: all(len(tab.heard) > count for tab, count in zip(made, counts, strict=True))
    )


# --- changes under load -------------------------------------------------------------------------


@pytest.mark.parametrize("app", [QUICK, SLOW])
async def test_in_a_reload_nothing_is_lost_and_nothing_runs_twice(tmp_path: Path, app: str) -> None:
    write_app(tmp_path, "v1", app)
    async with gateway() as at, Supervised(tmp_path, at.register, "--processes", "2") as worker:
        async with tabs(at.address) as made:
            for _ in range(3):
                await reload(worker)
                await all_hear_more(made)
        for tab in made:
            assert [*map(int, tab.heard)] == [*range(tab.said)]


async def test_a_reload_that_fails_after_it_has_begun_disconnects_nobody(tmp_path: Path) -> None:
    """The new process has taken the clients of one gateway; another gateway answers nothing."""
    write_app(tmp_path, "v1")
    async with gateway() as at, Supervised(tmp_path, at.register, WORKER_START_TIME="2") as worker:
        with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as listing:
            listing.connect(("127.0.0.1", int(at.register.rpartition(":")[2])))
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            hello = {"event": "gateway_connect", "address": address, "secret_key": ""}
            listing.sendall(json.dumps(hello).encode() + b"\n")
            await until(lambda: worker.has_said(f"gateway {address}: connected"))
            async with connect(at.address) as browser:
                before = await answer(browser, "hi")
                command = worker.reload()
                assert await asyncio.to_thread(command.wait, PATIENCE) == 1
                command.communicate()
                assert await answer(browser, "hi") == before


async def test_a_worker_that_stops_and_another_that_starts_lose_nothing(tmp_path: Path) -> None:
    write_app(tmp_path, "v1", SLOW)
    async with gateway(GATEWAY_WORKER_WAIT="20") as at, Supervised(tmp_path, at.register) as first:
        async with tabs(at.address) as made:
            first.signal(signal.SIGTERM)
            assert await first.ended() == 0
            second = Supervised(tmp_path, at.register)
            second.start()
            await all_hear_more(made)
        await second.kill()
        for tab in made:
            assert [*map(int, tab.heard)] == [*range(tab.said)]


async def test_one_of_two_that_stops_finishes_before_the_other_has_its_clients(
    tmp_path: Path,
) -> None:
    """Each answer is how often the session was changed before: in order, and nothing forgotten."""
    write_app(tmp_path, "v1", COUNTING)
    other = {"WORKER_CONTROL": str(tmp_path / "other")}
    async with (
        gateway() as at,
        Supervised(tmp_path, at.register) as first,
        Supervised(tmp_path, at.register, **other),
        tabs(at.address) as made,
    ):
        await all_hear_more(made)
        first.signal(signal.SIGTERM)
        assert await first.ended() == 0
        await all_hear_more(made)
    for tab in made:
        assert [*map(int, tab.heard)] == [*range(tab.said)]


@pytest.mark.parametrize("why", ["key", "register"])
async def test_a_reload_that_reaches_no_gateway_disconnects_nobody(
    tmp_path: Path, why: str
) -> None:
    write_app(tmp_path, "v1")
    settings = tmp_path / "pushline.toml"
    settings.write_text("gateway.secret = 'right'\n")
    register = free_address()
    with Server(REGISTER_LISTEN=register) as there:
        async with (
            gateway(REGISTER_JOIN=register, GATEWAY_SECRET="right") as at,
            Supervised(tmp_path, register, "--config", str(settings)) as worker,
            connect(at.address) as browser,
        ):
            before = await answer(browser, "hi")
            if why == "key":
                settings.write_text("gateway.secret = 'wrong'\n")
            else:
                there.kill()
            command = worker.reload()
            assert await asyncio.to_thread(command.wait, PATIENCE) == 1
            output, _ = command.communicate()
            said = {"key": "is its key", "register": f"register {register} cannot be connected to"}
            assert output.startswith("process 0 stays as it was: ")
            assert said[why] in output
            assert await answer(browser, "hi") == before


async def test_a_reload_that_one_gateway_refuses_loses_nothing_at_the_other(tmp_path: Path) -> None:
    """It is full: only who is in stays in."""
    write_app(tmp_path, "v1", COUNTING)
    async with gateway() as at:
        full = Server(
            AUTH_MODE="app",
            GATEWAY_LISTEN="127.0.0.1:0",
            GATEWAY_CONNECTIONS="1",
            REGISTER_JOIN=at.register,
        )
        with full:
            async with Supervised(tmp_path, at.register) as worker:
                await until(lambda: worker.has_said(f"gateway {full.gateway}: connected"))
                async with tabs(at.address) as made, tabs(f"ws://{full.websocket}") as others:
                    command = worker.reload()
                    assert await asyncio.to_thread(command.wait, PATIENCE) == 1
                    assert "gateway.connections" in command.communicate()[0]
                    await all_hear_more([*made, *others])
    for tab in (*made, *others):
        assert [*map(int, tab.heard)] == [*range(tab.said)]


async def test_a_process_that_is_killed_disconnects_nobody(tmp_path: Path) -> None:
    write_app(tmp_path, "v1", QUICK)
    async with (
        gateway() as at,
        Supervised(tmp_path, at.register, "--processes", "2") as worker,
        connect(at.address) as one,
        connect(at.address) as two,
    ):
        for _ in range(3):
            os.kill(worker.children[0], signal.SIGKILL)
            for browser in (one, two):
                heard = asyncio.create_task(browser.recv())
                while not heard.done():  # what the dead one was handling is lost
                    await browser.send("there?")
                    await asyncio.wait((heard,), timeout=0.2)
                assert heard.result() == "there?"


async def test_a_process_that_hangs_holds_up_its_own_browsers_only_and_not_for_long(
    tmp_path: Path,
) -> None:
    """What had been sent to it is lost, as where one dies; what comes later is not."""
    write_app(
        tmp_path,
        "v1",
        "async def who(client, data):\n    await client.send(str(app.process))\n"
        "app.handlers['on_message'] = who\n",
    )
    settings = {"WORKER_HANG_TIME": "5"}
    async with (
        gateway() as at,
        Supervised(tmp_path, at.register, "--processes", "2", **settings) as worker,
        connect(at.address) as one,
        connect(at.address) as two,
    ):
        places = {int(await answer(browser, "who")): browser for browser in (one, two)}
        pids = {int(line.split("pid ")[1].split(")")[0]) for line in worker.log if "ready" in line}
        assert pids == {*worker.children}
        hung = worker.children[0]
        (index,) = [at for at in places if worker.has_said(f"process {at} (pid {hung})")]
        os.kill(hung, signal.SIGSTOP)
        await places[index].send("who")
        lost = asyncio.create_task(places[index].recv())
        while not worker.has_said(
            f"process {index} (pid {hung}) has given no sign of life for 5 s"
        ):
            assert await answer(places[1 - index], "who") == str(1 - index)
        assert not lost.done()
        await until(lambda: worker.has_said(f"process {index} (pid {hung}) was ended by SIGKILL"))
        await places[index].send("who")
        assert (await lost) in {"0", "1"}
        assert (one.close_code, two.close_code) == (None, None)


# --- the session --------------------------------------------------------------------------------

SHARED = """
import asyncio
clients, tasks = {}, set()
async def later(client):
    await asyncio.sleep(0)
    client.session["by"] = "task"
    await client.send("changed")
def change(client):
    client.session["by"] = "thread"
async def in_a_thread(client):
    await asyncio.to_thread(change, client)
    await client.send("changed")
@app.every(0.01)
async def tick():
    for client in clients.values():
        if client.session.pop("timed", None):
            client.session["by"] = "timer"
            await client.send("changed")
async def said(client, data):
    clients[client.id] = client
    if data == "whom":
        return await client.send(client.id)
    if data == "seen":
        return await client.send(str(client.session.get("by")))
    if data == "task":
        return tasks.add(asyncio.create_task(later(client)))
    if data == "thread":
        return tasks.add(asyncio.create_task(in_a_thread(client)))
    if data == "timer":
        client.session["timed"] = True
        return None
    if data == "own":
        client.session["by"] = "me"
        return await client.send("changed")
    clients[data].session["by"] = "other"
    await client.send("changed")
app.handlers["on_message"] = said
"""


@pytest.mark.parametrize("by", ["other", "task", "timer", "thread"])
async def test_whatever_changes_a_session_a_new_process_knows_it(tmp_path: Path, by: str) -> None:
    write_app(tmp_path, "v1", SHARED)
    async with (
        gateway() as at,
        Supervised(tmp_path, at.register) as worker,
        connect(at.address) as ann,
        connect(at.address) as bob,
    ):
        whom = await answer(ann, "whom")
        if by == "other":
            await answer(bob, "whom")
            assert await answer(bob, whom) == "changed"
        else:
            assert await answer(ann, by) == "changed"
        await reload(worker)
        assert await answer(ann, "seen") == by


async def test_a_session_that_a_back_end_sets_back_is_that_of_the_next_message(
    tmp_path: Path,
) -> None:
    write_app(tmp_path, "v1", SHARED)
    async with (
        gateway() as at,
        Supervised(tmp_path, at.register),
        connect(at.address) as browser,
        connect(at.address) as other,
        GatewayClient(at.register) as back_end,
    ):
        client = str(await answer(browser, "whom"))
        for _ in range(3):
            assert await answer(browser, "own") == "changed"
            await answer(other, "whom")  # which comes behind the session
            assert await back_end.get_session(client) == {"by": "me"}
            await back_end.set_session(client, {})
            assert await back_end.get_session(client) == {}
            assert await answer(browser, "seen") == "None"


# --- what a worker's app can do -----------------------------------------------------------------

ABLE = """
from pushline import HttpError
@app.on_connect
async def came(client):
    if client.request.query.get("key") != "right":
        raise HttpError(403, "members only")
    await client.bind(client.request.query["uid"])
    await client.join("everyone")
@app.on_close
async def left(client, reason):
    await app.gateway.send_to_group("everyone", f"{client.uid} {reason.code}")
async def said(client, data):
    if data == b"binary":
        return await client.send(data[::-1])
    if data == "count":
        client.session["hits"] = client.session.get("hits", 0) + 1
        return await client.send(str(client.session["hits"]))
    if data == "who":
        there = await client.refresh()
        return await client.send(f"{there} {client.uid} {client.groups} {app.process}")
    if data == "go":
        await client.close("bye", code=4000, reason="gone")
app.handlers["on_message"] = said
"""


@asynccontextmanager
async def able(tmp_path: Path) -> AsyncIterator[tuple[str, Supervised]]:
    write_app(tmp_path, "v1", ABLE)
    async with gateway() as at, Supervised(tmp_path, at.register) as worker:
        yield at.address, worker


async def answer(browser: ClientConnection, said: str | bytes) -> str | bytes:
    await browser.send(said)
    return await browser.recv()


async def test_who_is_refused_is_closed(tmp_path: Path) -> None:
    async with able(tmp_path) as (address, _), connect(address) as browser:
        with pytest.raises(ConnectionClosed) as closed:
            await browser.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (3503, "members only")


async def test_what_an_app_does_reaches_browsers(tmp_path: Path) -> None:
    async with (
        able(tmp_path) as (address, _),
        connect(f"{address}/?key=right&uid=ann") as ann,
        connect(f"{address}/?key=right&uid=bob") as bob,
    ):
        assert await answer(ann, b"binary") == b"yranib"
        assert await answer(ann, "who") == "True ann ('everyone',) 0"
        assert [await answer(ann, "count") for _ in range(3)] == ["1", "2", "3"]
        assert await answer(bob, "count") == "1"
        assert await answer(ann, "go") == "bye"
        with pytest.raises(ConnectionClosed) as closed:
            await ann.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "gone")
        assert await bob.recv() == "ann 4000"


async def test_a_new_process_knows_the_session_and_asks_for_the_rest(tmp_path: Path) -> None:
    async with (
        able(tmp_path) as (address, worker),
        connect(f"{address}/?key=right&uid=ann") as ann,
        connect(f"{address}/?key=right&uid=bob") as bob,
    ):
        assert await answer(ann, "count") == "1"
        await reload(worker)
        assert await answer(ann, "count") == "2"
        assert await answer(ann, "who") == "True ann ('everyone',) 0"
        await ann.close()
        assert await bob.recv() == "ann 1005"

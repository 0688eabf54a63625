"""The client, the real server as a process, and browsers: what is pushed is what they get."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pushline.client import AsyncClient, Client
from pushline.client.pushes import MAX_LINE
from pushline.errors import RejectedError, UnavailableError
from tests.client.peer import PATIENCE
from tests.client.tab import browser, received
from tests.server import Server


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server() as running:
        yield running


async def test_a_push_reaches_the_browser_to_the_byte(running: Server) -> None:
    async with browser(running, "uid1") as one, AsyncClient(running.text) as client:
        assert await client.push("uid1", {"percent": "88%", "größe": "✓"})
        assert await received(one) == '{"uid":"uid1","percent":"88%","größe":"✓"}'
        assert await client.push_line('{"t": 1.50,  "uid":"uid1"}\r\n')
        assert await received(one) == '{"t": 1.50,  "uid":"uid1"}'


async def test_it_goes_to_those_named_and_to_nobody_else(running: Server) -> None:
    async with (
        browser(running, 1) as one,
        browser(running, "2") as two,
        browser(running, 1, "shop") as shopper,
        AsyncClient(running.text) as client,
    ):
        assert await client.push([1, "2", "offline"], {"n": 1})
        assert await client.push(2, {"n": 2})
        assert await client.push("1", {"n": 3}, utype="shop")
        assert not await client.push("2", {"n": 4}, utype="shop")
        assert not await client.push("offline", {"n": 5})
        assert await client.push_all({"n": 6})
        assert await client.push_all({"n": 7}, utype="shop")
        assert [json.loads(await received(one))["n"] for _ in range(2)] == [1, 6]
        assert [json.loads(await received(two))["n"] for _ in range(3)] == [1, 2, 6]
        assert [json.loads(await received(shopper))["n"] for _ in range(2)] == [3, 7]


async def test_many_pushes_come_complete_and_in_order(running: Server) -> None:
    count = 5000
    async with browser(running, "many") as many, AsyncClient(running.text) as client:
        answers = asyncio.create_task(client.push_many(("many", {"n": n}) for n in range(count)))
        assert [json.loads(await received(many))["n"] for _ in range(count)] == list(range(count))
        assert await answers == [True] * count


async def test_threads_get_their_own_answers(running: Server) -> None:
    def push(thread: int) -> list[bool]:
        uid = "here" if thread % 2 else "away"
        return [client.push(uid, {"thread": thread, "n": n}) for n in range(200)]

    with Client(running.text, timeout=PATIENCE) as client, ThreadPoolExecutor(20) as threads:
        async with browser(running, "here") as here:
            loop = asyncio.get_running_loop()
            pushed = [loop.run_in_executor(threads, push, thread) for thread in range(20)]
            seen: dict[int, list[int]] = {}
            for _ in range(10 * 200):
                message = json.loads(await received(here))
                seen.setdefault(message["thread"], []).append(message["n"])
            answers = await asyncio.gather(*pushed)
    assert answers == [[bool(thread % 2)] * 200 for thread in range(20)]
    assert seen == {thread: list(range(200)) for thread in range(1, 20, 2)}


async def test_the_longest_line_is_the_servers(running: Server) -> None:
    async with browser(running, "u") as one, AsyncClient(running.text) as client:
        room = MAX_LINE - len('{"uid":"u","t":""}')
        assert await client.push("u", {"t": "x" * room})
        assert len(await received(one)) == MAX_LINE
    async with AsyncClient(running.text, max_line=2 * MAX_LINE) as client:
        with pytest.raises(RejectedError, match=r"no longer than its text.max_line\)"):
            await client.push("u", {"t": "x" * (room + 1)})


async def test_a_server_that_was_killed_and_came_back_is_used_again() -> None:
    with Server() as first, Client(first.text) as client:
        async with browser(first, "u"):
            assert await asyncio.to_thread(client.push, "u", {})
        first.kill()
        for _ in range(3):
            with pytest.raises(UnavailableError, match=first.text):
                await asyncio.to_thread(client.push, "u", {})
        with Server(TEXT_LISTEN=first.text) as second:
            async with browser(second, "u") as one:
                assert await asyncio.to_thread(client.push, "u", {"back": True})
                assert await received(one) == '{"uid":"u","back":true}'


async def test_a_server_that_takes_no_more_connections_is_told_as_a_reason() -> None:
    with Server(TEXT_CONNECTIONS="1") as full, Client(full.text) as first:
        await asyncio.to_thread(first.push_all, {})
        async with AsyncClient(full.text) as second:
            for _ in range(2):
                with pytest.raises(UnavailableError, match=r"before any .* text\.connections"):
                    await second.push_all({})
        assert await asyncio.to_thread(first.push_all, {})


async def test_a_secret_is_asked_for_and_taken() -> None:
    with Server(TEXT_SECRET="s3cret with spaces ✓") as running:
        async with AsyncClient(running.text, secret="s3cret with spaces ✓") as client:
            assert await client.push_all({})
            assert not await client.push("u", {})
        for secret, why in (("", "asks for a secret"), ("s3cret", "does not take the secret")):
            async with AsyncClient(running.text, secret=secret) as client:
                for _ in range(2):
                    with pytest.raises(RejectedError, match=why):
                        await client.push("u", {})
                with pytest.raises(RejectedError, match=why):
                    await client.push_many([("u", {})] * 3000)


async def test_a_secret_that_the_server_does_not_have_is_rejected(running: Server) -> None:
    async with AsyncClient(running.text, secret="s3cret") as client:
        with pytest.raises(RejectedError, match="does not take the secret"):
            await client.push("u", {})

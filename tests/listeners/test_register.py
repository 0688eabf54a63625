"""The Register, by connections to a real one; only its time is in the tests' hands."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from pushline.codecs.register_lines import (
    LONGEST_REQUEST,
    Addresses,
    GatewayConnect,
    Ping,
    WorkerConnect,
    encode,
)
from pushline.config import Limits
from pushline.listeners.register import FEW, PATIENCE, RegisterPeer
from tests.gatewayworker.recorded import in_life
from tests.gatewayworker.registers import SECRET, Peer, Register, gateway, peer, until, worker

A, B, C = "10.0.0.1:2300", "10.0.0.2:2300", "10.0.0.3:2300"


@pytest.fixture
async def register() -> AsyncIterator[Register]:
    async with Register() as register:
        yield register


# --- the list -----------------------------------------------------------------------------------


async def test_the_recorded_life_of_a_worker_goes_as_recorded(register: Register) -> None:
    (gateway_says,), (worker_says,) = in_life("gateway", "register"), in_life("worker", "register")
    (expected,) = in_life("register", "worker")
    async with peer(register.address, gateway_says):
        await until(lambda: register.listener.gateways == ("127.0.0.1:2300",))
        async with peer(register.address, worker_says) as asking:
            assert encode(Addresses(await asking.told())) == expected


async def test_a_worker_is_told_at_once_and_at_each_change(register: Register) -> None:
    async with worker(register) as asking:
        async with gateway(register, A):
            assert await asking.told() == (A,)
            async with gateway(register, B):
                assert await asking.told() == (A, B)
            assert await asking.told() == (A,)
        assert await asking.told() == ()


async def test_all_workers_are_told_and_gateways_nothing(register: Register) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(gateway(register, A))
        asking = [await stack.enter_async_context(worker(register, A)) for _ in range(5)]
        assert register.listener.workers == 5
        await stack.enter_async_context(gateway(register, B))
        assert [await each.told() for each in asking] == [(A, B)] * 5
        first.say(b"no line that is known\n")
        assert await first.ended()
        assert [await each.told() for each in asking] == [(B,)] * 5


async def test_what_changes_in_one_pass_is_told_once(register: Register) -> None:
    async with worker(register) as asking, peer(register.address) as moving:
        moving.say(b"".join(encode(GatewayConnect(each, SECRET)) for each in (A, B, C)))
        assert await asking.told() == (C,)
        moving.say(GatewayConnect(A, SECRET))
        assert await asking.told() == (A,)


async def test_a_worker_that_asks_again_is_answered_again(register: Register) -> None:
    async with gateway(register, A), worker(register, A) as asking:
        asking.say(WorkerConnect(SECRET))
        assert await asking.told() == (A,)
        assert register.listener.workers == 1


async def test_lines_may_come_in_any_pieces(register: Register) -> None:
    async with peer(register.address) as slow, worker(register) as asking:
        for byte in encode(Ping()) + encode(GatewayConnect(A, SECRET)).replace(b"\n", b"\r\n"):
            slow.say(bytes([byte]))
            await asyncio.sleep(0)
        assert await asking.told() == (A,)


async def test_a_worker_that_leaves_is_forgotten(register: Register) -> None:
    async with worker(register):
        assert register.listener.workers == 1
    await until(lambda: not register.listener.workers)
    assert not register.listener.peers


# --- one address twice --------------------------------------------------------------------------


async def test_a_gateway_that_comes_back_takes_the_place_of_its_old_connection(
    register: Register, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with gateway(register, A) as old, gateway(register, B), worker(register, A, B) as asking:
        async with peer(register.address, GatewayConnect(A, SECRET)):
            assert await old.ended()
            await until(lambda: len(register.listener.peers) == 3)
            assert register.listener.gateways == (A, B)
            async with gateway(register, C):
                assert await asking.told() == (A, B, C)  # and nothing in between
            assert await asking.told() == (A, B)
        assert await asking.told() == (B,)
    assert f"gateway {A} is here again" in caplog.text


async def test_the_end_of_an_old_connection_leaves_the_new_one_listed(register: Register) -> None:
    """Also where the old one has ended by itself, and only its end was seen late."""
    async with (
        gateway(register, A) as old,
        peer(register.address, GatewayConnect(A, SECRET)),
        worker(register, A) as asking,
    ):
        await old.leave()
        await until(lambda: len(register.listener.peers) == 2)
        assert register.listener.gateways == (A,)
        async with gateway(register, B):
            assert await asking.told() == (A, B)


async def test_a_gateway_may_say_again_where_it_is(register: Register) -> None:
    async with gateway(register, A) as moving, worker(register, A) as asking:
        moving.say(GatewayConnect(A, SECRET))
        moving.say(GatewayConnect(B, SECRET))
        assert await asking.told() == (B,)
    await until(lambda: register.listener.gateways == ())


# --- who is not let in --------------------------------------------------------------------------

REFUSED = {
    "a wrong key": (encode(WorkerConnect("s3cres")), "auth"),
    "a part of the key": (encode(WorkerConnect("s3cre")), "auth"),
    "more than the key": (encode(WorkerConnect("s3crets")), "auth"),
    "no key": (b'{"event":"worker_connect"}\n', "auth"),
    "an empty key": (encode(WorkerConnect("")), "auth"),
    "a key beyond ASCII": (encode(WorkerConnect("s3crét")), "auth"),
    "a gateway with a wrong key": (encode(GatewayConnect(A, "S3CRET")), "auth"),
    "a gateway without a key": (encode(GatewayConnect(A)), "auth"),
    "a gateway by name": (encode(GatewayConnect("gateway:2300", SECRET)), "register"),
    "a gateway everywhere": (encode(GatewayConnect("0.0.0.0:2300", SECRET)), "register"),
    "a gateway nowhere": (encode(GatewayConnect("", SECRET)), "register"),
    "a list": (encode(Addresses((A,))), "register"),
    "nothing known": (b'{"event":"s3cret"}\n', "register"),
    "no JSON": (b"s3cret\n", "register"),
    "an empty line": (b"\n", "register"),
    "an HTTP request": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "register"),
    "a line too long": (b"x" * (LONGEST_REQUEST + 1), "length"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_who_is_not_let_in_is_ended_without_a_word(
    register: Register, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    line, kind = REFUSED[name]
    async with worker(register) as asking:
        async with peer(register.address, line + encode(GatewayConnect(B, SECRET))) as refused:
            assert await refused.ended()
        await until(lambda: len(register.listener.peers) == 1)
        assert register.metrics.refused_links == {kind: 1}
        async with gateway(register, A):
            assert await asking.told() == (A,)
    assert f"{kind}: " in caplog.text
    assert SECRET not in caplog.text.lower()
    assert "s3cr" not in caplog.text


@pytest.mark.parametrize("name", REFUSED)
async def test_who_was_let_in_before_is_ended_too(register: Register, name: str) -> None:
    line, kind = REFUSED[name]
    async with gateway(register, C) as trusted, worker(register, C) as asking:
        trusted.say(line)
        assert await trusted.ended()
        assert await asking.told() == ()
        assert register.metrics.refused_links == {kind: 1}


async def test_without_a_key_a_peer_that_sends_one_is_not_let_in() -> None:
    async with Register("") as register:
        async with peer(register.address, WorkerConnect("any")) as refused:
            assert await refused.ended()
        async with gateway(register, A), worker(register, A):
            assert register.metrics.refused_links == {"auth": 1}


async def test_over_the_limit_nobody_is_let_in_until_somebody_leaves() -> None:
    async with Register(connections=2) as register, worker(register) as asking:
        async with peer(register.address), peer(register.address) as refused:
            assert await refused.ended()
            assert register.metrics.refused_links == {"limit": 1}
            assert len(register.listener.peers) == 2
        await until(lambda: len(register.listener.peers) == 1)
        async with gateway(register, A):
            assert await asking.told() == (A,)


# --- silence ------------------------------------------------------------------------------------


async def test_who_does_not_say_who_it_is_in_time_is_ended(register: Register) -> None:
    async with (
        peer(register.address) as silent,
        peer(register.address, encode(WorkerConnect(SECRET))[:-1]) as half,
        peer(register.address, encode(Ping()) * 3) as pinging,
        gateway(register, A),
        worker(register, A) as asking,
    ):
        await until(lambda: len(register.listener.peers) == 5)
        register.advance(PATIENCE)
        assert len(register.wheel.items()) == 3
        register.advance(1)
        assert [await each.ended() for each in (silent, half, pinging)] == [True] * 3
        assert register.metrics.refused_links == {"auth": 3}
        async with gateway(register, B):
            assert await asking.told() == (A, B)


async def test_who_has_said_it_may_be_silent_for_ever(register: Register) -> None:
    async with gateway(register, A) as silent, worker(register, A) as asking:
        register.advance(3600)
        asking.say(WorkerConnect(SECRET))
        assert await asking.told() == (A,)
        silent.say(GatewayConnect(B, SECRET))
        assert await asking.told() == (B,)


async def test_pings_are_not_answered(register: Register) -> None:
    async with gateway(register, A) as pinging, worker(register, A) as asking:
        for each in (pinging, asking):
            each.say(encode(Ping()) * 100)
        asking.say(WorkerConnect(SECRET))
        assert await asking.told() == (A,)


# --- who does not read --------------------------------------------------------------------------

SMALL = replace(Limits(), socket_buffer=4096)
MANY = 2000
"""Lists that fill the kernel's buffers, which are as small as it has them, several times."""


async def change(moving: Peer, reading: Peer, address: str) -> None:
    """The list is now this address, and who reads has been told."""
    moving.say(GatewayConnect(address, SECRET))
    assert await reading.told() == (address,)


async def fill(register: Register, moving: Peer, reading: Peer) -> RegisterPeer:
    """Change the list until it waits for somebody who does not read."""
    for number in range(MANY):
        await change(moving, reading, f"10.0.1.1:{number + 1}")
        if register.wheel.items():
            (waiting,) = register.wheel.items()
            assert isinstance(waiting, RegisterPeer)
            return waiting
    raise AssertionError("nothing waits")


async def test_a_worker_that_does_not_read_is_cut_off_and_holds_nobody_up() -> None:
    async with (
        Register(limits=SMALL) as register,
        worker(register) as reading,
        gateway(register, A) as moving,
        peer(register.address, WorkerConnect(SECRET), receive_buffer=4096) as stuck,
    ):
        assert await reading.told() == (A,)
        stuck.stop_reading()
        await fill(register, moving, reading)
        register.advance(PATIENCE)
        assert register.listener.workers == 2
        register.advance(1)
        await until(lambda: register.listener.workers == 1)
        assert register.metrics.refused_links == {"limit": 1}
        await change(moving, reading, B)


async def test_at_most_one_list_waits_for_a_slow_worker_and_then_the_newest_one() -> None:
    async with (
        Register(limits=SMALL) as register,
        worker(register) as reading,
        gateway(register, A) as moving,
        peer(register.address, WorkerConnect(SECRET), receive_buffer=4096) as slow,
    ):
        assert await reading.told() == (A,)
        slow.stop_reading()
        waiting = await fill(register, moving, reading)
        for number in range(MANY):
            await change(moving, reading, f"10.0.2.1:{number + 1}")
            assert waiting.transport.get_write_buffer_size() < 100
        await change(moving, reading, C)
        slow.go_on_reading()
        lists = [await slow.told()]
        while lists[-1] != (C,):
            lists.append(await slow.told())
        assert len(lists) < MANY / 2
        await until(lambda: not register.wheel.items())
        register.advance(3600)
        assert register.listener.workers == 2


async def test_one_that_asks_without_end_and_does_not_read_is_bounded_too() -> None:
    async with (
        Register(limits=SMALL) as register,
        gateway(register, A),
        peer(register.address, receive_buffer=4096) as greedy,
    ):
        greedy.stop_reading()
        greedy.say(encode(WorkerConnect(SECRET)) * 10_000)
        await until(lambda: bool(register.wheel.items()))
        (waiting,) = register.wheel.items()
        assert isinstance(waiting, RegisterPeer)
        await until(lambda: register.listener.workers == 1)
        assert waiting.transport.get_write_buffer_size() < 100
        register.advance(PATIENCE + 1)
        await until(lambda: register.listener.workers == 0)


# --- many ---------------------------------------------------------------------------------------


async def test_many_workers_are_all_told() -> None:
    async with Register() as register, AsyncExitStack() as stack:
        asking = [await stack.enter_async_context(worker(register)) for _ in range(3 * FEW)]
        await asking.pop(FEW + 1).leave()
        await stack.enter_async_context(gateway(register, A))
        assert [await each.told() for each in asking] == [(A,)] * len(asking)


async def test_who_has_not_been_told_yet_is_told_the_newest_list() -> None:
    async with Register() as register, AsyncExitStack() as stack:
        asking = [await stack.enter_async_context(worker(register)) for _ in range(3 * FEW)]
        async with gateway(register, A), gateway(register, B), gateway(register, C):
            for each in asking:
                lists = [await each.told()]
                while lists[-1] != (A, B, C):
                    lists.append(await each.told())
                assert lists == sorted(lists)


async def test_many_come_and_go_and_leave_nothing_behind() -> None:
    async with Register(connections=2000) as register:
        async with AsyncExitStack() as stack:
            for number in range(1000):
                say = GatewayConnect(f"10.1.0.1:{number + 1}", SECRET)
                await stack.enter_async_context(peer(register.address, say))
            await until(lambda: len(register.listener.gateways) == 1000)
            assert len(register.listener.peers) == 1000
            assert register.wheel.items() == []
        await until(lambda: not register.listener.peers)

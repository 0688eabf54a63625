"""RegisterClient, with real Registers: ours, and ones that do what a test wants of them."""

import asyncio
import contextlib
import gc
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from pushline.address import Address
from pushline.codecs.register_lines import LONGEST_LIST, Addresses, Ping, encode
from pushline.errors import UnavailableError
from pushline.gatewayworker.register_client import (
    LOST,
    REFUSED,
    OnAddresses,
    RegisterClient,
    Times,
)
from tests.gatewayworker.recorded import in_life
from tests.gatewayworker.registers import PATIENCE, SECRET, Register, gateway, peer, until, worker

A, B, C = "10.0.0.1:2300", "10.0.0.2:2300", "10.0.0.3:2300"
TIMES = Times(retry=0.01, ping=0.01, patience=PATIENCE, doubt=0.05)
NOBODY = Address("127.0.0.1", 9)


@pytest.fixture
async def register() -> AsyncIterator[Register]:
    async with Register() as register:
        yield register


@contextlib.asynccontextmanager
async def started(
    address: Address,
    secret: str = SECRET,
    *,
    gateway: str = "",
    on_addresses: OnAddresses | None = None,
    times: Times = TIMES,
) -> AsyncIterator[RegisterClient]:
    client = RegisterClient(
        address, secret, gateway=gateway, on_addresses=on_addresses, times=times
    )
    client.start()
    try:
        yield client
    finally:
        await client.stop()


class Odd:
    """Listens, and does with each connection what the test says. `heard` is all that came."""

    def __init__(self, answer: Callable[[asyncio.StreamWriter], object]) -> None:
        self.heard = b""
        self.accepted = 0
        self.ended = 0
        self._answer = answer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._answer(writer)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                self.heard += data
        self.ended += 1
        writer.close()

    @contextlib.asynccontextmanager
    async def listening(self, host: str = "127.0.0.1") -> AsyncIterator[Address]:
        server = await asyncio.start_server(self._serve, host, 0)
        try:
            yield Address(*server.sockets[0].getsockname())
        finally:
            server.close()
            await until(lambda: self.accepted == self.ended)


def silent(_writer: asyncio.StreamWriter) -> None:
    """Says nothing."""


def says(data: bytes) -> Callable[[asyncio.StreamWriter], object]:
    return lambda writer: writer.write(data)


def lists(*addresses: str) -> Callable[[asyncio.StreamWriter], object]:
    return says(encode(Addresses(addresses)))


# --- as a worker --------------------------------------------------------------------------------


async def test_a_worker_is_told_the_gateways_at_once_and_at_each_change(
    register: Register,
) -> None:
    told: list[tuple[str, ...]] = []
    async with gateway(register, A):
        async with started(register.address, on_addresses=told.append) as client:
            assert await client.wait(PATIENCE) == (A,)
            assert client.connected
            async with gateway(register, B):
                await until(lambda: client.addresses == (A, B))
            await until(lambda: client.addresses == (A,))
            assert told == [(A,), (A, B), (A,)]
            assert register.listener.workers == 1
        assert not client.connected
    await until(lambda: not register.listener.peers)


async def test_a_register_without_gateways_has_an_empty_list(register: Register) -> None:
    async with started(register.address) as client:
        assert await client.wait(PATIENCE) == ()
        assert client.addresses == ()


async def test_what_it_says_first_is_what_php_says() -> None:
    (expected,) = in_life("worker", "register")
    odd = Odd(lists(A))
    async with odd.listening() as address, started(address) as client:
        await client.wait(PATIENCE)
        await until(lambda: odd.heard == expected)


async def test_the_list_comes_in_any_pieces_and_as_an_object_too() -> None:
    line = b'{"event":"broadcast_addresses","addresses":{"0":"%s","2":"%s","3":"%s"}}\n'
    line = line % (A.encode(), B.encode(), A.encode())
    writers: list[asyncio.StreamWriter] = []
    async with Odd(writers.append).listening() as address, started(address) as client:
        await until(lambda: bool(writers))
        for byte in encode(Ping()) + line:
            writers[0].write(bytes([byte]))
            await writers[0].drain()
        assert await client.wait(PATIENCE) == (A, B)


async def test_what_is_no_gateways_address_is_left_out_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    odd = Odd(lists(A, "gateway:2300", "[::1]:2300", "x" * 1000, B))
    async with odd.listening() as address, started(address) as client:
        assert await client.wait(PATIENCE) == (A, B)
    assert "no gateway's address: 'gateway:2300'" in caplog.text
    assert "x" * 100 not in caplog.text


async def test_two_registers_are_two_lists(register: Register) -> None:
    async with (
        Register("another") as second,
        gateway(register, A),
        gateway(second, B),
        started(register.address) as client,
        started(second.address, "another") as other,
    ):
        assert await client.wait(PATIENCE) == (A,)
        assert await other.wait(PATIENCE) == (B,)
        await second.stop()
        await until(lambda: not other.connected)
        async with gateway(register, C):
            await until(lambda: client.addresses == (A, C))
        assert client.connected
        assert other.addresses == (B,)
        await second.start()
        await until(lambda: other.connected)


# --- as a gateway -------------------------------------------------------------------------------


async def test_a_gateway_is_listed_as_long_as_its_client_runs(register: Register) -> None:
    async with worker(register) as asking:
        async with started(register.address, gateway=A) as client:
            assert await asking.told() == (A,)
            await until(lambda: client.connected)
        assert await asking.told() == ()
        assert not client.connected


async def test_a_gateway_says_what_phps_says() -> None:
    (recorded,) = in_life("gateway", "register")
    odd = Odd(silent)
    async with odd.listening() as address, started(address, gateway="127.0.0.1:2300") as client:
        await until(lambda: client.connected)
        assert odd.heard == recorded.replace(b", ", b",")
        assert odd.accepted == 1


async def test_a_gateway_with_two_registers_is_listed_by_both(register: Register) -> None:
    async with (
        Register("another") as second,
        started(register.address, gateway=A),
        started(second.address, "another", gateway=A),
    ):
        await until(lambda: register.listener.gateways == second.listener.gateways == (A,))


# --- loss and return ----------------------------------------------------------------------------


@pytest.mark.parametrize("as_gateway", [False, True])
async def test_it_connects_again_when_the_register_is_back(
    register: Register, as_gateway: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with started(register.address, gateway=A if as_gateway else "") as client:
        for _ in range(2):
            await until(lambda: client.connected)
            assert client.reason == ""
            await register.stop()
            await until(lambda: "Connection refused" in client.reason)
            assert not client.connected
            await register.start()
        await until(lambda: client.connected)
        assert register.listener.gateways == ((A,) if as_gateway else ())
    said = [line for line in caplog.messages if str(register.address) in line]
    lost = f"register {register.address} {LOST}; trying again until it works"
    refused = (
        f"register {register.address} cannot be connected to (Connection refused); "
        "trying again until it works"
    )
    connected = f"register {register.address}: connected"
    assert said == [connected, lost, refused, connected, lost, refused, connected]


async def test_the_list_outlives_the_connection(register: Register) -> None:
    async with gateway(register, A), started(register.address) as client:
        await client.wait(PATIENCE)
        await register.stop()
        await until(lambda: not client.connected)
        assert client.addresses == await client.wait(PATIENCE) == (A,)
        await register.start()
        await until(lambda: client.addresses == ())


async def test_it_is_there_before_the_register(register: Register) -> None:
    await register.stop()
    async with started(register.address, gateway=A), started(register.address) as client:
        await until(lambda: client.reason != "")
        await register.start()
        await until(lambda: client.addresses == (A,))


async def test_the_next_attempt_comes_a_second_after_the_end_of_the_last() -> None:
    loop = asyncio.get_running_loop()
    at: list[float] = []

    def hang_up(writer: asyncio.StreamWriter) -> None:
        at.append(loop.time())
        writer.transport.abort()

    async with (
        Odd(hang_up).listening() as address,
        started(address, times=TIMES._replace(retry=0.2)),
    ):
        await until(lambda: len(at) == 3)
    assert Times().retry == 1.0
    assert 0.38 <= at[2] - at[0] < 2


async def test_a_dead_attempt_does_not_outlive_its_patience() -> None:
    """A port that nobody accepts at any more, as of a machine that hangs."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as stack:
        address = Address(*full.getsockname())
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        async with started(address, times=TIMES._replace(patience=0.05)) as client:
            with pytest.raises(UnavailableError, match=r"does not answer within 0\.05 s"):
                await client.wait(PATIENCE)


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("as_gateway", [False, True])
@pytest.mark.parametrize("key", ["another one", ""])
async def test_a_key_that_is_not_taken_is_logged_once_and_shown_nowhere(
    register: Register, key: str, as_gateway: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with started(register.address, key, gateway=A if as_gateway else "") as client:
        await until(lambda: register.metrics.refused_links["auth"] >= 3)
        await until(lambda: client.reason == REFUSED)
        assert not client.connected
        assert register.listener.gateways == ()
    (said,) = [line for line in caplog.messages if line.startswith(f"register {register.address}")]
    assert said == f"register {register.address} {REFUSED}; trying again until it works"
    assert SECRET not in caplog.text
    assert "another one" not in caplog.text


STRANGERS = {
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not JSON"),
    "what workers say": (b'{"event":"worker_connect"}\n', "what its peers say"),
    "an unknown event": (b'{"event":"x"}\n', "nothing that a Register or its peers say"),
    "a line without an end": (b"x" * (LONGEST_LIST + 1), "a line too long"),
}


@pytest.mark.parametrize("name", STRANGERS)
async def test_what_is_no_register_is_told_from_one(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    data, why = STRANGERS[name]
    odd = Odd(says(data))
    async with odd.listening() as address, started(address) as client:
        with pytest.raises(UnavailableError) as caught:
            await client.wait(PATIENCE)
        await until(lambda: odd.accepted >= 3)
    expected = f"says what a Register does not say ({why})"
    assert str(caught.value) == f"register {address} {expected}"
    assert len([line for line in caplog.messages if expected in line]) == 1


async def test_a_register_that_says_nothing_is_left_after_a_while() -> None:
    odd = Odd(silent)
    times = TIMES._replace(patience=0.05)
    async with odd.listening() as address, started(address, times=times) as client:
        with pytest.raises(UnavailableError, match=r"has sent no list within 0\.05 s"):
            await client.wait(PATIENCE)
        await until(lambda: odd.accepted >= 2)


async def test_a_register_that_has_said_something_may_be_silent_for_ever() -> None:
    odd = Odd(lists(A))
    times = TIMES._replace(patience=0.02)
    async with odd.listening() as address, started(address, times=times) as client:
        await client.wait(PATIENCE)
        await asyncio.sleep(3 * times.patience)
        assert client.connected
        assert odd.accepted == 1


# --- the first list -----------------------------------------------------------------------------


async def test_waiting_fails_with_the_first_attempt_that_does() -> None:
    async with started(NOBODY) as client:
        with pytest.raises(UnavailableError) as caught:
            await client.wait(PATIENCE)
    why = "cannot be connected to (Connection refused)"
    assert str(caught.value) == f"register 127.0.0.1:9 {why}"


async def test_who_waits_later_waits_for_a_later_attempt(register: Register) -> None:
    await register.stop()
    async with started(register.address) as client:
        with pytest.raises(UnavailableError):
            await client.wait(PATIENCE)
        await register.start()
        with contextlib.suppress(UnavailableError):  # from an attempt that had begun
            await client.wait(PATIENCE)
        assert await client.wait(PATIENCE) == ()


async def test_many_wait_for_one_list(register: Register) -> None:
    async with gateway(register, A), started(register.address) as client:
        assert await asyncio.gather(*(client.wait(PATIENCE) for _ in range(100))) == [(A,)] * 100
        assert register.listener.workers == 1


async def test_nobody_waits_longer_than_he_wants_to() -> None:
    async with Odd(silent).listening() as address, started(address) as client:
        with pytest.raises(UnavailableError) as caught:
            await client.wait(0.05)
        assert str(caught.value) == f"register {address} has sent no list within 0.05 s"


async def test_a_wrong_key_is_what_who_waits_is_told(register: Register) -> None:
    async with started(register.address, "wrong") as client:
        with pytest.raises(UnavailableError) as caught:
            await client.wait(PATIENCE)
    assert str(caught.value) == f"register {register.address} {REFUSED}"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64])
async def test_a_name_that_is_none_is_a_reason_too(host: str) -> None:
    async with started(Address(host, 1236)) as client:
        with pytest.raises(UnavailableError, match=rf"{host}:1236 cannot be connected to \(.+\)"):
            await client.wait(PATIENCE)


# --- pings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_gateway", [False, True])
async def test_a_register_elsewhere_is_pinged(as_gateway: bool) -> None:
    odd = Odd(lists(A))
    async with (
        odd.listening("127.0.0.2") as address,
        started(address, gateway=A if as_gateway else "") as client,
    ):
        await until(lambda: odd.heard.endswith(encode(Ping()) * 5))
        assert client.connected
        assert odd.accepted == 1


async def test_a_register_at_127_0_0_1_is_not() -> None:
    odd = Odd(lists(A))
    async with odd.listening() as address, started(address) as client:
        await client.wait(PATIENCE)
        async with Odd(lists(A)).listening("127.0.0.2") as other, started(other):
            await asyncio.sleep(TIMES.ping * 5)
        assert odd.heard == client.hello


async def test_our_register_takes_pings() -> None:
    async with (
        Register(host="127.0.0.2") as register,
        started(register.address, gateway=A),
        started(register.address, times=TIMES._replace(ping=0.001)) as client,
    ):
        await until(lambda: client.addresses == (A,))
        await asyncio.sleep(0.05)
        async with gateway(register, B):
            await until(lambda: client.addresses == (A, B))
        assert register.metrics.refused_links == {}


async def test_a_register_may_ping_too(register: Register) -> None:
    odd = Odd(says(encode(Ping()) * 3 + encode(Addresses((A,))) + encode(Ping())))
    async with odd.listening() as address, started(address) as client:
        assert await client.wait(PATIENCE) == (A,)
        assert client.connected


def test_its_times_are_those_of_phps_peers() -> None:
    assert Times() == (1.0, 25.0, 10.0, 1.0)


# --- stopping -----------------------------------------------------------------------------------


async def test_it_can_be_stopped_at_any_time_and_started_again(register: Register) -> None:
    client = RegisterClient(register.address, SECRET, gateway=A, times=TIMES)
    await client.stop()
    for passes in range(12):
        client.start()
        for _ in range(passes):
            await asyncio.sleep(0)
        await client.stop()
        await until(lambda: not register.listener.peers)
    client.start()
    await until(lambda: register.listener.gateways == (A,))
    await client.stop()
    await until(lambda: not register.listener.peers)
    assert len(asyncio.all_tasks()) == 1
    gc.collect()  # an unclosed transport would be a warning, which is an error


async def test_a_forked_child_does_not_hold_the_connection(register: Register) -> None:
    async with started(register.address, gateway=A):
        await until(lambda: register.listener.gateways == (A,))
        ended, end = os.pipe()
        child = os.fork()
        if not child:
            os.close(end)
            os.read(ended, 1)  # until the test is over
            os._exit(0)
        await asyncio.sleep(0.02)
        assert register.listener.gateways == (A,)
    await until(lambda: register.listener.gateways == ())
    os.close(end)
    os.waitpid(child, 0)  # noqa: ASYNC222 - it has nothing left to wait for
    os.close(ended)


async def test_it_can_be_stopped_while_it_waits_for_the_next_attempt() -> None:
    async with started(NOBODY, times=TIMES._replace(retry=3600)) as client:
        with pytest.raises(UnavailableError):
            await client.wait(PATIENCE)


async def test_a_fault_in_on_addresses_is_told_and_does_not_end_it(register: Register) -> None:
    told: list[tuple[str, ...]] = []
    problems: list[str] = []

    def fail_once(addresses: tuple[str, ...]) -> None:
        told.append(addresses)
        if len(told) == 1:
            raise LookupError("mine")

    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: problems.append(repr(context.get("exception")))
    )
    async with started(register.address, on_addresses=fail_once) as client:
        async with gateway(register, A):
            await until(lambda: told[-1:] == [(A,)])
        await until(lambda: client.connected)
    assert problems == ["LookupError('mine')"]


async def test_somebody_elses_old_connection_does_not_unlist_a_gateway(register: Register) -> None:
    """Its machine lost the network, and has come back before the Register noticed."""
    async with peer(register.address), gateway(register, A) as half_open:
        async with started(register.address, gateway=A), worker(register, A):
            assert await half_open.ended()
            assert register.listener.gateways == (A,)
        await until(lambda: register.listener.gateways == ())

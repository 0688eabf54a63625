"""The clients that back ends use, async and plain, with real connections and processes."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest

from pushline.client.gateway_client import GatewayClient, SyncGatewayClient
from pushline.codecs.php_serialize import dumps
from pushline.commands import Sent
from pushline.errors import (
    AppError,
    ConfigError,
    DeadlineError,
    RejectedError,
    UnavailableError,
    UnsupportedError,
)
from pushline.gateway import Gateway, SyncGateway
from tests.gatewayworker.fakes import FakeGateway, always, listed
from tests.gatewayworker.registers import PATIENCE, SECRET, Register, until

T = TypeVar("T")
SHORT = 0.1
"""A timeout that is meant to pass."""
UNKNOWN = Sent(None, None)


@pytest.fixture
async def register() -> AsyncIterator[Register]:
    async with Register(SECRET) as register:
        yield register


@pytest.fixture
async def fake(register: Register) -> AsyncIterator[FakeGateway]:
    async with listed(register, secret=SECRET) as fake:
        fake.answer = always(3)
        yield fake


def client_of(register: Register, **settings: Any) -> GatewayClient:
    return GatewayClient(str(register.address), **{"secret": SECRET, **settings})


def sync_client_of(register: Register, **settings: Any) -> SyncGatewayClient:
    return SyncGatewayClient(str(register.address), **{"secret": SECRET, **settings})


async def in_thread(work: Callable[..., T], *arguments: object) -> T:
    async with asyncio.timeout(PATIENCE):
        return await asyncio.to_thread(work, *arguments)


# --- from asyncio -------------------------------------------------------------------------------


async def test_a_client_has_every_verb_and_connects_once(
    register: Register, fake: FakeGateway
) -> None:
    async with client_of(register) as gateway:
        assert isinstance(gateway, Gateway)
        assert fake.connections == []
        assert await gateway.send_to_uid("42", "hi") == UNKNOWN
        counts = [gateway.get_all_client_id_count() for _ in range(100)]
        assert await asyncio.gather(*counts) == [3] * 100
        assert len(fake.connections) == 1
        assert (fake.frames[0].ext, fake.frames[0].body) == (b'["42"]', b"hi")


async def test_what_was_sent_has_been_taken_when_a_client_is_closed(
    register: Register, fake: FakeGateway
) -> None:
    async with client_of(register) as gateway:
        for number in range(1000):
            await gateway.send_to_all(str(number))
    assert [frame.body for frame in fake.frames] == [b"%d" % number for number in range(1000)]
    await until(lambda: register.listener.workers == 0)


async def test_a_client_that_was_closed_connects_again(
    register: Register, fake: FakeGateway
) -> None:
    gateway = client_of(register)
    await gateway.close()
    for _ in range(2):
        assert await gateway.get_all_client_id_count() == 3
        assert gateway.is_connected
        await gateway.close()
        assert not gateway.is_connected
    assert len(fake.connections) == 2


async def test_a_call_that_is_waiting_when_the_client_is_closed_fails(
    register: Register, fake: FakeGateway
) -> None:
    gateway = client_of(register)
    await gateway.send_to_all("hello")
    fake.hold()
    asked = asyncio.create_task(gateway.get_all_client_id_count())
    await fake.got(2)
    await gateway.close()
    with pytest.raises(UnavailableError, match="the link was closed"):
        await asked


async def test_an_event_loop_that_is_closed_is_forgotten_with_what_was_open_in_it(
    register: Register, fake: FakeGateway
) -> None:
    gateway = client_of(register)

    async def count() -> int:
        return await gateway.get_all_client_id_count()

    for _ in range(2):
        assert await in_thread(asyncio.run, count()) == 3
    await gateway.close()
    await until(lambda: all(connection.lost for connection in fake.connections))
    assert len(fake.connections) == 2


async def test_gateways_that_do_not_answer_are_named_in_an_error_or_in_the_result(
    register: Register, fake: FakeGateway
) -> None:
    async with listed(register, secret=SECRET) as late, client_of(register, timeout=SHORT) as one:
        await one.get_all_client_id_count()
        await until(lambda: len(late.connections) == 1)
        late.hold()
        with pytest.raises(DeadlineError, match=late.address):
            await one.get_all_client_id_count()
        with one.partial() as missing:
            assert await one.get_all_client_id_count() == 3
        assert [each.address for each in missing] == [late.address]


async def test_parts_are_allowed_to_one_client_and_no_other(
    register: Register, fake: FakeGateway
) -> None:
    one, other = client_of(register, secret="wrong"), client_of(register, secret="wrong")
    with one.partial() as outer, other.partial() as inner:
        assert outer == inner == []
    with one.partial(), pytest.raises(RejectedError):
        await other.send_to_all("hello")
    await one.close()
    await other.close()


async def test_a_client_belongs_to_one_event_loop_while_that_lives(
    register: Register, fake: FakeGateway
) -> None:
    gateway = client_of(register)

    async def count() -> int:
        return await gateway.get_all_client_id_count()

    assert await count() == 3
    with pytest.raises(AppError, match="SyncGatewayClient serves any thread"):
        await in_thread(asyncio.run, count())
    with pytest.raises(AppError, match="SyncGatewayClient serves any thread"):
        await in_thread(asyncio.run, gateway.close())
    await gateway.close()


async def test_threads_beside_its_loop_use_its_plain_verbs(
    register: Register, fake: FakeGateway
) -> None:
    async with client_of(register) as gateway:
        with pytest.raises(AppError, match="plain code has SyncGatewayClient"):
            gateway.sync.send_to_all("hello")
        await gateway.send_to_all("hello")
        assert await in_thread(gateway.sync.get_all_client_id_count) == 3
        with pytest.raises(AppError, match="without `sync`"):
            gateway.sync.send_to_all("hello")
    assert len(fake.connections) == 1


async def test_several_registers_may_be_given(register: Register, fake: FakeGateway) -> None:
    async with GatewayClient(["127.0.0.1:9", str(register.address)], secret=SECRET) as gateway:
        assert await gateway.get_all_client_id_count() == 3


@pytest.mark.parametrize(
    ("register_at", "settings"),
    [
        ("nowhere", {}),
        ("127.0.0.1:0", {}),
        ("unix:/run/register", {}),
        ([], {}),
        ("127.0.0.1:1236", {"timeout": 0}),
        ("127.0.0.1:1236", {"timeout": "5"}),
        ("127.0.0.1:1236", {"secret": "a\nb"}),
        ("127.0.0.1:1236", {"secret": None}),
    ],
)
@pytest.mark.parametrize("kind", [GatewayClient, SyncGatewayClient])
def test_settings_that_cannot_work_are_refused(
    kind: type[GatewayClient], register_at: Any, settings: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError):
        kind(register_at, **settings)


def test_a_client_shows_its_registers_and_not_its_secret() -> None:
    assert repr(GatewayClient(secret="s3cret")) == "GatewayClient('127.0.0.1:1236')"
    shown = repr(SyncGatewayClient(["a:1", "b:2"], secret="s3cret"))
    assert shown == "SyncGatewayClient('a:1', 'b:2')"


# --- from plain code ----------------------------------------------------------------------------


async def test_plain_code_has_every_verb_from_any_thread(
    register: Register, fake: FakeGateway
) -> None:
    with sync_client_of(register) as gateway:
        assert isinstance(gateway, SyncGateway)
        assert await in_thread(gateway.send_to_uid, "42", "hi") == UNKNOWN
        counts = [in_thread(gateway.get_all_client_id_count) for _ in range(50)]
        assert await asyncio.gather(*counts) == [3] * 50
        with pytest.raises(UnsupportedError):
            await in_thread(gateway.bind_uid, "0" * 20, "u1", 1)
        await in_thread(gateway.close)
    assert len(fake.connections) == 1
    assert fake.connection.eof
    gateway.close()


async def test_plain_code_may_have_answers_in_part(register: Register, fake: FakeGateway) -> None:
    def count(gateway: SyncGatewayClient) -> tuple[int, list[str]]:
        with gateway.partial() as missing:
            return gateway.get_all_client_id_count(), [each.address for each in missing]

    async with listed(register, secret="another") as refusing:
        with sync_client_of(register) as gateway:
            assert await in_thread(count, gateway) == (3, [refusing.address])
            with pytest.raises(RejectedError, match=refusing.address):
                await in_thread(gateway.get_all_client_id_count)
            await in_thread(gateway.close)


async def run(program: str, register: Register) -> str:
    """What a program of its own process prints; it must end by itself."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program)]

    def done() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, str(register.address), SECRET],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    ended = await in_thread(done)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.strip()


async def test_a_send_is_out_when_it_returns_though_the_process_ends(
    register: Register, fake: FakeGateway
) -> None:
    program = """
        import sys
        from pushline.client.gateway_client import SyncGatewayClient
        SyncGatewayClient(sys.argv[1], secret=sys.argv[2]).send_to_uid("42", "hi")
    """
    await run(program, register)
    assert (await fake.got(1))[0].body == b"hi"


async def test_a_process_that_can_start_no_thread_is_told_so(register: Register) -> None:
    program = """
        import sys, threading
        from pushline.client.gateway_client import SyncGatewayClient
        from pushline.errors import UnavailableError
        threading.stack_size(1 << 46)  # bytes, more than there is
        with SyncGatewayClient(sys.argv[1], secret=sys.argv[2]) as gateway:
            try:
                gateway.send_to_all("hello")
            except UnavailableError as error:
                print(error)
    """
    assert "can't start new thread" in await run(program, register)


async def test_a_child_has_its_own_connections_and_leaves_its_parents_alone(
    register: Register, fake: FakeGateway
) -> None:
    program = """
        import os, sys
        from pushline.client.gateway_client import SyncGatewayClient
        gateway = SyncGatewayClient(sys.argv[1], secret=sys.argv[2])
        gateway.send_to_all("parent")
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                gateway.close()
                gateway.send_to_all("child")
                gateway.close()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            gateway.send_to_all("parent")
        print(gateway.get_all_client_id_count())
        gateway.close()
    """
    assert await run(program, register) == "3"
    bodies = [frame.body for frame in fake.frames]
    assert (bodies.count(b"parent"), bodies.count(b"child")) == (4, 3)
    assert len(fake.connections) == 4


async def test_a_child_does_not_keep_its_parents_connection_open(
    register: Register, fake: FakeGateway
) -> None:
    program = """
        import os, sys
        from pushline.client.gateway_client import SyncGatewayClient
        gateway = SyncGatewayClient(sys.argv[1], secret=sys.argv[2])
        gateway.send_to_all("parent")
        pid = os.fork()
        if pid == 0:
            sys.stdin.read()
        os._exit(0)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(register.address), SECRET]
    with subprocess.Popen(command, stdin=subprocess.PIPE):  # noqa: ASYNC220 - as it is begun only
        await fake.got(1)
        await until(lambda: fake.connection.lost)  # though the child lives


async def test_a_program_with_asyncio_that_forks_goes_on_in_both(
    register: Register, fake: FakeGateway
) -> None:
    program = """
        import asyncio, os, sys
        from pushline.client.gateway_client import GatewayClient
        gateway = GatewayClient(sys.argv[1], secret=sys.argv[2])

        async def send(text):
            await gateway.send_to_all(text)
            return await gateway.get_all_client_id_count()

        with asyncio.Runner() as runner:
            print(runner.run(send("parent")), flush=True)
            pid = os.fork()
            if pid == 0:
                code = asyncio.run(send("child")) - 3
                os._exit(code)
            assert os.waitpid(pid, 0)[1] == 0
            print(runner.run(send("parent")))
            runner.run(gateway.close())
    """
    assert await run(program, register) == "3\n3"
    assert [frame.body for frame in fake.frames if frame.body] == [b"parent", b"child", b"parent"]


async def test_a_first_call_is_answered_from_the_register_s_word_on(
    register: Register, fake: FakeGateway
) -> None:
    fake.answer = lambda frame: dumps({1: {}, 2: {}}) if frame.cmd == 25 else None
    async with client_of(register) as gateway:
        assert await gateway.send_to_group(["a", "b"], "hello") == UNKNOWN
        assert (await fake.got(2))[1].ext == b'{"connections":{"1":1,"2":2}}'

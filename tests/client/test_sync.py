import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import pytest

from pushline.client import Client
from pushline.client.loop_thread import shared
from pushline.client.sync import GRACE
from pushline.client.wire import BATCH
from pushline.errors import (
    BadNameError,
    DeadlineError,
    InvalidPushError,
    RejectedError,
    UnavailableError,
)
from tests.client.peer import PATIENCE, Peer, guard, leaving_after

SHORT = 0.2


def ok_for_some(line: bytes) -> bytes:
    return b"fail\n" if b"nobody" in line else b"ok\n"


def test_every_verb_sends_its_line_and_returns_its_answer(peer: Peer) -> None:
    peer.answer = ok_for_some
    with Client(peer.address) as client:
        assert client.push("u", {"a": 1}) is True
        assert client.push(["nobody", 7], {"a": 1}, utype=2) is False
        assert client.push_all({"a": 1}, utype="x") is True
        assert client.push_line('{"uid":"nobody"}\n') is False
        assert client.push_many([("nobody", {}), b'{"uid":1}'], utype=3) == [False, True]
        assert client.push_many([]) == []
    assert peer.lines == [
        b'{"uid":"u","a":1}',
        b'{"uid":["nobody",7],"utype":2,"a":1}',
        b'{"uid":"","utype":"x","a":1}',
        b'{"uid":"nobody"}',
        b'{"uid":"nobody","utype":3}',
        b'{"uid":1}',
    ]
    assert peer.accepted == 1


def test_many_pushes_keep_their_order_over_all_batches(peer: Peer) -> None:
    with Client(peer.address) as client:
        assert all(client.push_many(("u", {"n": n}) for n in range(BATCH + 500)))
    assert peer.lines == [b'{"uid":"u","n":%d}' % n for n in range(BATCH + 500)]


@pytest.mark.parametrize("uid", ["", 0, [], None, "0"])
def test_a_push_to_no_uid_is_refused_at_once(peer: Peer, uid: Any) -> None:
    with Client(peer.address) as client:
        with pytest.raises((BadNameError, InvalidPushError)):
            client.push(uid, {"a": 1})
        with pytest.raises((BadNameError, InvalidPushError)):
            client.push_many([("u", {}), (uid, {})])
    assert peer.accepted == 0


def test_a_client_shows_its_address_and_not_its_secret() -> None:
    assert repr(Client(secret="s3cret")) == "Client('127.0.0.1:5678')"


def test_a_wrong_secret_is_an_error_at_each_push(peer: Peer) -> None:
    peer.answer = guard("another")
    with Client(peer.address, secret="s3cret") as client:
        for _ in range(2):
            with pytest.raises(RejectedError, match=peer.address):
                client.push("u", {})


def test_a_closed_client_connects_again_at_its_next_push(peer: Peer) -> None:
    client = Client(peer.address)
    client.close()
    for _ in range(2):
        assert client.push("u", {})
        client.close()
        peer.wait(lambda peer: peer.ended == peer.accepted)
    assert peer.accepted == 2


def test_an_error_after_the_first_of_many_says_how_far_they_came(peer: Peer) -> None:
    peer.answer = leaving_after(peer, BATCH)
    with Client(peer.address) as client:
        with pytest.raises(UnavailableError, match="; a push may have been delivered") as caught:
            client.push_many([("u", {})] * 3 * BATCH)
        assert caught.value.answers == (True,) * BATCH
        assert caught.value.sent in range(BATCH, 2 * BATCH + 1)  # whether it has seen the end yet
        peer.wait(lambda peer: peer.ended == 1)
        with pytest.raises(UnavailableError, match="; nothing was pushed") as caught:
            client.push_many([("u", {})] * 3 * BATCH)
        assert (caught.value.answers, caught.value.sent) == ((), 0)


def test_a_client_that_is_dropped_is_closed(peer: Peer) -> None:
    for count in range(1, 4):
        Client(peer.address).push("u", {})
        peer.wait(lambda peer: peer.ended == count)  # noqa: B023 - called before the next one
    assert peer.accepted == 3


# --- threads ----------------------------------------------------------------------------------


def test_twenty_threads_share_one_connection_and_each_has_its_own_answers(peer: Peer) -> None:
    peer.answer = ok_for_some
    start = threading.Barrier(20)

    def push(thread: int) -> list[bool]:
        start.wait(PATIENCE)
        return [client.push("nobody" if n % (thread + 2) else "u", {"n": n}) for n in range(200)]

    with Client(peer.address, timeout=PATIENCE) as client, ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(push, range(20)))
    expected = [[n % (thread + 2) == 0 for n in range(200)] for thread in range(20)]
    assert answers == expected
    assert len(peer.lines) == 20 * 200
    assert peer.accepted == 1


def test_each_call_has_its_deadline(peer: Peer) -> None:
    peer.hold()
    with Client(peer.address, timeout=SHORT) as client:
        started = time.monotonic()
        with pytest.raises(DeadlineError, match="may have been delivered"):
            client.push("u", {})
        assert 0.9 * SHORT < time.monotonic() - started < PATIENCE / 2


def test_a_call_ends_even_if_the_loop_thread_is_stuck(peer: Peer) -> None:
    blocking, go_on = threading.Event(), threading.Event()

    async def block() -> None:
        blocking.set()
        go_on.wait(PATIENCE)

    blocker = threading.Thread(target=lambda: shared().run(block(), PATIENCE))
    blocker.start()
    assert blocking.wait(PATIENCE)
    client = Client(peer.address, timeout=SHORT)
    started = time.monotonic()
    with pytest.raises(DeadlineError, match="stuck"):
        client.push("u", {})
    assert SHORT + GRACE < time.monotonic() - started + 0.1 < PATIENCE / 2
    go_on.set()
    blocker.join()
    assert client.push("v", {})  # as if nothing had been
    client.close()


async def test_it_works_in_a_coroutine_too(peer: Peer) -> None:
    with Client(peer.address) as client:
        assert client.push("u", {})


# --- forks ------------------------------------------------------------------------------------


class Child:
    """A forked process that does `work`, and is gone after it or in 20 s."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._pid = os.fork()
        if self._pid == 0:
            self._live(work)

    def _live(self, work: Callable[[], object]) -> NoReturn:
        signal.alarm(int(PATIENCE))
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:
            os.write(2, f"in the child: {error!r}\n".encode())
        finally:
            os._exit(code)

    def succeeded(self) -> bool:
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1]) == 0


forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def assert_pushed(client: Client, uid: str) -> None:
    assert client.push(uid, {})


@forks
def test_a_child_has_its_own_connection_and_leaves_its_parents_alone(peer: Peer) -> None:
    with Client(peer.address) as client:
        assert client.push("parent", {})
        children = [Child(lambda: assert_pushed(client, "child")) for _ in range(3)]
        assert all(child.succeeded() for child in children)
        assert client.push("parent", {})
    assert peer.accepted == 1 + 3
    assert sorted(peer.lines) == [b'{"uid":"child"}'] * 3 + [b'{"uid":"parent"}'] * 2


@forks
def test_a_child_does_not_keep_its_parents_connection_open(peer: Peer) -> None:
    wait, go_on = os.pipe()
    client = Client(peer.address)
    assert client.push("parent", {})
    child = Child(lambda: os.read(wait, 1))
    client.close()
    peer.wait(lambda peer: peer.ended == 1)  # though the child lives
    os.write(go_on, b".")
    assert child.succeeded()
    os.close(wait)
    os.close(go_on)


@forks
def test_a_child_may_close_the_client_that_it_was_given(peer: Peer) -> None:
    with Client(peer.address) as client:
        assert client.push("parent", {})
        assert Child(client.close).succeeded()
        assert client.push("parent", {})
    assert peer.accepted == 1


@forks
def test_a_client_that_a_child_drops_is_still_its_parents(peer: Peer) -> None:
    clients = [Client(peer.address)]
    assert clients[0].push("parent", {})
    assert Child(clients.clear).succeeded()
    assert clients[0].push("parent", {})
    assert peer.accepted == 1
    clients[0].close()


@forks
def test_a_fork_in_the_middle_of_another_threads_push_harms_neither(peer: Peer) -> None:
    peer.hold()
    with Client(peer.address, timeout=PATIENCE) as client, ThreadPoolExecutor(1) as thread:
        pushed = thread.submit(client.push, "parent", {})
        peer.wait(lambda peer: len(peer.lines) == 1)
        child = Child(lambda: assert_pushed(client, "child"))
        peer.wait(lambda peer: len(peer.lines) == 2)
        peer.let(2)
        assert child.succeeded()
        assert pushed.result()
    assert peer.lines == [b'{"uid":"parent"}', b'{"uid":"child"}']


@forks
def test_a_fork_while_the_connection_is_being_opened_harms_neither(peer: Peer) -> None:
    peer.answer = guard("s3cret")
    peer.hold()
    client = Client(peer.address, secret="s3cret", timeout=PATIENCE)
    with client, ThreadPoolExecutor(1) as thread:
        pushed = thread.submit(client.push, "parent", {})
        peer.wait(lambda peer: len(peer.lines) == 1)
        child = Child(lambda: assert_pushed(client, "child"))
        peer.wait(lambda peer: len(peer.lines) == 2)
        peer.let(4)
        assert child.succeeded()
        assert pushed.result()
    assert peer.accepted == 2


# --- the end of the process -------------------------------------------------------------------


def run(program: str, *arguments: str) -> str:
    """What a program of its own process prints; it must end by itself."""
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_a_push_at_exit_is_delivered(peer: Peer) -> None:
    program = """
        import atexit, sys
        from pushline.client import Client
        client = Client(sys.argv[1])
        atexit.register(lambda: print(client.push("last", {})))
        client.push("first", {})
    """
    assert run(program, peer.address) == "True"
    assert peer.lines == [b'{"uid":"first"}', b'{"uid":"last"}']


def test_a_first_push_at_exit_is_delivered_or_refused_but_never_hangs(peer: Peer) -> None:
    program = """
        import atexit, sys
        from pushline.client import Client, UnavailableError
        def push():
            try:
                print(Client(sys.argv[1]).push("last", {}))
            except UnavailableError:  # from Python 3.12 on no thread starts at exit
                print(sys.version_info >= (3, 12))
        atexit.register(push)
    """
    assert run(program, peer.address) == "True"


def test_a_push_at_exit_has_its_deadline(peer: Peer) -> None:
    peer.hold()
    program = """
        import atexit, sys
        from pushline.client import Client, DeadlineError
        client = Client(sys.argv[1], timeout=0.2)
        def push():
            try:
                client.push("last", {})
            except DeadlineError:
                print("in time")
        atexit.register(push)
        push()
    """
    assert run(program, peer.address) == "in time\nin time"


def test_a_process_that_can_start_no_thread_is_told_so(peer: Peer) -> None:
    program = """
        import sys, threading
        from pushline.client import Client, UnavailableError
        threading.stack_size(1 << 46)  # bytes, more than there is
        with Client(sys.argv[1]) as client:
            try:
                client.push("u", {})
            except UnavailableError as error:
                print(error)
    """
    assert run(program, peer.address) == "can't start new thread; nothing was pushed"


def test_a_process_does_not_wait_for_a_push_of_a_daemon_thread(peer: Peer) -> None:
    peer.hold()
    program = """
        import sys, threading
        from pushline.client import Client
        client = Client(sys.argv[1], timeout=3600)
        threading.Thread(target=client.push, args=("u", {}), daemon=True).start()
        sys.stdin.read()
        print("ended")
    """
    command = [sys.executable, "-c", textwrap.dedent(program), peer.address]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        peer.wait(lambda peer: len(peer.lines) == 1)
        assert process.communicate(timeout=PATIENCE)[0] == "ended\n"


# --- lost connections -------------------------------------------------------------------------


def test_pushes_fail_while_the_server_is_down_and_succeed_when_it_is_back(peer: Peer) -> None:
    with Client(peer.address) as client, ThreadPoolExecutor(50) as threads:
        assert client.push("u", {})
        peer.stop()

        def push(_number: int) -> bool:
            with pytest.raises(UnavailableError, match=peer.address):
                client.push("u", {})
            return True

        started = time.monotonic()
        assert all(threads.map(push, range(50)))
        assert time.monotonic() - started < PATIENCE / 2
        peer.start()
        assert client.push("u", {})

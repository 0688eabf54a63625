"""`pushline serve --workers`: processes that share the ports, over a real Redis."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.servers import RedisServer
from tests.browser import CLOSE, Browser, EndedError, RefusedError
from tests.commands import PATIENCE, PROGRAM, outcome, pushline, start
from tests.faults.back_end import BackEnd, push_line
from tests.faults.unharmed import wait_until
from tests.ports import free_port, free_ports
from tests.server import Server
from tests.supervise.group import Group, process_of, write_app
from tests.worker.supervised import is_alive

BROWSERS = 40
ENOUGH = 5
"""Of them are at one of two processes, but for once in ten million times."""
BUSY = 1.5
"""Seconds by which a busy machine may be late."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_app(tmp_path)
    return tmp_path


@pytest.fixture
def group(folder: Path, redis: RedisServer) -> Iterator[Group]:
    with Group(folder, redis) as group:
        yield group


@contextlib.contextmanager
def crowd(group: Group) -> Iterator[dict[Browser, int]]:
    """Browsers, `uid0` and so on, and the process of each."""
    with contextlib.ExitStack() as stack:
        browsers = [stack.enter_context(group.browser(f"uid{i}")) for i in range(BROWSERS)]
        yield {browser: process_of(browser).process for browser in browsers}


def of(browsers: dict[Browser, int], index: int) -> list[Browser]:
    return [browser for browser, its in browsers.items() if its == index]


# --- sharing ------------------------------------------------------------------------------------


def test_connections_are_spread_over_processes_that_know_their_index(group: Group) -> None:
    with crowd(group) as browsers:
        counts = Counter(browsers.values())
        assert sorted(counts) == [0, 1]
        assert min(counts.values()) >= ENOUGH
        assert {process_of(browser).pid for browser in browsers} == {*group.children}
        assert group.connections() == [counts[0], counts[1]]


def test_a_push_at_any_process_reaches_browsers_at_all(group: Group) -> None:
    with crowd(group) as browsers, contextlib.ExitStack() as stack:
        back_ends = [stack.enter_context(BackEnd(group.text)) for _ in range(10)]
        for number, browser in enumerate(browsers):
            for back_end in back_ends:
                assert back_end.push(push_line(f"uid{number}", n=number))
                assert browser.message() == push_line(f"uid{number}", n=number)
        asked = [group.asked(index, "metrics") for index in range(2)]
        assert all(int(each["broker_received_total"]) > 0 for each in asked)


def test_each_process_answers_operators_at_a_port_of_its_own(group: Group) -> None:
    assert [group.asked(index, "ready") for index in range(2)] == [{"ready": ""}] * 2
    assert group.has_said(f"operators   http://{group.http}/ready")
    assert group.has_said("processes   2, which share the ports; each has these limits")
    assert group.has_said("process i has port + i for operators")
    assert group.has_said("process 0: ")
    assert group.has_said("process 1: ")


# --- what else is there -------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["websocket", "text", "http"])
def test_a_port_that_is_taken_is_an_error(folder: Path, redis: RedisServer, which: str) -> None:
    with socket.create_server(("127.0.0.1", free_port()), reuse_port=True) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = {f"{which.upper()}_LISTEN": address}
        with Group(folder, redis, workers=2, **settings) as group:
            assert group.wait() == 2
            assert group.log == [f"pushline: cannot listen at {address}: Address already in use\n"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_another_server_cannot_have_its_ports(
    folder: Path, redis: RedisServer, group: Group, workers: str
) -> None:
    ports = {"WEBSOCKET_LISTEN": group.websocket, "TEXT_LISTEN": group.text, "HTTP_LISTEN": ""}
    with Server("--workers", workers, "--broker", redis.url, **ports) as other:
        assert other.wait() == 2
        (line,) = (line for line in other.log if line.startswith("pushline: "))
        assert line.startswith("pushline: cannot listen at ")


def test_another_server_cannot_have_its_control_socket(
    folder: Path, redis: RedisServer, group: Group
) -> None:
    with Group(folder, redis) as other:
        assert other.wait() == 2
        assert other.has_said(f"another server runs with the control socket {group.control}")
        assert other.has_said("a serve.control of its own")


def test_an_application_that_does_not_start_ends_it_with_the_reason(
    folder: Path, redis: RedisServer
) -> None:
    (folder / "mine.py").write_text("raise ValueError('not yet')")
    with Group(folder, redis) as group:
        assert group.wait() == 2
        assert group.has_said("pushline: mine cannot be imported: ValueError('not yet')")


def test_without_a_broker_it_says_that_it_needs_one() -> None:
    refused = pushline("serve", "--workers", "2")
    assert refused.code == 2
    assert refused.errors.startswith("pushline: serve.workers = 2 are processes that reach each")


# --- death --------------------------------------------------------------------------------------


def test_a_process_that_is_killed_takes_its_own_browsers_only_and_is_followed(
    group: Group,
) -> None:
    with crowd(group) as browsers:
        (dead,) = {process_of(browser).pid for browser in of(browsers, 0)}
        os.kill(dead, signal.SIGKILL)
        for browser in of(browsers, 0):
            with pytest.raises(EndedError):
                browser.message()
        assert {process_of(browser).process for browser in of(browsers, 1)} == {1}
        wait_until(lambda: group.has_said(f"process 0 (pid {dead}) was ended by SIGKILL"))
        with crowd(group) as again:  # who comes before another is ready finds the other process
            wait_until(lambda: len(group.children) == 2)
            with BackEnd(group.text) as back_end:
                for number, browser in enumerate(again):
                    assert back_end.push(push_line(f"uid{number}", back=True))
                    assert browser.message() == push_line(f"uid{number}", back=True)
        wait_until(lambda: sum("process 0 (pid" in line for line in group.log) == 3)
        with crowd(group) as spread:
            assert len(of(spread, 0)) >= ENOUGH


def test_its_processes_end_with_it_however_it_ends(group: Group) -> None:
    children = group.children
    group.kill()
    wait_until(lambda: not any(map(is_alive, children)))


# --- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_asks_all_browsers_to_reconnect_and_ends_in_time(
    folder: Path, redis: RedisServer, number: signal.Signals
) -> None:
    with Group(folder, redis, SHUTDOWN_TIME="1") as group, crowd(group) as browsers:
        children = group.children
        began = time.monotonic()
        group.signal(number)
        assert {browser.close_code() for browser in browsers} == {3001}
        for browser in browsers:
            browser.send_frame(CLOSE)
        assert group.wait() == 0
        assert time.monotonic() - began < 2 + BUSY
        assert not any(map(is_alive, children))
        assert not group.control.exists()
        assert group.has_said("stopped")


def test_browsers_that_do_not_answer_do_not_keep_it(folder: Path, redis: RedisServer) -> None:
    with Group(folder, redis, SHUTDOWN_TIME="0.5") as group, crowd(group):
        children = group.children
        began = time.monotonic()
        group.signal(signal.SIGTERM)
        assert group.wait() == 0
        assert time.monotonic() - began < 1.5 + BUSY
        assert not any(map(is_alive, children))


def test_a_second_signal_ends_it_at_once(folder: Path, redis: RedisServer) -> None:
    with Group(folder, redis, SHUTDOWN_TIME="60") as group, crowd(group):
        children = group.children
        group.signal(signal.SIGTERM)
        wait_until(lambda: group.has_said("stopping: the processes finish"))
        group.signal(signal.SIGTERM)
        assert group.wait() == 0
        assert not any(map(is_alive, children))


def test_a_signal_ends_it_while_it_starts(folder: Path, redis: RedisServer) -> None:
    write_app(folder, more="\nimport pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(60)")
    browsers, back_ends = (f"127.0.0.1:{port}" for port in free_ports(2))
    ports = ("--websocket", browsers, "--text", back_ends)
    server = subprocess.Popen(
        [PROGRAM, "serve", "mine:app", "--workers", "2", "--broker", redis.url, *ports],
        cwd=folder,
        env=os.environ | {"PUSHLINE_SERVE_CONTROL": str(folder / "control")},
    )
    with server:
        wait_until((folder / "begun").exists)
        server.terminate()
        assert server.wait(PATIENCE) == 0


# --- a reload -----------------------------------------------------------------------------------


def test_a_reload_replaces_one_process_after_the_other_with_new_code(
    folder: Path, group: Group
) -> None:
    with crowd(group) as browsers:
        old = group.children
        write_app(folder, "v2")
        reload = start("reload", settings={"SERVE_CONTROL": str(group.control)})
        assert {browser.close_code() for browser in browsers} == {3001}
        for browser in browsers:
            browser.send_frame(CLOSE)
        done = outcome(reload)
    assert (done.code, done.errors) == (0, "")
    assert done.output == "process 0 has been replaced\nprocess 1 has been replaced\n"
    assert not {*old} & {*group.children}
    with crowd(group) as browsers:
        told = {process_of(browser) for browser in browsers}
        assert {(each.version, each.process) for each in told} == {("v2", 0), ("v2", 1)}


def test_in_a_reload_nobody_is_refused(group: Group) -> None:
    """But for those few that the kernel has queued for a process in the moment that it closes."""
    came: list[int] = []
    missed: list[Exception] = []
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            try:
                with group.browser("visitor") as browser:
                    came.append(process_of(browser).pid)
            except (OSError, EndedError, RefusedError) as error:
                missed.append(error)

    visitors = [threading.Thread(target=come_and_go) for _ in range(2)]
    for visitor in visitors:
        visitor.start()
    old = group.children
    assert pushline("reload", SERVE_CONTROL=str(group.control)).code == 0
    over.set()
    for visitor in visitors:
        visitor.join()
    assert {*came} == {*old, *group.children}
    assert not [error for error in missed if isinstance(error, ConnectionRefusedError)]
    assert len(missed) <= 2 * len(visitors)


def test_a_new_process_that_does_not_start_leaves_the_old_ones(folder: Path, group: Group) -> None:
    with crowd(group) as browsers:
        (folder / "mine.py").write_text("raise ValueError('not yet')")
        failed = pushline("reload", SERVE_CONTROL=str(group.control))
        assert failed.code == 1
        assert failed.output == (
            "process 0 stays as it was: mine cannot be imported: ValueError('not yet')\n"
        )
        assert {process_of(browser).version for browser in browsers} == {"v1"}


def test_a_hangup_is_a_reload_that_keeps_the_ports(folder: Path, redis: RedisServer) -> None:
    settings = folder / "pushline.toml"
    settings.write_text("[limits]\nmessage = 2048\n")
    with Group(folder, redis, "--config", str(settings)) as group:
        settings.write_text('[shutdown]\ntime = 60\n[http]\nlisten = "127.0.0.1:1"\n')
        old = group.children
        group.signal(signal.SIGHUP)
        wait_until(lambda: group.has_said("process 1 has been replaced"))
        assert not {*old} & {*group.children}
        assert [group.asked(index, "ready") for index in range(2)] == [{"ready": ""}] * 2

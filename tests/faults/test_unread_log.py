"""A log that nobody reads: a stopped collector, a terminal after Ctrl-S."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from tests.browser import DEADLINE, connect
from tests.commands import Command, start
from tests.faults.back_end import BackEnd, push_line
from tests.ports import free_ports

AT_ONCE = 1.0
BAD = b"garbage"
"""Which is logged before it is answered."""


@contextlib.contextmanager
def serving(websocket: str, text: str) -> Iterator[Command]:
    """A server, once it serves; it is ended in any case."""
    settings = {"WEBSOCKET_LISTEN": websocket, "TEXT_LISTEN": text, "AUTH_MODE": "open"}
    with start("serve", settings=settings) as process:
        try:
            assert has_said(process, b"Ctrl-C")
            yield process
        finally:
            process.kill()


def has_said(process: Command, text: bytes) -> bool:
    """Reads its log until it says that, or to the end."""
    assert process.stderr is not None
    return any(text in line for line in process.stderr)


def fill(process: Command) -> None:
    """Let nothing more go into what it logs to."""
    pipe = os.open(f"/proc/{process.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while os.write(pipe, bytes(1 << 16)):
            pass
    os.close(pipe)


def test_nobody_waits_for_who_does_not_read_the_log() -> None:
    websocket, text = (f"127.0.0.1:{port}" for port in free_ports(2))
    with (
        serving(websocket, text) as process,
        BackEnd(text) as back_end,
        connect(websocket) as browser,
    ):
        browser.login("u").settle()
        fill(process)
        for _ in range(3):
            assert not back_end.push(BAD)
            assert back_end.push(push_line("u"))
            assert browser.message() == push_line("u")


def test_it_does_not_hold_up_the_end() -> None:
    websocket, text = (f"127.0.0.1:{port}" for port in free_ports(2))
    with serving(websocket, text) as process, BackEnd(text) as back_end:
        fill(process)
        assert not back_end.push(BAD)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0
        assert time.monotonic() - began < AT_ONCE


def test_what_waited_is_written_once_it_is_read() -> None:
    websocket, text = (f"127.0.0.1:{port}" for port in free_ports(2))
    with serving(websocket, text) as process, BackEnd(text) as back_end:
        fill(process)
        assert not back_end.push(BAD)
        assert has_said(process, b" WARNING text: ")

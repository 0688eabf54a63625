"""`pushline push` in each of its forms, with real processes, and its lines from standard input."""

import contextlib
import io
import json
import os
import pty
import re
import signal
import socket
import sys
import termios
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushline import push
from pushline.client import Client
from pushline.client.pushes import MAX_LINE
from pushline.push import CHUNK, LONG_INPUT, push_lines
from tests.browser import PING, PONG, Browser, connect
from tests.client.peer import Peer, leaving_after
from tests.commands import Command, called, outcome, pushline, start
from tests.faults.back_end import push_line
from tests.server import Server

HELLO = '{"text": "hello"}'
OK, FAIL = (0, "ok\n", ""), (1, "fail\n", "")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def alice(server: Server) -> Iterator[Browser]:
    with page(server, "alice") as browser:
        yield browser


@pytest.fixture
def bob(server: Server) -> Iterator[Browser]:
    with page(server, "bob") as browser:
        yield browser


def page(server: Server, uid: str, utype: str | None = None) -> Browser:
    """A tab that has logged in."""
    browser = connect(server.websocket).login(uid, utype=utype)
    browser.settle()
    return browser


def got(browser: Browser) -> list[dict[str, Any]]:
    """What has come until now, by the server's own order."""
    browser.send_frame(PING, b"now")
    messages = []
    while (frame := browser.receive()) != (PONG, b"now"):
        messages.append(json.loads(frame[1]))
    return messages


# --- from arguments -----------------------------------------------------------------------------


def test_a_push_goes_to_those_who_are_named(server: Server, alice: Browser, bob: Browser) -> None:
    with page(server, "alice", "7") as other:
        outcomes = [
            pushline("push", "alice", '{"n": 1}', TEXT_LISTEN=server.text),
            pushline("push", "alice", "bob", '{"n": 2}', TEXT_LISTEN=server.text),
            called("push", "nobody", "bob", '{"n": 3}', TEXT_LISTEN=server.text),
            called("push", "--utype", "7", "alice", '{"n": 4}', TEXT_LISTEN=server.text),
            called("push", "-5", "--utype", "7", "-6", "alice", "--text", server.text, '{"n": 5}'),
        ]
        assert outcomes == [OK] * 5
        assert got(alice) == [{"uid": "alice", "n": 1}, {"uid": ["alice", "bob"], "n": 2}]
        assert [message["n"] for message in got(bob)] == [2, 3]
        assert [message["n"] for message in got(other)] == [4, 5]


def test_a_push_to_all_goes_to_everyone_of_its_type(
    server: Server, alice: Browser, bob: Browser
) -> None:
    with page(server, "alice", "7") as other:
        to_all = pushline("push", "--all", HELLO, "--text", server.text)
        to_type = called("push", "--text", server.text, "--all", "--utype=7", HELLO)
        assert to_all == to_type == OK
        assert got(alice) == got(bob) == [{"uid": "", "text": "hello"}]
        assert got(other) == [{"uid": "", "utype": "7", "text": "hello"}]


def test_a_push_to_nobody_who_is_here_is_fail_and_exit_code_1(server: Server) -> None:
    assert pushline("push", "nobody", HELLO, TEXT_LISTEN=server.text) == FAIL
    assert called("push", "nobody", "no one", HELLO, TEXT_LISTEN=server.text) == FAIL


def test_what_is_no_push_is_one_line_and_exit_code_2(server: Server, alice: Browser) -> None:
    words = {
        ("alice", "hello"): "the last argument is no JSON object",
        ("alice", '["hello"]'): "the last argument is no JSON object",
        ("alice", '{"text": '): "the last argument is no JSON object",
        ("alice", '{"uid": "bob"}'): "`uid`",
        ("alice",): "JSON object is missing",
        (HELLO,): "UID is missing",
        ("--all",): "JSON object is missing",
        ("--all", "alice", HELLO): "one of both",
        ("0", HELLO): "uid 0",
        ("", HELLO): "1 to 255 bytes",
        ("--utype", "", "alice", HELLO): "1 to 255 bytes",
        ("alice", HELLO, "--text", "nowhere"): "is no address",
    }
    for each, why in words.items():
        refused = called("push", *each, TEXT_LISTEN=server.text)
        assert (refused.code, refused.output) == (2, "")
        assert re.fullmatch(f"pushline: [^\n]*{re.escape(why)}[^\n]*\n", refused.errors)
    assert pushline("push", "alice", "hello").code == 2
    assert got(alice) == []


def test_a_server_that_cannot_be_asked_is_one_line_and_exit_code_3() -> None:
    with socket.socket() as probe, Server(TEXT_SECRET="s3") as guarded:
        probe.bind(("127.0.0.1", 0))  # and does not listen
        nowhere = f"127.0.0.1:{probe.getsockname()[1]}"
        one, lines = ("push", "alice", HELLO), push_line("alice")
        unasked = [
            called(*one, TEXT_LISTEN=nowhere),
            pushline("push", given=lines, TEXT_LISTEN=nowhere),
            called(*one, TEXT_LISTEN=guarded.text),
            pushline("push", given=lines, TEXT_LISTEN=guarded.text, TEXT_SECRET="s4"),
        ]
        for refused, why in zip(unasked, (nowhere, nowhere, "secret", "secret"), strict=True):
            assert (refused.code, refused.output) == (3, "")
            assert re.fullmatch(f"pushline: [^\n]*{re.escape(why)}[^\n]*\n", refused.errors)
            assert "s4" not in refused.errors
        with page(guarded, "alice") as alice:
            told = called(*one, TEXT_LISTEN=guarded.text, TEXT_SECRET="s3")
            assert told == OK
            assert got(alice) == [{"uid": "alice", "text": "hello"}]


# --- from standard input ------------------------------------------------------------------------


def test_ready_lines_go_out_as_they_are(server: Server, alice: Browser) -> None:
    lines = [
        b'{"t":1.50,  "uid":"alice"}',
        b'{"uid":["alice"]}\r',
        '{"uid":"alice","ö":"✓"}'.encode(),
    ]
    told = pushline("push", "--text", server.text, given=b"\n".join(lines))
    assert told == (0, "3 ok, 0 fail\n", "")
    assert [alice.message() for _ in lines] == [line.rstrip(b"\r") for line in lines]


def test_lines_that_fail_are_counted_and_those_that_are_no_push_are_told(
    server: Server, alice: Browser
) -> None:
    lines = [b'{"uid":"alice"}', b'{"uid":"nobody"}', b"hello", b"", b'{"uid":"alice"}', b""]
    told = pushline("push", "--text", server.text, given=b"\n".join(lines))
    assert (told.code, told.output) == (1, "2 ok, 3 fail\n")
    errors = told.errors.splitlines()
    assert [line[:18] for line in errors] == ["pushline: line 3: ", "pushline: line 4: "]
    assert len(got(alice)) == 2


def test_no_lines_are_no_failure(server: Server) -> None:
    assert pushline("push", "--text", server.text) == (0, "0 ok, 0 fail\n", "")


@pytest.fixture
def pushing(server: Server) -> Iterator[Command]:
    """A command that waits for lines."""
    with start("push", "--text", server.text) as command:
        yield command
        command.kill()


def write(command: Command, line: bytes) -> None:
    assert command.stdin is not None
    command.stdin.write(line)
    command.stdin.flush()


def test_a_line_goes_out_when_it_is_whole_though_more_may_come(
    alice: Browser, pushing: Command
) -> None:
    line = push_line("alice", n=1)
    write(pushing, line + b"\n" + line[:5])
    assert alice.message() == line
    write(pushing, line[5:] + b"\n")
    assert alice.message() == line


def test_ctrl_c_ends_it_without_a_word(alice: Browser, pushing: Command) -> None:
    write(pushing, push_line("alice") + b"\n")
    alice.message()
    pushing.send_signal(signal.SIGINT)
    assert outcome(pushing) == (130, "", "")


def test_lines_that_are_answered_are_told_when_the_server_goes() -> None:
    with Peer() as peer, start("push", "--text", peer.address) as command:
        peer.answer = leaving_after(peer, 2)
        write(command, b'{"uid":"a"}\n')
        write(command, b'{"uid":"b"}\n')
        peer.wait(lambda peer: peer.ended == 1)
        write(command, b'{"uid":"c"}\n')
        told = outcome(command)
    assert (told.code, told.output) == (3, "")
    far = "; a push may have been delivered; 2 ok, 0 fail; not sent: from line 3 on\n"
    assert told.errors.startswith(f"pushline: cannot connect to {peer.address} ")
    assert told.errors.endswith(far)


def test_lines_that_went_out_and_were_not_answered_are_not_known() -> None:
    with Peer() as peer:
        peer.answer = leaving_after(peer, 2)
        told = pushline("push", "--text", peer.address, given=b"{}\n" * 5)
    lost = f"pushline: the connection to {peer.address} was lost; a push may have been delivered"
    far = "2 ok, 0 fail; not known: lines 3 to 5; not sent: from line 6 on"
    assert told == (3, "", f"{lost}; {far}\n")


def test_lines_before_one_that_is_no_push_are_told_of_too() -> None:
    with Peer() as peer:
        peer.answer = leaving_after(peer, 1)
        told = pushline("push", "--text", peer.address, given=b"{}\nhello\n{}\n")
    assert told.code == 3
    assert re.search(r"delivered; 1 ok, 1 fail; (not known: line 3; )?not sent", told.errors)


def test_how_far_it_came_is_told_of_a_server_that_was_killed() -> None:
    with Server() as server, page(server, "alice") as alice:
        command = start("push", "--text", server.text)
        for _ in range(2):  # the first is answered before the second is read
            write(command, push_line("alice") + b"\n")
            alice.message()
    with contextlib.suppress(BrokenPipeError):  # it may have ended already
        write(command, push_line("alice") + b"\n")
    told = outcome(command)
    assert told.code == 3
    assert re.search(r"; a push may have been delivered; [12] ok, 0 fail; not ", told.errors)


# --- the progress bar ---------------------------------------------------------------------------


def test_long_input_has_a_progress_bar_on_a_terminal_and_nowhere_else(
    server: Server, alice: Browser
) -> None:
    """Long is more than a second, so it is time itself that is waited for."""
    with terminal() as (shown, stderr):
        watched = start("push", "--text", server.text, stderr=stderr)
        piped = start("push", "--text", server.text)
        for command in (watched, piped):
            write(command, push_line("alice") + b"\n")
            alice.message()  # it has begun
        time.sleep(LONG_INPUT * 1.05)
        for command in (watched, piped):
            write(command, push_line("alice") + b"\n")
            assert outcome(command) == (0, "2 ok, 0 fail\n", "")
        bar = os.read(shown, 10_000).decode()
    assert re.search(r"\r32\.0B \[00:0\d, [^\n]*B/s\]", bar), bar


@contextlib.contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Descriptors of one that is 80 characters wide: what it shows, and what is written to it."""
    shown, written = pty.openpty()
    termios.tcsetwinsize(written, (24, 80))
    yield shown, written
    os.close(written)
    os.close(shown)


class Terminal(io.StringIO):
    """A standard error that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.text) as client:
        yield client


def lines_of(path: Path, lines: list[bytes], client: Client) -> tuple[int, int]:
    path.write_bytes(b"\n".join(lines))
    with path.open("rb") as source:
        return push_lines(client, source)


def test_the_bar_of_a_file_knows_how_much_is_left(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "LONG_INPUT", 0)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    lines = [push_line("nobody", n=number) for number in range(10_000)]
    assert lines_of(tmp_path / "lines", lines, client) == (0, 10_000)
    assert "100%" in terminal.getvalue()
    assert re.search(r"\d+k/\d+k \[00:0\d", terminal.getvalue())


def test_short_input_has_no_bar(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    lines_of(tmp_path / "lines", [push_line("nobody")], client)
    assert terminal.getvalue() == ""


# --- what is read -------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["no line end", "line end"])
def test_long_and_many_lines_all_go_out_in_their_order(
    client: Client, alice: Browser, tmp_path: Path, end: bytes
) -> None:
    """Of any length beside what is read at a time."""
    sizes = [100, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 500_000, *[20] * 2000, CHUNK]
    lines = [push_line("alice", n=n).ljust(size) for n, size in enumerate(sizes)]
    lines[-1] += end
    assert lines_of(tmp_path / "lines", lines, client) == (len(lines), 0)
    assert [alice.message() for _ in lines] == [line.rstrip(b"\n") for line in lines]


def test_a_line_that_is_too_long_stops_no_other(
    client: Client, alice: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = push_line("alice")
    assert lines_of(tmp_path / "lines", [line, line.ljust(2 << 20), line], client) == (2, 1)
    assert [alice.message() for _ in range(2)] == [line] * 2
    assert capsys.readouterr().err.startswith("pushline: line 2: a push of more than 1048576 bytes")


def test_a_line_without_end_is_not_held(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "zeros").open("w+b") as source:
        source.truncate(64 * MAX_LINE)
        tracemalloc.start()
        assert push_lines(client, source) == (0, 1)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 8 * MAX_LINE
    assert capsys.readouterr().err.startswith("pushline: line 1: a push of more than 1048576 bytes")

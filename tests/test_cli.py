"""Commands, their output and their exit codes; `pushline push` has its own tests."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushline import __version__
from tests.browser import connect
from tests.commands import PATIENCE, Outcome, called, outcome, pushline, start
from tests.faults.back_end import BackEnd, push_line
from tests.server import Server

INTERRUPTED_AT_LOAD = """
import signal, sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == "pushline.cli":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, CtrlC())
"""
SECRET = "hunter2-hunter2"
ONE_LINE = re.compile(r"pushline: [^\n]+\n")


def is_one_line(refused: Outcome, *words: str) -> bool:
    """Exit code 2 and one line of error, nothing else, which has these words."""
    return (
        (refused.code, refused.output) == (2, "")
        and ONE_LINE.fullmatch(refused.errors) is not None
        and all(word in refused.errors for word in words)
    )


# --- usage --------------------------------------------------------------------------------------


def test_what_is_no_command_is_shown_how_one_looks_like() -> None:
    for refused in (
        pushline("sever"),
        called(),
        called("serve", "chat:app", "extra"),
        called("serve", "--port", "1234"),
        called("push", "--everyone", "{}"),
        called("token"),
        called("config", "--demo", "on"),
    ):
        assert (refused.code, refused.output) == (2, "")
        assert refused.errors.startswith("usage: pushline")


def test_help_names_every_command_flag_and_exit_code() -> None:
    everything, serve, push = (called(*each, "--help") for each in ([], ["serve"], ["push"]))
    for told, words in (
        (everything, ["serve", "push", "token", "config"]),
        (serve, ["--config", "--websocket", "--text", "--auth", "127.0.0.1:1234"]),
        (push, ["--all", "--utype", "--text", "--config", "127.0.0.1:5678", "exit codes:"]),
    ):
        assert told.code == 0
        assert [word for word in words if word not in told.output] == []


def test_it_is_a_program_and_a_module() -> None:
    command = [sys.executable, "-m", "pushline", "--version"]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert pushline("--version") == (0, told, "")
    assert told == f"pushline {__version__}\n"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """As in `pushline config | head -1`."""
    command = start("config")
    assert command.stdout is not None
    command.stdout.close()
    assert command.wait(PATIENCE) == 128 + signal.SIGPIPE
    assert command.communicate() == (b"", b"")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def test_output_that_cannot_be_written_is_one_line_and_exit_code_3(server: Server) -> None:
    why = "pushline: cannot write to standard output (No space left on device)\n"
    for each in (["push", "--all", "{}", "--text", server.text], ["config"], ["--help"]):
        assert outcome(start(*each, redirection=">/dev/full")) == (3, "", why)


def test_an_error_that_cannot_be_written_has_its_exit_code() -> None:
    for each, code in ((["push", "a", "{}", "--text", "127.0.0.1:1"], 3), (["token", "a"], 2)):
        assert outcome(start(*each, redirection="2>/dev/full")) == (code, "", "")
    assert outcome(start("config", redirection=">/dev/full 2>&1")) == (3, "", "")


def test_where_standard_error_is_closed_nothing_of_it_is_printed(server: Server) -> None:
    assert outcome(start("token", "a", redirection="2>&-")) == (2, "", "")
    lines = start("push", "--text", server.text, redirection="2>&-")
    assert outcome(lines, b"hello\n") == (1, "0 ok, 1 fail\n", "")


def test_where_standard_output_is_closed_nothing_is_printed(server: Server) -> None:
    for each, code in (
        (["push", "--all", "{}", "--text", server.text], 0),
        (["push", "nobody", "{}", "--text", server.text], 1),
        (["config"], 0),
    ):
        assert outcome(start(*each, redirection=">&-")) == (code, "", "")


def test_lines_from_a_closed_standard_input_are_one_line() -> None:
    refused = outcome(start("push", redirection="<&-"))
    assert is_one_line(refused, "standard input is closed")


def test_ctrl_c_ends_it_without_a_word_even_where_it_still_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTED_AT_LOAD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert pushline("config") == (130, "", "")
    module = subprocess.run([sys.executable, "-m", "pushline"], capture_output=True, check=False)
    assert (module.returncode, module.stdout, module.stderr) == (130, b"", b"")


# --- the configuration --------------------------------------------------------------------------


def test_a_wrong_key_value_or_flag_is_one_line(tmp_path: Path) -> None:
    key, value, broken = (tmp_path / f"{name}.toml" for name in ("key", "value", "broken"))
    key.write_text("[limits]\nqueu = 1\n")
    value.write_text('[limits]\nqueue = "much"\n')
    broken.write_text("[limits\n")
    missing = str(tmp_path / "missing.toml")
    refused = [
        pushline("serve", "--config", str(key)),
        called("config", "--config", str(value)),
        called("config", "--config", str(broken)),
        called("config", "--config", missing),
        pushline("serve", "--auth", "closed"),
        called("config", "--websocket", "1234"),
        called("config", "--text", "nowhere:port"),
        called("push", "--config", str(key), "uid1", "{}"),
        called("token", "--config", str(key), "uid1"),
    ]
    for each, words in zip(
        refused,
        [
            [str(key), "limits.queu", "did you mean limits.queue?"],
            [str(value), "limits.queue", "a size from"],
            [str(broken), "not valid TOML"],
            [missing, "No such file"],
            ["--auth", "auth.mode", '"open"', '"token"'],
            ["--websocket", "websocket.listen"],
            ["--text", "text.listen"],
            [str(key), "limits.queu"],
            [str(key), "limits.queu"],
        ],
        strict=True,
    ):
        assert is_one_line(each, *words), each


def test_a_wrong_variable_is_one_line() -> None:
    refused = pushline("serve", LIMITS_QUEU="1 MiB")
    assert is_one_line(refused, "PUSHLINE_LIMITS_QUEU", "did you mean PUSHLINE_LIMITS_QUEUE?")
    refused = called("config", HEARTBEAT_PING="often")
    assert is_one_line(refused, "PUSHLINE_HEARTBEAT_PING", "a number of seconds")


def test_what_would_be_unsafe_is_refused_and_says_why() -> None:
    public = pushline("serve", "--websocket", "0.0.0.0:0")
    open_to_all = called("config", "--websocket", "0.0.0.0:0", "--auth", "open")
    text = called("config", "--text", "0.0.0.0:0", "--auth", "open")
    assert is_one_line(public, "0.0.0.0:0", "auth.secret", "auth.allow_public_open")
    assert is_one_line(open_to_all, "anyone", "auth.allow_public_open = true")
    assert is_one_line(text, "text.listen", "text.secret", "text.trusted_networks")


def test_config_prints_what_is_in_force_with_its_secrets_masked(tmp_path: Path) -> None:
    """And what it prints is a file that is taken again."""
    file = tmp_path / "pushline.toml"
    file.write_text(f'[auth]\nsecret = "{SECRET}"\n[heartbeat]\nping = 7\npong = 3\n')
    told = pushline(
        *("config", "--config", str(file), "--websocket", "127.0.0.1:4321"),
        TEXT_SECRET=SECRET,
        HEARTBEAT_PING="9",
    )
    assert (told.code, told.errors) == (0, "")
    assert SECRET not in told.output
    assert told.output.count('secret = "********"') == 2
    for line in ('listen = ["127.0.0.1:4321"]', "ping = 9 ", "pong = 3 ", 'mode = "token"'):
        assert f"\n{line}" in told.output
    file.write_text(told.output.replace("********", SECRET))
    assert called("config", "--config", str(file)) == told


# --- token --------------------------------------------------------------------------------------


def test_a_token_logs_its_user_in() -> None:
    plain = pushline("token", "42", AUTH_SECRET="s3")
    typed = called("token", "42", "--utype", "1", AUTH_SECRET="s3")
    assert (plain.code, plain.errors) == (typed.code, typed.errors) == (0, "")
    assert json.loads(typed.output)["checkToken"] == "c6dc8f189e84d57322ff1f6d30e24c01"
    with (
        Server(AUTH_MODE="token", AUTH_SECRET="s3") as server,
        connect(server.websocket) as one,
        connect(server.websocket) as two,
        BackEnd(server.text) as back_end,
    ):
        for browser, told, line in (
            (one, plain, push_line("42")),
            (two, typed, push_line("42", 1)),
        ):
            browser.send_text(told.output.rstrip("\n"))
            browser.settle()
            assert back_end.push(line)
            assert browser.message() == line


def test_a_token_that_could_not_be_made_is_one_line() -> None:
    assert is_one_line(pushline("token", "42"), "auth.secret")
    empty, long, broken = (
        called("token", uid, AUTH_SECRET=SECRET) for uid in ("", "x" * 256, "4\n2")
    )
    assert is_one_line(empty, "1 to 255 bytes")
    assert is_one_line(long, "1 to 255 bytes")
    assert is_one_line(broken, "control character")
    assert SECRET not in empty.errors + long.errors + broken.errors


# --- serve --------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--websocket", "--text"])
def test_a_taken_port_is_one_line_that_names_it(flag: str) -> None:
    others = [each for each in ("--websocket", "--text") if each != flag]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = pushline("serve", flag, address, others[0], "127.0.0.1:0")
    assert is_one_line(refused, f"cannot listen at {address}: ", "in use")


def test_a_server_without_standard_input_and_output_stops_as_any() -> None:
    ports = ("--websocket", "127.0.0.1:0", "--text", "127.0.0.1:0")
    command = start("serve", *ports, redirection="<&- >&-")
    assert command.stderr is not None
    assert b"  Ctrl-C stops it.\n" in iter(command.stderr.readline, b"")
    command.send_signal(signal.SIGTERM)
    ended = outcome(command)
    assert (ended.code, ended.errors[-8:]) == (0, "stopped\n")


def test_flags_win_over_variables_and_those_over_the_file(tmp_path: Path) -> None:
    """And only standard error is written to."""
    file = tmp_path / "pushline.toml"
    file.write_text('[auth]\nsessions = "first"\n[log]\nlevel = "debug"\n')
    command = start(
        *("serve", "--config", str(file), "--auth", "open"),
        *("--websocket", "127.0.0.1:0", "--text", "127.0.0.1:0"),
        settings={
            "AUTH_MODE": "token",
            "AUTH_SESSIONS": "newest",
            "WEBSOCKET_LISTEN": "127.0.0.1:1",
        },
    )
    assert command.stderr is not None
    banner = b"".join(iter(command.stderr.readline, b"  Ctrl-C stops it.\n")).decode()
    command.send_signal(signal.SIGINT)
    ended = outcome(command)
    assert (ended.code, ended.output) == (0, "")
    assert "login       open" in banner
    assert "sessions of one uid: newest" in banner
    assert "ws://127.0.0.1:1\n" not in banner

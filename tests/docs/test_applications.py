"""The applications that docs/ shows besides the quick start: each runs, and does what is said."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushline import App
from tests.browser import RefusedError, connect
from tests.docs.pages import blocks, codes, page
from tests.server import Server

APPLICATIONS = blocks(page("applications.md"), "python")
PORTED = blocks(page("from-gatewayworker.md"), "python")


@contextlib.contextmanager
def serving(folder: Path, marker: str) -> Iterator[Server]:
    """A server with the one application of the pages that has `marker` in it."""
    (source,) = [block for block in APPLICATIONS + PORTED if marker in block]
    (folder / "chat.py").write_text(source, "utf-8")
    with contextlib.chdir(folder), Server("chat:app", AUTH_MODE="") as server:
        yield server


@pytest.mark.parametrize("source", APPLICATIONS + PORTED)
def test_every_block_is_a_whole_application(source: str) -> None:
    names: dict[str, object] = {}
    exec(compile(source, "page", "exec"), names)
    assert isinstance(names["app"], App)


def test_the_first_one_sends_back_what_comes(tmp_path: Path) -> None:
    with serving(tmp_path, "def echo") as server, connect(server.websocket) as browser:
        browser.send_text("hello")
        assert browser.message() == b"hello"


def test_only_members_come_in(tmp_path: Path) -> None:
    with serving(tmp_path, "def members_only") as server:
        with pytest.raises(RefusedError, match="members only") as refused:
            connect(server.websocket)
        assert refused.value.status == 403
        connect(server.websocket, headers={"Cookie": "a=b; member=yes"}).disconnect()


def test_a_whisper_to_nobody_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path, "def whisper") as server, connect(server.websocket) as browser:
        browser.send_text("bob are you there?")
        assert browser.message() == b"bob is not here"


def test_a_reminder_comes(tmp_path: Path) -> None:
    with serving(tmp_path, "def remind") as server, connect(server.websocket) as browser:
        browser.send_text("tea")
        assert browser.message() == b"you wanted to hear: tea"


def test_a_plain_function_asks_its_database(tmp_path: Path) -> None:
    with serving(tmp_path, "import sqlite3") as server, connect(server.websocket) as browser:
        browser.send_text("loud")
        assert browser.message() == b"LOUD"


def test_the_login_of_pushline_js_comes_first_and_its_heartbeat_is_left_out(tmp_path: Path) -> None:
    with serving(tmp_path, '"heartbeat"') as server, connect(server.websocket) as browser:
        for text in ('{"join":"lobby"}', '{"data":"heartbeat"}', '{"join":"kitchen"}'):
            browser.send_text(text)
        assert browser.message() == b"in lobby"
        assert browser.message() == b"in lobby, kitchen"


def test_the_metrics_that_the_page_names_are_there_when_a_handler_has_failed(
    tmp_path: Path,
) -> None:
    named = {name for name in codes(page("applications.md")) if name.startswith("pushline_")}
    assert named
    with serving(tmp_path, "def whisper") as server, connect(server.websocket) as browser:
        browser.send_text(" to an empty uid, which raises")
        browser.send_text("bob are you there?")
        browser.message()
        assert named <= {f"pushline_{name.partition('{')[0]}" for name in server.metrics()}


def test_what_was_events_php_speaks_to_the_room(tmp_path: Path) -> None:
    with serving(tmp_path, "send_to_group(client.session") as server:
        browsers = [connect(server.websocket, f"/?room={room}") for room in ("a", "a", "b")]
        first, second, other = browsers
        other.send_text("b only")
        assert other.message() == b"b only"
        first.send_text("a only")
        assert first.message() == second.message() == b"a only"
        for browser in browsers:
            browser.disconnect()

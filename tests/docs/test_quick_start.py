"""docs/quick-start.md: every file is saved and every command run as the page says."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser import CLOSE, Browser, RefusedError, connect
from tests.commands import pushline
from tests.docs.pages import blocks, files, page
from tests.server import Server
from tests.web import chromium

PAGE = page("quick-start.md")
FILES = files(PAGE)
COMMANDS = "".join(blocks(PAGE, "sh")).splitlines()
CLOCK = re.compile(r"\d\d:\d\d:\d\d, (\d+) here")


@contextlib.contextmanager
def serving(folder: Path, application: str, version: int = 0) -> Iterator[Server]:
    """The server in a folder with the page's files, of a repeated one this `version`."""
    for name in dict(FILES):
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        versions = [content for other, content in FILES if other == name]
        target.write_text(versions[min(version, len(versions) - 1)], "utf-8")
    with contextlib.chdir(folder), Server(application, AUTH_MODE="") as server:
        yield server


def heard(browser: Browser) -> str:
    """The next message that is not the clock's."""
    while CLOCK.fullmatch(message := browser.message().decode()):
        pass
    return message


def time_told(browser: Browser) -> int:
    """How many the clock says are here, the next time that it tells."""
    while not (told := CLOCK.fullmatch(browser.message().decode())):
        pass
    return int(told[1])


def run(server: Server, command: str) -> int:
    """The exit code of a `pushline` command of the page."""
    return pushline(*shlex.split(command)[1:], TEXT_LISTEN=server.text).code


def command(start: str) -> str:
    (found,) = [line for line in COMMANDS if line.startswith(start)]
    return found


def test_the_page_has_these_files() -> None:
    assert [name for name, _ in FILES] == [
        *("app.py", "public/index.html", "app.py", "web.py", "slow.py")
    ]
    assert len(FILES) == len(blocks(PAGE, "python")) + len(blocks(PAGE, "html"))


def test_every_command_that_serves_names_an_application_of_the_page(tmp_path: Path) -> None:
    served = [line.split()[-1] for line in COMMANDS if line.startswith("pushline serve")]
    assert served == ["app:app", "slow:app"]


def test_the_first_application_answers_and_hears_of_the_end(tmp_path: Path) -> None:
    with serving(tmp_path, "app:app") as server:
        with connect(server.websocket, "/?name=alice") as alice:
            alice.send_text("hi")
            assert alice.message() == b"alice, you said: hi"
            alice.send_frame(CLOSE, (1000).to_bytes(2))
            assert alice.close_code() == 1000
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert "alice has gone: 1000 \n" in server.log


def test_who_has_no_name_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, "app:app") as server, pytest.raises(RefusedError) as refused:
        connect(server.websocket, "/")
    assert refused.value.status == 403
    assert b"say who you are" in refused.value.answer


def test_a_room_hears_its_own_and_everyone_the_clock(tmp_path: Path) -> None:
    with serving(tmp_path, "app:app", 1) as server:
        alice = connect(server.websocket, "/?name=alice")
        bob = connect(server.websocket, "/?name=bob")
        assert heard(alice) == "bob comes in"
        bob.send_text("hi")
        assert heard(alice) == heard(bob) == "bob: hi"
        carol = connect(server.websocket, "/?name=carol&room=kitchen")
        carol.send_text("anyone?")
        assert heard(carol) == "carol: anyone?"
        bob.disconnect()
        assert heard(alice) == "bob has left"
        assert time_told(alice) == 2
        for tab in (alice, carol):
            tab.disconnect()


@pytest.fixture
def flask(tmp_path: Path) -> Iterator[tuple[Server, str]]:
    """The second application's server, and the URL of the Flask one beside it."""
    start = shlex.split(command("flask "))
    with serving(tmp_path, "app:app", 1) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", *start, "--port", "0"],
            cwd=tmp_path,
            env=os.environ | {"PUSHLINE_TEXT_LISTEN": server.text},
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stderr is not None
            running = re.compile(r"Running on (http://\S+)")
            found = next(filter(None, map(running.search, process.stderr)), None)
            try:
                assert found, "Flask did not start"
                yield server, found[1]
            finally:
                process.kill()


def test_flask_pushes(flask: tuple[Server, str]) -> None:
    server, url = flask
    curl = shlex.split(command("curl "))
    target = url + urllib.parse.urlsplit(curl[1]).path
    with connect(server.websocket, "/?name=alice") as alice:
        assert posted(target, curl[3]) == {"seen": True}
        assert heard(alice) == '{"uid":"alice","text":"Hello"}'
    assert posted(target.replace("alice", "nobody"), curl[3]) == {"seen": False}


def posted(url: str, data: str) -> object:
    with urllib.request.urlopen(url, data.encode(), timeout=15) as answer:
        return json.load(answer)


def test_the_shell_pushes(tmp_path: Path) -> None:
    line = command("pushline push")
    with serving(tmp_path, "app:app", 1) as server:
        assert run(server, line) == 1
        with connect(server.websocket, "/?name=alice") as alice:
            assert run(server, line) == 0
            assert json.loads(heard(alice))["text"] == "Hello"


def test_plain_functions_wait_side_by_side(tmp_path: Path) -> None:
    with serving(tmp_path, "slow:app") as server:
        first, second = connect(server.websocket), connect(server.websocket)
        for tab in (first, second):
            tab.send_text("coffee")
        for tab in (first, second):
            assert tab.message() == b"wait for it ..."
        for tab in (first, second):
            assert tab.message() == b"coffee, and 2 here"
            tab.disconnect()


def test_the_page_of_the_page_talks(tmp_path: Path) -> None:
    driver = chromium.start(tmp_path / "profile")
    try:
        with serving(tmp_path, "app:app") as server:
            tab = chromium.Tab(driver)
            tab.open(f"http://{server.websocket}/?name=alice")
            tab.until("socket.readyState === WebSocket.OPEN")
            tab.element("text").send_keys("<b>hi</b>", Keys.ENTER)
            tab.until("messages.children.length > 0")
            assert tab.text("messages") == "alice, you said: <b>hi</b>"
            tab.open(f"http://{server.websocket}/")
            tab.until("messages.children.length > 0")
            assert tab.text("messages").strip() == "closed: 1006"
    finally:
        driver.quit()

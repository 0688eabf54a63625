"""docs/workers.md: its commands are run as they stand, but for the ports."""

from pathlib import Path

import pytest

from tests.browser import connect
from tests.commands import pushline
from tests.docs.pages import blocks, commands, page
from tests.docs.set_of_parts import Ports, serving, working

PAGE = page("workers.md")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the page's application in it."""
    (source,) = blocks(PAGE, "python")
    (tmp_path / "chat.py").write_text(source, "utf-8")
    return tmp_path


def test_an_application_runs_in_processes_which_a_reload_replaces(folder: Path) -> None:
    serve, worker, reload = map(Ports().here, commands(PAGE))
    with (
        serving(serve, folder, WEBSOCKET_LISTEN="127.0.0.1:0") as server,
        working(worker, folder) as log,
        connect(server.websocket) as browser,
    ):
        browser.send_text("hi")
        assert browser.message() == b"None, number 1: hi"
        source = (folder / "chat.py").read_text("utf-8")
        (folder / "chat.py").write_text(source.replace("number", "message"), "utf-8")
        done = pushline(*reload.split()[1:], WORKER_CONTROL=str(folder / "control"))
        assert done.code == 0, done
        assert len(done.output.splitlines()) == 4
        browser.send_text("hi")
        assert browser.message() == b"None, message 2: hi"
        assert not any("Traceback" in line for line in log)
        (folder / "chat.py").write_text("import nothing_of_this_name", "utf-8")
        failed = pushline(*reload.split()[1:], WORKER_CONTROL=str(folder / "control"))
        assert (failed.code, "cannot be imported" in failed.output) == (1, True)
        browser.send_text("hi")
        assert browser.message() == b"None, message 3: hi"

"""What the port for browsers shows to a request without an upgrade."""

import html
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from pushline.codecs.http_head import Request
from pushline.errors import HttpError
from pushline.listeners.pages import WEB, Pages

PATHS = ["/", "/pushline.js"]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def answer(pages: Pages, path: str, method: str = "GET") -> Answer:
    request = Request()
    request.method, request.target, request.version = method, path, "1.1"
    head, _, body = pages.response(request).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return Answer(int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body)


def refusal(pages: Pages, path: str, method: str = "GET") -> HttpError:
    with pytest.raises(HttpError) as refused:
        answer(pages, path, method)
    return refused.value


def pages(*, demo: bool, text: str = "127.0.0.1:5678", secret: bool = False) -> Pages:
    return Pages(demo=demo, text=text, secret=secret, auth="open")


@pytest.fixture
def demo() -> Pages:
    return pages(demo=True)


@pytest.fixture
def plain() -> Pages:
    return pages(demo=False)


def filled_in(pages: Pages, name: str) -> str:
    """What the demo page holds under a name."""
    body = answer(pages, "/").body.decode()
    (found,) = re.findall(f'<html [^>]*data-{name}="([^"]*)"', body)
    return html.unescape(found)


# --- pages --------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/pushline.js", "/pushline.js?v=1"])
def test_the_script_is_there_with_and_without_the_demo(
    demo: Pages, plain: Pages, target: str
) -> None:
    for each in (demo, plain):
        status, headers, body = answer(each, target)
        assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
        assert body == (WEB / "pushline.js").read_bytes()
        assert headers["Content-Length"] == str(len(body))


def test_the_demo_page_is_filled_in(demo: Pages) -> None:
    status, headers, body = answer(demo, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert headers["Content-Length"] == str(len(body))
    assert (filled_in(demo, "text"), filled_in(demo, "auth")) == ("127.0.0.1:5678", "open")
    assert filled_in(demo, "secret") == "no"
    assert filled_in(pages(demo=True, secret=True), "secret") == "yes"
    assert b"{{" not in body


def test_what_is_filled_in_cannot_break_out_of_the_page() -> None:
    """A socket's path may have nearly any character."""
    evil = """unix:/"'><script>alert(1)</script>&amp;"""
    page = pages(demo=True, text=evil)
    assert b"<script>alert" not in answer(page, "/").body
    assert filled_in(page, "text") == evil


@pytest.mark.parametrize("path", PATHS)
def test_a_page_may_load_nothing_from_elsewhere_and_is_in_nobodys_frame(
    demo: Pages, path: str
) -> None:
    headers = answer(demo, path).headers
    rules = headers["Content-Security-Policy"].split("; ")
    assert "default-src 'self'" in rules
    assert "frame-ancestors 'none'" in rules
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_asked_for_again_after_an_update(demo: Pages, path: str) -> None:
    assert answer(demo, path).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", PATHS)
def test_a_head_has_the_headers_of_its_get_and_no_body(demo: Pages, path: str) -> None:
    assert answer(demo, path, "HEAD") == answer(demo, path)._replace(body=b"")


# --- refusals -----------------------------------------------------------------------------------


def test_without_a_demo_page_the_root_asks_for_an_upgrade(plain: Pages) -> None:
    error = refusal(plain, "/")
    assert (error.status, error.headers) == (426, (("Upgrade", "websocket"),))


@pytest.mark.parametrize(
    "path", ["/favicon.ico", "/pushline.js/", "/../pushline.js", "//", "/index.html", "/%2e", "*"]
)
def test_anything_else_is_not_found(demo: Pages, plain: Pages, path: str) -> None:
    assert refusal(demo, path).status == refusal(plain, path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_a_page_can_only_be_read(demo: Pages, method: str) -> None:
    for path in (*PATHS, "/nothing"):
        error = refusal(demo, path, method)
        assert (error.status, error.headers) == (405, (("Allow", "GET, HEAD"),))


# --- the command on the page --------------------------------------------------------------------


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A `pushline` that can be started, in an environment of its own."""
    path = tmp_path / "project" / ".venv" / "bin" / "pushline"
    path.parent.mkdir(parents=True)
    path.touch(0o755)
    return path


def command() -> str:
    """How the page says that the command line is called."""
    return filled_in(pages(demo=True), "command")


def test_the_command_is_just_its_name_where_a_shell_finds_it(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", f"/nowhere:{program.parent}")
    assert command() == "pushline"


@pytest.mark.parametrize(
    ("folder", "shown"),
    [
        ("project", ".venv/bin/pushline"),
        ("project/.venv", "bin/pushline"),
        ("project/.venv/bin", "pushline"),
    ],
)
def test_elsewhere_it_is_one_that_works_where_the_server_was_started(
    program: Path, monkeypatch: pytest.MonkeyPatch, folder: str, shown: str
) -> None:
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(program.parents[3] / folder)
    assert command() == shown


def test_from_far_away_it_is_the_whole_path(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir("/usr/lib")
    assert command() == str(program)


def test_where_the_directory_is_no_more_it_is_the_whole_path(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert command() == str(program)


def test_a_server_that_is_no_pushline_program_names_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`python -m pushline`, or a test."""
    monkeypatch.setattr(sys, "argv", ["/somewhere/pushline/__main__.py"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert command() == "pushline"

"""What the port for browsers shows to a plain HTTP request."""

import html
import os
import shutil
import sys
from importlib.resources import files
from pathlib import Path

from pushline.codecs import handshake
from pushline.codecs.http_head import Request
from pushline.errors import HttpError

WEB = files("pushline") / "web"
SECURITY = (
    (
        "Content-Security-Policy",
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
        "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-cache"),
)


class Pages:
    """`/pushline.js`, and the demo page at `/` where `demo` is true.

    `text` is the address that the demo page's commands push to, `secret` whether it asks for one,
    and `auth` the login that the page offers.
    """

    def __init__(self, *, demo: bool, text: str, secret: bool, auth: str) -> None:
        self._pages = {"/pushline.js": ("text/javascript; charset=utf-8", _read("pushline.js"))}
        if demo:
            asks = "yes" if secret else "no"
            page = _filled(text=text, secret=asks, auth=auth, command=_command())
            self._pages["/"] = ("text/html; charset=utf-8", page)

    def response(self, request: Request) -> bytes:
        """The response to a request without an upgrade; raises HttpError."""
        if request.method not in ("GET", "HEAD"):
            raise HttpError(405, "only GET and HEAD", (("Allow", "GET, HEAD"),))
        page = self._pages.get(request.path)
        if page is not None:
            content_type, body = page
            head_only = request.method == "HEAD"
            return handshake.response(200, body, content_type, SECURITY, head_only=head_only)
        if request.path == "/":
            raise HttpError(426, "this port speaks WebSocket", (("Upgrade", "websocket"),))
        raise HttpError(404, "nothing here; a WebSocket may connect at any path")


def _filled(**values: str) -> bytes:
    """The demo page with each `{{name}}` replaced by its value."""
    page = _read("index.html").decode()
    for name, value in values.items():
        page = page.replace(f"{{{{{name}}}}}", html.escape(value))
    return page.encode()


def _command() -> str:
    """How the command line is called where this server was started."""
    program = sys.argv[0]
    found = Path(program).name != "pushline" or shutil.which("pushline")
    return "pushline" if found else min(program, _from_here(program), key=len)


def _from_here(program: str) -> str:
    """Its path from the directory that we run in, if that is still there."""
    try:
        return os.path.relpath(program)
    except FileNotFoundError:
        return program


def _read(name: str) -> bytes:
    return (WEB / name).read_bytes()

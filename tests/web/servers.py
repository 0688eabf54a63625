"""What the browser meets: the real server, and a peer that plays the part a test gives it."""

import http
import json
import os
import queue
import re
import socket
import subprocess
import sys
import threading
from importlib.resources import files
from pathlib import Path
from typing import Self

from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

PATIENCE = 10
"""Seconds."""
WEB = files("pushline") / "web"
PUSHLINE = str(Path(sys.executable).with_name("pushline"))


class Pushline:
    """A `pushline serve` process. Started again, it listens where it did before."""

    def __init__(
        self,
        *options: str,
        text: str = "127.0.0.1:0",
        secret: str = "",
        text_secret: str = "",
    ) -> None:
        self._options = options
        self._text_secret = text_secret
        # On the PATH the page's commands are called by their short names.
        path = f"{Path(PUSHLINE).parent}{os.pathsep}{os.environ['PATH']}"
        secrets = {"PUSHLINE_AUTH_SECRET": secret, "PUSHLINE_TEXT_SECRET": text_secret}
        self._environment = os.environ | {"PATH": path} | secrets
        self.websocket = "127.0.0.1:0"
        self.text = text

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def page(self) -> str:
        return f"http://{self.websocket}/"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                PUSHLINE,
                "serve",
                f"--websocket={self.websocket}",
                f"--text={self.text}",
                *self._options,
            ],
            env=self._environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.websocket = self._said(r"ws://(\S+)")
        self.text = self.text and self._said(r"back ends +(.+?) {3}")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.communicate(timeout=PATIENCE)

    def push(self, **line: object) -> str:
        """The answer to one line on the text port."""
        return self.push_line(json.dumps(line))

    def push_line(self, line: str) -> str:
        with _connect(self.text) as back_end:
            answers = back_end.makefile()
            if self._text_secret:
                back_end.sendall(f"auth {self._text_secret}\n".encode())
                assert answers.readline() == "ok\n", "the secret was not taken"
            back_end.sendall(line.encode() + b"\n")
            return answers.readline().strip()

    def run(self, *arguments: str) -> str:
        """What `pushline ARGUMENTS` prints, with this server's secret."""
        return subprocess.run(
            [PUSHLINE, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout

    def _said(self, pattern: str) -> str:
        """From the lines at start, in their order."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if match := re.search(pattern, line):
                return match[1]
        raise AssertionError(f"the server ended without saying {pattern}")


def _connect(address: str) -> socket.socket:
    if address.startswith("unix:"):
        back_end = socket.socket(socket.AF_UNIX)
        back_end.connect(address.removeprefix("unix:"))
        return back_end
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), PATIENCE)


class Peer:
    """A WebSocket server that only accepts: the test itself speaks on each connection.

    A plain GET of / is an empty page with pushline.js.
    """

    def __init__(self) -> None:
        self._accepted: queue.Queue[ServerConnection] = queue.Queue()
        self._over = threading.Event()
        self._server = serve(
            self._hold,
            "127.0.0.1",
            0,
            process_request=_page,
            open_timeout=2,  # a browser opens more sockets than it uses
            close_timeout=2,  # and drops some without a word
            ping_interval=None,
        )
        self.address = f"127.0.0.1:{self._server.socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()

    def connection(self) -> ServerConnection:
        """The next one that a browser opened."""
        return self._accepted.get(timeout=PATIENCE)

    def login(self) -> tuple[ServerConnection, str]:
        """The next connection, and the first message on it."""
        connection = self.connection()
        return connection, said(connection)

    def _hold(self, connection: ServerConnection) -> None:
        self._accepted.put(connection)
        self._over.wait()


def said(connection: ServerConnection) -> str:
    """The next message from the browser."""
    message = connection.recv(timeout=PATIENCE)
    assert isinstance(message, str)
    return message


def _page(_: ServerConnection, request: Request) -> Response | None:
    if "Upgrade" in request.headers:
        return None
    if request.path == "/pushline.js":
        return _response("text/javascript", (WEB / "pushline.js").read_bytes())
    return _response("text/html", b"<!doctype html><script src=/pushline.js></script>")


def _response(content_type: str, body: bytes) -> Response:
    headers = Headers({"Content-Type": content_type, "Content-Length": str(len(body))})
    headers["Connection"] = "close"
    return Response(http.HTTPStatus.OK, "OK", headers, body)

"""`pushline serve --workers N` as a user runs it, and browsers that know their process."""

import secrets
import urllib.request
from pathlib import Path
from typing import NamedTuple

from tests.brokers.servers import RedisServer
from tests.browser import Browser, connect
from tests.ports import free_ports
from tests.server import Server

APP = """\
import os
from pushline import App

app = App()


@app.on_message
async def said(client, data):
    await client.send(f"{VERSION} {app.process} {os.getpid()}")
"""


def write_app(folder: Path, version: str = "v1", more: str = "") -> None:
    """`mine:app` says of itself its version, its index and its pid."""
    (folder / "mine.py").write_text(f"VERSION = {version!r}\n{APP}{more}")


class Told(NamedTuple):
    """What a browser's process says of itself."""

    version: str
    process: int
    pid: int


def process_of(browser: Browser) -> Told:
    """Of a browser that has logged in, and that nothing else is sent to."""
    browser.send_text("who?")
    version, process, pid = browser.message().decode().split()
    return Told(version, int(process), int(pid))


class Group(Server):
    """So many processes with `mine:app` of `folder`, on ports that are free here.

    Started in `with`, and ended there; its processes end with it.
    """

    def __init__(
        self, folder: Path, redis: RedisServer, *arguments: str, workers: int = 2, **settings: str
    ) -> None:
        self.workers = workers
        self.control = folder / "control"
        websocket, text, *http = free_ports(2 + workers)
        self.prefix = secrets.token_hex(4)
        super().__init__(
            *("mine:app", "--broker", redis.url, "--workers", str(workers), *arguments),
            cwd=str(folder),
            **{
                "WEBSOCKET_LISTEN": f"127.0.0.1:{websocket}",
                "TEXT_LISTEN": f"127.0.0.1:{text}",
                "HTTP_LISTEN": f"127.0.0.1:{http[0]}",
                "SHUTDOWN_TIME": "0.2",
                "SERVE_CONTROL": str(self.control),
                "BROKER_PREFIX": f"{self.prefix}:",
                **settings,
            },
        )

    @property
    def children(self) -> list[int]:
        """The pids of its processes."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def has_said(self, text: str) -> bool:
        return any(text in line for line in self.log)

    def browser(self, uid: str) -> Browser:
        """One that has logged in."""
        assert self.websocket, self.log
        browser = connect(self.websocket).login(uid)
        try:
            browser.settle()
        except BaseException:
            browser.disconnect()
            raise
        return browser

    def connections(self) -> list[int]:
        """How many each process has."""
        return [int(self.asked(index, "metrics")["connections"]) for index in range(self.workers)]

    def asked(self, index: int, page: str) -> dict[str, str]:
        """What a process says at its own port for operators, by the first word of each line."""
        host, _, port = self.http.rpartition(":")
        url = f"http://{host}:{int(port) + index}/{page}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.partition(" ") for line in lines if not line.startswith("#"))
        return {name.removeprefix("pushline_"): value for name, _, value in pairs}

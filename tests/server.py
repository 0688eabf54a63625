"""A real `pushline serve` process on free loopback ports, for tests that talk to it."""

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping
from types import TracebackType
from typing import Self


class Server:
    """Starts in `with`, and is ended there; `settings` are environment variables without PUSHLINE_,
    `cwd` is where it runs.

    `websocket`, `text`, `http`, `gateway` and `register` are HOST:PORT once it has started, empty
    where it has none, `log` what it has written so far.
    """

    def __init__(self, *arguments: str, cwd: str = "", **settings: str) -> None:
        self._arguments = arguments
        self._cwd = cwd
        self._settings = {
            "WEBSOCKET_LISTEN": "127.0.0.1:0",
            "TEXT_LISTEN": "127.0.0.1:0",
            "HTTP_LISTEN": "127.0.0.1:0",
            "AUTH_MODE": "open",
            **settings,
        }
        self.log: list[str] = []
        self.websocket = self.text = self.http = self.gateway = self.register = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it says where it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pushline", "serve", *self._arguments],
            env=self._environment(),
            cwd=self._cwd or None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.log = []
        self._started = threading.Event()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        assert self._started.wait(30), "the server did not say that it listens"
        assert self._process.poll() is None or self.log, "the server ended"
        self.websocket = self._address("browsers")
        self.text = self._address("back ends")
        self.http = self._address("operators")
        self.gateway = self._address("gateway")
        self.register = self._address("register")

    def metrics(self) -> Mapping[str, float]:
        """Every value by its name and labels, as on `/metrics`."""
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name.removeprefix("pushline_"): float(value) for name, value in pairs}

    def descriptors(self) -> int:
        """How many it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208 - a count, no paths

    def threads(self) -> int:
        """How many it has."""
        return len(os.listdir(f"/proc/{self.pid}/task"))  # noqa: PTH208 - a count, no paths

    def resident(self) -> int:
        """Bytes of memory it holds."""
        with open(f"/proc/{self.pid}/statm") as statm:  # noqa: PTH123
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float = 10.0) -> int:
        """Its exit code, once it has ended."""
        code = self._process.wait(timeout)
        self._reader.join(timeout)
        assert not self._reader.is_alive(), "a process of the server's has outlived it"
        return code

    def kill(self) -> None:
        """End it at once."""
        if self._process.poll() is None:
            self._process.kill()
        self.wait()

    def _read_log(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self.log.append(line)
                if "Ctrl-C" in line:
                    self._started.set()
        self._started.set()

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PUSHLINE_")}
        return kept | {f"PUSHLINE_{key}": value for key, value in self._settings.items()}

    def _address(self, what: str) -> str:
        line = next((line for line in self.log if line.strip().startswith(what)), "")
        found = re.search(r"(?:127\.0\.0\.1|\[::1\]):\d+", line)
        return found[0] if found else ""

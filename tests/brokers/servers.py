"""A real `redis-server` on a free port of 127.0.0.1, that keeps nothing on disk."""

import contextlib
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from redis.asyncio import Redis

from tests.ports import free_port

READY = ("Ready to accept connections", "monitor master", "Sentinel ID is")


class RedisServer:
    """Started in `with`, at the same port when it is started again, and killed in the end.

    `arguments` are those of redis-server: options, or a file of settings and `--sentinel`.
    """

    def __init__(self, folder: Path, *arguments: str, tls: bool = False) -> None:
        self.port = free_port()
        self._folder = folder
        self._arguments = arguments
        ports = ("--port", "0", "--tls-port") if tls else ("--port",)
        self._base = (*ports, str(self.port), "--save", "", "--appendonly", "no")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

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

    def start(self) -> None:
        """Start it, with nothing in it, and wait until it takes connections."""
        command = ["redis-server", *self._order(), "--dir", str(self._folder)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if any(word in line for word in READY):
                return
        raise AssertionError("redis-server has ended: " + "".join(said))

    def _order(self) -> tuple[str, ...]:
        """A file of settings comes first."""
        is_file = bool(self._arguments) and not self._arguments[0].startswith("--")
        first = self._arguments[:1] if is_file else ()
        return (*first, *self._base, "--bind", "127.0.0.1", *self._arguments[len(first) :])

    def client(self) -> Redis:
        """Another client's connection to it."""
        return Redis(host="127.0.0.1", port=self.port, decode_responses=True)

    def kill(self) -> None:
        """As with a power cut."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def pause(self) -> None:
        """It hangs, with all its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

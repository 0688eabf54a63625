"""`pushline worker` as a user runs it, in processes of its own, among the gateways of a test."""

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.commands import PROGRAM
from tests.worker.gateways import until

APP = """\
import os
from pushline import App

app = App()


@app.on_message
async def said(client, data):
    await client.send(f"{VERSION} {app.process} {os.getpid()} {data}")
"""


def write_app(directory: Path, version: str, more: str = "") -> None:
    """`mine:app` says of itself its version, its index, its pid and what it was sent."""
    (directory / "mine.py").write_text(f"VERSION = {version!r}\n{APP}{more}")


class Supervised:
    """Starts in `async with`, and is ended there. `log` is what it has written so far.

    `settings` are environment variables without PUSHLINE_, `environ` has others.
    """

    def __init__(self, directory: Path, register: str, *flags: str, **settings: str) -> None:
        self._directory = directory
        self._flags = flags
        self._settings = {
            "REGISTER_JOIN": register,
            "WORKER_CONTROL": str(directory / "control"),
            **settings,
        }
        self.environ: dict[str, str] = {}
        self.log: list[str] = []

    async def __aenter__(self) -> Self:
        self.start()
        try:
            await until(lambda: self.has_said("Ctrl-C stops it") or self.code is not None)
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if error is not None:
            print(*self.log, sep="")  # beside what went wrong
        await self.kill()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [PROGRAM, "worker", "mine:app", *self._flags],
            cwd=self._directory,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.poll()

    @property
    def children(self) -> list[int]:
        """The pids of its processes."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def has_said(self, text: str) -> bool:
        return any(text in line for line in self.log)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code."""
        await until(lambda: self.code is not None)
        await until(lambda: not self._reader.is_alive())
        assert self.code is not None
        return self.code

    def reload(self, *arguments: str) -> "subprocess.Popen[str]":
        """`pushline reload`, on its way."""
        return subprocess.Popen(
            [PROGRAM, "reload", *arguments],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def kill(self) -> None:
        """End it at once; its processes see that, and end too, also those that a test stopped."""
        children = self.children if self.code is None else []
        self._process.kill()
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._process.wait()
        await until(lambda: not self._reader.is_alive())

    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PUSHLINE_")}
        settings = {f"PUSHLINE_{key}": value for key, value in self._settings.items()}
        return kept | settings | self.environ

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as errors:
            for line in errors:
                self.log.append(line)


def is_alive(pid: int) -> bool:
    """There is such a process, and it is not one that only waits to be asked for its exit code."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False

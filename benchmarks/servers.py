"""The two servers that are compared, on free loopback ports."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks.processes import SERVER_CORE, UnableError, running, wait_until
from benchmarks.programs import program

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Server:
    """One that accepts on both ports."""

    pid: int
    websocket_port: int
    text_port: int

    @property
    def variables(self) -> dict[str, str]:
        """What stands for it in a load's command."""
        websocket, text = f"{HOST}:{self.websocket_port}", f"{HOST}:{self.text_port}"
        return {"WS": websocket, "TEXT": text, "PID": str(self.pid)}


def floor() -> AbstractContextManager[Server]:
    websocket, text = _free_ports()
    return _serving([program("floor"), str(websocket), str(text)], websocket, text, os.environ)


def pushline(
    settings: dict[str, str] | None = None, *, app: str = "", directory: str | None = None
) -> AbstractContextManager[Server]:
    """All defaults, but for the ports and `settings` (environment variables).

    With an `app`, as in `chat:app`, it runs in that application's `directory`.
    """
    websocket, text = _free_ports()
    command = [str(Path(sys.executable).with_name("pushline")), "serve"]
    command += [app] if app else ["--auth", "open"]
    ports = ["--websocket", f"{HOST}:{websocket}", "--text", f"{HOST}:{text}"]
    inherited = {key: value for key, value in os.environ.items() if key[:9] != "PUSHLINE_"}
    environ = inherited | (settings or {})
    return _serving([*command, *ports], websocket, text, environ, directory)


@contextmanager
def _serving(
    command: Sequence[str],
    websocket: int,
    text: int,
    environ: Mapping[str, str],
    directory: str | None = None,
) -> Iterator[Server]:
    with (
        TemporaryFile("w+") as log,
        running(
            command,
            core=SERVER_CORE,
            stdout=log,
            stderr=log,
            environ=environ,
            directory=directory,
        ) as process,
    ):
        wait_until(
            lambda: _fallen(process) or (_accepts(websocket) and _accepts(text)),
            f"{command[0]} does not listen",
        )
        if _fallen(process):
            log.seek(0)
            raise UnableError(f"{command[0]} does not start: {log.read()}")
        yield Server(process.pid, websocket, text)


def _fallen(process: subprocess.Popen[str]) -> bool:
    return process.poll() is not None


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _free_ports() -> tuple[int, int]:
    """Free a moment ago: floor.c cannot be asked which port it was given."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind((HOST, 0))
        return one.getsockname()[1], other.getsockname()[1]

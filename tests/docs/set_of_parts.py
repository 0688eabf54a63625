"""Registers, Gateways and workers as the pages start them, on ports that are free here."""

import contextlib
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from tests import commands
from tests.ports import free_port
from tests.server import Server

PHP = Path(__file__).parents[1] / "gatewayworker" / "php"
PATIENCE = 30.0
"""Seconds."""

_PORT = re.compile(r"(?<=127\.0\.0\.1:)\d+")


class Ports:
    """A free port for each that a page names."""

    def __init__(self) -> None:
        self._free: dict[str, str] = {}

    def here(self, text: str) -> str:
        """The text with these in their places."""
        return _PORT.sub(lambda port: self._of(port[0]), text)

    def _of(self, port: str) -> str:
        if port not in self._free:
            self._free[port] = str(free_port())
        return self._free[port]


def serving(command: str, folder: Path, **settings: str) -> Server:
    """`pushline serve` as a page has it; `settings` are for what it does not say."""
    name, verb, *arguments = shlex.split(command)
    assert (name, verb) == ("pushline", "serve")
    return Server(*arguments, cwd=str(folder), **{"AUTH_MODE": "", **settings})


@contextlib.contextmanager
def working(command: str, folder: Path, **settings: str) -> Iterator[list[str]]:
    """`pushline worker` as a page has it, once its processes are ready; what it has logged."""
    name, verb, *arguments = shlex.split(command)
    assert (name, verb) == ("pushline", "worker")
    settings["WORKER_CONTROL"] = str(folder / "control")
    with (
        contextlib.chdir(folder),
        commands.start(verb, *arguments, settings=settings) as process,
    ):
        log: list[str] = []
        ready = threading.Event()
        reader = threading.Thread(target=_read, args=(process, log, ready))
        reader.start()
        try:
            assert ready.wait(PATIENCE), "the worker did not say that it is ready"
            assert process.poll() is None, log
            yield log
        finally:
            process.terminate()
            reader.join()


def _read(process: commands.Command, log: list[str], ready: threading.Event) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        log.append(line.decode())
        if b"Ctrl-C" in line:
            ready.set()
    ready.set()


@contextlib.contextmanager
def php(script: str, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """PHP as a back end or a worker."""
    with subprocess.Popen(["php", str(PHP / script), *arguments]) as process:
        try:
            yield process
        finally:
            process.kill()

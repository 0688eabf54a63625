"""Runs of `wsload.c`: its commands, with $WS, $TEXT and $PID for the server, and what it found."""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from string import Template

import msgspec

from benchmarks.processes import CLIENT_CORE, UnableError, running
from benchmarks.programs import program
from benchmarks.servers import Server

TO_ALL = """--msg '{"uid":"","utype":0,"t":"%t","data":"%p"}'"""
"""A push to every connection, with the time at which it was sent."""
LONGEST = 150.0
"""Seconds. wsload itself ends its pushes after 120."""


class Found(msgspec.Struct, frozen=True):
    """What a run printed: server CPU in µs for each event, latency in µs, memory in KB."""

    server_cpu_us_each: float = 0.0
    per_s: float = 0.0
    kb_per_conn: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    wanted: int = 0
    delivered: int = 0

    @property
    def lost(self) -> int:
        """Messages that should have come and did not."""
        return self.wanted - self.delivered


@dataclass(frozen=True)
class Load:
    """A command of wsload, as one would type it."""

    command: str
    nice: int = 0

    def __str__(self) -> str:
        return " ".join([*self._favour(), "wsload", self.command])

    def arguments(self, server: Server, *, shorter: int = 1) -> list[str]:
        """Ready to start against `server`, with its count divided by `shorter`."""
        words = shlex.split(Template(self.command).substitute(server.variables))
        if "--count" in words:
            at = words.index("--count") + 1
            words[at] = str(max(1, int(words[at]) // shorter))
        return [*self._favour(), program("wsload"), *words]

    def _favour(self) -> list[str]:
        return ["nice", "-n", str(self.nice)] if self.nice else []


class Run:
    """A load that is under way."""

    def __init__(self, process: subprocess.Popen[str], load: Load) -> None:
        self._process = process
        self._load = load

    def found(self) -> Found:
        """Waits for its end; UnableError if it could not do its work."""
        try:
            output, errors = self._process.communicate(timeout=LONGEST)
            return msgspec.json.decode(output, type=Found)
        except subprocess.TimeoutExpired:
            raise UnableError(f"no end after {LONGEST:.0f} s: {self._load}") from None
        except msgspec.DecodeError:
            raise UnableError(f"{self._load}: {errors}") from None


@contextmanager
def started(load: Load, server: Server, *, shorter: int = 1) -> Iterator[Run]:
    arguments = load.arguments(server, shorter=shorter)
    pipe = subprocess.PIPE
    with running(arguments, core=CLIENT_CORE, stdout=pipe, stderr=pipe) as process:
        yield Run(process, load)


def run(load: Load, server: Server, *, shorter: int = 1) -> Found:
    with started(load, server, shorter=shorter) as under_way:
        return under_way.found()

"""One process, as its supervisor sees it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from pushline.errors import AppError
from pushline.supervise.channel import STAY, Report, Task

CHUNK = 4096
STRIKES = 3
"""So many parts of the time have to pass without a sign of life: in the first one the supervisor
itself may have stood still."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How processes are started: the same for all, and for those of a reload.

    `program` is the module that they run, as `process.run` has it; `name` and the index of each
    are its key. `app` shows whose they are in a list of processes.
    """

    program: str
    task: Task
    environ: Mapping[str, str]
    app: str
    name: str
    directory: str


class Child:
    """A process that runs. It leads a session of its own: Ctrl-C is for the supervisor alone."""

    def __init__(
        self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._ended: asyncio.Task[str] = asyncio.create_task(self._wait())

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ready(self, seconds: float) -> str:
        """Empty once it is, else why it is not; in that case it ends, or has to be ended."""
        try:
            async with asyncio.timeout(seconds):
                line = await self._reader.readline()
        except TimeoutError:
            return f"not ready within {seconds:g} s"
        if not line:
            return f"{await self.ended()} before it was ready"
        report = msgspec.json.decode(line, type=Report)
        return "" if report.ready else report.why

    async def hangs(self, seconds: float) -> bool:
        """Wait until it has given no sign of life for so long, or has ended."""
        silent = asyncio.ensure_future(self._silent(seconds / STRIKES))
        try:
            await asyncio.wait((silent, self._ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            silent.cancel()
        return not self._ended.done()

    async def ended(self) -> str:
        """How, once it has."""
        return await asyncio.shield(self._ended)

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Have it called then."""
        self._ended.add_done_callback(lambda _: callback())

    def terminate(self) -> None:
        """Ask it to stop."""
        self._signal(signal.SIGTERM)

    def stay(self) -> None:
        """Tell it that nobody follows it."""
        self._signal(STAY)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    async def stop(self, seconds: float) -> None:
        """Let it stop, for so long, then end it; with 0, end it at once."""
        if seconds:
            self.terminate()
        try:
            async with asyncio.timeout(seconds):
                await self.ended()
        except TimeoutError:
            self.kill()
            await self.ended()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _silent(self, part: float) -> None:
        strikes = 0
        while strikes < STRIKES:
            try:
                async with asyncio.timeout(part):
                    if not await self._reader.read(CHUNK):
                        await self.ended()
                strikes = 0
            except TimeoutError:
                strikes += 1

    async def _wait(self) -> str:
        code = await self._process.wait()
        self._writer.close()
        return f"was ended by {_name(-code)}" if code < 0 else f"ended with exit code {code}"


async def start(plan: Plan, index: int, follows: bool) -> Child:
    """A fresh interpreter, which may follow one that runs. Raises AppError where there is none."""
    ours, its = socket.socketpair()
    with its:
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", plan.program),
                *(str(its.fileno()), f"{plan.name}:{index}", plan.app),
                stdin=DEVNULL,
                cwd=plan.directory,
                env=dict(plan.environ),
                pass_fds=(its.fileno(),),
                start_new_session=True,
            )
        except OSError as error:
            writer.close()
            raise AppError(f"no process can be started: {error.strerror}") from error
    task = msgspec.structs.replace(plan.task, follows=follows)
    writer.write(msgspec.json.encode(task) + b"\n")
    return Child(process, reader, writer)


def directory() -> str:
    """The one that we were started in, by the name that it had for the shell.

    Where a link in it points to another release by the time of a reload, that is the one to load.
    """
    named, real = os.environ.get("PWD", ""), os.getcwd()  # noqa: PTH109 - no Path is needed
    try:
        return named if named and os.path.samefile(named, real) else real  # noqa: PTH121
    except OSError:
        return real


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

"""The life of one process: `python -m PROGRAM FD KEY APP`, as its supervisor says.

FD is its end of the channel, KEY is `NAME:INDEX`; APP shows whose it is in a list of processes.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import uvloop

from pushline.config import Config
from pushline.config.sources import Name
from pushline.ending import LAST_MOMENT, end_within
from pushline.errors import PushlineError
from pushline.logs import configure
from pushline.supervise.channel import BEAT, STAY, Channel, Report, Task

NOT_STARTED = 2
"""The exit code of a process that has not become ready, and has reported why."""

Load = Callable[[Path | None, Mapping[str, str], Mapping[Name, str]], Config]
"""As `config.load` has it. Raises ConfigError."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a process is for."""

    config: Config
    key: str
    follows: bool
    """It takes the place of one that runs."""

    @property
    def index(self) -> int:
        """From 0 on."""
        return int(self.key.rpartition(":")[2])


class Work(Protocol):
    """What a process does in its event loop, besides coming to be."""

    async def start(self) -> None:
        """It is ready. Raises PushlineError."""

    def stay(self) -> None:
        """Who was to follow does not."""

    async def stop(self) -> None:
        """Finish what has begun."""

    def end(self) -> None:
        """Begin nothing more; also where the start was broken off."""


def run(load: Load, stop_time: Callable[[Config], float], begin: Callable[[Job], Work]) -> int:
    """Until the supervisor says to stop, or is no more; the exit code.

    `begin` is called where there is no event loop yet, and may raise PushlineError; `stop_time`
    gives the seconds that `stop` takes at most.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are for the supervisor
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    task = channel.task()
    try:
        job = _job(task, sys.argv[2], load)
        channel.end_with_supervisor(stop_time(job.config))
        _live(begin(job), channel)
    except PushlineError as error:
        channel.report(Report(False, str(error)))
        return NOT_STARTED
    return 0


def _job(task: Task, key: str, load: Load) -> Job:
    """Raises ConfigError."""
    flags = {}
    for dotted, text in task.flags.items():
        section, _, name = dotted.partition(".")
        flags[section, name] = text
    job = Job(load(Path(task.path) if task.path else None, os.environ, flags), key, task.follows)
    configure(job.config.log.level, f"process {job.index}")
    return job


def _live(work: Work, channel: Channel) -> None:
    """Raises PushlineError where it does not start."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_work(work, channel))
        except BaseException:
            end_within(LAST_MOMENT, NOT_STARTED)
            raise
        end_within(LAST_MOMENT)


async def _work(work: Work, channel: Channel) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    loop.add_signal_handler(STAY, work.stay)
    if await _started(work, told):
        channel.report(Report(True))
        beating = asyncio.ensure_future(_beat(channel))
        await told.wait()
        await work.stop()
        beating.cancel()
    work.end()


async def _beat(channel: Channel) -> None:
    """As long as the event loop runs."""
    while True:
        channel.beat()
        await asyncio.sleep(BEAT)


async def _started(work: Work, told: asyncio.Event) -> bool:
    """False where it was told to stop first. Raises PushlineError."""
    starting = asyncio.ensure_future(work.start())
    stopping = asyncio.ensure_future(told.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        stopping.cancel()
        starting.result()
        return True
    starting.cancel()
    await asyncio.wait((starting,), timeout=LAST_MOMENT)
    return False

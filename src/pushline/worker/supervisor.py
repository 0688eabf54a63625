"""`pushline worker`: keeps processes running, and replaces them one by one in a reload."""

import asyncio
import logging
import secrets
import signal
import sys
from collections.abc import Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pushline import __version__
from pushline.config import Config
from pushline.config.sources import Name
from pushline.errors import AppError
from pushline.logs import configure
from pushline.worker.channel import Task
from pushline.worker.child import Plan, directory, start
from pushline.worker.control import Control, Say, path_of
from pushline.worker.post import Post
from pushline.worker.settings import load

log = logging.getLogger(__name__)

GRACE = 0.5
"""Seconds that a process has besides `worker.stop_time` before it is ended."""
RANDOM = 4
"""Bytes that make a name unlike others."""

Signals = asyncio.Queue[signal.Signals]


def run_worker(path: Path | None, environ: Mapping[str, str], flags: Mapping[Name, str]) -> int:
    """Run processes until SIGTERM or Ctrl-C, then let them finish; a second one ends at once.

    The arguments are those of `config.load`. Every process reads the settings anew, so that a
    reload takes new ones, but those of the supervisor itself: `worker` and `log`. Raises
    ConfigError; AppError where the application does not start.
    """
    config = load(path, environ, flags)
    configure(config.log.level)
    task = Task(
        str(path.absolute()) if path else None, {".".join(key): flags[key] for key in flags}
    )
    name = config.worker.name or _new_name(config.app.load)
    plan = Plan(task, environ, config.app.load, name, directory())
    asyncio.run(_supervise(config, plan))
    return 0


def _new_name(app: str) -> str:
    """For as long as this supervisor lives; a worker_key has a colon behind it."""
    return f"{app.replace(':', '.')}-{secrets.token_hex(RANDOM)}"


class Supervisor:
    """All processes of one worker, in the running event loop."""

    def __init__(self, config: Config, plan: Plan) -> None:
        worker = config.worker
        self._posts = [
            Post(
                index,
                partial(start, plan),
                start_time=worker.start_time,
                stop_time=worker.stop_time + GRACE,
            )
            for index in range(worker.processes)
        ]
        self._one_by_one = asyncio.Lock()
        self._reloads: set[asyncio.Task[bool]] = set()

    async def start(self) -> None:
        """Every process is ready. Raises AppError where one is not; the others are ended."""
        await asyncio.gather(*(post.take() for post in self._posts))

    def reload(self, say: Say) -> asyncio.Task[bool]:
        """Replace one process after the other; at the first that does not start, leave the rest.

        `say` is given lines about it. Gives whether all have been replaced.
        """
        task = asyncio.create_task(self._reload(say))
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)
        return task

    async def stop(self) -> None:
        """Let all processes finish, each for `worker.stop_time` at most."""
        for task in self._reloads:
            task.cancel()
        await asyncio.gather(*self._reloads, return_exceptions=True)
        await asyncio.gather(*(post.stop() for post in self._posts))

    async def end(self) -> None:
        """End what is left at once."""
        await asyncio.gather(*(post.end() for post in self._posts))

    async def _reload(self, say: Say) -> bool:
        async with self._one_by_one:
            for post in self._posts:
                try:
                    await post.replace()
                except AppError as error:
                    log.warning("%s stays as it was: %s", post, error)
                    say(f"{post} stays as it was: {error}")
                    return False
                log.info("%s has been replaced", post)
                say(f"{post} has been replaced")
        return True


async def _supervise(config: Config, plan: Plan) -> None:
    supervisor = Supervisor(config, plan)
    control = Control(path_of(config), supervisor.reload)
    signals = _signals()
    try:
        if not await _done(supervisor.start(), signals):
            return
        await control.start()
        print("\n".join(banner(config)), file=sys.stderr, flush=True)
        while await signals.get() == signal.SIGHUP:
            supervisor.reload(_say_nothing)
        log.info("stopping: the processes finish what they have begun")
        await _done(supervisor.stop(), signals)
        log.info("stopped")
    finally:
        control.stop()
        await supervisor.end()


def _signals() -> Signals:
    received: Signals = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, received.put_nowait, number)
    return received


async def _done(coroutine: Coroutine[Any, Any, None], signals: Signals) -> bool:
    """Whether it has come to its end before a signal to stop; if not, it is cancelled."""
    task = asyncio.ensure_future(coroutine)
    signalled = asyncio.ensure_future(_told_to_stop(signals))
    await asyncio.wait((task, signalled), return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    if task.done():
        task.result()
        return True
    task.cancel()
    await asyncio.wait((task,))
    return False


def _say_nothing(_line: str) -> None:
    """What a reload says is in the log as well."""


async def _told_to_stop(signals: Signals) -> None:
    while await signals.get() == signal.SIGHUP:
        continue


def banner(config: Config) -> list[str]:
    """What runs, and with which Registers."""
    registers = ", ".join(map(str, config.register.join))
    return [
        f"Pushline {__version__}",
        "",
        f"  application {config.app.load}",
        f"  registers   {registers}",
        f"  processes   {config.worker.processes}",
        f"  new code    pushline reload {config.app.load}",
        "",
        "  Ctrl-C stops it.",
        "",
    ]

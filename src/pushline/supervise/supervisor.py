"""Keeps processes running, and replaces them one by one in a reload."""

import asyncio
import logging
import signal
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pushline.config.sources import Name
from pushline.ending import GRACE
from pushline.errors import AppError
from pushline.output import say
from pushline.supervise.channel import Task
from pushline.supervise.child import Plan, start
from pushline.supervise.control import Control, Say
from pushline.supervise.places import Place
from pushline.supervise.post import Post

log = logging.getLogger(__name__)

Signals = asyncio.Queue[signal.Signals]


class Supervisor:
    """So many processes of one Plan, in the running event loop; times are as Post has them."""

    def __init__(
        self,
        plan: Plan,
        processes: int,
        *,
        start_time: float,
        stop_time: float,
        hang_time: float,
    ) -> None:
        post = partial(
            Post,
            start=partial(start, plan),
            start_time=start_time,
            stop_time=stop_time + GRACE,
            hang_time=hang_time,
        )
        self._posts = [post(index) for index in range(processes)]
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
        """Let all processes finish, each for its time to stop at most."""
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


async def supervise(supervisor: Supervisor, place: Place, banner: Sequence[str]) -> None:
    """Run its processes until SIGTERM or Ctrl-C, then let them finish; a second one ends at once.

    SIGHUP, or who asks at the control socket, has them replaced. The banner is shown once all are
    ready. Raises ConfigError, and AppError where one does not start.
    """
    control = Control(place, supervisor.reload)
    signals = _signals()
    try:
        if not await _done(supervisor.start(), signals):
            return
        await control.start()
        say(banner)
        while await signals.get() == signal.SIGHUP:
            supervisor.reload(_say_nothing)
        log.info("stopping: the processes finish what they have begun")
        await _done(supervisor.stop(), signals)
        log.info("stopped")
    finally:
        control.stop()
        await supervisor.end()


def task_of(path: Path | None, flags: Mapping[Name, str]) -> Task:
    """Has processes read the settings as `config.load` does with these arguments."""
    texts = {".".join(key): text for key, text in flags.items()}
    return Task(str(path.absolute()) if path else None, texts)


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

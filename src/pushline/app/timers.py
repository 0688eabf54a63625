"""Functions that run by the time: each so many seconds, once, or when the clock says so."""

import asyncio
import functools
import logging
import math
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import tzinfo

from pushline.app.cron import Cron
from pushline.app.faults import FAULTS, is_being_cancelled
from pushline.app.shape import check_shape, name_of_function
from pushline.errors import AppError

log = logging.getLogger(__name__)

MINUTE = 60.0
"""Seconds after which a clock is looked at again: it may have been set."""
SHORTEST = 0.001
"""Seconds: uvloop counts no less."""

Function = Callable[[], object]
Run = Callable[[Function], Awaitable[None]]
"""Runs a function, whether async or plain, to its end."""
Dues = AsyncGenerator[None, None]
"""Yields whenever something is due; a due time that has passed when it is asked is skipped."""


class Timer:
    """A function and its due times. Calling the timer calls the function."""

    def __init__(self, function: Function, dues: Callable[[], Dues]) -> None:
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self._dues = dues
        self._cancelled = False
        self._running = False
        self._task: asyncio.Task[None] | None = None

    def __call__(self) -> object:
        return self._function()

    def cancel(self) -> None:
        """Begin no further run; one that is under way goes on. May be called from any thread."""
        self._cancelled = True
        if self._task is not None and not self._task.done():
            self._task.get_loop().call_soon_threadsafe(self._wake)

    def start(self, run: Run) -> asyncio.Task[None]:
        """Count from now, in the event loop; the task ends when no further run can come."""
        self._task = asyncio.create_task(self._work(run))
        if self._cancelled:
            self._task.cancel()
        return self._task

    def _wake(self) -> None:
        if self._task is not None and not self._running:
            self._task.cancel()

    async def _work(self, run: Run) -> None:
        async with aclosing(self._dues()) as dues:
            async for _ in dues:
                if not self._cancelled:
                    await self._run(run)
                if self._cancelled:
                    break

    async def _run(self, run: Run) -> None:
        self._running = True
        try:
            await run(self._function)
        except FAULTS:
            if is_being_cancelled():
                raise
            self._failed()
        finally:
            self._running = False

    def _failed(self) -> None:
        log.exception("timer failed: %s", name_of_function(self._function))


class Timers:
    """An application's timers. Those that are added before the start wait for it.

    `clock` gives the seconds since the epoch, as time.time does.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._waiting: deque[Timer] = deque()
        self._live: dict[asyncio.Task[None], Timer] = {}
        self._run: Run | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def every(self, seconds: float) -> Callable[[Function], Timer]:
        """Run a function each `seconds` (above 0), for the first time after so many.

        Due times are counted from the start, however long runs take; those that pass while one is
        under way are skipped. Raises AppError.
        """
        if not (_is_number(seconds) and seconds > 0):
            raise AppError(f"every(seconds) takes a finite number above 0, not {seconds!r}")
        return self._adder(functools.partial(_every, max(seconds, SHORTEST)))

    def after(self, seconds: float) -> Callable[[Function], Timer]:
        """Run a function once, `seconds` (0 or more) after the start or, later, from now.

        Raises AppError.
        """
        if not (_is_number(seconds) and seconds >= 0):
            raise AppError(f"after(seconds) takes a finite number from 0 on, not {seconds!r}")
        return self._adder(functools.partial(_after, seconds))

    def cron(self, expression: str, tz: tzinfo | str | None = None) -> Callable[[Function], Timer]:
        """Run a function when the clock says so: see Cron.

        A clock that is set is noticed within a minute: put forward over due times, one run makes
        up for them; put back, due times come again, unless that is by less than a minute. Raises
        AppError.
        """
        return self._adder(functools.partial(_by_clock, Cron(expression, tz), self._clock))

    def start(self, run: Run) -> None:
        """Start all of them in the running event loop, and from now on each when it is added."""
        self._run = run
        self._loop = asyncio.get_running_loop()
        self._begin()

    def stop(self) -> None:
        """Cancel all of them; runs under way go on. What is added later does not start."""
        self._loop = self._run = None
        for timer in self._live.values():
            timer.cancel()

    def tasks(self) -> list[asyncio.Task[None]]:
        """One for each timer; after `stop`, for each run that is still under way."""
        return list(self._live)

    def _adder(self, dues: Callable[[], Dues]) -> Callable[[Function], Timer]:
        def add(function: Function) -> Timer:
            check_shape(function, "a timer")
            timer = Timer(function, dues)
            self._add(timer)
            return timer

        return add

    def _add(self, timer: Timer) -> None:
        # In this order: this may be another thread than the one that starts the timers.
        self._waiting.append(timer)
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        while self._waiting and self._run is not None:
            timer = self._waiting.popleft()
            task = timer.start(self._run)
            self._live[task] = timer
            task.add_done_callback(self._live.pop)


async def _every(seconds: float) -> Dues:
    now = asyncio.get_running_loop().time
    start, count = now(), 0
    while True:
        # Not by the time alone: the loop may wake a little too early.
        count = max(count, math.floor((now() - start) / seconds)) + 1
        await asyncio.sleep(start + count * seconds - now())
        yield


async def _after(seconds: float) -> Dues:
    await asyncio.sleep(seconds)
    yield


async def _by_clock(cron: Cron, clock: Callable[[], float]) -> Dues:
    last = -math.inf
    while True:
        due = math.inf
        while (now := clock()) < due:
            due = cron.next(_unless_put_right(now, last))
            await asyncio.sleep(min(due - now, MINUTE))
        last = due
        yield


def _unless_put_right(now: float, last: float) -> float:
    """From when to look for a due time: a clock that is put right must not repeat a run."""
    return max(now, last) if last - now < MINUTE else now


def _is_number(seconds: object) -> bool:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return False
    return abs(seconds) <= sys.float_info.max

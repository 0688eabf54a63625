"""The place of one process: whoever holds it is followed by another when it ends, or hangs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from pushline.errors import AppError
from pushline.supervise.child import Child

log = logging.getLogger(__name__)

FIRST, MOST = 1.0, 30.0
"""Seconds until another is tried after one that has not lived; each time twice as many."""
LONG = 30.0
"""Seconds after which a process has lived: the next one is started at once."""

Start = Callable[[int, bool], Awaitable[Child]]
"""Given the index, and whether the process follows one that runs."""


class Post:
    """`start` gives a new process with this index; times are in seconds, and one that has given no
    sign of life for `hang_time` is ended (0: never)."""

    def __init__(
        self, index: int, start: Start, *, start_time: float, stop_time: float, hang_time: float
    ) -> None:
        self._index = index
        self._start = start
        self._start_time = start_time
        self._stop_time = stop_time
        self._hang_time = hang_time
        self._children: set[Child] = set()
        """All that live: who holds the post, who is to follow, who is leaving."""
        self._holder: Child | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._delay = 0.0

    def __str__(self) -> str:
        return f"process {self._index}"

    async def take(self) -> None:
        """The first process, once it is ready. Raises AppError, which says why it is not."""
        self._hold(await self._launch())

    async def replace(self) -> None:
        """A new process in place of the old one, which has then stopped.

        Where the new one does not become ready, the old one stays. Raises AppError, as `take`.
        """
        try:
            child = await self._launch()
        except AppError:
            if self._holder is not None:
                self._holder.stay()
            raise
        old = self._holder  # by now: the one of before may have ended, and been followed
        self._hold(child)
        if old is not None:
            await old.stop(self._stop_time)

    async def stop(self) -> None:
        """Let all that live stop, and begin no other."""
        if self._keeper is not None:
            self._keeper.cancel()
        await asyncio.gather(*(child.stop(self._stop_time) for child in self._children))

    async def end(self) -> None:
        """End all that live at once."""
        if self._keeper is not None:
            self._keeper.cancel()
        await asyncio.gather(*(child.stop(0) for child in self._children))

    async def _launch(self) -> Child:
        """A new process, once it is ready. Raises AppError."""
        child = await self._start(self._index, self._holder is not None)
        self._children.add(child)
        child.when_ended(lambda: self._children.discard(child))
        try:
            if why := await child.ready(self._start_time):
                raise AppError(why)
        except BaseException:
            child.kill()
            raise
        log.info("%s (pid %d) is ready", self, child.pid)
        return child

    def _hold(self, child: Child) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
        self._holder = child
        self._delay = 0.0
        self._keeper = asyncio.create_task(self._keep(child))

    async def _keep(self, child: Child) -> None:
        """Have it followed when it ends, again and again."""
        now = asyncio.get_running_loop().time
        while True:
            since = now()
            log.warning("%s (pid %d) %s", self, child.pid, await self._ended(child))
            self._holder = None
            if now() - since > LONG:
                self._delay = 0.0
            self._holder = child = await self._follower()

    async def _ended(self, child: Child) -> str:
        """How, by itself or because it hangs."""
        if self._hang_time and await child.hangs(self._hang_time):
            silence = "%s (pid %d) has given no sign of life for %g s: it is ended"
            log.warning(silence, self, child.pid, self._hang_time)
            child.kill()
        return await child.ended()

    async def _follower(self) -> Child:
        """Tried again until it is ready."""
        while True:
            if self._delay:
                log.info("%s: another is started in %g s", self, self._delay)
            await asyncio.sleep(self._delay)
            self._delay = min(self._delay * 2 or FIRST, MOST)
            try:
                return await self._launch()
            except AppError as error:
                log.warning("%s: %s", self, error)

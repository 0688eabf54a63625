"""An App at work: its start and end, its threads, its timers, and who is being served."""

import asyncio
import logging
from collections.abc import Callable

from pushline.app.application import App
from pushline.app.faults import FAULTS, is_being_cancelled
from pushline.app.handlers import Handler, Handlers
from pushline.app.inbox import Desk
from pushline.errors import AppError
from pushline.gateway import Executor
from pushline.loop_runner import LoopRunner
from pushline.metrics import Metrics
from pushline.wheel import Item, Wheel

log = logging.getLogger(__name__)


class Running(Item):
    """One App in the running event loop.

    `queue` is in messages for each client, `sync_timeout` and `slow` in seconds.
    """

    def __init__(
        self,
        app: App,
        wheel: Wheel,
        metrics: Metrics,
        *,
        queue: int,
        threads: int,
        sync_timeout: float,
        slow: float,
    ) -> None:
        self.slot = None
        self.app = app
        self.handlers = Handlers(threads)
        self.runner = LoopRunner(asyncio.get_running_loop(), sync_timeout)
        self.desk = Desk(
            app.handlers.get("on_message") and self.handlers.call(app.handlers["on_message"]),
            app.handlers.get("on_close") and self.handlers.call(app.handlers["on_close"]),
            metrics,
            wheel,
            limit=queue,
        )
        self._wheel = wheel
        self._metrics = metrics
        self._slow_ticks = wheel.ticks(slow)

    async def start(self, executor: Executor) -> None:
        """The gateway works, `on_start` has run, timers go. Raises AppError."""
        self.app.gateway.attach(executor, self.runner)
        try:
            await self._event("on_start")
        except FAULTS as error:
            if is_being_cancelled():
                raise
            log.exception("on_start failed")
            raise AppError(f"on_start failed: {error!r}") from error
        self.app.timers.start(self._timed)
        self._wheel.schedule(self, 1, Running._look)

    async def stop(self, seconds: float) -> None:
        """Let what has come in be handled, then run `on_stop`: each for so long, at most."""
        self.app.timers.stop()
        try:
            async with asyncio.timeout(seconds):
                while tasks := self.tasks():
                    await asyncio.wait(tasks)
        except TimeoutError:
            late = "%d handlers still run, and %d messages wait for them: ending without these"
            log.warning(late, len(self.tasks()), self.desk.waiting())
        try:
            async with asyncio.timeout(seconds):
                await self._event("on_stop")
        except TimeoutError:
            log.warning("on_stop still runs: ending without it")
        except FAULTS:
            if is_being_cancelled():
                raise
            log.exception("on_stop failed")
        self.end()

    def end(self) -> None:
        """Begin nothing more."""
        self.app.timers.stop()
        self._wheel.cancel(self)
        for task in self.tasks():
            task.cancel()
        self.handlers.stop()

    async def run(self, function: Callable[[], object]) -> None:
        """Call a function without arguments, in a thread if it is plain."""
        await self.handlers.call(function)()

    async def _timed(self, function: Callable[[], object]) -> None:
        try:
            await self.run(function)
        except FAULTS:
            self._metrics.app_errors["timer"] += not is_being_cancelled()
            raise

    def longest(self) -> float:
        """Seconds that the handler which has been running the longest takes."""
        inbox = self.desk.oldest()
        return (self._wheel.now - inbox.since) * self._wheel.tick if inbox else 0.0

    async def _event(self, name: str) -> None:
        handler: Handler | None = self.app.handlers.get(name)
        if handler is not None:
            await self.run(handler)

    def tasks(self) -> list[asyncio.Task[None]]:
        """Of the handlers and timers that run."""
        return [*self.desk.busy.values(), *self.app.timers.tasks()]

    def _look(self) -> None:
        """Say once of each handler that it takes long."""
        self._wheel.schedule(self, 1, Running._look)
        for inbox in self.desk.busy:
            if self._wheel.now - inbox.since >= self._slow_ticks and not inbox.slow:
                inbox.slow = True
                log.warning("a handler takes long: %r", inbox.client)

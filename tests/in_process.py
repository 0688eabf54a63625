"""A Service in this process, on a uvloop of its own thread, for tests that look inside."""

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

import uvloop

from pushline import App
from pushline.config import Config, load
from pushline.hub import random_id
from pushline.service import Service
from tests.browser import DEADLINE

T = TypeVar("T")
TICK = 0.02


def configured(**settings: str) -> Config:
    """Of environment variables without PUSHLINE_, with free loopback ports where none is named."""
    ports = dict.fromkeys(("WEBSOCKET_LISTEN", "TEXT_LISTEN", "HTTP_LISTEN"), "127.0.0.1:0")
    environ = {f"PUSHLINE_{name}": value for name, value in (ports | settings).items()}
    return load(None, environ, {})


class InProcess:
    """Runs a loop in `with`; `service` is made there, and not started yet; `draw` gives it the
    numbers of its connections.

    What the collector was told is undone in the end, and errors that nobody took are raised.
    """

    def __init__(
        self, config: Config, app: App | None = None, *, draw: Callable[[], int] = random_id
    ) -> None:
        self._config = config
        self._app = app
        self._draw = draw
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._loop = self._runner.get_loop()
        self._errors: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thresholds = gc.get_threshold()
        self._loop.set_exception_handler(lambda _, context: self._errors.append(context))
        self._thread.start()
        self.service = self.call(self._new_service)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.call(self.service.stop)
        self.settle()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._runner.close()
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()
        assert self._errors == []

    def start(self) -> Service:
        """The service, started. Raises ConfigError."""
        self.run(self.service.start())
        return self.service

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Its result."""
        return self.begin(coroutine).result(DEADLINE)

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """What will be its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, function: Callable[[], T]) -> T:
        """What it returns in the loop's thread."""

        async def called() -> T:
            return function()

        return self.run(called())

    def settle(self) -> None:
        """Let the loop do what is due; transports that were ended tell it a pass later."""
        for _ in range(3):
            self.call(lambda: None)

    def _new_service(self) -> Service:
        return Service(self._config, self._app, tick=TICK, draw=self._draw)

    def tasks(self) -> int:
        """How many the loop has, besides the one that counts them."""
        return self.call(lambda: len(asyncio.all_tasks())) - 1

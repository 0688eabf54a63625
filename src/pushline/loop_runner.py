"""Lets plain code, in its threads, wait for what an event loop does."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from pushline.errors import AppError, DeadlineError

T = TypeVar("T")


class LoopRunner:
    """Runs coroutines in `loop` for other threads, which wait up to `timeout` seconds for each."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._loop = loop
        self._timeout = timeout

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What `coroutine` returns or raises; DeadlineError where it took longer.

        Raises AppError, and runs nothing, in the loop's own thread and when the loop has ended.
        """
        future = self._begin(coroutine)
        try:
            return future.result(self._timeout)
        except TimeoutError:
            if future.done():
                raise  # the coroutine's own
            raise DeadlineError(
                f"no answer within {self._timeout:g} s; it may still have been done"
            ) from None
        finally:
            future.cancel()  # of no effect on what is done

    def _begin(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        if _running_loop() is self._loop:
            coroutine.close()
            raise AppError(
                "`sync` would wait for its own event loop: in async code the same call goes "
                "without `sync`, and is awaited, as in `await client.send(...)`"
            )
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise AppError("the application has ended") from None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

"""One event loop on a daemon thread, shared by all of a process; a forked child has its own."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from pushline.client.fate import MAYBE_PUSHED, told
from pushline.errors import DeadlineError, UnavailableError

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for other threads. Its thread ends with the process, and holds it up not."""

    def __init__(self) -> None:
        self._loop = asyncio.SelectorEventLoop()
        thread = threading.Thread(
            target=self._loop.run_forever, name="pushline-client", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            self._loop.close()
            raise told(UnavailableError(str(error))) from None

    def run(self, work: Coroutine[Any, Any, T], timeout: float) -> T:
        """What `work` returns; DeadlineError after `timeout` seconds, whatever the loop does."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except TimeoutError:
            raise DeadlineError(
                f"the client's thread is stuck for {timeout:g} s", MAYBE_PUSHED
            ) from None
        finally:
            future.cancel()  # of no effect on what is done


def shared() -> LoopThread:
    """This process's own; raises UnavailableError where no thread can be started any more."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = LoopThread()
        return _shared


def _start_anew() -> None:
    """In a forked child: the parent's thread is not here, and its lock may be held for ever."""
    global _lock, _shared
    _lock = threading.Lock()
    _inherited.append(_shared)
    _shared = None


_lock = threading.Lock()
_shared: LoopThread | None = None
_inherited: list[LoopThread | None] = []
"""Kept: to be collected they would touch what they share with the parent."""
os.register_at_fork(after_in_child=_start_anew)

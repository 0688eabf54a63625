"""Calls an application's functions: async ones in the event loop, plain ones in a thread."""

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Handler = Callable[..., object]
Call = Callable[..., Awaitable[object]]


def is_async(function: Handler) -> bool:
    """Whether calling it gives something to await at once; it then must not block."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object whose call is async
    )


class Handlers:
    """Makes every handler a function to await. Plain ones share `threads` threads."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pushline-app")

    def call(self, handler: Handler) -> Call:
        """`handler` as a function to await."""
        if is_async(handler):
            return handler  # type: ignore[return-value] # what is_async has found out
        return functools.partial(self._in_thread, handler)

    def stop(self) -> None:
        """Begin nothing more; what is under way goes on."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, handler: Handler, *args: Any) -> object:
        run = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._pool, run, _call, handler, *args)
        return await result if inspect.isawaitable(result) else result


def _call(handler: Handler, *args: Any) -> object:
    try:
        return handler(*args)
    except StopIteration as error:
        raise RuntimeError(f"{error!r} was not caught") from error  # no future can carry it

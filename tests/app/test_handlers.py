"""Async handlers run in the loop, plain ones in threads."""

import asyncio
import contextvars
import functools
import threading
from collections.abc import Iterator

import pytest

from pushline.app.handlers import Handlers, is_async


@pytest.fixture
def handlers() -> Iterator[Handlers]:
    handlers = Handlers(2)
    yield handlers
    handlers.stop()


class Plain:
    def __call__(self) -> None: ...

    async def method(self) -> None: ...


class Async:
    async def __call__(self) -> None: ...


async def function(*_: object) -> None: ...


@pytest.mark.parametrize(
    "handler", [function, functools.partial(function, 1), Plain().method, Async()]
)
def test_what_gives_something_to_await_is_async(handler: object) -> None:
    assert is_async(handler)  # type: ignore[arg-type]


@pytest.mark.parametrize("handler", [lambda: None, functools.partial(print, 1), Plain(), print])
def test_all_else_is_plain(handler: object) -> None:
    assert not is_async(handler)  # type: ignore[arg-type]


async def test_an_async_one_runs_in_the_loop(handlers: Handlers) -> None:
    async def handler(value: int) -> tuple[int, int]:
        return value, threading.get_ident()

    assert await handlers.call(handler)(3) == (3, threading.get_ident())


async def test_a_plain_one_runs_in_a_thread_with_the_callers_context(handlers: Handlers) -> None:
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(7)

    def handler(value: int) -> tuple[int, int, bool]:
        return value, variable.get(), threading.get_ident() == own

    own = threading.get_ident()
    assert await handlers.call(handler)(3) == (3, 7, False)


async def test_what_a_plain_one_returns_is_awaited_where_it_can_be(handlers: Handlers) -> None:
    async def later() -> int:
        return threading.get_ident()

    assert await handlers.call(lambda: later())() == threading.get_ident()


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_an_exception_reaches_the_caller(handlers: Handlers, kind: str) -> None:
    async def fails() -> None:
        raise LookupError

    def plainly() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await handlers.call(fails if kind == "async" else plainly)()


async def test_no_more_plain_ones_run_at_a_time_than_there_are_threads(handlers: Handlers) -> None:
    running, most = 0, 0
    lock, both = threading.Lock(), threading.Barrier(2, timeout=10)

    def handler() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait()
        with lock:
            running -= 1

    await asyncio.gather(*(handlers.call(handler)() for _ in range(6)))
    assert most == 2

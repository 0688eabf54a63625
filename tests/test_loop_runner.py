"""Plain code that waits for a real event loop in another thread."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from pushline.errors import AppError, DeadlineError
from pushline.loop_runner import LoopRunner
from tests.browser import DEADLINE

SHORT = 0.05


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        yield loop
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@pytest.fixture
def runner(loop: asyncio.AbstractEventLoop) -> LoopRunner:
    return LoopRunner(loop, DEADLINE)


async def thread_of() -> int:
    await asyncio.sleep(0)
    return threading.get_ident()


async def failing(error: BaseException) -> None:
    raise error


def test_what_a_coroutine_returns_comes_from_the_loops_thread(runner: LoopRunner) -> None:
    there = runner.run(thread_of())
    assert there != threading.get_ident()
    assert runner.run(thread_of()) == there


@pytest.mark.parametrize("kind", [ValueError, TimeoutError, AppError])
def test_what_a_coroutine_raises_is_raised(runner: LoopRunner, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="its own"):
        runner.run(failing(kind("its own")))


def test_what_takes_too_long_is_given_up(loop: asyncio.AbstractEventLoop) -> None:
    cancelled = threading.Event()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(DeadlineError, match=r"no answer within 0\.05 s"):
        LoopRunner(loop, SHORT).run(endless())
    assert cancelled.wait(DEADLINE)


def test_a_loop_that_is_stuck_holds_nobody_up(loop: asyncio.AbstractEventLoop) -> None:
    begun, free = threading.Event(), threading.Event()

    def stick() -> None:
        begun.set()
        free.wait(DEADLINE)

    loop.call_soon_threadsafe(stick)
    assert begun.wait(DEADLINE)
    with pytest.raises(DeadlineError, match="it may still have been done"):
        LoopRunner(loop, SHORT).run(thread_of())
    free.set()
    assert LoopRunner(loop, DEADLINE).run(thread_of()) != threading.get_ident()


def test_in_the_loops_own_thread_it_is_refused_and_nothing_is_begun(
    loop: asyncio.AbstractEventLoop, runner: LoopRunner
) -> None:
    async def inside(coroutine: Coroutine[Any, Any, int]) -> int:
        return runner.run(coroutine)

    work = thread_of()
    with pytest.raises(AppError, match="without `sync`"):
        runner.run(inside(work))
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        work.send(None)


def test_another_loop_may_wait_for_it(runner: LoopRunner) -> None:
    async def elsewhere() -> int:
        return runner.run(thread_of())

    assert asyncio.run(elsewhere()) == runner.run(thread_of())


def test_a_loop_that_has_ended_is_said_to_have() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(AppError, match="the application has ended"):
        LoopRunner(loop, DEADLINE).run(thread_of())

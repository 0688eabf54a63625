"""Timers by a loop whose time a test has in its own hands, and a few in a real one."""

import asyncio
import functools
import heapq
import inspect
import logging
import math
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextvars import Context
from datetime import UTC, datetime
from typing import TypeVarTuple
from zoneinfo import ZoneInfo

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from pushline.app.timers import MINUTE, Timer, Timers
from pushline.errors import AppError
from tests.core import Loop

Arguments = TypeVarTuple("Arguments")
BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
PASSES = 12
"""More than any test needs until nothing is left to do."""


async def run(function: Callable[[], object]) -> None:
    result = function()
    if inspect.isawaitable(result):
        await result


async def run_in_thread(function: Callable[[], object]) -> None:
    await asyncio.to_thread(function)


class World(Loop):
    """A loop whose time goes at once to what is due; `wall` is what the clock on the wall says."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = NOON
        self.runs: list[float] = []
        self.timers = Timers(self.wall)
        self._whens: list[float] = []

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        heapq.heappush(self._whens, when)
        return super().call_at(when, callback, *args, context=context)

    def wall(self) -> float:
        return self.ahead + self.now

    def note(self) -> None:
        """A run: notes the loop's time."""
        self.runs.append(self.now)

    def noting(self, *seconds: float) -> Callable[[], Awaitable[None]]:
        """A function whose runs take so long, one after the other, and then no time."""
        times = iter(seconds)

        async def work() -> None:
            self.note()
            await asyncio.sleep(next(times, 0))

        return work

    def start(self, how: Callable[[Callable[[], object]], Awaitable[None]] = run) -> None:
        self.call_soon(self.timers.start, how)
        self.turn(PASSES)

    def go(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        self.turn(PASSES)
        while self._whens and self._whens[0] <= end:
            self.now = max(self.now, heapq.heappop(self._whens))
            self.turn(PASSES)
        self.now = end
        self.turn(PASSES)

    def tasks(self) -> int:
        return len(asyncio.all_tasks(self))

    def end(self) -> None:
        self.timers.stop()
        self.go(3600)
        self.close()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.end()


def in_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


# --- each so many seconds ---------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.25, 1, 60, 3600])
def test_every_is_due_after_each_interval(world: World, seconds: float) -> None:
    world.timers.every(seconds)(world.note)
    world.start()
    world.go(seconds * 3.5)
    assert world.runs == [seconds, seconds * 2, seconds * 3]


def test_due_times_are_counted_from_the_start_whatever_runs_take(world: World) -> None:
    world.timers.every(1)(world.noting(*[0.625] * 100))
    world.start()
    world.go(100)
    assert world.runs == [float(n) for n in range(1, 101)]


def test_what_falls_due_while_a_run_is_under_way_is_skipped(world: World) -> None:
    world.timers.every(1)(world.noting(2.5, 0, 1, 0.75))
    world.start()
    world.go(8)
    assert world.runs == [1, 4, 5, 7, 8]


def test_a_loop_that_hung_does_not_make_up_for_what_it_missed(world: World) -> None:
    world.timers.every(1)(world.note)
    world.start()
    world.now = 7.5
    world.go(1.5)
    assert world.runs == [7.5, 8, 9]


class Early(World):
    """Wakes a bit too early, as uvloop does: it counts whole milliseconds."""

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return super().call_at(when - 1 / 2048, callback, *args, context=context)


def test_a_loop_that_wakes_early_runs_once_for_each_due_time() -> None:
    world = Early()
    world.timers.every(1)(world.note)
    world.start()
    world.go(10)
    world.end()
    assert world.runs == [n - 1 / 2048 for n in range(1, 11)]


@given(
    seconds=st.integers(1, 256).map(lambda n: n / 64),
    takes=st.lists(st.integers(0, 1024).map(lambda n: n / 64), max_size=20),
)
def test_runs_begin_at_due_times_and_none_while_another_is_under_way(
    seconds: float, takes: list[float]
) -> None:
    expected, now = [], 0.0
    for take in [*takes, 0, 0, 0]:
        expected.append((now // seconds + 1) * seconds)
        now = expected[-1] + take
    world = World()
    world.timers.every(seconds)(world.noting(*takes))
    world.start()
    world.go(now)
    world.end()
    assert world.runs == expected


def test_an_interval_below_the_clocks_resolution_is_that_resolution(world: World) -> None:
    world.timers.every(5e-324)(world.note)
    world.start()
    world.go(0.0105)
    assert len(world.runs) == 10


# --- once -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 0.5, 90])
def test_after_is_due_once(world: World, seconds: float) -> None:
    world.timers.after(seconds)(world.note)
    world.start()
    world.go(1000)
    assert world.runs == [seconds]
    assert world.tasks() == 0


def test_after_counts_from_the_start_and_later_from_when_it_is_added(world: World) -> None:
    world.timers.after(2)(world.note)
    world.go(10)
    world.start()
    world.go(5)
    world.timers.after(3)(world.note)
    world.go(5)
    assert world.runs == [12, 18]


def test_a_run_can_add_timers(world: World) -> None:
    def again() -> None:
        world.note()
        world.timers.after(1)(again)

    world.timers.after(1)(again)
    world.start()
    world.go(3.5)
    assert world.runs == [1, 2, 3]
    assert world.tasks() == 1


# --- by the clock -----------------------------------------------------------------------------


def runs(world: World) -> list[str]:
    return [f"{datetime.fromtimestamp(world.ahead + at, BERLIN):%H:%M:%S}" for at in world.runs]


def start_at(world: World, *when: int) -> None:
    """Year, month, day, hour and more, in Berlin."""
    world.ahead = datetime(*when, tzinfo=BERLIN).timestamp()  # type: ignore[arg-type,misc]
    world.start()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/5 * * * *", ["14:05:00", "14:10:00", "14:15:00"]),
        ("*/20 0 * * * *", ["15:00:00", "15:00:20", "15:00:40"]),
        ("30 2 14-15 * * *", ["14:02:30", "15:02:30"]),
    ],
)
def test_cron_is_due_when_the_clock_says_so(
    world: World, expression: str, expected: list[str]
) -> None:
    world.timers.cron(expression, BERLIN)(world.note)
    start_at(world, 2026, 6, 1, 14, 1)
    world.go(7000)
    assert runs(world)[:3] == expected


@pytest.mark.parametrize(("month", "day", "at"), [(3, 29, "03:00:00"), (10, 25, "02:30:00")])
def test_a_named_time_is_due_once_when_clocks_are_put_forward_or_back(
    world: World, month: int, day: int, at: str
) -> None:
    world.timers.cron("30 2 * * *", "Europe/Berlin")(world.note)
    start_at(world, 2026, month, day, 0, 30)
    world.go(20 * 3600)
    assert runs(world) == [at]


def test_every_hour_goes_on_when_clocks_are_put_forward_or_back(world: World) -> None:
    world.timers.cron("0 * * * *", BERLIN)(world.note)
    start_at(world, 2026, 3, 29, 0, 30)
    world.go(3 * 3600)
    world.ahead = datetime(2026, 10, 25, 0, 30, tzinfo=BERLIN).timestamp() - world.now
    world.go(4 * 3600)
    hours = [at // 3600 for at in world.runs]
    assert hours == [0, 1, 2, 3, 3, 4, 5, 6]


def test_a_slow_run_does_not_pile_up_runs(world: World) -> None:
    world.timers.cron("* * * * *")(world.noting(150))
    world.start()
    world.go(330)
    assert world.runs == [60, 240, 300]


def test_a_clock_that_is_put_forward_is_noticed_within_a_minute(world: World) -> None:
    """One run makes up for what was left out."""
    world.timers.cron("0 * * * *")(world.note)
    world.start()
    world.go(90)
    world.ahead += 5 * 3600
    world.go(MINUTE)
    (made_up,) = world.runs
    assert 90 < made_up <= 90 + MINUTE
    world.go(3600 - 150)
    assert world.runs == [made_up, 3600]


def test_after_a_clock_is_put_back_due_times_come_again(world: World) -> None:
    world.timers.cron("0 * * * *")(world.note)
    world.start()
    world.go(3600 + 1800)
    world.ahead -= 3600
    world.go(1800 + 3600)
    assert world.runs == [3600, 7200, 10800]


def test_a_clock_that_is_put_back_by_days_does_not_stop_a_timer(world: World) -> None:
    world.timers.cron("0 * * * *")(world.note)
    world.start()
    world.go(60)
    world.ahead -= 7 * 86400
    world.go(3600)
    assert world.runs == [3600]


@pytest.mark.parametrize("by", [0.001, 0.5, 59])
def test_a_clock_that_is_put_right_does_not_repeat_a_run(world: World, by: float) -> None:
    def put_right() -> None:
        world.note()
        world.ahead -= by

    world.timers.cron("0 * * * *")(put_right)
    world.start()
    world.go(7200 + 90)
    assert world.runs == pytest.approx([3600, 7200 + by])


# --- faults -----------------------------------------------------------------------------------


def fail() -> None:
    raise ValueError("a fault")


def leave() -> None:
    raise SystemExit


async def await_what_was_cancelled() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.parametrize("fault", [fail, leave, await_what_was_cancelled, functools.partial(fail)])
def test_an_exception_is_logged_with_the_timers_name_and_the_timer_goes_on(
    world: World, caplog: pytest.LogCaptureFixture, fault: Callable[[], object]
) -> None:
    timer = world.timers.every(1)(fault)
    world.start()
    world.go(3)
    name = fault.func.__qualname__ if isinstance(fault, functools.partial) else fault.__qualname__
    assert [record.getMessage() for record in caplog.records] == [f"timer failed: {name}"] * 3
    assert all(record.exc_info and record.levelno == logging.ERROR for record in caplog.records)
    timer.cancel()


def test_a_loop_that_ends_takes_a_run_under_way_with_it() -> None:
    """It does not count as a failure of the run."""
    begun: asyncio.Queue[asyncio.Task[object] | None] = asyncio.Queue()

    async def hang() -> None:
        begun.put_nowait(asyncio.current_task())
        await asyncio.Event().wait()

    async def main() -> asyncio.Task[object] | None:
        timers = Timers()
        timers.after(0)(hang)
        timers.start(run)
        return await begun.get()

    task = asyncio.run(main())
    assert task is not None
    assert task.cancelled()


# --- cancel -----------------------------------------------------------------------------------


def test_a_timer_that_is_cancelled_before_the_start_never_runs(world: World) -> None:
    world.timers.every(1)(world.note).cancel()
    world.start()
    assert world.tasks() == 0
    world.go(5)
    assert world.runs == []


def test_a_cancelled_timer_leaves_nothing_behind(world: World) -> None:
    add = (world.timers.every(1), world.timers.after(9), world.timers.cron("* * * * *"))
    timers = [each(world.note) for each in add]
    world.start()
    world.go(1.5)
    assert world.tasks() == 3
    for timer in timers:
        timer.cancel()
        timer.cancel()
    world.turn(PASSES)
    assert world.tasks() == 0
    world.go(120)
    for timer in timers:
        timer.cancel()
    assert world.runs == [1]


def test_a_timer_that_is_cancelled_when_it_is_due_does_not_run(world: World) -> None:
    """Another thread may do so after the loop has seen that it is due."""
    second = world.timers.every(1)
    world.timers.every(1)(lambda: timer.cancel())
    timer = second(world.note)
    world.start()
    world.go(5)
    assert world.runs == []


def test_a_run_can_cancel_its_own_timer_and_finishes(world: World) -> None:
    finished: list[float] = []

    async def work() -> None:
        world.note()
        if len(world.runs) == 2:
            timer.cancel()
        await asyncio.sleep(0.5)
        finished.append(world.now)

    timer = world.timers.every(1)(work)
    world.start()
    world.go(5)
    assert (world.runs, finished, world.tasks()) == ([1, 2], [1.5, 2.5], 0)


def test_a_run_under_way_is_left_to_finish(world: World) -> None:
    finished: list[float] = []

    async def work() -> None:
        await asyncio.sleep(10)
        finished.append(world.now)

    timer = world.timers.every(1)(work)
    world.start()
    world.go(5)
    timer.cancel()
    world.go(50)
    assert (finished, world.tasks()) == ([11], 0)


@pytest.mark.parametrize("when", ["before the start", "while it waits"])
def test_another_thread_can_cancel(world: World, when: str) -> None:
    timer = world.timers.every(1)(world.note)
    if when == "before the start":
        in_thread(timer.cancel)
    world.start()
    in_thread(timer.cancel)
    world.turn(PASSES)
    assert world.tasks() == 0
    world.go(5)
    assert world.runs == []


def test_a_timer_can_be_cancelled_when_its_loop_is_closed() -> None:
    world = World()
    timers = [world.timers.every(1)(world.note), world.timers.after(0)(world.note)]
    world.start()
    world.end()
    for timer in timers:
        timer.cancel()


# --- all of them ------------------------------------------------------------------------------


def test_another_thread_can_add_timers(world: World) -> None:
    world.start()
    world.go(2)
    in_thread(lambda: world.timers.after(1)(world.note))
    in_thread(lambda: world.timers.every(2)(world.note))
    world.go(4)
    assert world.runs == [3, 4, 6]


def test_stop_ends_all_and_what_is_added_later_does_not_start(world: World) -> None:
    world.timers.every(1)(world.note)
    world.timers.cron("* * * * *")(world.note)
    world.start()
    world.go(1)
    world.timers.after(1)(world.note)  # the loop has not begun with it yet
    world.timers.stop()
    world.timers.stop()
    world.timers.after(1)(world.note)
    world.go(120)
    assert (world.runs, world.tasks()) == ([1], 0)


def test_a_stop_before_the_start_and_without_timers() -> None:
    Timers().stop()


def test_timers_run_side_by_side(world: World) -> None:
    world.timers.every(1)(world.noting(100))
    world.timers.every(2)(world.note)
    world.start()
    world.go(6.5)
    assert world.runs == [1, 2, 4, 6]


# --- a timer ----------------------------------------------------------------------------------


def test_a_decorated_function_can_still_be_called_and_keeps_its_name(world: World) -> None:
    @world.timers.every(1)
    def tidy() -> int:
        """Tidies."""
        return 5

    assert isinstance(tidy, Timer)
    assert tidy() == 5
    assert (tidy.__name__, tidy.__doc__) == ("tidy", "Tidies.")  # type: ignore[attr-defined]


def test_one_function_can_have_several_timers(world: World) -> None:
    world.timers.every(2)(world.timers.every(3)(world.note))
    world.start()
    world.go(6.5)
    assert world.runs == [2, 3, 4, 6, 6]


@pytest.mark.parametrize("bad", [-1, math.inf, -math.inf, math.nan, 10**400, "5", None, True, fail])
@pytest.mark.parametrize("verb", ["every", "after"])
def test_seconds_that_are_no_number_in_range_are_an_error_at_once(verb: str, bad: object) -> None:
    with pytest.raises(AppError, match=rf"^{verb}\(seconds\) takes a finite number"):
        getattr(Timers(), verb)(bad)


def test_every_0_seconds_is_an_error_and_after_0_is_not() -> None:
    with pytest.raises(AppError, match="above 0, not 0"):
        Timers().every(0)
    Timers().after(0)


@pytest.mark.parametrize(("expression", "tz"), [("61 * * * *", None), ("* * * * *", "No/Where")])
def test_a_wrong_cron_expression_or_time_zone_is_an_error_at_once(
    expression: str, tz: str | None
) -> None:
    with pytest.raises(AppError, match=r"61 \* \* \* \*|No/Where"):
        Timers().cron(expression, tz)


@pytest.mark.parametrize("function", [None, 5, "tidy"])
def test_what_cannot_be_called_is_an_error_at_once(function: Callable[[], object]) -> None:
    add = Timers().every(1)
    with pytest.raises(AppError, match="a timer calls a function as f"):
        add(function)


# --- in a real loop ---------------------------------------------------------------------------


@pytest.mark.parametrize("factory", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_plain_functions_in_threads_add_and_cancel_timers(
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        done, timers, count = asyncio.Event(), Timers(), 0
        loop = asyncio.get_running_loop()

        def tick() -> None:
            nonlocal count
            count += 1
            if count == 3:
                timer.cancel()
                timers.after(0.002)(lambda: loop.call_soon_threadsafe(done.set))

        far = timers.after(1e308)(fail)
        timer = timers.every(0.001)(tick)
        timers.start(run_in_thread)
        await done.wait()
        assert count == 3
        await asyncio.to_thread(far.cancel)
        await asyncio.sleep(0.001)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    # The loop's debug mode refuses calls from other threads that are not made for it.
    with asyncio.Runner(loop_factory=factory, debug=True) as runner:
        runner.run(main())


def test_cron_in_a_loop_that_counts_whole_milliseconds_is_never_early() -> None:
    ahead = 0.995 - time.time() % 1

    def clock() -> float:
        return time.time() + ahead

    async def main() -> float:
        due: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        timers = Timers(clock)
        timer = timers.cron("* * * * * *")(lambda: due.set_result(clock()))
        second = math.floor(clock()) + 1
        timers.start(run)
        at = await due
        timer.cancel()
        return at - second

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) >= 0

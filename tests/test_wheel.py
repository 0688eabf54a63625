"""Deadlines by ticks that a test makes itself, and the clock that makes them in a server."""

import weakref
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from pushline.wheel import SOON, TICK, Item, Ticker, Wheel
from tests.core import Loop


class Timed(Item):
    """Notes the ticks at which it was due."""

    def __init__(self, wheel: Wheel) -> None:
        self.slot = None
        self.wheel = wheel
        self.dues: list[int] = []
        self.fault = ValueError("a fault")

    def fail(self) -> None:
        raise self.fault

    def due_now(self) -> None:
        self.dues.append(self.wheel.now)


def advance(wheel: Wheel, ticks: int) -> None:
    for _ in range(ticks):
        wheel.advance()


@pytest.fixture
def wheel() -> Wheel:
    return Wheel()


# --- the wheel ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ticks", [1, 2, 3, 1000])
def test_an_item_is_due_once_and_at_its_tick(wheel: Wheel, ticks: int) -> None:
    item = Timed(wheel)
    wheel.schedule(item, ticks, Timed.due_now)
    advance(wheel, ticks - 1)
    assert item.dues == []
    advance(wheel, 100)
    assert item.dues == [ticks]


@pytest.mark.parametrize(
    ("seconds", "ticks"), [(0.001, 1), (0.25, 1), (0.26, 2), (1, 4), (25, 100), (0, 1)]
)
def test_seconds_are_rounded_up_to_whole_ticks_of_which_there_is_one(
    wheel: Wheel, seconds: float, ticks: int
) -> None:
    assert wheel.ticks(seconds) == ticks


def test_a_later_deadline_takes_the_place_of_the_earlier(wheel: Wheel) -> None:
    later, sooner = Timed(wheel), Timed(wheel)
    for item, ticks in ((later, 2), (sooner, 7), (later, 7), (sooner, 2)):
        wheel.schedule(item, ticks, Timed.due_now)
    advance(wheel, 10)
    assert (later.dues, sooner.dues) == ([7], [2])


def test_a_cancelled_item_is_never_due(wheel: Wheel) -> None:
    item = Timed(wheel)
    wheel.cancel(item)  # of something without a deadline: nothing happens
    wheel.schedule(item, 2, Timed.due_now)
    wheel.cancel(item)
    wheel.cancel(item)
    advance(wheel, 5)
    assert item.dues == []


def test_what_schedules_itself_again_is_due_on_every_tick(wheel: Wheel) -> None:
    def again(item: Timed) -> None:
        item.due_now()
        wheel.schedule(item, 1, again)

    item = Timed(wheel)
    wheel.schedule(item, 1, again)
    advance(wheel, 4)
    assert item.dues == [1, 2, 3, 4]


def test_of_two_that_are_due_together_the_first_can_cancel_the_other(wheel: Wheel) -> None:
    items = [Timed(wheel), Timed(wheel)]

    def cancel_all(item: Timed) -> None:
        item.due_now()
        for each in items:
            wheel.cancel(each)

    for item in items:
        wheel.schedule(item, 1, cancel_all)
    advance(wheel, 3)
    assert sorted(item.dues for item in items) == [[], [1]]


def test_of_two_that_are_due_together_the_first_can_put_off_the_other(wheel: Wheel) -> None:
    items = [Timed(wheel), Timed(wheel)]

    def put_off_the_rest(item: Timed) -> None:
        item.due_now()
        for each in items:
            if not each.dues:
                wheel.schedule(each, 2, Timed.due_now)

    for item in items:
        wheel.schedule(item, 1, put_off_the_rest)
    advance(wheel, 5)
    assert sorted(item.dues for item in items) == [[1], [3]]


def test_items_are_those_that_have_a_deadline(wheel: Wheel) -> None:
    items = [Timed(wheel) for _ in range(4)]
    for ticks, item in enumerate(items, 1):
        wheel.schedule(item, ticks, Timed.due_now)
    wheel.cancel(items[3])
    advance(wheel, 1)
    assert set(wheel.items()) == {items[1], items[2]}
    advance(wheel, 2)
    assert wheel.items() == []


@pytest.mark.parametrize("ending", ["due", "cancelled"])
def test_the_wheel_lets_go_of_what_has_no_deadline_any_more(wheel: Wheel, ending: str) -> None:
    item = Timed(wheel)
    gone = weakref.ref(item)
    wheel.schedule(item, 1, Timed.due_now)
    if ending == "due":
        wheel.advance()
    else:
        wheel.cancel(item)
    del item
    assert gone() is None


class AnyUse(RuleBasedStateMachine):
    """Beside a plain map of items to ticks."""

    def __init__(self) -> None:
        super().__init__()
        self.wheel = Wheel()
        self.items = [Timed(self.wheel) for _ in range(5)]
        self.deadlines: dict[Timed, int] = {}
        self.expected: dict[Timed, list[int]] = {item: [] for item in self.items}

    @rule(number=st.integers(0, 4), ticks=st.integers(1, 6))
    def schedule(self, number: int, ticks: int) -> None:
        item = self.items[number]
        self.wheel.schedule(item, ticks, Timed.due_now)
        self.deadlines[item] = self.wheel.now + ticks

    @rule(number=st.integers(0, 4))
    def cancel(self, number: int) -> None:
        self.wheel.cancel(self.items[number])
        self.deadlines.pop(self.items[number], None)

    @rule(ticks=st.integers(1, 3))
    def advance(self, ticks: int) -> None:
        advance(self.wheel, ticks)
        for item, at in tuple(self.deadlines.items()):
            if at <= self.wheel.now:
                self.expected[item].append(at)
                del self.deadlines[item]

    @invariant()
    def each_was_due_when_it_should(self) -> None:
        assert {item: item.dues for item in self.items} == self.expected
        assert set(self.wheel.items()) == set(self.deadlines)


def test_any_use_is_as_with_a_map() -> None:
    run_state_machine_as_test(AnyUse, settings=settings(max_examples=30, deadline=None))


# --- the clock ----------------------------------------------------------------------------------


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def ticker(wheel: Wheel, loop: Loop) -> Ticker:
    return Ticker(wheel, loop)


def at(loop: Loop, now: float, passes: int = 1) -> None:
    """What is due by then."""
    loop.now = now
    loop.turn(passes)


def test_it_ticks_by_the_loops_time(wheel: Wheel, loop: Loop, ticker: Ticker) -> None:
    at(loop, TICK * 0.9)
    assert wheel.now == 0
    for tick in range(1, 5):
        at(loop, TICK * tick)
        assert (wheel.now, ticker.lag) == (tick, 0)


def test_a_tick_that_comes_a_little_late_does_not_delay_the_next(
    wheel: Wheel, loop: Loop, ticker: Ticker
) -> None:
    at(loop, TICK + 0.2)
    assert wheel.now == 1
    assert ticker.lag == pytest.approx(0.2)
    at(loop, TICK * 2)
    assert (wheel.now, ticker.lag) == (2, 0)


@pytest.mark.usefixtures("ticker")
def test_a_tick_that_is_late_by_just_one_is_not_put_off(wheel: Wheel, loop: Loop) -> None:
    at(loop, TICK * 2)
    assert wheel.now == 1


@pytest.mark.parametrize("late", [TICK * 1.01, 3600])
def test_a_tick_that_comes_later_than_that_is_put_off_once(
    wheel: Wheel, loop: Loop, ticker: Ticker, late: float
) -> None:
    """What has arrived meanwhile is read before anything is expired: the loop turns once more."""
    at(loop, TICK + late)
    assert wheel.now == 0
    assert ticker.lag == pytest.approx(late)
    loop.turn()
    assert wheel.now == 0
    at(loop, TICK + late + SOON)
    assert (wheel.now, ticker.lag) == (1, 0)


@pytest.mark.usefixtures("ticker")
def test_the_time_in_which_a_process_was_stopped_is_not_made_up_for(
    wheel: Wheel, loop: Loop
) -> None:
    for step in range(100):
        at(loop, 3600 + step * SOON, passes=3)
    assert wheel.now == 1
    at(loop, 3600 + SOON + TICK)
    assert wheel.now == 2


@pytest.mark.usefixtures("ticker")
def test_one_that_is_always_late_ticks_all_the_same(wheel: Wheel, loop: Loop) -> None:
    for step in range(1, 11):
        at(loop, step * 10.0)
    assert wheel.now == 5


@pytest.mark.usefixtures("ticker")
def test_a_fault_in_what_is_due_does_not_stop_the_clock(wheel: Wheel, loop: Loop) -> None:
    faults: list[object] = []
    loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
    item = Timed(wheel)

    wheel.schedule(item, 1, Timed.fail)
    at(loop, TICK)
    at(loop, TICK * 2)
    assert (faults, wheel.now) == ([item.fault], 2)


def test_a_stopped_one_does_not_tick(wheel: Wheel, loop: Loop, ticker: Ticker) -> None:
    at(loop, TICK)
    ticker.stop()
    at(loop, TICK * 2, passes=3)
    assert wheel.now == 1

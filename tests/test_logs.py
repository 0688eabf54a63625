"""Log lines: what passes, what a flood leaves, and how a line looks."""

import logging
import re
import time
from collections.abc import Callable, Iterator

import pytest

from pushline import logs
from pushline.logs import PER_SECOND, Throttle
from pushline.output import OUTPUT


class Clock:
    """The throttle's time, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def passed(throttle: Throttle, message: str, *arguments: object, count: int = 1) -> list[str]:
    """What gets through of `count` records."""
    records = [
        logging.LogRecord("name", logging.WARNING, "path", 1, message, arguments, None)
        for _ in range(count)
    ]
    return [record.getMessage() for record in records if throttle.filter(record)]


@pytest.mark.usefixtures("clock")
def test_so_many_lines_of_one_kind_pass_in_a_second() -> None:
    assert passed(Throttle(), "text: %s", "why", count=100) == ["text: why"] * PER_SECOND


@pytest.mark.usefixtures("clock")
def test_a_kind_is_the_text_without_what_is_filled_in() -> None:
    throttle = Throttle()
    lines = [passed(throttle, "text: %d", number) for number in range(PER_SECOND + 5)]
    assert lines.count([]) == 5


@pytest.mark.usefixtures("clock")
def test_a_flood_of_one_kind_does_not_hide_another() -> None:
    throttle = Throttle()
    passed(throttle, "flood", count=PER_SECOND)
    assert passed(throttle, "other: %s", 7) == ["other: 7"]


def test_what_was_left_out_is_told_with_the_next_line_and_then_forgotten(clock: Clock) -> None:
    throttle = Throttle()
    passed(throttle, "flood", count=PER_SECOND + 5)
    clock.now += 1
    assert passed(throttle, "text: %s", "100%") == [
        "text: 100% (5 log lines were left out before this one)"
    ]
    assert passed(throttle, "text: %s", "next") == ["text: next"]


def test_every_second_as_many_pass(clock: Clock) -> None:
    throttle = Throttle()
    counts = []
    for _ in range(3):
        counts.append(len(passed(throttle, "flood", count=PER_SECOND * 2)))
        clock.now += 1
    assert counts == [PER_SECOND] * 3


def test_no_kind_is_remembered_longer_than_a_second(clock: Clock) -> None:
    """Else kinds that hold what a peer sent would be kept for ever."""
    throttle = Throttle()
    for number in range(100):
        passed(throttle, f"kind {number}")
        clock.now += 1
    assert len(throttle._seen) == 1


# --- configure ----------------------------------------------------------------------------------


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, given back as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


Written = Callable[[], tuple[str, str]]


@pytest.fixture
def written(capfd: pytest.CaptureFixture[str]) -> Written:
    """What has been written since the last time: to standard output, and to standard error."""

    def written() -> tuple[str, str]:
        OUTPUT.settle()
        output, errors = capfd.readouterr()
        return output, errors

    return written


@pytest.mark.usefixtures("root")
def test_a_line_has_a_time_a_level_and_its_text(written: Written) -> None:
    logs.configure("info")
    logging.getLogger("pushline.any").warning("text: %s", "why")
    output, errors = written()
    assert output == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING text: why\n", errors)


@pytest.mark.usefixtures("root")
def test_a_line_says_which_process_it_is_of(written: Written) -> None:
    logs.configure("info", "100%s sure")
    logging.getLogger("pushline.any").info("text: %s", "why")
    assert written()[1].endswith(" INFO    100%s sure: text: why\n")


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_only_what_is_severe_enough_is_written(
    written: Written, level: str, words: list[str]
) -> None:
    logs.configure(level)
    for word in ("debug", "info", "warning", "error"):
        logging.getLogger("pushline.any").log(getattr(logging, word.upper()), word)
    assert [line.split()[-1] for line in written()[1].splitlines()] == words


@pytest.mark.usefixtures("root")
def test_a_flood_is_bounded_also_over_several_loggers(written: Written) -> None:
    logs.configure("info")
    logs.configure("info")  # a second time replaces the first
    for number in range(PER_SECOND * 5):
        logging.getLogger(f"pushline.{number}").warning("flood")
    assert len(written()[1].splitlines()) <= PER_SECOND * 2  # over a second's end


@pytest.mark.usefixtures("root")
def test_what_a_peer_says_cannot_become_a_line_of_its_own(
    written: Written,
) -> None:
    logs.configure("info")
    logging.getLogger("test").info("said: %s", "a\n2026 INFO forged\x1b[31m\u2028é")
    (line,) = written()[1].splitlines()
    assert line.endswith(r"said: a\n2026 INFO forged\x1b[31m\u2028é")

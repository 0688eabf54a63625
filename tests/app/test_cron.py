"""When cron expressions are due, also where clocks are put forward and back."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushline.app.cron import Cron, Local
from pushline.errors import AppError

BERLIN = ZoneInfo("Europe/Berlin")
FORWARD = datetime(2026, 3, 29, tzinfo=BERLIN)
"""02:00 becomes 03:00."""
BACK = datetime(2026, 10, 25, tzinfo=BERLIN)
"""03:00 becomes 02:00."""
YEAR_2026 = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
YEAR = 365 * 86400

near_a_change = st.sampled_from([FORWARD, BACK]).flatmap(
    lambda day: st.integers(0, 6 * 3600).map(lambda seconds: day.timestamp() + seconds)
)
any_time = near_a_change | st.integers(0, YEAR).map(lambda seconds: YEAR_2026 + seconds)


def dues(expression: str, start: datetime, tz: tzinfo | str | None = BERLIN) -> Iterator[str]:
    """Day, time and, where it is summer time, `S`."""
    cron, now = Cron(expression, tz), start.timestamp()
    while True:
        now = cron.next(now)
        due = datetime.fromtimestamp(now, BERLIN)
        yield f"{due:%d %H:%M:%S}" + ("S" if due.dst() else "")


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/5 * * * *", ["01 00:05:00", "01 00:10:00", "01 00:15:00"]),
        ("30 8-18/5 * * *", ["01 08:30:00", "01 13:30:00", "01 18:30:00", "02 08:30:00"]),
        ("0 0 13 * 5", ["02 00:00:00", "09 00:00:00", "13 00:00:00", "16 00:00:00"]),
        ("0 0 * * MON", ["05 00:00:00", "12 00:00:00"]),
        ("*/20 * * * * *", ["01 00:00:20", "01 00:00:40", "01 00:01:00"]),
        ("15 30 2 * * *", ["01 02:30:15", "02 02:30:15"]),
        ("0 0 31 * *", ["31 00:00:00", "31 00:00:00S", "31 00:00:00S"]),
    ],
)
def test_the_fields_are_those_of_cron_with_the_seconds_first(
    expression: str, expected: list[str]
) -> None:
    start = datetime(2026, 1, 1, tzinfo=BERLIN)
    assert list(islice(dues(expression, start), len(expected))) == expected


@pytest.mark.parametrize("seconds", ["", "0 "])
@pytest.mark.parametrize(
    ("expression", "forward", "back"),
    [
        (
            "30 2 * * *",
            ["29 03:00:00S", "30 02:30:00S"],
            ["25 02:30:00S", "26 02:30:00"],
        ),
        (
            "*/30 2,3 * * *",
            ["29 03:00:00S", "29 03:30:00S", "30 02:00:00S"],
            ["25 02:00:00S", "25 02:30:00S", "25 03:00:00", "25 03:30:00", "26 02:00:00"],
        ),
        (
            "30 * * * *",
            ["29 00:30:00", "29 01:30:00", "29 03:30:00S"],
            ["25 00:30:00S", "25 01:30:00S", "25 02:30:00S", "25 02:30:00", "25 03:30:00"],
        ),
        (
            "30 0-23 * * *",
            ["29 00:30:00", "29 01:30:00", "29 03:30:00S"],
            ["25 00:30:00S", "25 01:30:00S", "25 02:30:00S", "25 02:30:00", "25 03:30:00"],
        ),
    ],
)
@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize("tz", [BERLIN, "Europe/Berlin", None])
def test_where_clocks_are_put_forward_or_back(
    expression: str, forward: list[str], back: list[str], tz: tzinfo | str | None, seconds: str
) -> None:
    for start, expected in ((FORWARD, forward), (BACK, back)):
        found = islice(dues(seconds + expression, start, tz), len(expected))
        assert list(found) == expected


def test_in_the_repeated_hour_nothing_of_its_first_time_is_due_again() -> None:
    again = datetime(2026, 10, 25, 2, 15, tzinfo=BERLIN, fold=1)
    assert next(dues("30 2 * * *", again)) == "26 02:30:00"


@pytest.mark.usefixtures("in_berlin")
@given(now=any_time)
def test_local_time_is_that_of_the_machines_zone(now: float) -> None:
    moment = datetime.fromtimestamp(now, UTC)
    local, berlin = moment.astimezone(Local()), moment.astimezone(BERLIN)
    assert local.replace(tzinfo=None) == berlin.replace(tzinfo=None)
    assert local.fold == berlin.fold
    assert (local.utcoffset(), local.tzname()) == (berlin.utcoffset(), berlin.tzname())
    assert local.timestamp() == moment.timestamp()


@settings(max_examples=50, deadline=None)
@given(
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=4),
    now=any_time,
)
def test_every_hour_means_each_that_passes(minutes: set[int], now: float) -> None:
    """Beside a clock that is looked at each second."""
    cron = Cron(f"{','.join(map(str, minutes))} * * * *", BERLIN)
    expected = int(now) + 1
    while expected % 60 or datetime.fromtimestamp(expected, BERLIN).minute not in minutes:
        expected += 1
    assert cron.next(now) == expected


@settings(max_examples=50, deadline=None)
@given(
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=23),
    minute=st.integers(0, 59),
    second=st.integers(0, 59),
    day=st.sampled_from([FORWARD, BACK]) | st.integers(1, 28).map(lambda d: BACK.replace(day=d)),
)
def test_named_hours_are_due_once_a_day(
    hours: set[int], minute: int, second: int, day: datetime
) -> None:
    cron = Cron(f"{second} {minute} {','.join(map(str, hours))} * * *", BERLIN)
    now, found = day.timestamp() - 1, []
    while (now := cron.next(now)) < (day + timedelta(days=1)).timestamp():
        found.append(datetime.fromtimestamp(now, BERLIN))
    left_out = hours & {2} if day == FORWARD else set()
    named = {day.replace(hour=hour, minute=minute, second=second) for hour in hours - left_out}
    at_the_end_of_the_gap = {day.replace(hour=3, second=second)} if left_out else set()
    assert found == sorted(named | at_the_end_of_the_gap)


@pytest.mark.parametrize("tz", [BERLIN, UTC, timezone(timedelta(hours=5)), Local()])
@given(now=st.floats(YEAR_2026, YEAR_2026 + YEAR))
def test_what_is_due_next_is_later_than_now(tz: tzinfo, now: float) -> None:
    assert now < Cron("* * * * * *", tz).next(now) <= now + 1


def test_a_due_time_may_be_years_away() -> None:
    fifth_monday_of_february = Cron("0 0 * 2 MON#5", UTC)
    assert fifth_monday_of_february.next(YEAR_2026) == datetime(2044, 2, 29, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("61 * * * *", "bad minute"),
        ("* 24 * * *", "bad hour"),
        ("60 * * * * *", "bad second"),
        ("* * 0 * *", "bad day-of-month"),
        ("* * * 13 *", "bad month"),
        ("* * * * 8", "bad day-of-week"),
        ("*/0 * * * *", "bad minute"),
        ("0 0 31 2 *", "bad day-of-month"),
        ("* * */20 * 1L", "no such day in 50 years"),
        ("* * * *", "wrong number of fields"),
        ("", "wrong number of fields"),
        ("@daily", "wrong number of fields"),
        ("* * * * * * *", "wrong number of fields"),
        ("9" * 5000 + " * * * *", "exceeds the limit"),
        (5, "not a string"),
        (None, "not a string"),
    ],
)
def test_an_expression_that_is_wrong_says_why_and_shows_a_right_one(
    expression: str, why: str
) -> None:
    with pytest.raises(AppError) as caught:
        Cron(expression)
    text = str(caught.value)
    assert why in text
    assert repr(expression) in text
    Cron(text.split('"')[-2])


@given(st.text("0123456789*/,-#LWMONFRIJAN? @", max_size=20) | st.text())
@settings(deadline=None)
def test_any_text_is_an_expression_or_an_error_of_ours(text: str) -> None:
    try:
        cron = Cron(text, UTC)
    except AppError:
        return
    assert cron.next(YEAR_2026) > YEAR_2026


@pytest.mark.parametrize(
    "tz", ["Nowhere/Else", "", "Europe", "../etc/passwd", "/etc/localtime", "a\0b", "\ud800", 5]
)
def test_a_time_zone_that_is_none_is_an_error_of_ours(tz: str) -> None:
    with pytest.raises(AppError, match=r"unknown time zone .* a name like Europe/Berlin"):
        Cron("* * * * *", tz)

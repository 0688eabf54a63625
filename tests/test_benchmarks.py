"""The benchmark says what it saw: a missed target, a lost message, a server that does not start."""

import pytest

from benchmarks.load import TO_ALL, Load, run
from benchmarks.measure import Measure, Plan, Result, Sample, Target
from benchmarks.measures import MEASURES
from benchmarks.order import unkept
from benchmarks.processes import UnableError
from benchmarks.report import markdown, text_table
from benchmarks.servers import floor, pushline


def result(*values: float, target: Target, lost: int = 0) -> Result:
    samples = tuple(Sample(value, lost=lost) for value in values)
    return Result(Measure("it", "It", "KB", target, lambda _: iter(samples), ()), samples)


def test_the_median_decides_whether_a_target_is_met() -> None:
    assert not result(1, 2, 9, target=Target(2)).missed
    assert result(1, 2.1, 9, target=Target(2)).missed
    assert not result(11, 12, 13, target=Target(12, at_least=True)).missed
    assert result(11, 11.9, 13, target=Target(12, at_least=True)).missed


def test_a_good_value_with_lost_messages_is_a_miss() -> None:
    lossy = result(1, target=Target(2), lost=3)
    assert lossy.missed
    assert "MISSED, 3 lost" in text_table([lossy])


def test_the_table_shows_target_beside_measured() -> None:
    _, row = text_table([result(1.5, 1.75, 2.25, target=Target(1.7))]).splitlines()
    assert row.split("  ")[-4:] == ["1.75 KB", "1.5 - 2.25", "<= 1.7 KB", "MISSED"]


def test_the_markdown_holds_the_load_of_every_measure() -> None:
    page = markdown([Result(m, (Sample(1.0),)) for m in MEASURES], "scripts/bench")
    loads = [str(load) for measure in MEASURES for load in measure.how]
    assert [load for load in loads if load not in page] == []


def test_a_load_counts_what_it_lost() -> None:
    with floor() as server:
        command = f"broadcast --ws $WS --push $TEXT --conns 20 --count 10 {TO_ALL}"
        assert run(Load(command), server).lost == 0


def test_a_short_load_loses_nothing() -> None:
    assert [sample.value for sample in unkept(Plan(runs=1, shorter=20))] == [0]


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(UnableError, match=r"queue"), pushline({"PUSHLINE_LIMITS_QUEUE": "much"}):
        pass

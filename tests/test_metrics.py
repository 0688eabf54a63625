"""What Prometheus is told, in its text format."""

import re
from collections import Counter

import pytest

from pushline.metrics import BY_PEER, Metrics

NAME = r"pushline_[a-z_]+"
LINE = re.compile(
    rf"# HELP {NAME} [A-Z][ -~]+\.|# TYPE {NAME} (counter|gauge)"
    rf'|{NAME}(\{{[a-z]+="[a-z0-9_]+"\}})? [0-9.]+'
)


def lines(metrics: Metrics, **gauges: tuple[float, str]) -> list[str]:
    text = metrics.text(gauges, {})
    assert text.endswith("\n")
    return text[:-1].split("\n")


def values(metrics: Metrics) -> dict[str, float]:
    """Every value by its name and labels."""
    pairs = (line.rsplit(" ", 1) for line in lines(metrics) if not line.startswith("#"))
    return {name.removeprefix("pushline_"): float(value) for name, value in pairs}


@pytest.fixture
def full() -> Metrics:
    """Something of everything."""
    metrics = Metrics()
    metrics.accepted, metrics.open, metrics.logins, metrics.ignored = 1, 2, 3, 4
    metrics.pushes, metrics.offline, metrics.deliveries, metrics.upgraded = 5, 6, 7, 8
    metrics.bad_lines.update(json=9, auth=10)
    metrics.refused.update({"404": 11, "400": 12})
    metrics.closed.update({3008: 13, 1002: 14, BY_PEER: 15})
    return metrics


def test_every_line_has_the_form_that_prometheus_reads(full: Metrics) -> None:
    text = lines(full, lag=(0.25, "How late it is."))
    assert [line for line in text if not LINE.fullmatch(line)] == []


def test_each_value_comes_behind_its_own_help_and_type_which_come_once(full: Metrics) -> None:
    told: Counter[str] = Counter()
    current: list[str] = []
    for line in lines(full):
        if line.startswith("#"):
            told[line.split(" ", 3)[2]] += 1
            current = [*current, line.split(" ")[2]][-2:]
        else:
            name = re.split(r"[ {]", line)[0]
            assert current == [name, name]
            assert told[name] == 2


def test_what_was_counted_is_told(full: Metrics) -> None:
    assert values(full) == {
        "accepted_total": 1,
        "open_sockets": 2,
        "logins_total": 3,
        "ignored_messages_total": 4,
        "pushes_ok_total": 5,
        "pushes_offline_total": 6,
        "deliveries_total": 7,
        "websockets": 8,
        'bad_lines_total{kind="auth"}': 10,
        'bad_lines_total{kind="json"}': 9,
        'http_refused_total{status="400"}': 12,
        'http_refused_total{status="404"}': 11,
        'closed_total{code="1002"}': 14,
        'closed_total{code="3008"}': 13,
        'closed_total{code="client"}': 15,
    }


def test_labels_are_sorted_so_that_two_readings_can_be_compared(full: Metrics) -> None:
    labelled = [line for line in lines(full) if "{" in line]
    for name in ("bad_lines", "http_refused", "closed"):
        of_name = [line for line in labelled if name in line]
        assert of_name == sorted(of_name)


def test_a_new_process_tells_zeros() -> None:
    assert set(values(Metrics()).values()) == {0}


def test_further_gauges_are_told_with_their_help() -> None:
    assert lines(Metrics(), users=(7, "Different users."), lag=(0.5, "How late."))[-6:] == [
        "# HELP pushline_users Different users.",
        "# TYPE pushline_users gauge",
        "pushline_users 7",
        "# HELP pushline_lag How late.",
        "# TYPE pushline_lag gauge",
        "pushline_lag 0.5",
    ]


def test_so_are_further_counters() -> None:
    told = Metrics().text({}, {"gaps": (3, "How often.")})
    assert told.splitlines()[-3:] == [
        "# HELP pushline_gaps_total How often.",
        "# TYPE pushline_gaps_total counter",
        "pushline_gaps_total 3",
    ]


def test_only_what_never_goes_down_is_a_counter(full: Metrics) -> None:
    kinds = dict(line.split(" ")[2:] for line in lines(full) if line.startswith("# TYPE"))
    gauges = {name for name, kind in kinds.items() if kind == "gauge"}
    assert gauges == {"pushline_open_sockets", "pushline_websockets"}
    assert all(name.endswith("_total") for name, kind in kinds.items() if kind == "counter")

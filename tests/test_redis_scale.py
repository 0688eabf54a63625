"""The simulation of a large cluster, with a small one."""

import pytest

from benchmarks import redis_scale
from benchmarks.redis_scale import Cluster, measure
from benchmarks.redis_server import redis_server

NODES, USERS, SECONDS = 3, 20, 0.1


async def test_every_figure_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(redis_scale, "SECONDS", SECONDS)
    monkeypatch.setattr(redis_scale, "QUIET", SECONDS)
    with redis_server() as server:
        await measure(Cluster(server, NODES, USERS))
        assert server.channels == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert f"Redis is empty, and {NODES - 1} nodes connect again" in rows[11]
    assert len(rows) == 12 + 2 + len(redis_scale.RATES)

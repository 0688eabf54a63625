"""How long a push to one user takes while a crowd is being served."""

import subprocess
from collections.abc import Iterator

from benchmarks.load import TO_ALL, Load, run, started
from benchmarks.measure import Plan, Sample
from benchmarks.processes import descriptors, wait_until
from benchmarks.servers import pushline

CROWD = 15_000
FLOOD = Load(
    "broadcast --ws $WS --push $TEXT --conns 15000 --rate 2 --count 24 --window 100 " + TO_ALL,
    nice=10,
)
PROBE = Load(
    "unicast --ws $WS --push $TEXT --conns 200 --rate 200 --count 1600 --window 1000 "
    """--login '{"uid":"u%u","utype":1}' --msg '{"uid":"u%u","utype":1,"t":"%t","data":"%p"}'""",
    nice=-15,
)


def fairness(plan: Plan) -> Iterator[Sample]:
    """The prober's 99th percentile in ms, on a fresh server each time."""
    return (_fairness(plan.shorter) for _ in range(plan.runs))


def _fairness(shorter: int) -> Sample:
    """The prober starts when the crowd is connected, so that all it meets is broadcasts."""
    with pushline() as server, started(FLOOD, server, shorter=shorter) as flood:
        wait_until(lambda: descriptors(server.pid) > CROWD, f"not all of {CROWD} get in")
        probe = run(PROBE, server, shorter=shorter)
        return Sample(probe.p99_us / 1000, lost=probe.lost + flood.found().lost)


def prober_is_favoured() -> bool:
    """Whether we may set a negative nice value: nice(1) complains where we may not."""
    command = ["nice", "-n", str(PROBE.nice), "true"]
    return not subprocess.run(command, capture_output=True, check=True).stderr

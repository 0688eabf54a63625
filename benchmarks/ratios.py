"""Server and floor under the same load, in turn."""

from collections.abc import Callable, Iterator

from benchmarks.load import TO_ALL, Found, Load, run
from benchmarks.measure import Plan, Sample, Samples
from benchmarks.servers import floor, pushline

CONNECT = Load("connect --ws $WS --conns 500 --count 50 --pid $PID")
PACED = Load(
    "broadcast --ws $WS --push $TEXT --conns 1000 --count 250 --rate 50 --window 1000 --pid $PID "
    + TO_ALL
)
FLIGHT = Load(
    "broadcast --ws $WS --push $TEXT --conns 1000 --count 4000 --window 64 --pid $PID " + TO_ALL
)
UNICAST = Load("unicast --ws $WS --push $TEXT --conns 1000 --count 200000 --window 256 --pid $PID")


def cpu(found: Found) -> float:
    """Of the server, for each event, in µs."""
    return found.server_cpu_us_each


def rate(found: Found) -> float:
    """Deliveries a second."""
    return found.per_s


def beside_floor(
    load: Load, figure: Callable[[Found], float], *, floor_shorter: int = 1
) -> Samples:
    """The ratio of the server's figure to the floor's; `floor_shorter` where it takes so long."""

    def samples(plan: Plan) -> Iterator[Sample]:
        with floor() as its_floor, pushline() as server:
            for _ in range(plan.runs):
                least = run(load, its_floor, shorter=plan.shorter * floor_shorter)
                found = run(load, server, shorter=plan.shorter)
                ratio = figure(found) / figure(least)
                yield Sample(ratio, figure(found), figure(least), found.lost)

    return samples

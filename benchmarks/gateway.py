"""GatewayWorker's wire: pushes over a link, beside the text port's, and an App in a worker."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import DEVNULL

from benchmarks.application import ROOT
from benchmarks.load import Found, Load, run
from benchmarks.measure import Plan, Sample, Samples
from benchmarks.processes import CLIENT_CORE, cpu_seconds, running, wait_until
from benchmarks.servers import HOST, Server, pushline


def _by_both(load: str) -> tuple[Load, Load]:
    """Through the text port, and over a link."""
    return Load(f"{load} --push $TEXT"), Load(f"{load} --push $GATEWAY --wire gateway")


USERS = "--conns 1000 --pid $PID"
TO_USERS = _by_both(f"unicast --ws $WS {USERS} --count 200000 --window 256")
TO_EVERYONE = _by_both(
    f"broadcast --ws $WS {USERS} --count 4000 --window 64 "
    """--msg '{"uid":"","t":"%t","data":"%p"}'"""
)
IDLE = 10.0
"""Seconds."""


def beside_text(loads: tuple[Load, Load], figure: Callable[[Found], float]) -> Samples:
    """The ratio of a link's figure to the text port's, of one server."""

    def samples(plan: Plan) -> Iterator[Sample]:
        with pushline(gateway=True) as server:
            for _ in range(plan.runs):
                text, link = (run(load, server, shorter=plan.shorter) for load in loads)
                ratio = figure(link) / figure(text)
                yield Sample(ratio, figure(link), figure(text), text.lost + link.lost)

    return samples


def through_worker(load: Load, figure: Callable[[Found], float]) -> Samples:
    """An echo that crosses two processes each way."""

    def samples(plan: Plan) -> Iterator[Sample]:
        with pushline(gateway=True, auth="app") as server, _worker(server):
            for _ in range(plan.runs):
                yield Sample(figure(run(load, server)))

    return samples


def idle_link(plan: Plan) -> Iterator[Sample]:
    """ms of CPU that a server takes in a second more with a worker that has nothing to do."""
    with ExitStack() as stack:
        alone, served = (stack.enter_context(pushline(gateway=True, auth="app")) for _ in range(2))
        stack.enter_context(_worker(served))
        for _ in range(plan.runs):
            began = [cpu_seconds(server.pid) for server in (alone, served)]
            time.sleep(IDLE / plan.shorter)
            took = [
                (cpu_seconds(server.pid) - before) * 1000 / (IDLE / plan.shorter)
                for server, before in zip((alone, served), began, strict=True)
            ]
            yield Sample(took[1] - took[0], took[1], took[0])


@contextmanager
def _worker(server: Server) -> Iterator[None]:
    """One process of it, on the core that the server is not on."""
    command = [str(Path(sys.executable).with_name("pushline")), "worker", "benchmarks.apps:echo"]
    command += ["--register", f"{HOST}:{server.register_port}"]
    with running(command, core=CLIENT_CORE, stdout=DEVNULL, stderr=DEVNULL, directory=str(ROOT)):
        wait_until(lambda: server.metric("workers") == 1, "the worker does not come")
        yield

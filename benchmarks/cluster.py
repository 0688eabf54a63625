"""Two nodes on one Redis: pushes that come in at one and go out at the other."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import uvloop

from benchmarks.load import TO_ALL, Found, Load, run, started
from benchmarks.measure import Plan, Sample, Samples
from benchmarks.processes import UnableError, cpu_seconds, descriptors, wait_until
from benchmarks.redis_server import RedisServer, redis_server
from benchmarks.servers import Server, pushline
from pushline.brokers.redis import RedisBroker
from pushline.codecs.cluster_wire import channel_of_uid

_THROUGH = "unicast --ws $WS --push $TEXT"
ALONE = Load(f"{_THROUGH} --conns 1000 --count 5000 --window 1 --pid $PID")
PIPELINED = Load(f"{_THROUGH} --conns 1000 --count 100000 --window 512 --pid $PID")
TO_ONE = Load(f"{_THROUGH} --conns 1 --count 100000 --window 512 --pid $PID")
PEOPLE, BROADCASTS = 1000, 4000
FLIGHT = Load(
    f"broadcast --ws $WS --push $TEXT --conns {PEOPLE} --count {BROADCASTS} --window 64 --pid $PID "
    + TO_ALL
)
OTHERS = Load(f"listen --ws $WS --conns {PEOPLE} --hold 60")
"""At the other node, who hear the same; ended when all have heard it."""
ONLINE = 15_000
IDLE = Load(f"idle --ws $WS --conns {ONLINE} --pid $PID")
OWN_CHANNELS = 3
"""Of each node, besides those of its users."""


def latency(found: Found) -> float:
    """From one node's port to the other node's browser, in ms at the median."""
    return found.p50_us / 1000


def rate(found: Found) -> float:
    """Pushes a second."""
    return found.per_s


def through(load: Load, figure: Callable[[Found], float]) -> Samples:
    """Users at one node, a back end at the other."""

    def samples(plan: Plan) -> Iterator[Sample]:
        with _pair() as (_, one, two):
            for _ in range(plan.runs):
                found = run(load, _across(one, two), shorter=plan.shorter)
                yield Sample(figure(found), lost=found.lost)

    return samples


def receiving(plan: Plan) -> Iterator[Sample]:
    """µs of CPU that a node takes for a message of another, up to its part in a write to the one
    browser that all are for."""
    with _pair() as (_, one, two):
        for _ in range(plan.runs):
            began = cpu_seconds(one.pid)
            found = run(TO_ONE, _across(one, two), shorter=plan.shorter)
            taken = cpu_seconds(one.pid) - began
            yield Sample(taken / found.delivered * 1e6, lost=found.lost)


def flight(plan: Plan) -> Iterator[Sample]:
    """Deliveries that two nodes make in a second of CPU, of those that one makes which is alone."""
    with pushline() as alone, _pair() as (_, one, two):
        for _ in range(plan.runs):
            began = _cpu(alone)
            least = run(FLIGHT, alone, shorter=plan.shorter)
            single = least.delivered / (_cpu(alone) - began)
            found, both = _flight(one, two, plan.shorter)
            yield Sample(both / single, both, single, found.lost)


def _flight(one: Server, two: Server, shorter: int) -> tuple[Found, float]:
    """Deliveries at both, in a second of CPU."""
    wait_until(lambda: descriptors(two.pid) < PEOPLE, "those of before do not leave")
    with started(OTHERS, two):
        wait_until(lambda: two.metric("connections") == PEOPLE, "not all get in")
        goal = two.metric("deliveries_total") + PEOPLE * (BROADCASTS // shorter)
        began = _cpu(one, two)
        found = run(FLIGHT, one, shorter=shorter)
        wait_until(lambda: two.metric("deliveries_total") == goal, "some do not hear it")
        return found, 2 * found.delivered / (_cpu(one, two) - began)


def _cpu(*servers: Server) -> float:
    return sum(cpu_seconds(server.pid) for server in servers)


def subscribing(plan: Plan) -> Iterator[Sample]:
    """Seconds in which a node that starts is connected, and subscribed to all of its users."""
    with redis_server() as redis, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for _ in range(plan.runs):
            yield Sample(runner.run(_subscribed(redis)))


async def _subscribed(redis: RedisServer) -> float:
    broker = RedisBroker([redis.url])
    for number in range(ONLINE):
        broker.subscribe(channel_of_uid(str(number), "0"))
    began = time.perf_counter()
    await broker.start("0" * 12, lambda *_: None)
    seconds = time.perf_counter() - began
    if redis.channels < ONLINE:
        raise UnableError("the users' channels are not there")
    await broker.stop()
    return seconds


def node_memory(plan: Plan) -> Iterator[Sample]:
    """KB that a user who is online takes in a node more than in one that is alone."""
    for _ in range(plan.runs):
        with pushline() as alone:
            least = run(IDLE, alone).kb_per_conn
        with redis_server() as redis, _node(redis) as node:
            found = run(IDLE, node).kb_per_conn
        yield Sample(found - least, found, least)


def redis_memory(plan: Plan) -> Iterator[Sample]:
    """Bytes that he takes in Redis: his channel, and where he is."""
    for _ in range(plan.runs):
        with redis_server() as redis, _node(redis) as node:
            before = redis.used
            with started(IDLE, node):
                wait_until(
                    lambda: redis.channels == ONLINE + OWN_CHANNELS and _present(redis) == ONLINE,
                    "not all get in",
                )
                yield Sample((redis.used - before) / ONLINE)


def _present(redis: RedisServer) -> int:
    """The users of all nodes."""
    keys = redis.client.scan_iter("pushline:presence:*")
    return sum(int(redis.client.hlen(key)) for key in keys)


@contextmanager
def _pair() -> Iterator[tuple[RedisServer, Server, Server]]:
    with redis_server() as redis, _node(redis) as one, _node(redis) as two:
        yield redis, one, two


@contextmanager
def _node(redis: RedisServer) -> Iterator[Server]:
    with pushline({"PUSHLINE_BROKER_URLS": redis.url}, operators=True) as node:
        yield node


def _across(browsers: Server, back_ends: Server) -> Server:
    """The port for browsers of one, that for back ends of the other."""
    return replace(browsers, text_port=back_ends.text_port)

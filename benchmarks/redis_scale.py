"""What a large cluster costs its Redis: many nodes, without browsers, on one real `redis-server`.

Each has a Broker of its own: connections, channels and their header, leases, presence and the way
back of a node that was lost are the real ones. What is measured is the CPU and the memory of Redis.
This process plays all of the nodes on one core, which says nothing of theirs.

`python -m benchmarks.redis_scale` takes a minute and 1 GiB; docs/cluster.md has what it says.
"""

import argparse
import asyncio
import logging
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import uvloop

from benchmarks.arguments import positive_number
from benchmarks.processes import UnableError, resident, use_client_core
from benchmarks.redis_server import RedisServer, redis_server
from benchmarks.report import machine, number
from benchmarks.virtual_nodes import OWN_CHANNELS, Node, Pusher, at_rate, until

NODES, USERS = 100, 10_000
RATES: Final = (1_000, 3_000, 10_000, 20_000, 30_000)
"""Pushes a second; more than the last one this process cannot make."""
BROADCASTS, LOGINS = 100, 5_000
"""A second."""
SECONDS = 3.0
"""Of each load."""
QUIET = 9.0
"""Seconds in which all leases are renewed three times."""

Row = tuple[str, ...]


class Spent:
    """What Redis took while a block ran: seconds of CPU, seconds in all, bytes of memory."""

    cpu = wall = 0.0
    memory = 0

    def each(self, count: int) -> tuple[str, str]:
        """Memory and CPU."""
        return f"{self.memory / count:,.0f} B", f"{number(self.cpu / count * 1e6)} µs"

    def all(self) -> tuple[str, str]:
        """The CPU alone, and how long it took."""
        return "", f"{self.cpu * 1e3:,.0f} ms, within {self.wall:.2g} s"


class Cluster:
    """The nodes and their Redis. Each method is a row: what, bytes, CPU."""

    def __init__(self, server: RedisServer, count: int, users: int) -> None:
        self.server = server
        self.nodes = [Node(server.url, number, users) for number in range(1, count + 1)]
        self._count, self._users = count, users

    @contextmanager
    def _spending(self) -> Iterator[Spent]:
        spent = Spent()
        memory, cpu, begun = self.server.used, self.server.cpu, time.monotonic()
        yield spent
        spent.cpu, spent.wall = self.server.cpu - cpu, time.monotonic() - begun
        spent.memory = self.server.used - memory

    async def stop(self) -> None:
        for node in self.nodes:
            await node.broker.stop()

    # --- what is there --------------------------------------------------------------------------

    async def join(self) -> Row:
        with self._spending() as spent:
            for node in self.nodes:
                await node.start()
            await self._has_channels(0)
        return "A node", *spent.each(self._count)

    async def subscribe(self) -> Row:
        with self._spending() as spent:
            for number, node in enumerate(self.nodes, 1):
                for uid in node.uids:
                    node.subscribe(uid)
                await self._has_channels(number * self._users)
        return "A user's channel, subscribed to with many others", *spent.each(self._online)

    async def present(self) -> Row:
        with self._spending() as spent:
            for node in self.nodes:
                for uid in node.uids:
                    node.present(uid)
                await self._has_present(node)
        return "His presence, written with many others", *spent.each(self._online)

    async def whole(self) -> Row:
        memory = resident(self.server.pid) / 1024
        return f"The whole process, with {self._online:,} users", f"{memory:,.0f} MB", ""

    @property
    def _online(self) -> int:
        return self._count * self._users

    async def _has_channels(self, users: int) -> None:
        """Besides those that all nodes have."""
        await until(lambda: self.server.channels == 1 + OWN_CHANNELS * self._count + users)

    async def _has_present(self, node: Node) -> None:
        key = f"pushline:presence:{node.name}"
        await until(lambda: self.server.client.hlen(key) == self._users)

    # --- what happens ---------------------------------------------------------------------------

    async def rest(self) -> Row:
        with self._spending() as spent:
            await asyncio.sleep(QUIET)
        cpu = spent.cpu / spent.wall * 1e3
        return f"A second of {self._count} leases and nothing else", "", f"{number(cpu)} ms"

    async def come_and_go(self) -> Row:
        nodes, count = self.nodes, self._count
        with self._spending() as spent:
            come = await at_rate(LOGINS, SECONDS, lambda i: nodes[i % count].come(f"new{i}"))
            await self._has_channels(self._online + come)
            for i in range(0, come, LOGINS // 1000):
                for number in range(i, min(i + LOGINS // 1000, come)):
                    nodes[number % count].go(f"new{number}")
                await asyncio.sleep(0.001)
            await self._has_channels(self._online)
        return f"A user comes and goes, at {LOGINS:,} a second", "", spent.each(come)[1]

    async def broadcast(self) -> Row:
        received, pusher = self._received(), Pusher(self.nodes)
        with self._spending() as spent:
            sent = await at_rate(BROADCASTS, SECONDS, pusher.broadcast)
            all_of_them = received + sent * (self._count - 1)
            await until(lambda: self._received() == all_of_them)
        return f"A broadcast to {self._count} nodes", "", spent.each(sent)[1]

    async def reconnect(self) -> Row:
        node = self.nodes[0]
        client = self.server.client.hget(f"pushline:node:{node.name}", "client")
        with self._spending() as spent:
            self.server.client.execute_command("CLIENT", "KILL", "ID", client)  # type: ignore[no-untyped-call]
            await self._are_back([node])
        return f"A node with {self._users:,} users connects again", *spent.all()

    async def leave(self) -> Row:
        node = self.nodes.pop()
        with self._spending() as spent:
            await node.broker.stop()
        return f"A node with {self._users:,} users leaves", *spent.all()

    async def come_back(self) -> Row:
        """All of them, and Redis knows of nothing."""
        with self._spending() as spent:
            self.server.client.flushall(asynchronous=True)
            self.server.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]
            await self._are_back(self.nodes)
        return f"Redis is empty, and {len(self.nodes)} nodes connect again", *spent.all()

    async def _are_back(self, nodes: Sequence[Node]) -> None:
        """Each after one more connection than it had."""
        had = [node.broker.counts.reconnects for node in nodes]
        await until(
            lambda: all(
                node.broker.ready and node.broker.counts.reconnects > before
                for node, before in zip(nodes, had, strict=True)
            )
        )

    def _received(self) -> int:
        return sum(node.received for node in self.nodes)

    # --- pushes ---------------------------------------------------------------------------------

    async def push(self, rate: int) -> Row:
        """How many a second it came to, the CPU for each, and how much of its core Redis had."""
        received, pusher = self._received(), Pusher(self.nodes)
        with self._spending() as spent:
            sent = await at_rate(rate, SECONDS, pusher.push)
            await until(lambda: pusher.answered == sent)
        await until(lambda: self._received() == received + sent)
        if pusher.taken_by_one != sent:
            raise UnableError("a push was not taken by the one node that has its user")
        pace, busy = sent / spent.wall, spent.cpu / spent.wall
        return f"{pace:,.0f}", spent.each(sent)[1], f"{busy:.0%}"


# --- the program --------------------------------------------------------------------------------


def main() -> int:
    """The exit code: 0, or 130 after Ctrl-C."""
    options = _parser().parse_args()
    logging.disable(logging.WARNING)  # that connections are lost is what we want
    try:
        use_client_core()
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        with redis_server() as server:
            uvloop.run(measure(Cluster(server, options.nodes, options.users)))
    except UnableError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.redis_scale", description=__doc__)
    parser.add_argument("--nodes", type=positive_number, default=NODES, help=f"how many ({NODES})")
    parser.add_argument("--users", type=positive_number, default=USERS, help=f"of each ({USERS})")
    return parser


async def measure(cluster: Cluster) -> None:
    """Print all rows, each when it is known, and stop the nodes."""
    there = (cluster.join, cluster.subscribe, cluster.present, cluster.whole)
    ends = (cluster.reconnect, cluster.leave, cluster.come_back)
    print(f"Redis {cluster.server.info('server')['redis_version']} on {machine()}.\n")
    _show("What", "Memory of Redis", "CPU of Redis")
    await _rows(*there, cluster.rest, cluster.come_and_go, cluster.broadcast)
    pushes = [await cluster.push(rate) for rate in RATES]
    await _rows(*ends)
    print()
    _show("Pushes a second", "CPU of Redis for each", "Of its core")
    for row in pushes:
        print(_line(row))
    await cluster.stop()


async def _rows(*measures: Callable[[], Awaitable[Row]]) -> None:
    for each in measures:
        print(_line(await each()), flush=True)


def _show(*headings: str) -> None:
    print(_line(headings), _line(["---", *["---:"] * (len(headings) - 1)]), sep="\n", flush=True)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())

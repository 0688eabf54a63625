"""A `redis-server` to measure: on a free loopback port and the server's core, ended afterwards."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import redis

from benchmarks.processes import SERVER_CORE, UnableError, cpu_seconds, running, wait_until
from benchmarks.servers import HOST


@dataclass(frozen=True)
class RedisServer:
    """`client` is an operator's connection, which blocks."""

    pid: int
    url: str
    client: "redis.Redis"

    @property
    def cpu(self) -> float:
        """Seconds so far."""
        return cpu_seconds(self.pid)

    @property
    def used(self) -> int:
        """Bytes of memory that it has given out."""
        return int(self.info("memory")["used_memory"])

    @property
    def channels(self) -> int:
        """To which somebody is subscribed."""
        return int(self.info("stats")["pubsub_channels"])

    def info(self, section: str) -> dict[str, Any]:
        """One section of INFO."""
        found: dict[str, Any] = self.client.info(section)
        return found


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """One that keeps nothing on disk, as a cluster needs nothing there."""
    if shutil.which("redis-server") is None:
        raise UnableError("redis-server is missing (on Debian: apt-get install redis-server)")
    port = _free_port()
    options = ["--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"]
    nowhere = subprocess.DEVNULL
    with (
        TemporaryDirectory() as folder,
        running(
            ["redis-server", *options, "--dir", folder],
            core=SERVER_CORE,
            stdout=nowhere,
            stderr=nowhere,
        ) as process,
        redis.Redis(host=HOST, port=port) as client,
    ):
        wait_until(lambda: _answers(client), "redis-server does not answer")
        yield RedisServer(process.pid, f"redis://{HOST}:{port}", client)


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as plug:
        port: int = plug.getsockname()[1]
        return port

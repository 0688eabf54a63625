"""A node in a process of its own, that can be killed and stopped.

`python -m tests.brokers.node_process URL PREFIX NODE`: it is subscribed to `channel`, `user` is on
it and held by a client of it; says `ready`, and leaves when its standard input ends.
"""

import asyncio
import subprocess
import sys
from types import TracebackType
from typing import Self

from pushline.brokers.redis import RedisBroker
from tests.brokers.nodes import QUICK

CHANNEL, USER, CLIENT = b"channel", b"user", "f" * 20


class NodeProcess:
    """Started in `with`, and killed in the end; `process` is as it runs."""

    def __init__(self, url: str, prefix: str, node: str) -> None:
        self._command = [sys.executable, "-m", __name__, url, prefix, node]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.communicate()


async def main(url: str, prefix: str, node: str) -> None:
    broker = RedisBroker([url], prefix=prefix, times=QUICK)
    broker.subscribe(CHANNEL)
    broker.present(USER, 1)
    await broker.start(node, lambda *_: None)
    await broker.claim(USER, CLIENT, None)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await broker.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

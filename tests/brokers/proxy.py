"""Something between a node and its Redis that holds up, delays and cuts."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Self


class Proxy:
    """Listens on a free port of 127.0.0.1, the same one when it opens again.

    `delay` gives the seconds that each piece takes, in either direction; pieces keep their order.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay: Callable[[], float] = lambda: 0.0
        self.port = 0
        self.accepted = 0
        self._is_held = False
        self._gates: set[asyncio.Event] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shut()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Nobody is let in any more, and who is in is cut off."""
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def hold(self) -> None:
        """Nothing passes, and nobody is told: somebody has stepped on the cable."""
        self._is_held = True
        self.freeze()

    def freeze(self) -> None:
        """The same, only for the connections that there are."""
        for gate in self._gates:
            gate.clear()

    def let(self) -> None:
        """Everything passes that was held."""
        self._is_held = False
        for gate in self._gates:
            gate.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        gate = asyncio.Event()
        if not self._is_held:
            gate.set()
        self._gates.add(gate)
        self._writers |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pass(source, sink, gate))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, gate: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                await gate.wait()
                if seconds := self.delay():
                    await asyncio.sleep(seconds)
                sink.write(data)
        await gate.wait()
        sink.transport.abort()

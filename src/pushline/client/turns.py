"""So many at a time, first come, first served."""

import asyncio
from collections import deque


class Turns:
    """A semaphore that hands a turn on in constant time, however many wait (asyncio's does not)."""

    __slots__ = ("_free", "_waiting")

    def __init__(self, at_a_time: int) -> None:
        self._free = at_a_time
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        if self._free:
            self._free -= 1
        else:
            await self._wait()

    async def _wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.give()  # it had come already
            raise

    def give(self) -> None:
        """Back, and straight on to the first who waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

"""The way to one gateway, for its clients."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from pushline.codecs.gateway_frames import Cmd, encode
from pushline.commands import Command
from pushline.errors import ClientError
from pushline.gateway import Executor
from pushline.gatewayworker.link import Link

T = TypeVar("T")
LEAVE: Final = encode(Cmd.LEAVE)
CALM: Final = 1.0
"""Seconds after a pause in which what was held back may still be coming."""


class Line:
    """Over one link, for as long as it is there.

    `is_left` is whether the gateway has ended its side. `read` is done when no more events come.
    """

    def __init__(
        self, link: Link, executor: Executor, hand_on: Callable[[Command[Any]], bool]
    ) -> None:
        self.link = link
        self.is_left = False
        self.read: asyncio.Future[None] = link.loop.create_future()
        self.hand_on = hand_on
        self.since = link.loop.time()
        self._executor = executor
        self._last: asyncio.Future[None] | None = None
        self._is_ended = False
        self._pauses = 0
        self._resumed = link.loop.time() - CALM
        self._read_on = False

    @property
    def takes_pauses(self) -> bool:
        return self.link.ours

    def write(self, frame: bytes) -> bool:
        """False where the link takes nothing any more. Raises UnavailableError where too much
        waits for a gateway that reads nothing."""
        if self._is_ended:
            return False
        try:
            waiting = self.link.send(frame)
        except ClientError:
            if self.link.error is None:
                raise
            return False
        if waiting is not None:
            waiting.add_done_callback(_leave)
            self._last = waiting
        return True

    def execute(self, command: Command[T]) -> T | Awaitable[T]:
        """Carry it out behind what was written."""
        return self._executor.execute(command)

    # --- reading ------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Of all clients of this gateway, until everyone who has paused it resumes it."""
        self._pauses += 1
        self._apply()

    def resume_reading(self) -> None:
        self._pauses -= 1
        self._resumed = self.link.loop.time()
        self._apply()

    @property
    def is_overrun(self) -> bool:
        """It is paused, or was a moment ago: the gateway may have more than there is room for."""
        return self._pauses > 0 or self.link.loop.time() - self._resumed < CALM

    def read_on(self, read_on: bool) -> None:
        """Whether to read in any case."""
        if read_on is not self._read_on:
            self._read_on = read_on
            self._apply()

    def _apply(self) -> None:
        if self._pauses and not (self._read_on or self._is_ended):
            self.link.pause_reading()
        elif not self.is_left:
            self.link.resume_reading()

    # --- its end ------------------------------------------------------------------------------

    def leave(self) -> None:
        """Have a gateway of ours give this worker's clients to others; it goes on answering."""
        self.write(LEAVE)

    def end(self) -> None:
        """Write nothing more: the gateway gives this worker's clients to others, sends what it has
        begun, and ends its side."""
        if not self._is_ended:
            self._is_ended = True
            self._apply()
            self.link.write_eof()

    async def written(self) -> None:
        """Wait until nothing waits for the gateway to read."""
        while self._last is not None and not self._last.done():
            await asyncio.wait((self._last,))

    async def part(self, seconds: float) -> None:
        """Leave a gateway that sends no more events, which has so long to take the rest."""
        self._is_ended = True
        await self.link.close(seconds)

    def nothing_more(self) -> None:
        """No more events come from it."""
        if not self.read.done():
            self.read.set_result(None)


def _leave(waiting: "asyncio.Future[None]") -> None:
    """What comes of a frame that has to wait: where its link is lost, its client is too."""
    if not waiting.cancelled():
        waiting.exception()

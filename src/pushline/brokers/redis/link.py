"""One connection to a Redis: commands out, their answers in, and what others have published.

It speaks RESP3 (HELLO 3, Redis 6 and later), in which a connection that is subscribed to channels
may send any command: messages come as pushes between the answers. So everything that a node says to
a Redis goes over one connection, and Redis does it in the order in which it was said.
"""

import asyncio
import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

import hiredis
from hiredis import PushNotification

from pushline.brokers.base import Counts
from pushline.brokers.redis.answers import ORDINARY, Answer, Answers, RefusedError
from pushline.errors import UnavailableError
from pushline.wheel import Item, Ticker, Wheel

FLUSH_AT: Final = 256 * 1024
"""Bytes of commands that are written without waiting for the end of the loop's pass."""
UNSENT: Final = 64 * 1024 * 1024
"""Bytes that Redis has not taken, over which nothing more is sent."""
PENDING: Final = 100_000
"""Commands without an answer; more are not sent."""
TICKS: Final = 8
"""In a timeout."""

_NOTHING: Final = object()
_MESSAGE: Final = b"message"
_CONFIRMATIONS: Final = (b"subscribe", b"unsubscribe")

Received = Callable[[bytes, bytes], object]


def command(*parts: bytes | str | int | float) -> bytes:
    """As it goes over the wire."""
    return cast(bytes, hiredis.pack_command(parts))  # type: ignore[arg-type]


class Link(asyncio.Protocol):
    """Opened once, lost once; belongs to the event loop in which it is made.

    What is not answered within `timeout` seconds fails; after `patience` seconds the link is lost.
    `error` says why it is, and `lost` is done when its socket is closed.
    """

    def __init__(
        self, name: str, timeout: float, patience: float, counts: Counts, received: Received
    ) -> None:
        self.name = name
        self.id = 0
        """Redis's number for the connection."""
        self.error: UnavailableError | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        wheel = Wheel(timeout / TICKS)
        patient = max(TICKS, math.ceil(patience / wheel.tick))
        self._answers = Answers(name, TICKS, patient, counts)
        self._counts = counts
        self._received = received
        self._reader = hiredis.Reader(
            notEnoughData=_NOTHING, replyError=partial(RefusedError, name)
        )
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._unwritten: list[bytes] = []
        self._unwritten_size = 0
        self._sweep = Item()
        self._sweep.slot = None
        self._wheel = wheel
        self._ticker = Ticker(wheel, self._loop)
        self._tick()

    def __str__(self) -> str:
        return self.name

    @property
    def is_prompt(self) -> bool:
        """All that was asked was answered in time."""
        return self.error is None and self._answers.are_prompt

    # --- commands out ---------------------------------------------------------------------------

    def ask(self, command: bytes, own: int = ORDINARY) -> Answer:
        """Send a command; its answer, in which for a PUBLISH `own` receivers are not counted."""
        if self._paused or self.error is not None or len(self._answers) >= PENDING:
            is_publish = own >= 0  # all others have as much room again
            if is_publish or self.error is not None or len(self._answers) >= 2 * PENDING:
                return self.refuse(own)
        self._write(command)
        return self._answers.expect(own)

    def ask_confirmation(self, command: bytes, channels: int) -> Answer:
        """Send a SUBSCRIBE or UNSUBSCRIBE; done when all its channels are confirmed.

        It is never refused while there is a connection: they would not be known to be missing.
        """
        if self.error is not None:
            return self.refuse(ORDINARY)
        self._write(command)
        return self._answers.expect_confirmation(channels)

    def refuse(self, own: int) -> Answer:
        """An answer for what is not sent."""
        answer = self._loop.create_future()
        answer.set_exception(
            UnavailableError(str(self.error))
            if self.error is not None
            else UnavailableError(f"{self} does not take more, it lags behind")
        )
        self._counts.failed += own >= 0
        return answer

    def _write(self, command: bytes) -> None:
        if not self._unwritten:
            self._loop.call_soon(self.flush)
        self._unwritten.append(command)
        self._unwritten_size += len(command)
        if self._unwritten_size >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Write what is held for the end of this pass of the loop."""
        if self._unwritten and self._transport is not None and self.error is None:
            data = b"".join(self._unwritten)
            self._unwritten.clear()
            self._unwritten_size = 0
            self._transport.write(data)

    # --- its end --------------------------------------------------------------------------------

    def lose(self, error: UnavailableError) -> None:
        """The end, because of `error`: who waits for an answer has it, nothing more is sent."""
        if self.error is None:
            self.error = error
            self._ticker.stop()
            self._answers.end(error)
        if self._transport is not None:
            self._transport.abort()
        elif not self.lost.done():
            self.lost.set_result(None)

    async def close(self) -> None:
        """Lose it, and wait until its socket is closed."""
        self.lose(UnavailableError(f"{self}: the connection was closed"))
        await self.lost

    def _tick(self, _: Item | None = None) -> None:
        self._wheel.schedule(self._sweep, 1, self._tick)
        if not self._answers.tick():
            self.lose(UnavailableError(f"{self} does not answer"))

    # --- asyncio.Protocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=UNSENT)
        if self.error is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        gets = self._reader.gets
        try:
            while (reply := gets()) is not _NOTHING:
                if type(reply) is PushNotification:
                    self._pushed(reply)
                else:
                    self._answers.take(reply)
        # The latter two: more answers than commands, a push that is no message.
        except (hiredis.ProtocolError, IndexError, TypeError) as error:
            said = f"{self} said what no Redis says ({error}): is it one?"
            self.lose(UnavailableError(said))

    def _pushed(self, push: list[Any]) -> None:
        if push[0] == _MESSAGE:
            self._received(push[1], push[2])
        elif push[0] in _CONFIRMATIONS:
            self._answers.confirmed()

    def connection_lost(self, exc: Exception | None) -> None:
        why = f" ({reason(exc)})" if exc is not None else ""
        self.lose(UnavailableError(f"{self}: the connection was lost{why}"))
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False


def reason(error: Exception) -> str:
    """Of what the system has said, in its own words."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number and number > 0 else str(error)

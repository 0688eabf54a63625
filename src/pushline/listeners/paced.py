"""A peer that sends requests: worked off in their order, and not faster than others get theirs."""

import asyncio

from pushline.outbox import Outbox
from pushline.wheel import Item


class Paced(asyncio.Protocol, Item):
    """One connection of a back end. Of what has come, each pass of the event loop takes a share.

    It is not read from while requests of it wait, nor while it does not read its answers.
    """

    __slots__ = ("_outbox", "_stalled", "_waiting", "transport")

    transport: asyncio.Transport

    def __init__(self, outbox: Outbox) -> None:
        self.slot = None
        self._outbox = outbox
        self._stalled = False  # it does not read its answers
        self._waiting = False  # it has had its share of this pass

    def pause_writing(self) -> None:
        self._stalled = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self._stalled = False
        self.work()

    def work(self) -> None:
        """Take what can be taken now, and read on only when nothing is left."""
        if self._waiting or self._stalled or self.transport.is_closing():
            return
        starved = self._outbox.credit <= 0  # others were before it
        if self.take():
            self._wait(starved)
        else:
            self.caught_up()

    def close(self) -> None:
        """Send what waits, then end; nothing more is read."""
        raise NotImplementedError

    def take(self) -> bool:
        """Work off this pass's share; whether something is left."""
        raise NotImplementedError

    def caught_up(self) -> None:
        """Nothing is left."""
        if not self._stalled:
            self.transport.resume_reading()

    def _wait(self, starved: bool) -> None:
        self._waiting = True
        self.transport.pause_reading()
        self._outbox.after_pass(self._go_on, starved=starved)

    def _go_on(self) -> None:
        self._waiting = False
        self.work()

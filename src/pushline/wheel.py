"""One timing wheel for every deadline of every connection, instead of a timer for each.

Time is counted in ticks that were run, not read off a clock: when a process was stopped or a
machine slept, nothing has expired by itself.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any

TICK = 0.25
"""Seconds."""
MINUTE = 60.0
"""Seconds."""
SOON = 0.001
"""Seconds: the loop looks for what has arrived before a timer that is so far off."""


class Item:
    """Something that has at most one deadline at a time."""

    __slots__ = ("due", "slot")

    due: "Due"
    slot: "set[Item] | None"


Due = Callable[[Any], None]
"""Called with the item when its time has come."""


class Wheel:
    """Scheduling, rescheduling and cancelling take constant time; a tick sees only what is due."""

    def __init__(self, tick: float = TICK) -> None:
        self.tick = tick
        self.now = 0
        self._slots: dict[int, set[Item]] = {}

    def ticks(self, seconds: float) -> int:
        """The whole ticks that `seconds` take, at least one."""
        return max(1, math.ceil(seconds / self.tick))

    def schedule(self, item: Item, ticks: int, due: Due) -> None:
        """Have `due(item)` called in `ticks` ticks, in place of any deadline that it had."""
        if item.slot is not None:
            item.slot.discard(item)
        at = self.now + ticks
        slot = self._slots.get(at)
        if slot is None:
            slot = self._slots[at] = set()
        slot.add(item)
        item.slot = slot
        item.due = due

    def cancel(self, item: Item) -> None:
        """Forget the item's deadline, if it has one."""
        if item.slot is not None:
            item.slot.discard(item)
            item.slot = None

    def advance(self) -> None:
        """One tick: everything that is due now is called."""
        self.now += 1
        slot = self._slots.pop(self.now, None)
        for item in list(slot or ()):
            if item.slot is slot:  # else one that was due before it cancelled or moved it
                item.slot = None
                item.due(item)

    def items(self) -> list[Item]:
        """Everything that has a deadline."""
        return [item for slot in self._slots.values() for item in slot]


class Ticker:
    """Turns a wheel by the event loop's clock.

    A tick that comes late by a whole tick is put off once: what has arrived in the meantime is
    read before anything is expired.
    """

    def __init__(self, wheel: Wheel, loop: asyncio.AbstractEventLoop) -> None:
        self._wheel = wheel
        self._loop = loop
        self._at = loop.time() + wheel.tick
        self._put_off = False
        self._timer = loop.call_at(self._at, self._run)
        self.lag = 0.0
        """Seconds by which the last tick was late."""
        self._worst = self._worst_before = 0.0
        self._minute = self._at + MINUTE

    @property
    def worst_lag(self) -> float:
        """Seconds by which the latest tick of the last one to two minutes was late."""
        return max(self._worst, self._worst_before)

    def stop(self) -> None:
        """No tick comes any more."""
        self._timer.cancel()

    def _run(self) -> None:
        now = self._loop.time()
        self.lag = max(0.0, now - self._at)
        self._note(now)
        self._put_off = self.lag > self._wheel.tick and not self._put_off
        self._at = now + SOON if self._put_off else max(self._at + self._wheel.tick, now + SOON)
        self._timer = self._loop.call_at(self._at, self._run)
        if not self._put_off:
            self._wheel.advance()

    def _note(self, now: float) -> None:
        self._worst = max(self._worst, self.lag)
        if now >= self._minute:
            self._minute = now + MINUTE
            self._worst_before, self._worst = self._worst, 0.0

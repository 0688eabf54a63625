"""How a process that holds very many live objects treats its memory.

A full garbage collection looks at every object: 80 ms for 100,000 connections. What serves
connections is made without cycles, so that a collection finds next to nothing; it runs when nobody
would notice.
"""

import contextlib
import ctypes
import gc

from pushline.metrics import Metrics
from pushline.wheel import Item, Wheel

YOUNG = 10_000
"""Objects after which the youngest are looked at."""
NEVER = 1_000_000_000
"""Automatic collections of the middle generation before one of the oldest."""
FREEZE_EVERY = 4096
"""Accepted connections after which all objects are taken out of the collector's sight."""
IDLE = 60.0
"""Seconds without a new connection or a push after which everything is collected."""
M_MMAP_THRESHOLD = -3
"""mallopt(3)."""
LARGE = 128 * 1024
"""Bytes from which a block has pages of its own: malloc's default, as long as none is freed."""


def keep_large_blocks_apart() -> None:
    """Have malloc take large blocks from fresh pages, and give them back, for good.

    By itself it takes them from the heap as soon as one was freed. Each TLS connection has one of
    256 KiB, of which it touches a page: out of the heap that costs twice the memory.
    """
    _malloc("mallopt", M_MMAP_THRESHOLD, LARGE)


def _malloc(function: str, *arguments: int) -> None:
    with contextlib.suppress(OSError, AttributeError):  # a C library without it
        getattr(ctypes.CDLL(None), function)(*arguments)


class Garbage(Item):
    """Watches the counters, and freezes or collects."""

    def __init__(self, wheel: Wheel, metrics: Metrics) -> None:
        self.slot = None
        self._wheel = wheel
        self._metrics = metrics
        self._frozen_at = 0
        self._activity = (0, 0)
        self._quiet_ticks = 0

    def start(self) -> None:
        gc.set_threshold(YOUNG, 20, NEVER)
        gc.collect()
        gc.freeze()
        self._wheel.schedule(self, 1, Garbage._look)

    def _look(self) -> None:
        self._wheel.schedule(self, 1, Garbage._look)
        accepted = self._metrics.accepted
        if accepted - self._frozen_at >= FREEZE_EVERY:
            self._frozen_at = accepted
            gc.freeze()
        activity = (accepted, self._metrics.deliveries)
        self._quiet_ticks = self._quiet_ticks + 1 if activity == self._activity else 0
        self._activity = activity
        if self._quiet_ticks == self._wheel.ticks(IDLE):
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            _malloc("malloc_trim", 0)  # what a flood took goes back to the system

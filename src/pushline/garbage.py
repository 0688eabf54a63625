"""The garbage collector's schedule for a process that holds very many live objects.

A full collection looks at every object: 80 ms for 100,000 connections. What serves connections is
made without cycles, so a collection finds next to nothing; it runs when nobody would notice.
"""

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

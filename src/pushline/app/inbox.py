"""One client's events: handled one at a time and in order, beside those of all others."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from pushline.app.client import Client
from pushline.app.faults import FAULTS, is_being_cancelled
from pushline.messages import Close
from pushline.metrics import Metrics
from pushline.wheel import Wheel

log = logging.getLogger(__name__)

Event = str | bytes | Close
"""A message, or the end."""


class Source(Protocol):
    """Where a client's messages come from."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Desk:
    """What the inboxes of one application share: its handlers, how long a queue may be (`limit`
    events), and who is being served."""

    def __init__(
        self,
        on_message: Callable[[Client, str | bytes], Awaitable[object]] | None,
        on_close: Callable[[Client, Close], Awaitable[object]] | None,
        metrics: Metrics,
        wheel: Wheel,
        *,
        limit: int,
    ) -> None:
        self.on_message = on_message
        self.on_close = on_close
        self.limit = limit
        self.wheel = wheel
        self.busy: dict[Inbox, asyncio.Task[None]] = {}
        """Inboxes whose events are being handled."""
        self._metrics = metrics

    def failed(self, event: str, client: Client) -> None:
        """Count and log the exception under way."""
        self._metrics.app_errors[event] += 1
        log.exception(f"{event} failed: %r", client)

    def waiting(self) -> int:
        """Messages behind the events that are being handled."""
        return sum(inbox.waiting() for inbox in self.busy)

    def oldest(self) -> "Inbox | None":
        """Whose handler has been running the longest."""
        return min(self.busy, key=lambda inbox: inbox.since, default=None)


class Inbox:
    """While its queue is full nothing is read from the client; that goes on when half is done."""

    __slots__ = ("_desk", "_events", "_paused", "_source", "client", "since", "slow")

    def __init__(self, client: Client, source: Source, desk: Desk) -> None:
        self.client = client
        self.since = 0
        """The tick at which the handler under way began."""
        self.slow = False
        """That it takes long has been said."""
        self._source = source
        self._desk = desk
        self._events: deque[Any] | None = None  # for memory: while there are none
        self._paused = False

    def waiting(self) -> int:
        """Messages behind the event that is being handled."""
        return sum(isinstance(event, str | bytes) for event in self._events or ())

    def put(self, message: str | bytes) -> None:
        """A message came."""
        if self._desk.on_message is None:
            return
        if self._add(message) >= self._desk.limit and not self._paused:
            self._paused = True
            self._source.pause_reading()

    def close(self, reason: Close) -> None:
        """The client is gone: the last event."""
        if self._desk.on_close is not None:
            self._add(reason)

    def _add(self, event: object) -> int:
        if self._events is None:
            self._events = deque()
            self.since, self.slow = self._desk.wheel.now, False
            self._desk.busy[self] = asyncio.get_running_loop().create_task(self._work(self._events))
        self._events.append(event)
        return len(self._events)

    async def _work(self, events: deque[Any]) -> None:
        try:
            while events:
                event = events.popleft()
                if self._paused and len(events) <= self._desk.limit // 2:
                    self._paused = False
                    self._source.resume_reading()
                self.since, self.slow = self._desk.wheel.now, False
                await self._handle(event)
        finally:
            self._events = None
            del self._desk.busy[self]

    async def _handle(self, event: Event) -> None:
        desk = self._desk
        try:
            if isinstance(event, Close):
                if desk.on_close is not None:
                    await desk.on_close(self.client, event)
            elif desk.on_message is not None:
                await desk.on_message(self.client, event)
        except FAULTS:
            if is_being_cancelled():
                raise
            desk.failed("on_close" if isinstance(event, Close) else "on_message", self.client)

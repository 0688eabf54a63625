"""One HTTP request on one connection: its head within limits and time, one answer, an end."""

import asyncio
from http import HTTPStatus
from typing import Protocol

from pushline.codecs import handshake
from pushline.codecs.http_head import HeadLimits, HeadReader, Request
from pushline.config import Limits
from pushline.errors import HttpError
from pushline.metrics import Metrics
from pushline.wheel import Item, Wheel


class HttpListener(Protocol):
    """What all connections of a port that speaks HTTP share."""

    wheel: Wheel
    metrics: Metrics
    limits: Limits
    head_limits: HeadLimits

    def answer(self, connection: "HttpConnection", request: Request, rest: bytes) -> None:
        """Respond to a request; `rest` came behind its head. Raises HttpError to refuse it."""


def head_limits(limits: Limits) -> HeadLimits:
    """What of the settings bounds a request's head."""
    return HeadLimits(limits.request_line, limits.head, limits.headers)


class Upgraded(Protocol):
    """What takes over after an upgrade."""

    def data_received(self, data: bytes) -> None:
        """Bytes came."""

    def pause(self) -> None:
        """The transport's buffer is full."""

    def resume(self) -> None:
        """It has room again."""

    def ended(self) -> bool | None:
        """The peer sends nothing more; whether it may still be sent to."""

    def lost(self) -> None:
        """The transport has ended."""


class Decision:
    """An upgrade that an application decides over."""

    def __init__(self, task: "asyncio.Task[None]", rest: bytes) -> None:
        self.task = task
        self.early = rest


class HttpConnection(asyncio.Protocol, Item):
    """A client that has not got its answer yet, or that still has to take it.

    After an upgrade it only hands on what comes: a change of the transport's protocol would cost
    two system calls.
    """

    __slots__ = ("_decision", "_listener", "_reader", "_upgraded", "transport")

    transport: asyncio.Transport

    def __init__(self, listener: HttpListener) -> None:
        self.slot = None
        self._listener = listener
        self._reader: HeadReader | None = HeadReader(listener.head_limits)
        self._upgraded: Upgraded | None = None
        self._decision: Decision | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # A stream's transport is always this one, and a cast would cost a call.
        listener = self._listener
        self.transport = transport
        ticks = listener.wheel.ticks(listener.limits.head_time) + 1
        listener.wheel.schedule(self, ticks, HttpConnection.abort)
        listener.metrics.accepted += 1
        listener.metrics.open += 1

    def data_received(self, data: bytes) -> None:
        if self._upgraded is not None:
            self._upgraded.data_received(data)
            return
        if self._decision is not None:
            self._decision.early += data
            self.transport.pause_reading()  # a client waits for its 101, and need not be read
            return
        reader = self._reader
        if reader is None:
            return  # answered: what else comes is not for us
        request = None
        try:
            request = reader.feed(data)
            if request is not None:
                self._reader = None
                self._listener.answer(self, request, reader.rest)
        except HttpError as error:
            self.refuse(error, request)

    def eof_received(self) -> bool | None:
        return self._upgraded.ended() if self._upgraded is not None else None

    def pause_writing(self) -> None:
        if self._upgraded is not None:
            self._upgraded.pause()

    def resume_writing(self) -> None:
        if self._upgraded is not None:
            self._upgraded.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.wheel.cancel(self)
        self._listener.metrics.open -= 1
        if self._decision is not None:
            self._decision.task.cancel()
        if self._upgraded is not None:
            self._upgraded.lost()
            self._upgraded = None

    def decide(self, task: "asyncio.Task[None]", rest: bytes) -> None:
        """Wait until `task` has upgraded or refused; it is cancelled if the client goes away."""
        self._listener.wheel.cancel(self)
        self._decision = Decision(task, rest)

    def decided(self) -> bytes:
        """The task is about to upgrade or refuse; returns what the client has sent meanwhile."""
        decision, self._decision = self._decision, None
        self.transport.resume_reading()
        return decision.early if decision else b""

    def upgrade(self, upgraded: Upgraded, rest: bytes) -> None:
        """Hand everything on from now on, `rest` first."""
        self._listener.wheel.cancel(self)
        self._upgraded = upgraded
        if rest:
            upgraded.data_received(rest)

    def respond(self, response: bytes) -> None:
        """Send a whole response; what the client still sends is taken and dropped until it ends."""
        self._reader = None
        self.transport.write(response)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()
        ticks = self._listener.wheel.ticks(self._listener.limits.close_timeout)
        self._listener.wheel.schedule(self, ticks, HttpConnection.abort)

    def refuse(self, error: HttpError, request: Request | None = None) -> None:
        """Respond with an error; a HEAD that was understood gets no body."""
        self._listener.metrics.refused[str(error.status)] += 1
        body = f"{error.reason or HTTPStatus(error.status).phrase}\n".encode()
        head_only = request is not None and request.method == "HEAD"
        headers = error.headers
        self.respond(handshake.response(error.status, body, headers=headers, head_only=head_only))

    def abort(self) -> None:
        """End it now: it has had its time."""
        self.transport.abort()

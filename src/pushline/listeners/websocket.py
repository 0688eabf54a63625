"""The port for browsers: an upgrade to WebSocket, or a page."""

import asyncio
from collections.abc import Iterator
from functools import partial

from pushline.app.files import Files
from pushline.codecs import deflate, handshake, websocket
from pushline.codecs.http_head import Request
from pushline.config import Config
from pushline.connection import Connection
from pushline.errors import HttpError, ProtocolError
from pushline.listeners.admission import Admissions
from pushline.listeners.downloads import Downloads
from pushline.listeners.http_connection import HttpConnection, head_limits
from pushline.listeners.pages import Pages
from pushline.listeners.protocol import ClientProtocol
from pushline.messages import NORMAL, Close, Encode
from pushline.metrics import BY_PEER, Metrics
from pushline.node import Node
from pushline.wheel import Wheel


class WebSocketListener:
    """What all connections of one port share; the Keeper of each Connection."""

    def __init__(
        self,
        config: Config,
        node: Node,
        wheel: Wheel,
        metrics: Metrics,
        protocol: ClientProtocol,
        pages: Pages,
        files: Files | None = None,
    ) -> None:
        self.node = node
        self.outbox = node.outbox
        self.wheel = wheel
        self.metrics = metrics
        self.protocol = protocol
        self.limits = config.limits
        self.close_ticks = wheel.ticks(config.limits.close_timeout)
        self.draining = False
        self._downloads = Downloads(files or Files(), pages.response, wheel, self.close_ticks)
        self.head_limits = head_limits(config.limits)
        self._subprotocols = config.websocket.subprotocols
        self._origins = config.websocket.origins or None
        self._compression = config.websocket.compression
        self._admissions = Admissions(config.app.connect_time)
        self._inflate = deflate.Inflate(config.limits.message)
        self.idle_decoders: dict[bool, websocket.Decoder] = {}
        """For every connection that has begun nothing, without and with permessage-deflate."""
        self.renew(compressed=False)
        self.renew(compressed=True)

    def accept(self) -> HttpConnection:
        """The protocol of a connection that was just accepted."""
        return HttpConnection(self)

    def answer(self, http: HttpConnection, request: Request, rest: bytes) -> None:
        if self.draining:
            raise _shutting_down()
        if handshake.is_upgrade(request):
            self._upgrade(http, request, rest)
        else:
            self._downloads.answer(http, request)

    def closed(self, connection: Connection, close: Close, *, by_peer: bool) -> None:
        """As Keeper has it."""
        self.node.hub.remove(connection)
        self.metrics.upgraded -= 1
        self.protocol.closed(connection, close)
        self.metrics.closed[BY_PEER if by_peer else close.code] += 1

    def renew(self, compressed: bool) -> None:
        """A connection has begun something with the idle decoder, and keeps it."""
        inflate = self._inflate if compressed else None
        self.idle_decoders[compressed] = websocket.Decoder(self.limits.message, inflate)

    def _upgrade(self, http: HttpConnection, request: Request, rest: bytes) -> None:
        accepted = handshake.accept(request, self._subprotocols, self._origins)
        if self.metrics.upgraded >= self.limits.connections > 0:
            raise HttpError(503, "limit of connections reached", (("Retry-After", "5"),))
        params = self._negotiate(request)
        answer = handshake.response_101(*accepted, params.answer if params else None)
        encode = params.encode if params else websocket.encode
        connection = WebSocket(http.transport, self, encode)
        decide = self.protocol.admit(connection, request)
        self.metrics.upgraded += 1
        if decide is None:
            self._open(http, connection, answer, rest)
        else:
            accept = partial(self._open, http, connection, answer)
            self._admissions.begin(http, rest, decide, accept, partial(self._shut, connection))

    def _open(
        self, http: HttpConnection, connection: "WebSocket", answer: bytes, rest: bytes
    ) -> None:
        if self.draining:  # since it began to be decided
            self._shut(connection)
            http.refuse(_shutting_down())
            return
        http.transport.write(answer)
        self.protocol.opened(connection)
        http.upgrade(connection, rest)

    def _shut(self, connection: "WebSocket") -> None:
        """It was not let in."""
        connection.seal()
        self.metrics.upgraded -= 1
        self.protocol.refused(connection)

    def _negotiate(self, request: Request) -> deflate.Params | None:
        if not self._compression:
            return None
        return deflate.negotiate(request.header("sec-websocket-extensions"))


def _shutting_down() -> HttpError:
    return HttpError(503, "shutting down", (("Retry-After", "1"),))


class WebSocket(Connection):
    """A Connection's reading side: bytes to events; what the client sends counts as life."""

    __slots__ = ("_decoder", "_events", "_paused")

    keeper: WebSocketListener

    def __init__(
        self, transport: asyncio.Transport, listener: WebSocketListener, encode: Encode
    ) -> None:
        super().__init__(transport, listener, encode)
        self._decoder: websocket.Decoder | None = None  # while nothing is begun: memory
        self._paused = False
        self._events: Iterator[websocket.Event] | None = None  # what was read before a pause

    def data_received(self, data: bytes) -> None:
        self.seen = self.keeper.wheel.now
        decoder = self._decoder or self.keeper.idle_decoders[self._compressed]
        self._take(decoder, decoder.feed(data))

    def pause_reading(self) -> None:
        """Take nothing more from the client, not even what has been read."""
        self._paused = True
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on where it was paused; that may pause it again."""
        if not self._paused:
            return
        self._paused = False
        self.seen = self.keeper.wheel.now
        events, self._events = self._events, None
        if events is not None and self._decoder is not None:
            self._take(self._decoder, events)
        if not self._paused:
            self.transport.resume_reading()

    def _take(self, decoder: websocket.Decoder, events: "Iterator[websocket.Event]") -> None:
        try:
            for opcode, payload in events:
                self._receive(opcode, payload)
                if self._paused:
                    self._events = events
                    self._keep(decoder)
                    return
        except ProtocolError as error:
            self._fail(error.close)
        if not decoder.idle:
            self._keep(decoder)
        elif self._decoder is not None:
            self._decoder = None

    @property
    def _compressed(self) -> bool:
        return self.encode is not websocket.encode

    def _keep(self, decoder: websocket.Decoder) -> None:
        if self._decoder is None:
            self._decoder = decoder
            self.keeper.renew(self._compressed)

    def _receive(self, opcode: int, payload: str | bytes | Close) -> None:
        if isinstance(payload, Close):
            self._end(payload)
        elif self.sealed:
            return  # closing: only the peer's Close matters
        elif opcode == websocket.PING and isinstance(payload, bytes):
            self.outbox.post(self, websocket.frame(websocket.PONG, payload))
        elif opcode != websocket.PONG:
            self.keeper.protocol.received(self, opcode, payload)

    def _end(self, close: Close) -> None:
        """Answer the peer's Close, or take its answer to ours; TCP is ended by the server."""
        self.close(NORMAL if close.code == websocket.NO_CODE else close, by_peer=True)
        self.transport.close()

    def _fail(self, close: Close) -> None:
        """The Close frame, then the end of our side; the peer's unread bytes are dropped."""
        self.close(close)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

"""The port for browsers: an upgrade to WebSocket, or a page."""

import asyncio

from pushline.codecs import deflate, handshake, websocket
from pushline.codecs.http_head import HeadLimits, Request
from pushline.config import Config
from pushline.connection import Connection
from pushline.errors import HttpError, ProtocolError
from pushline.listeners.http_connection import HttpConnection
from pushline.listeners.pages import Pages
from pushline.listeners.plain import ClientProtocol
from pushline.messages import NORMAL, OWN_CODES, Close
from pushline.metrics import Metrics
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
    ) -> None:
        self.node = node
        self.outbox = node.outbox
        self.wheel = wheel
        self.metrics = metrics
        self.protocol = protocol
        self.limits = config.limits
        self.close_ticks = wheel.ticks(config.limits.close_timeout)
        self.draining = False
        self._pages = pages
        self.head_limits = HeadLimits(
            config.limits.request_line, config.limits.head, config.limits.headers
        )
        self._origins = config.websocket.origins or None
        self._compression = config.websocket.compression
        self._inflate = deflate.Inflate(config.limits.message)

    def accept(self) -> HttpConnection:
        """The protocol of a connection that was just accepted."""
        return HttpConnection(self)

    def answer(self, http: HttpConnection, request: Request, rest: bytes) -> None:
        if self.draining:
            raise HttpError(503, "shutting down", (("Retry-After", "1"),))
        if handshake.is_upgrade(request):
            self._upgrade(http, request, rest)
        else:
            http.respond(self._pages.response(request))

    def closed(self, connection: Connection, close: Close) -> None:
        self.node.hub.remove(connection)
        self.metrics.closed[str(close.code) if close.code in OWN_CODES else "client"] += 1

    def _upgrade(self, http: HttpConnection, request: Request, rest: bytes) -> None:
        accepted = handshake.accept(request, origins=self._origins)
        if self.limits.connections and self.metrics.open > self.limits.connections:
            raise HttpError(503, "limit of connections reached", (("Retry-After", "5"),))
        params = self._negotiate(request)
        http.transport.write(handshake.response_101(accepted.key, None, params and params.answer))
        self.wheel.cancel(http)
        encode = params.encode if params else websocket.encode
        connection = Connection(http.transport, self, encode)
        decoder = websocket.Decoder(self.limits.message, self._inflate if params else None)
        peer = WebSocket(self, connection, decoder)
        http.transport.set_protocol(peer)
        self.protocol.opened(connection)
        if rest:
            peer.data_received(rest)

    def _negotiate(self, request: Request) -> deflate.Params | None:
        if not self._compression:
            return None
        return deflate.negotiate(request.header("sec-websocket-extensions"))


class WebSocket(asyncio.Protocol):
    """Bytes from one client to events; what it sends counts as life."""

    __slots__ = ("_connection", "_decoder", "_listener")

    def __init__(
        self, listener: WebSocketListener, connection: Connection, decoder: websocket.Decoder
    ) -> None:
        self._listener = listener
        self._connection = connection
        self._decoder: websocket.Decoder | None = decoder

    def data_received(self, data: bytes) -> None:
        self._connection.seen = self._listener.wheel.now
        if self._decoder is None:
            return  # failed: nothing after that can be trusted
        try:
            for opcode, payload in self._decoder.feed(data):
                self._receive(opcode, payload)
        except ProtocolError as error:
            self._fail(error.close)

    def pause_writing(self) -> None:
        self._connection.pause()

    def resume_writing(self) -> None:
        self._connection.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.lost()
        self._listener.metrics.open -= 1

    def _receive(self, opcode: int, payload: str | bytes | Close) -> None:
        connection = self._connection
        if isinstance(payload, Close):
            self._end(payload)
        elif connection.sealed:
            return  # closing: only the peer's Close matters
        elif opcode == websocket.PING and isinstance(payload, bytes):
            connection.outbox.post(connection, websocket.frame(websocket.PONG, payload))
        elif opcode != websocket.PONG:
            self._listener.protocol.received(connection, opcode, payload)

    def _end(self, close: Close) -> None:
        """Answer the peer's Close, or take its answer to ours; TCP is ended by the server."""
        self._connection.close(NORMAL if close.code == websocket.NO_CODE else close)
        self._connection.transport.close()

    def _fail(self, close: Close) -> None:
        """The Close frame, then the end of our side; the peer's unread bytes are dropped."""
        self._decoder = None
        self._connection.close(close)
        if self._connection.transport.can_write_eof():
            self._connection.transport.write_eof()
        else:
            self._connection.transport.close()

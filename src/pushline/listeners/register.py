"""GatewayWorker's Register: gateways say where they are, workers and clients are told."""

import asyncio
import hmac
import logging
from itertools import islice
from typing import cast

from pushline.codecs import register_lines
from pushline.codecs.lines import LineReader
from pushline.codecs.register_lines import Addresses, GatewayConnect, Ping, WorkerConnect
from pushline.errors import BadFrameError
from pushline.listeners.sockets import notice_the_dead, peer_of
from pushline.metrics import Metrics
from pushline.wheel import Item, Wheel

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds that a peer has to say who it is (PHP's Register has the same), and that a worker has to
take a list. Who is known may be silent for ever: on one machine, PHP's gateways and workers are."""
FEW = 50
"""Workers that are told in one pass of the event loop."""


class RegisterListener:
    """The address book, and what all connections of the port share.

    Peers that show `secret` are let in, so many `connections` at a time.
    """

    def __init__(self, secret: str, wheel: Wheel, metrics: Metrics, *, connections: int) -> None:
        self.wheel = wheel
        self.metrics = metrics
        self.ticks = wheel.ticks(PATIENCE) + 1
        self.peers: set[RegisterPeer] = set()
        self._secret = secret.encode()
        self._connections = connections
        self._gateways: dict[str, RegisterPeer] = {}
        self._workers: dict[RegisterPeer, None] = {}  # in their order
        self._untold: dict[RegisterPeer, None] = {}  # who has not been sent the newest list
        self._line = b""  # that list as it goes out; empty: it has changed

    @property
    def gateways(self) -> tuple[str, ...]:
        """The addresses of the gateways that are here, in the order in which they came."""
        return tuple(self._gateways)

    @property
    def workers(self) -> int:
        """How many workers and clients are told of them."""
        return len(self._workers)

    def accept(self) -> "RegisterPeer":
        """The protocol of a connection that was just accepted."""
        return RegisterPeer(self)

    def close(self) -> None:
        """End every connection."""
        for peer in tuple(self.peers):
            peer.abort()

    def admit(self, peer: "RegisterPeer") -> None:
        """Raises BadFrameError where there are too many."""
        if len(self.peers) >= self._connections:
            raise BadFrameError("limit", "over register.connections")
        self.peers.add(peer)

    def refuse(self, transport: asyncio.BaseTransport, error: BadFrameError) -> None:
        """Count and log what is not taken."""
        self.metrics.refused_links[error.kind] += 1
        # The kind is a part of the form, by which log lines are throttled.
        log.warning(f"register: %s: {error.kind}: %s", peer_of(transport), error)

    def check_key(self, key: str) -> None:
        """Raises BadFrameError for any but ours."""
        if not hmac.compare_digest(key.encode(), self._secret):
            raise BadFrameError("auth", "a wrong key, or none")

    def enter_gateway(self, address: str, peer: "RegisterPeer") -> None:
        """List it. Who was listed there before is gone and has only not been noticed to be."""
        before = self._gateways.get(address)
        self._gateways[address] = peer
        if before is None:
            log.info("register: gateway %s is here", address)
            self._changed()
        elif before is not peer:
            log.info("register: gateway %s is here again", address)
            before.abort()

    def enter_worker(self, peer: "RegisterPeer") -> None:
        """Tell it the gateways, now and at each change."""
        self._workers[peer] = None
        self.tell(peer)

    def leave_gateway(self, address: str, peer: "RegisterPeer") -> None:
        """Unlist it, unless it is somebody else's by now."""
        if self._gateways.get(address) is peer:
            del self._gateways[address]
            log.info("register: gateway %s is gone", address)
            self._changed()

    def leave(self, peer: "RegisterPeer") -> None:
        """It is gone."""
        self.peers.discard(peer)
        self._workers.pop(peer, None)
        self._untold.pop(peer, None)
        self.leave_gateway(peer.address, peer)

    def tell(self, peer: "RegisterPeer") -> None:
        """Send it the list as it is now."""
        if not self._line:
            self._line = register_lines.encode(Addresses(self.gateways))
        peer.send(self._line)

    def _changed(self) -> None:
        """Tell all workers: once for what changes in one pass of the loop, as when many gateways
        start together."""
        self._line = b""
        if not self._untold:
            asyncio.get_running_loop().call_soon(self._tell_some)
        self._untold |= self._workers

    def _tell_some(self) -> None:
        """A few in each pass, so that browsers need not wait until thousands are told."""
        for peer in tuple(islice(self._untold, FEW)):
            del self._untold[peer]
            self.tell(peer)
        if self._untold:
            asyncio.get_running_loop().call_soon(self._tell_some)


class RegisterPeer(asyncio.Protocol, Item):
    """A gateway, a worker or a client; `address` is the one that it is listed under, if any.

    At most one list waits for a worker that reads slowly: what changes in the meantime, the next
    one says.
    """

    __slots__ = ("_listener", "_outdated", "_reader", "_stalled", "address", "transport")

    transport: asyncio.Transport

    def __init__(self, listener: RegisterListener) -> None:
        self.slot = None
        self.address = ""
        self._listener = listener
        self._reader = LineReader(register_lines.LONGEST_REQUEST)
        self._stalled = False  # it has not taken its list yet
        self._outdated = False  # and that one is not the newest

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        try:
            self._listener.admit(self)
        except BadFrameError as error:
            self._refuse(error)
            return
        notice_the_dead(transport)
        self.transport.set_write_buffer_limits(high=0)
        self._listener.wheel.schedule(self, self._listener.ticks, RegisterPeer.never_came)

    def data_received(self, data: bytes) -> None:
        try:
            for line in self._reader.feed(data):
                if not self.transport.is_closing():
                    self._take(line)
            if self._reader.overrun:
                raise BadFrameError("length", "a line too long")
        except BadFrameError as error:
            self._refuse(error)

    def pause_writing(self) -> None:
        self._stalled = True
        self._listener.wheel.schedule(self, self._listener.ticks, RegisterPeer.never_read)

    def resume_writing(self) -> None:
        self._stalled = False
        self._listener.wheel.cancel(self)
        if self._outdated:
            self._outdated = False
            self._listener.tell(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.wheel.cancel(self)
        self._listener.leave(self)

    def send(self, line: bytes) -> None:
        """Send it a list, or the newest one once it has taken the one before."""
        if self._stalled:
            self._outdated = True
        elif not self.transport.is_closing():
            self.transport.write(line)

    def never_came(self) -> None:
        """The time to say who it is is over."""
        self._refuse(BadFrameError("auth", "has not said who it is"))

    def never_read(self) -> None:
        """The time to take its list is over."""
        self._refuse(BadFrameError("limit", "does not read its lists"))

    def abort(self) -> None:
        """End it now."""
        self.transport.abort()

    def _refuse(self, error: BadFrameError) -> None:
        if not self.transport.is_closing():
            self._listener.refuse(self.transport, error)
            self.abort()

    def _take(self, line: bytes) -> None:
        message = register_lines.decode(line)
        if isinstance(message, GatewayConnect):
            self._enter_gateway(message)
        elif isinstance(message, WorkerConnect):
            self._known_by(message.secret_key)
            self._listener.enter_worker(self)
        elif not isinstance(message, Ping):
            raise BadFrameError("register", "a list of addresses, which is ours to send")

    def _enter_gateway(self, message: GatewayConnect) -> None:
        self._known_by(message.secret_key)
        if not register_lines.is_gateway_address(message.address):
            raise BadFrameError("register", "a gateway whose address is not IPv4:PORT")
        if self.address != message.address:
            self._listener.leave_gateway(self.address, self)
        self.address = message.address
        self._listener.enter_gateway(message.address, self)

    def _known_by(self, key: str) -> None:
        self._listener.check_key(key)
        if not self._stalled:
            self._listener.wheel.cancel(self)

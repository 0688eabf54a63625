"""Being known to a Register as a gateway, or being told by it where the gateways are."""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Final, NamedTuple, cast
from weakref import WeakSet

from pushline.address import Address
from pushline.codecs import register_lines
from pushline.codecs.lines import LineReader
from pushline.codecs.register_lines import Addresses, GatewayConnect, Ping, WorkerConnect
from pushline.errors import BadFrameError, UnavailableError
from pushline.sockets import UNACKNOWLEDGED, give_up, notice_the_dead

log = logging.getLogger(__name__)

REFUSED: Final = (
    "ended the connection at once, which is how a wrong key is answered (register.secret, PHP's "
    "secretKey), or a connection over register.connections"
)
LOST: Final = "has ended the connection"

OnAddresses = Callable[[tuple[str, ...]], object]
"""Called with the distinct addresses of all gateways, each `IPv4:PORT`."""


class Times(NamedTuple):
    """In seconds; those of PHP's peers."""

    retry: float = 1.0
    """From the end of a connection to the next attempt."""
    ping: float = 25.0
    """From one ping to the next, where the Register is on another machine."""
    patience: float = 10.0
    """For the connection, and again for the first list."""
    doubt: float = 1.0
    """A gateway is told nothing; it was taken if the connection has not been ended by then."""


class RegisterClient:
    """One Register, for as long as it takes: connects again and again, from start to stop.

    With `gateway`, its advertised `IPv4:PORT`, it has that address listed; without, it asks for
    those of all gateways, as workers and clients do.
    """

    def __init__(
        self,
        address: Address,
        secret: str,
        *,
        gateway: str = "",
        on_addresses: OnAddresses | None = None,
        times: Times = Times(),  # noqa: B008 - cannot be changed
    ) -> None:
        self.address = address
        self.times = times
        self.connected = False
        """The Register has taken us: it has sent a list, or not ended the connection."""
        self.addresses: tuple[str, ...] | None = None
        """The latest list, also while the connection is lost; None before the first."""
        self.reason = ""
        """Why the latest connection could not be made, or ended; empty where none has."""
        self.hello = register_lines.encode(
            GatewayConnect(gateway, secret) if gateway else WorkerConnect(secret)
        )
        self.expects_list = not gateway
        self._on_addresses = on_addresses
        self._settled = asyncio.Event()
        self._said: set[str] = set()  # in the log, since it was connected
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._task = asyncio.create_task(self._stay())

    async def stop(self) -> None:
        """End it; the Register takes a gateway off its list."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self.connected = False

    async def wait(self, timeout: float) -> tuple[str, ...]:  # noqa: ASYNC109 - part of the error
        """The latest list; where there was none yet, the first.

        Raises UnavailableError, which says why, when an attempt to get it has failed, or after
        `timeout` seconds.
        """
        if self.addresses is None:
            try:
                async with asyncio.timeout(timeout):
                    await self._settled.wait()
            except TimeoutError:
                why = self.reason or f"has sent no list within {timeout:g} s"
                raise UnavailableError(f"register {self.address} {why}") from None
        if self.addresses is None:
            raise UnavailableError(f"register {self.address} {self.reason}")
        return self.addresses

    def taken(self) -> None:
        """The Register lets us stay."""
        if not self.connected:
            self.connected = True
            self.reason = ""
            self._said.clear()
            log.info("register %s: connected", self.address)

    def told(self, addresses: tuple[str, ...]) -> None:
        """It has sent a list."""
        self.taken()
        self.addresses = tuple(filter(self._is_usable, addresses))
        self._settle()
        if self._on_addresses is not None:
            self._on_addresses(self.addresses)

    def _is_usable(self, address: str) -> bool:
        if register_lines.is_gateway_address(address):
            return True
        log.warning("register %s: no gateway's address: %.100r", self.address, address)
        return False

    async def _stay(self) -> None:
        while True:
            self._failed(await self._attempt())
            await asyncio.sleep(self.times.retry)

    def _failed(self, reason: str) -> None:
        self.connected = False
        self.reason = reason
        if reason not in self._said:  # each once, not at every attempt
            self._said.add(reason)
            log.warning("register %s %s; trying again until it works", self.address, reason)
        self._settle()

    def _settle(self) -> None:
        """Wake all who wait by now; who comes later waits for what comes later."""
        self._settled.set()
        self._settled.clear()

    async def _attempt(self) -> str:
        """Be connected until that ends, and say why it did."""
        try:
            async with asyncio.timeout(self.times.patience):
                conversation = await self._connect()
        except TimeoutError:
            return f"does not answer within {self.times.patience:g} s"
        # UnicodeError: a name that is none. RuntimeError: at exit no thread is left to resolve it.
        except (OSError, UnicodeError, RuntimeError) as error:
            return f"cannot be connected to ({_why(error)})"
        try:
            conversation.begin()
            await conversation.ended.wait()
        finally:
            await conversation.close()
        return conversation.reason

    async def _connect(self) -> "Conversation":
        _, conversation = await asyncio.get_running_loop().create_connection(
            lambda: Conversation(self), self.address.host, self.address.port
        )
        return conversation


class Conversation(asyncio.Protocol):
    """One connection to the Register. Once it has `ended`, `reason` says why.

    It does nothing by itself before `begin`: uvloop closes a connection that is given up while it
    is being made without telling its protocol.
    """

    _transport: asyncio.Transport

    def __init__(self, client: RegisterClient) -> None:
        self.ended = asyncio.Event()
        self.reason = ""
        self._client = client
        self._reader = LineReader(register_lines.LONGEST_LIST)
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}

    def begin(self) -> None:
        """Say who we are, and see that something comes of it."""
        if self.ended.is_set():
            return
        plug = self._transport.get_extra_info("socket")
        notice_the_dead(plug, unacknowledged=UNACKNOWLEDGED)
        times = self._client.times
        if self._client.expects_list:
            self._after(times.patience, self._expect_list)
        else:
            self._after(times.doubt, self._client.taken)
        self._transport.write(self._client.hello)
        if not _is_here(self._transport):
            self._after(times.ping, self._ping)

    async def close(self) -> None:
        """End it, and wait until its socket is closed."""
        self._transport.abort()
        await self.ended.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        _conversations.add(self)

    def disown(self) -> None:
        """Forget, in a child process, the connection that is its parent's; send it nothing."""
        if not self.ended.is_set():
            give_up(self._transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        try:
            for line in self._reader.feed(data):
                self._take(line)
            if self._reader.overrun:
                raise BadFrameError("length", "a line too long")
        except BadFrameError as error:
            self._end(f"says what a Register does not say ({error})")

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self.reason = self.reason or (LOST if self._client.connected else REFUSED)
        self.ended.set()

    def _after(self, seconds: float, callback: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._timers[callback] = loop.call_later(seconds, callback)

    def _take(self, line: bytes) -> None:
        message = register_lines.decode(line)
        if isinstance(message, Addresses):
            self._client.told(message.addresses)
        elif not isinstance(message, Ping):
            raise BadFrameError("register", "what its peers say")

    def _ping(self) -> None:
        self._transport.write(register_lines.encode(Ping()))
        self._after(self._client.times.ping, self._ping)

    def _expect_list(self) -> None:
        if not self._client.connected:
            seconds = self._client.times.patience
            self._end(f"has sent no list within {seconds:g} s")

    def _end(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._transport.abort()


def _why(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number and number > 0 else str(error)


def _is_here(transport: asyncio.BaseTransport) -> bool:
    """At 127.0.0.1, where a connection cannot be cut without a word."""
    peer = transport.get_extra_info("peername")
    return peer is not None and peer[0] == "127.0.0.1"


def _disown_all() -> None:
    for conversation in list(_conversations):
        conversation.disown()


_conversations: WeakSet[Conversation] = WeakSet()
os.register_at_fork(after_in_child=_disown_all)

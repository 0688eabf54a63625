"""One TCP connection to a text port: lines out, their answers in, in the same order."""

import asyncio
import os
from collections import deque
from typing import cast
from weakref import WeakSet

from pushline import sockets
from pushline.address import Address
from pushline.client.exchange import Exchange
from pushline.client.turns import Turns
from pushline.codecs.lines import LineReader
from pushline.errors import ClientError, RejectedError, UnavailableError

FLUSH_AT = 64 * 1024
"""Bytes of lines that are written without waiting for the end of the loop's pass."""
DOUBT = 0.05
"""Seconds in which a server that asks for a secret has closed after its first `fail`."""

REFUSED = "does not take the secret: set the client's to the server's text.secret"
UNINVITED = "asks for a secret, text.secret (or for pushes no longer than its text.max_line)"
KEPT_OUT = "does its text.connections, or text.trusted_networks, keep us out?"

_ANSWERS = {b"ok": True, b"fail": False}
_LONGEST_ANSWER = max(map(len, _ANSWERS))


class Link(asyncio.Protocol):
    """Opened once, lost once; belongs to the event loop in which it is made.

    `ready` is set when it is opened or could not be, `error` says why it is lost, and `heard` is
    the loop's time when the server was last heard. At most `in_flight` lines have no answer yet.
    """

    def __init__(self, address: Address, secret: str, in_flight: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.ready = asyncio.Event()
        self.opened = False
        self.error: ClientError | None = None
        self.heard = float("-inf")
        self._address = address
        self._secret = secret
        self._turns = Turns(in_flight)
        self._writable = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.Event()
        self._reader = LineReader(_LONGEST_ANSWER)
        self._unanswered: deque[Exchange] = deque()
        self._unwritten: list[bytes] = []
        self._unwritten_size = 0
        self._admitted = False
        self._doubt: asyncio.TimerHandle | None = None
        _links.add(self)

    # --- from opened to lost ------------------------------------------------------------------

    async def open(self, seconds: float) -> None:
        """Connects and shows the secret. Raises nothing: `error` says what went wrong."""
        try:
            async with asyncio.timeout(seconds):
                await self._connect()
                await self._authenticate()
        except TimeoutError:
            self.lose(UnavailableError(f"{self._address} does not answer within {seconds:g} s"))
        # UnicodeError: a name that is none. RuntimeError: at exit no thread is left to resolve it.
        except (OSError, UnicodeError, RuntimeError) as error:
            self.lose(UnavailableError(self._unreachable(error)))
        except ClientError as error:
            self.lose(error)
        else:
            self.opened = self.error is None
            self.ready.set()

    async def _connect(self) -> None:
        if self._address.path:
            await self.loop.create_unix_connection(lambda: self, self._address.path)
        else:
            await self.loop.create_connection(lambda: self, self._address.host, self._address.port)

    async def _authenticate(self) -> None:
        if self._secret:
            await self.ask(Exchange([b"auth " + self._secret.encode()]))

    def _unreachable(self, error: Exception) -> str:
        number = error.errno if isinstance(error, OSError) else None
        why = os.strerror(number) if number and number > 0 else str(error)
        return f"cannot connect to {self._address} ({why}): is that the text port, the server up?"

    def _rejection(self) -> RejectedError:
        return RejectedError(f"{self._address} {REFUSED if self._secret else UNINVITED}")

    def _cut(self) -> UnavailableError:
        lost = f"the connection to {self._address} was lost"
        silent = self.heard == float("-inf")
        return UnavailableError(f"{lost} before any answer ({KEPT_OUT})" if silent else lost)

    def lose(self, error: ClientError) -> None:
        """The end, because of `error`: what waits for an answer fails, nothing more is sent."""
        if self.error is None:
            self.error = error
            for exchange in dict.fromkeys(self._unanswered):
                exchange.fail(error)
            self._unanswered.clear()
            self._unwritten.clear()
            self._release_all()
            self._abort()

    def _release_all(self) -> None:
        self.ready.set()
        self._writable.set()
        self._turns.give()  # to the first who waits; each hands it on, see `_take_turn`

    def _abort(self) -> None:
        if self._transport is None:
            self._closed.set()
        else:
            self._transport.abort()

    async def close(self, error: ClientError) -> None:
        """Loses the link because of `error`, and waits until its socket is closed."""
        self.lose(error)
        await self._closed.wait()

    # --- lines out ----------------------------------------------------------------------------

    async def ask(self, exchange: Exchange) -> list[bool]:
        """Sends its lines (without line ends) as there is room; the answers, in the same order."""
        for line in exchange.lines:
            await self._take_turn()
            if self.error is not None:
                exchange.fail(self.error)  # no effect if it has failed
                break
            self._send(line, exchange)
        return await exchange.result()

    async def _take_turn(self) -> None:
        while not self._writable.is_set():
            await self._writable.wait()
        await self._turns.take()
        if self.error is not None:
            self._turns.give()

    def _send(self, line: bytes, exchange: Exchange) -> None:
        exchange.sent += 1
        self._unanswered.append(exchange)
        if not self._unwritten:
            self.loop.call_soon(self._flush)
        self._unwritten.append(line)
        self._unwritten_size += len(line)
        if self._unwritten_size >= FLUSH_AT:
            self._flush()

    def _flush(self) -> None:
        """What was sent in one pass of the loop goes out in one write."""
        if self._unwritten and self._transport is not None:
            self._unwritten.append(b"")
            data = b"\n".join(self._unwritten)
            self._unwritten.clear()
            self._unwritten_size = 0
            self._transport.write(data)

    # --- answers in ---------------------------------------------------------------------------

    def _answered(self, answer: bool) -> None:
        if self._doubt is not None:
            self._believe()
        if answer or self._admitted:
            self._pass_on(answer)
        elif self._secret:
            self.lose(self._rejection())
        else:
            self._doubt = self.loop.call_later(DOUBT, self._believe)

    def _pass_on(self, answer: bool) -> None:
        self._admitted = True
        self._turns.give()
        self._unanswered.popleft().answered(answer)

    def _believe(self) -> None:
        """The first `fail` is an answer.

        One that the server closes after asks for the secret that we do not have; taken for an
        answer it would say that nobody is there, push after push.
        """
        if self._doubt is not None and self.error is None:
            self._doubt.cancel()
            self._doubt = None
            self._pass_on(False)

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        sockets.notice_the_dead(transport.get_extra_info("socket"))
        self.resume_writing()
        if self.error is not None:
            self._abort()

    def data_received(self, data: bytes) -> None:
        self.heard = self.loop.time()
        answers = [_ANSWERS.get(line) for line in self._reader.feed(data)]
        for answer in answers:
            if answer is None or not self._unanswered:
                return self._lose_stranger()
            self._answered(answer)
        if self._reader.overrun:
            self._lose_stranger()
        return None

    def _lose_stranger(self) -> None:
        # What it said stays out of the message: an echo would show the secret.
        what = "said something other than the answers to our pushes: is it a text port?"
        self.lose(UnavailableError(f"{self._address} {what}"))

    def eof_received(self) -> None:
        self.lose(self._cut() if self._doubt is None else self._rejection())

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()
        self.eof_received()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # --- fork ---------------------------------------------------------------------------------

    def disown(self) -> None:
        """Forgets, in a child process, the connection that is its parent's; sends it nothing."""
        self.error = UnavailableError(f"the connection to {self._address} is the parent process's")
        if self._transport is not None:
            sockets.give_up(self._transport.get_extra_info("socket"))


def _disown_all() -> None:
    for link in list(_links):
        link.disown()


_links: WeakSet[Link] = WeakSet()
os.register_at_fork(after_in_child=_disown_all)

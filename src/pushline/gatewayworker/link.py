"""One TCP connection to one gateway: frames out, answers in, and for a worker its events."""

import asyncio
import logging
import os
from typing import Final
from weakref import WeakSet

from pushline import sockets
from pushline.codecs.gateway_frames import OURS, AnswerReader, Frame, LinkReader
from pushline.errors import BadFrameError, ClientError, RejectedError, UnavailableError
from pushline.gatewayworker.pipeline import Pipeline
from pushline.gatewayworker.role import KNOCK, KNOWN_TO_US, Role, place_of

log = logging.getLogger(__name__)

BUFFERED: Final = 256 * 1024
"""Bytes that the gateway has not taken, over which frames wait."""
LONGEST: Final = 1 << 28
"""Bytes of one answer or event: what every session of a large gateway takes together."""
GRACE: Final = 1.0
"""Seconds for the gateway to take what was written before a link is closed."""
DOUBT: Final = 1.0
"""Seconds in which a gateway that does not take the key has ended the connection."""

NEVER: Final = float("-inf")


class Link(asyncio.Protocol):
    """Opened once, lost once; belongs to the event loop in which it is made.

    Frames may be given to it before it is open. A client's link is open when the gateway has
    answered a first question. `error` says why it is lost, or ended; `lost` is done when its socket
    is closed; `ours` is whether the gateway is known to be Pushline's.
    """

    def __init__(self, address: str, role: Role) -> None:
        self.loop = asyncio.get_running_loop()
        self.address = address
        self.place = place_of(address)
        self.ours = False
        self.error: ClientError | None = None
        self.lost: asyncio.Future[None] = self.loop.create_future()
        self._role = role
        self._pipeline = Pipeline(str(self))
        self.send = self._pipeline.send
        self.ask = self._pipeline.ask
        self._reader = LinkReader(LONGEST) if role.is_worker else AnswerReader(LONGEST)
        self._transport: asyncio.Transport | None = None
        self._knocked: asyncio.Future[bytes] = self.loop.create_future()
        self._heard = self._greeted = NEVER  # the loop's time
        self._open = False
        self._ended: ClientError | None = None
        _links.add(self)

    def __str__(self) -> str:
        return f"gateway {self.address}"

    @property
    def fault(self) -> ClientError | None:
        """Why it is lost, or will be: the gateway has ended its side."""
        return self.error or self._ended

    # --- from opened to lost ------------------------------------------------------------------

    async def open(self, seconds: float) -> bool:
        """Connect and greet; whether that was taken. Raises nothing: `error` says what failed."""
        try:
            async with asyncio.timeout(seconds):
                await self._connect()
        except TimeoutError:
            self.lose(UnavailableError(f"{self} does not answer within {seconds:g} s"))
        # RuntimeError: at exit the loop may take no more.
        except (OSError, RuntimeError) as error:
            self.lose(UnavailableError(f"{self} cannot be connected to ({_why(error)})"))
        except asyncio.CancelledError:
            self.lose(UnavailableError(f"{self} is not connected to any more"))
            raise
        if self.error is None and self._transport is not None:
            self._open = True
            self._pipeline.open(self._transport.write)
        return self._open

    async def _connect(self) -> None:
        host, _, port = self.address.rpartition(":")
        transport, _ = await self.loop.create_connection(lambda: self, host, int(port))
        if self.error is not None:
            transport.abort()
            return
        self._greet(transport)
        if not self._role.is_worker:
            await asyncio.wait((self._knocked, self.lost), return_when=asyncio.FIRST_COMPLETED)

    def _greet(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        plug = transport.get_extra_info("socket")
        sockets.notice_the_dead(plug, unacknowledged=sockets.UNACKNOWLEDGED)
        transport.set_write_buffer_limits(high=BUFFERED)
        transport.write(self._role.opening)
        self._greeted = self.loop.time()

    def lose(self, error: ClientError) -> None:
        """The end, because of `error`: who waits for an answer has it, nothing more is sent."""
        self._fail(error)
        self._abort()

    def _fail(self, error: ClientError) -> None:
        if self.error is None:
            self.error = error
            self._pipeline.end_frames(error)
            self._pipeline.end_answers(error)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        elif not self.lost.done():
            self.lost.set_result(None)

    async def close(self, seconds: float = GRACE) -> None:
        """End it behind what was written, which the gateway has `seconds` to take."""
        transport = self._transport
        if transport is not None and self._open and self.error is None:
            self.write_eof()
            self._fail(UnavailableError(f"{self}: the link was closed"))
            await asyncio.wait((self.lost,), timeout=seconds)
            if not self.lost.done() and (left := transport.get_write_buffer_size()):
                log.warning("%s has not taken the last %d bytes", self, left)
        self.lose(UnavailableError(f"{self}: the link was closed"))
        await self.lost

    async def knock(self) -> None:
        """Ask whether it is Pushline's; when it has answered, it has taken all that came before.

        Raises ClientError.
        """
        self.ours |= await self.ask(KNOCK) == KNOWN_TO_US

    def overdue(self, since: float) -> None:
        """A question of that time has no answer, and its time is over.

        A client's link that was silent ever since may never say anything again; or the gateway
        does not know the question, and the next answer would be taken for that to this one.
        """
        if self._heard <= since and not self._role.is_worker:
            self.lose(UnavailableError(f"{self} does not answer"))

    # --- what a worker does besides -----------------------------------------------------------

    def write_eof(self) -> None:
        """End our writing side behind what was written; answers and events may still come."""
        self._pipeline.flush()
        self._pipeline.end_frames(UnavailableError(f"{self}: our side of the link has ended"))
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def pause_reading(self) -> None:
        """What was read already still comes."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """After `pause_reading`."""
        if self._transport is not None:
            self._transport.resume_reading()

    # --- answers and events in ----------------------------------------------------------------

    def _answered(self, payload: bytes) -> None:
        if not (self._knocked.done() or self._role.is_worker):
            self._knocked.set_result(payload)
            self.ours = payload == KNOWN_TO_US
        elif not self._pipeline.answered(payload):
            raise BadFrameError("command", "an answer to nothing")

    def _happened(self, event: Frame) -> None:
        if event.flag & OURS:
            self.ours = True
        if self._role.on_event is not None:
            self._role.on_event(self, event)

    # --- asyncio.Protocol ---------------------------------------------------------------------

    # Nothing is done when the connection is made: uvloop closes one that is given up in that moment
    # without telling its protocol.

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        try:
            for unit in self._reader.feed(data):
                if isinstance(unit, bytes):
                    self._answered(unit)
                else:
                    self._happened(unit)
        except BadFrameError as error:
            said = f"{self} said what no gateway says ({error}): is it one?"
            self.lose(UnavailableError(said))

    def eof_received(self) -> bool:
        self._ended = self._end(None)
        if self._role.on_end is None or self.error is not None:
            self.lose(self._ended)
            return False
        ended = UnavailableError(f"{self} has ended its side of the link")
        self._pipeline.end_answers(ended)
        self._role.on_end(self)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(self._ended or self._end(exc))
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        self._pipeline.pause()

    def resume_writing(self) -> None:
        self._pipeline.resume()

    def _end(self, error: Exception | None) -> ClientError:
        if self._heard == NEVER and self.loop.time() - self._greeted < DOUBT:
            return RejectedError(
                f"{self} ended the connection at our greeting: is its key (gateway.secret, PHP's "
                "secretKey) another than ours, or has it all its gateway.connections?"
            )
        if error is not None:
            return UnavailableError(f"{self}: the connection was lost ({_why(error)})")
        return UnavailableError(f"{self} has ended the connection")

    # --- fork ---------------------------------------------------------------------------------

    def disown(self) -> None:
        """Forget, in a child process, the connection that is its parent's; send it nothing."""
        self.error = UnavailableError(f"the connection to {self} is the parent process's")
        if self._transport is not None:
            sockets.give_up(self._transport.get_extra_info("socket"))


def _why(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number and number > 0 else str(error)


def _disown_all() -> None:
    for link in list(_links):
        link.disown()


_links: WeakSet[Link] = WeakSet()
os.register_at_fork(after_in_child=_disown_all)

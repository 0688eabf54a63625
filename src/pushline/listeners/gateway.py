"""GatewayWorker's inner port: clients and workers drive this server, workers hear of browsers."""

import asyncio
import hmac
import logging
from collections.abc import Callable
from typing import Any, cast

import msgspec

from pushline.codecs.gateway_events import HANDED_OVER
from pushline.codecs.gateway_frames import OURS, Cmd, Frame, FrameReader, encode_answer
from pushline.codecs.gateway_requests import Requests, fault_of
from pushline.commands import Command, SendToAll, SendToClient, SendToGroup, SendToUid
from pushline.config import Config
from pushline.errors import BadFrameError, BadNameError, SerializedError
from pushline.listeners.paced import Paced
from pushline.listeners.roster import FULL, Roster, Route, Worker
from pushline.listeners.sockets import UNACKNOWLEDGED, notice_the_dead, peer_of
from pushline.metrics import Metrics
from pushline.node import Node
from pushline.wheel import Wheel

log = logging.getLogger(__name__)

PASS_FRAMES = 1000
"""Frames of one link that are worked off in one pass of the event loop."""
PASS_BYTES = 1 << 20
"""Bytes for one worker in one pass, beyond which its clients wait for the next one."""
MOST_BYTES = 1 << 26
"""Bytes that may wait for a worker that takes nothing. Clients that it has wait with their next
messages, but others come and go, and it is told of all."""
LONGEST_GREETING = 1 << 14
"""Bytes that a peer may send before it has shown the key."""
_GREETINGS = frozenset({Cmd.WORKER_CONNECT, Cmd.CLIENT_CONNECT})
QUERIES = frozenset(
    {
        *(Cmd.ALL_SESSIONS, Cmd.IS_ONLINE, Cmd.CLIENTS_OF_UID, Cmd.CLIENTS_OF_UIDS),
        *(Cmd.SESSIONS_OF_GROUP, Cmd.COUNT_OF_GROUP, Cmd.SELECT, Cmd.GROUP_NAMES),
        *(Cmd.COUNTS_OF_GROUPS, Cmd.GET_SESSION),
    }
)
"""What has to be answered, or every later answer would be taken for another."""
_SENDS = (SendToClient, SendToUid, SendToGroup, SendToAll)
_APP_HAS_EVENTS = "the application in this process has the events: workers get none"


class _Greeting(msgspec.Struct):
    """The body of WORKER_CONNECT and CLIENT_CONNECT; `pushline` marks a worker of ours."""

    worker_key: str = ""
    secret_key: str = ""
    pushline: int = 0


_decode_greeting = msgspec.json.Decoder(_Greeting).decode


class GatewayListener:
    """What all links of the port share. `roster` is None where workers get no events.

    What a peer takes is bounded by `gateway.max_frame`, and before it has shown the key by less.
    """

    def __init__(
        self, config: Config, node: Node, wheel: Wheel, metrics: Metrics, roster: Roster | None
    ) -> None:
        self.node = node
        self.wheel = wheel
        self.metrics = metrics
        self.roster = roster
        self.settings = config.gateway
        self.greeting_ticks = wheel.ticks(config.auth.timeout) + 1
        self.close_ticks = wheel.ticks(config.limits.close_timeout)
        self.links: set[Link] = set()
        self.requests = Requests(node.address)
        self._secret = config.gateway.secret.encode()
        self._warned = False

    def accept(self) -> "Link":
        """The protocol of a connection that was just accepted."""
        return Link(self)

    def open_at(self, address: int) -> None:
        """The first part of all client_ids, 48 bits, once it is known."""
        self.node.move_to(address)
        self.requests = Requests(address)

    def check_key(self, body: bytes) -> _Greeting:
        """Raises BadFrameError for a greeting without the right key."""
        try:
            greeting = _decode_greeting(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise BadFrameError("auth", "a greeting that is not JSON") from None
        if not hmac.compare_digest(greeting.secret_key.encode(), self._secret):
            raise BadFrameError("auth", "a wrong key, or none")
        return greeting

    def enlist(self, link: "Link", greeting: _Greeting) -> Worker | None:
        """A worker is here."""
        if self.roster is None:
            if not self._warned:
                self._warned = True
                log.warning("gateway: worker %.100s: %s", greeting.worker_key, _APP_HAS_EVENTS)
            return None
        peer = link.transport.get_extra_info("peername")
        key = (peer[0] if peer else "", greeting.worker_key)
        name = greeting.worker_key
        log.info("gateway: worker %.100s of %s is here", name, peer_of(link.transport))
        return self.roster.join(key, link, OURS if greeting.pushline else 0)

    def refuse(self, transport: asyncio.BaseTransport, error: BadFrameError) -> None:
        """Count and log what is not taken."""
        self.metrics.refused_links[error.kind] += 1
        # The kind is a part of the form, by which log lines are throttled.
        log.warning(f"gateway: %s: {error.kind}: %s", peer_of(transport), error)


class Link(Paced):
    """One client's or worker's connection: its frames in order, answers and events in theirs."""

    __slots__ = (
        "_fault",
        "_finished",
        "_frames",
        "_greeted",
        "_listener",
        "_out",
        "_over",
        "_reader",
        "_size",
        "_unproven",
        "_worker",
    )

    def __init__(self, listener: GatewayListener) -> None:
        super().__init__(listener.node.outbox)
        self._listener = listener
        self._reader = FrameReader(listener.settings.max_frame)
        self._frames: list[Frame] = []
        self._out: list[bytes] = []
        self._size = 0  # bytes of `_out`
        self._finished = False  # it is sent nothing more
        self._fault: BadFrameError | None = None  # why it ends, once its frames are worked off
        self._greeted = not listener.settings.secret
        self._unproven = 0  # bytes that came before the key
        self._over = False  # it sends nothing more
        self._worker: Worker | None = None

    # --- the connection -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        listener = self._listener
        if len(listener.links) >= listener.settings.connections:
            self._cut(BadFrameError("limit", "over gateway.connections"))
            return
        listener.links.add(self)
        notice_the_dead(transport, unacknowledged=UNACKNOWLEDGED)
        if not self._greeted:
            listener.wheel.schedule(self, listener.greeting_ticks, Link.never_greeted)

    def data_received(self, data: bytes) -> None:
        try:
            self._frames.extend(self._reader.feed(data))
        except BadFrameError as error:
            self._fault = error
        self.work()
        if not self._greeted:
            self._doubt(len(data))

    def eof_received(self) -> bool:
        """It sends nothing more. What a worker was sent until now may still reach it."""
        self._over = True
        self._leave()  # before `work`: nothing is sent to it behind that
        self.work()
        return True

    def resume_writing(self) -> None:
        self._stalled = False
        self._flush()  # which may be too much again
        self.work()

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.wheel.cancel(self)
        self._listener.links.discard(self)
        self._leave()
        self._finish()
        self._frames.clear()
        self._out.clear()

    def never_greeted(self) -> None:
        """The time for the key is over."""
        self._cut(BadFrameError("auth", "has not sent its key in time"))

    def close(self) -> None:
        """Send what waits, then end."""
        self._frames.clear()
        self._write()
        self._leave()  # what its clients do while it ends is for another
        self._finish()
        self.transport.close()
        self._listener.wheel.schedule(self, self._listener.close_ticks, Link.abort)

    def abort(self) -> None:
        """End it now."""
        self.transport.abort()

    # --- to it ----------------------------------------------------------------------------------

    @property
    def stalled(self) -> bool:
        """It does not take what it is sent, or not all of it at once."""
        return self._stalled or self._size > PASS_BYTES

    def post(self, frame: bytes) -> None:
        """Send a frame with all others of this pass of the event loop, in their order."""
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(frame)
        self._size += len(frame)
        if self._size > MOST_BYTES and self._stalled:
            self._cut(BadFrameError("limit", "does not take what it is told"))

    def hand_over(self, *, ours: bool) -> None:
        """Another has this worker's clients. PHP's sees that by the end of our side; ours is told,
        so that the end of our side can say, later, that all has been taken."""
        if ours:
            self.post(HANDED_OVER)
            return
        self._write()
        self._finished = True
        if not self.transport.is_closing():
            self.transport.write_eof()

    def _flush(self) -> None:
        if self._stalled:
            return
        self._write()
        if self._worker is not None and self._worker.stuck:
            self._worker.roster.unstick(self._worker)

    def _write(self) -> None:
        """All that waits, or nothing where it would not be taken any more."""
        out, self._out, self._size = self._out, [], 0
        if out and not self._finished and not self.transport.is_closing():
            self.transport.write(b"".join(out))

    # --- from it --------------------------------------------------------------------------------

    def take(self) -> bool:
        frames = self._frames
        done = 0
        try:
            for frame in frames[:PASS_FRAMES]:
                if self._outbox.credit <= 0 or not self._carry_out(frame):
                    break
                done += 1
        except BadFrameError as error:
            self._end(error)
            return False
        del frames[:done]
        return bool(frames)

    def caught_up(self) -> None:
        if self.transport.is_closing():
            return
        if self._fault is not None:
            self._end(self._fault)
        elif self._over:
            self.close()
        else:
            super().caught_up()

    def _carry_out(self, frame: Frame) -> bool:
        """False where it has to wait for the next pass. Raises BadFrameError to end the link."""
        listener, outbox = self._listener, self._outbox
        decode = listener.requests.by_command.get(frame.cmd)
        if decode is None or not self._greeted:
            self._manage(frame)
            return True
        try:
            command, answer = decode(frame)
            if (outbox.lane_full or outbox.held) and self._must_wait(command):
                return False
            result = listener.node.execute(command)
        except (BadFrameError, BadNameError, SerializedError) as error:
            self._leave_out(frame, fault_of(error))
            return True
        if answer is not None:
            payload = encode_answer(answer(result))
            outbox.credit -= len(frame.ext) + len(payload)  # by which goes what it took
            self.post(payload)
        return True

    def _must_wait(self, command: Command[Any]) -> bool:
        return isinstance(command, _SENDS) and self._listener.node.must_wait(command)

    def _manage(self, frame: Frame) -> None:
        """What is the link's own. Raises BadFrameError to end the link."""
        if not self._greeted and frame.cmd not in _GREETINGS:
            raise BadFrameError("auth", "a command before the key")
        manage = _LINK.get(frame.cmd)
        if manage is None:
            unknown = BadFrameError("command", f"there is no command {frame.cmd}")
            self._listener.refuse(self.transport, unknown)
        else:
            manage(self, frame)

    def _leave_out(self, frame: Frame, error: BadFrameError) -> None:
        """Raises it where an answer is due that there is none of."""
        if frame.cmd in QUERIES:
            raise error
        self._listener.refuse(self.transport, error)

    def _greet(self, frame: Frame) -> None:
        greeting = self._listener.check_key(frame.body)
        self._greeted = True
        self._listener.wheel.cancel(self)
        if frame.cmd == Cmd.WORKER_CONNECT and self._may_have_clients:
            self._worker = self._listener.enlist(self, greeting)

    @property
    def _may_have_clients(self) -> bool:
        return self._worker is None and not self._finished and not self._over

    def _pause(self, frame: Frame) -> None:
        if (route := self._route(frame)) is not None and route.worker is not None:
            route.worker.roster.pause(route, FULL)

    def _resume(self, frame: Frame) -> None:
        if (route := self._route(frame)) is not None and route.worker is not None:
            route.worker.roster.resume(route, FULL)

    def _let_go(self, frame: Frame) -> None:
        if self._worker is not None:
            self._leave()
            self.hand_over(ours=True)

    def _route(self, frame: Frame) -> Route | None:
        """That of one of this worker's clients."""
        connection = self._listener.node.hub.connections.get(frame.connection_id)
        route = connection.state if connection is not None else None
        return route if isinstance(route, Route) and route.worker is self._worker else None

    def _ping(self, frame: Frame) -> None:
        """A sign of life."""

    def _leave(self) -> None:
        if self._worker is not None:
            self._worker.roster.leave(self._worker)

    def _finish(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.roster.finished(worker)

    def _doubt(self, size: int) -> None:
        """It has sent so much more, and not its key."""
        self._unproven += size
        if self._unproven > LONGEST_GREETING and not self._frames:
            self._cut(BadFrameError("auth", "has not sent its key first"))

    def _end(self, error: BadFrameError) -> None:
        """End it because of what it has sent, behind the answers to what came before."""
        if self._greeted:
            self._listener.refuse(self.transport, error)
            self.close()
        else:
            self._cut(error)

    def _cut(self, error: BadFrameError) -> None:
        """End it without a word."""
        if not self.transport.is_closing():
            self._frames.clear()
            self._listener.refuse(self.transport, error)
            self.transport.abort()


_LINK: dict[int, Callable[[Link, Frame], None]] = {
    Cmd.WORKER_CONNECT: Link._greet,
    Cmd.CLIENT_CONNECT: Link._greet,
    Cmd.PAUSE: Link._pause,
    Cmd.RESUME: Link._resume,
    Cmd.LEAVE: Link._let_go,
    Cmd.PING: Link._ping,
}
"""Commands that are the link's own."""

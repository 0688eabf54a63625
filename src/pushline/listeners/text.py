"""The port for back ends: each line of JSON is a push, each answered with `ok` or `fail`."""

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from typing import cast

from pushline.cluster.pushes import Pending, Pushes
from pushline.codecs import push_json
from pushline.codecs.greeting import Greeting
from pushline.codecs.lines import LineReader
from pushline.commands import SendToAll, SendToUid, Sent
from pushline.config import Config
from pushline.errors import BadLineError
from pushline.listeners.answers import Answers
from pushline.listeners.paced import Paced
from pushline.listeners.sockets import is_unix, notice_the_dead, peer_of
from pushline.metrics import Metrics
from pushline.node import Node
from pushline.wheel import Wheel

log = logging.getLogger(__name__)

OK, FAIL = b"ok\n", b"fail\n"
PASS_LINES = 1000
"""Lines of one back end that are worked off in one pass of the event loop."""
TOO_LONG = BadLineError("length", "a line over text.max_line")
HTTP_REQUEST = BadLineError("http", "an HTTP request: a web page must not push")
HTTP = (
    *(b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"PATCH "),
    *(b"CONNECT ", b"OPTIONS ", b"TRACE ", b"Host:", b"host:"),
)


def decode_to_users(line: bytes) -> SendToUid:
    """As `push_json.decode`, where `text.broadcast` is off."""
    command = push_json.decode(line)
    if isinstance(command, SendToAll):
        raise BadLineError("name", "an empty uid, and text.broadcast is off")
    return command


class TextListener:
    """What all connections of the port share; in a cluster `pushes` go to all of it."""

    def __init__(
        self,
        config: Config,
        node: Node,
        wheel: Wheel,
        metrics: Metrics,
        pushes: Pushes | None = None,
    ) -> None:
        self.node = node
        self.clustered = pushes is not None
        self.push: Callable[[SendToUid | SendToAll], Sent | Pending]
        self.push = node.execute if pushes is None else pushes.push
        self.outbox = node.outbox
        self.wheel = wheel
        self.metrics = metrics
        self.settings = config.text
        self.decode = push_json.decode if config.text.broadcast else decode_to_users
        self.greeting_ticks = wheel.ticks(config.auth.timeout) + 1
        self.close_ticks = wheel.ticks(config.limits.close_timeout)
        self.back_ends: set[BackEnd] = set()

    def accept(self) -> "BackEnd":
        """The protocol of a connection that was just accepted."""
        return BackEnd(self)

    def admit(self, transport: asyncio.BaseTransport) -> Greeting | None:
        """What has to come first from this peer; raises BadLineError where it may not be here."""
        if len(self.back_ends) >= self.settings.connections:
            raise BadLineError("limit", "over text.connections")
        trusted = self._trusts(transport)
        if self.settings.secret:
            return Greeting(self.settings.secret, required=not trusted)
        if self.settings.trusted_networks and not trusted:
            raise BadLineError("auth", "not from text.trusted_networks")
        return None

    def refuse(self, transport: asyncio.BaseTransport, error: BadLineError) -> None:
        """Count and log what is not taken."""
        self.metrics.bad_lines[error.kind] += 1
        # The kind is a part of the form, by which log lines are throttled.
        log.warning(f"text: %s: {error.kind}: %s", peer_of(transport), error)

    def answer(self, command: SendToUid | SendToAll, result: Sent | Pending) -> bytes | Pending:
        """To a push that nobody here got."""
        return result if isinstance(result, Pending) else self._nobody(command)

    def _nobody(self, command: SendToUid | SendToAll) -> bytes:
        if isinstance(command, SendToAll):
            return OK
        self.metrics.offline += 1
        return FAIL

    def answer_late(self, pending: Pending) -> bytes:
        """To one that others had to be asked about; `fail` too where that is not known."""
        if pending.exception() is not None:
            return FAIL
        answer = OK if pending.result().delivered else self._nobody(pending.send)
        self.metrics.pushes += answer is OK
        return answer

    def _trusts(self, transport: asyncio.BaseTransport) -> bool:
        if is_unix(transport):
            return not self.settings.secret  # its file decides who may be here
        peer = transport.get_extra_info("peername")
        if peer is None:
            return False  # gone already; its bytes may be here all the same
        address = ipaddress.ip_address(peer[0].partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self.settings.trusted_networks)


class BackEnd(Paced):
    """One back end's connection: its lines in order, its answers in the same."""

    __slots__ = (
        "_answers",
        "_ended",
        "_fault",
        "_greeting",
        "_lines",
        "_listener",
        "_over",
        "_reader",
    )

    def __init__(self, listener: TextListener) -> None:
        super().__init__(listener.outbox)
        self._listener = listener
        self._reader = LineReader(listener.settings.max_line)
        self._lines: list[bytes] = []
        self._answers = Answers(listener.answer_late, self.work)
        self._greeting: Greeting | None = None
        self._fault = TOO_LONG  # why the connection ends, once the reader takes nothing more
        self._ended = False  # it has been told that nothing more is taken
        self._over = False  # it sends nothing more, and still waits for answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = self._answers.transport = cast(asyncio.Transport, transport)
        listener = self._listener
        try:
            self._greeting = listener.admit(transport)
        except BadLineError as error:
            listener.refuse(transport, error)
            self.transport.abort()
            return
        listener.back_ends.add(self)
        notice_the_dead(transport)
        self.transport.set_write_buffer_limits(high=listener.settings.pipeline * len(OK))
        if self._greeting is not None and self._greeting.required:
            listener.wheel.schedule(self, listener.greeting_ticks, BackEnd.never_greeted)

    def data_received(self, data: bytes) -> None:
        if self._greeting is not None:
            data = self._greet(self._greeting, data)
        self._lines.extend(self._reader.feed(data))
        self.work()

    def eof_received(self) -> bool:
        """It sends nothing more; what it is still to be told, it has a while to read."""
        self._over = len(self._answers) > 0
        if not self._over:
            self._listener.wheel.schedule(self, self._listener.close_ticks, BackEnd.abort)
        return self._over

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.wheel.cancel(self)
        self._listener.back_ends.discard(self)
        self._lines.clear()
        self._answers.clear()

    def close(self) -> None:
        """Send the answers that wait, then end; nothing more is read."""
        self._lines.clear()
        self._answers.clear()
        self._reader.overrun = True
        self.transport.close()
        self._listener.wheel.schedule(self, self._listener.close_ticks, BackEnd.abort)

    def never_greeted(self) -> None:
        """The time for the secret is over."""
        self._listener.refuse(self.transport, BadLineError("auth", "no secret in auth.timeout"))
        self.abort()

    def abort(self) -> None:
        """End it now."""
        self.transport.abort()

    def _greet(self, greeting: Greeting, data: bytes) -> bytes:
        """The bytes behind the greeting, once it is there."""
        try:
            greeted = greeting.feed(data)
        except BadLineError as error:
            self._greeting = None
            self._cut(HTTP_REQUEST if greeting.seen.startswith(HTTP) else error)
            return b""
        if greeted is None:
            return b""
        self._greeting = None
        self._listener.wheel.cancel(self)
        answer, rest = greeted
        self.transport.write(answer)
        return rest

    def caught_up(self) -> None:
        waiting = len(self._answers)
        if waiting >= self._listener.settings.pipeline:
            self.transport.pause_reading()
        elif self._reader.overrun:
            if not waiting and not self._ended:
                self._finish()
        elif not self._over:
            super().caught_up()
        elif not waiting:
            self.close()

    def _finish(self) -> None:
        """Nothing more can be taken from this peer."""
        self._listener.refuse(self.transport, self._fault)
        if self._fault is HTTP_REQUEST:
            self.close()
        else:
            self._dismiss()

    def _dismiss(self) -> None:
        """`fail`, and the end of our side. What still comes is read and dropped: left unread, it
        would make the end a reset, which can destroy the answers on their way."""
        self._ended = True
        self.transport.write(FAIL)
        self.transport.write_eof()
        self.transport.resume_reading()
        self._listener.wheel.schedule(self, self._listener.close_ticks, BackEnd.abort)

    def take(self) -> bool:
        answers: list[bytes | Pending] = []
        lines, listener = self._lines, self._listener
        outbox, decode, push = listener.outbox, listener.decode, listener.push
        for line in lines[:PASS_LINES]:
            if outbox.credit <= 0:
                break
            try:
                command = decode(line)
                if (outbox.lane_full or outbox.held) and listener.node.must_wait(command):
                    break
                result = push(command)
                answers.append(OK if result.delivered else listener.answer(command, result))
            except BadLineError as error:
                if line.startswith(HTTP):
                    self._cut(HTTP_REQUEST)
                    break
                answers.append(FAIL)
                listener.refuse(self.transport, error)
        del lines[: len(answers)]
        self._give(answers)
        return bool(lines)

    def _give(self, answers: list[bytes | Pending]) -> None:
        self._listener.metrics.pushes += answers.count(OK)
        if self._listener.clustered:
            self._answers.give(answers)
        else:
            self.transport.write(b"".join(cast(list[bytes], answers)))

    def _cut(self, fault: BadLineError) -> None:
        """Take nothing more: once the answers are out, the connection ends for this reason."""
        self._lines.clear()
        self._reader.overrun = True
        self._fault = fault

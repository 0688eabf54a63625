"""The write side: frames wait in a list for each connection and go out once for each loop pass.

All that is sent to a connection in one pass of the event loop costs one system call; a lone
message waits for nothing. Connections that a targeted send made dirty are flushed whole and first
in each pass, those that only a fan-out made dirty a slice at a time, so that a broadcast to many
delays nobody else. There is one list for each connection, so the order is that of the sends.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection

from pushline.messages import Encode, Frames, Message
from pushline.metrics import Metrics
from pushline.wheel import Item

FEW = 64
"""A send to more connections than this is a fan-out."""
SLICE = 100
"""Connections of the fan-out lane that one pass flushes,"""
SLICE_BYTES = 1 << 20
"""and the bytes after which it stops earlier."""
PASS_CREDIT = 1 << 18
"""Bytes of messages that back ends may send in one pass: they could all go to one connection."""
ENQUEUE_COST = 13
"""Of that credit, for each connection that a message goes to: 20,000 of them in one pass."""
LANE_BYTES = 1 << 18
"""Bytes of fan-outs that may wait for the lane before back ends wait with further ones."""
LANE_FRAMES = 4_000_000
"""Likewise their entries in all connections' lists, 8 bytes each, where messages are small."""
FRAME_COST = 64
"""Bytes of memory that a frame takes besides its own, counted against the limit of a queue."""

PATIENCE = 0.25
"""Seconds that back ends wait for a reader that has only just stopped taking what is sent."""

CLEAN, FANNED, TARGETED, BLOCKED = range(4)
"""Nothing to flush; in the fan-out lane; in the targeted lane; not to be flushed."""


class Writer(Item):
    """The write side of one connection, with flow control."""

    __slots__ = ("encode", "lane", "outbox", "pending", "transport")

    def __init__(self, transport: asyncio.WriteTransport, outbox: "Outbox", encode: Encode) -> None:
        self.transport = transport
        self.outbox = outbox
        self.encode = encode
        self.lane = CLEAN
        self.pending: list[bytes] = NOTHING
        self.slot = None

    @property
    def sealed(self) -> bool:
        """Whatever is sent to it is dropped."""
        return self.pending is SINK

    def flush(self) -> int:
        """Write all that waits; returns its bytes."""
        pending = self.pending
        if self.lane == BLOCKED or not pending:
            return 0
        self.lane = CLEAN
        self.pending = NOTHING
        data = pending[0] if len(pending) == 1 else b"".join(pending)
        self.transport.write(data)
        return len(data)

    def pause(self) -> None:
        """The peer does not keep up: from now on frames are held as references, and counted."""
        if not self.sealed:
            self.lane = BLOCKED
            self.pending = held = Held(self)
            self.outbox.held += 1
            if held.over():  # by what was sent in one go: nothing more may ever be appended
                self.outbox.after_patience(held.judge)

    def resume(self) -> None:
        """The peer has caught up."""
        if isinstance(self.pending, Held):
            self.pending = list(self.pending)
            self.lane = CLEAN
            self.outbox.held -= 1
            self.flush()

    def seal(self) -> bytes:
        """What still waits, for the caller to write; what is sent from now on is dropped."""
        waiting, self.pending = self.pending, SINK
        self.lane = BLOCKED
        self.outbox.held -= isinstance(waiting, Held)
        return b"".join(waiting)

    def strained(self, size: int) -> bool:
        """Whether a message of `size` bytes would end it, and it has only just stopped reading."""
        return isinstance(self.pending, Held) and self.pending.strained(size)

    def overflow(self) -> None:
        """More waits than `limits.queue` allows: whoever owns the connection ends it."""
        raise NotImplementedError


class Held(list[bytes]):
    """The list of a writer whose peer does not keep up; it may not grow beyond the limit."""

    __slots__ = ("_since", "_size", "_writer")

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer.pending)
        self._writer = writer
        self._size = sum(map(len, writer.pending)) + FRAME_COST * len(writer.pending)
        self._since = writer.outbox.time()

    def append(self, frame: bytes) -> None:
        super().append(frame)
        self._size += len(frame) + FRAME_COST
        self.judge()

    def judge(self) -> None:
        """End a writer that holds too much."""
        writer = self._writer
        if writer.pending is self and self.over():
            writer.outbox.overflows += 1
            writer.overflow()

    def strained(self, size: int) -> bool:
        """As the writer's."""
        return self.over(size) and self._writer.outbox.time() - self._since < PATIENCE

    def over(self, size: int = 0) -> bool:
        """Whether it would be too much with `size` bytes more."""
        writer = self._writer
        total = self._size + size + writer.transport.get_write_buffer_size()
        return total > writer.outbox.limit


class Sink(list[bytes]):
    """The list of a sealed writer: always empty."""

    def append(self, frame: bytes) -> None:
        pass


SINK = Sink()
NOTHING: list[bytes] = []
"""The list of every clean writer; the first frame that is enqueued brings a list of its own."""


class Outbox:
    """Both lanes of one event loop. `limit` is `limits.queue`, in bytes for each connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int, metrics: Metrics) -> None:
        self.limit = limit
        self.overflows = 0
        """Connections whose limit was exceeded, ever."""
        self.held = 0
        """Connections that do not keep up at the moment."""
        self.time = loop.time
        self._loop = loop
        self._metrics = metrics
        self._targeted: list[Writer] = []
        self._fanned: deque[Writer] = deque()
        self._awake = False
        self._waiting: list[Callable[[], None]] = []
        self._starved: list[Callable[[], None]] = []
        self._lane_bytes = self._lane_frames = 0
        self.lane_full = False
        """Further fan-outs have to wait for the earlier ones."""
        self.credit = PASS_CREDIT
        """What back ends may still send in this pass; from 0 on they wait for the next."""

    def after_pass(self, callback: Callable[[], None], *, starved: bool = False) -> None:
        """Have `callback` called once, when this pass has been flushed; for who has had nothing of
        its credit, before the others."""
        (self._starved if starved else self._waiting).append(callback)
        self._wake()

    def after_patience(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when a reader that has only just stopped has had its time."""
        self._loop.call_later(PATIENCE, callback)

    def post(self, writer: Writer, frame: bytes) -> None:
        """Enqueue one ready frame for one connection."""
        if writer.lane:
            writer.pending.append(frame)
        else:
            writer.pending = [frame]
        if writer.lane < TARGETED:
            writer.lane = TARGETED
            self._targeted.append(writer)
            if not self._awake:
                self._wake()

    def send(self, writers: Collection[Writer], message: Message) -> int:
        """Enqueue `message` for each of `writers`; returns how many took it."""
        count = len(writers)
        self.credit -= len(message.data) + count * ENQUEUE_COST
        if count == 1:
            (writer,) = writers
            self.post(writer, writer.encode(message))
            taken = 1 if writer.pending is not SINK else 0
        elif count <= FEW:
            taken = self._send_to_few(tuple(writers), message)
        else:
            taken = self._fan_out(tuple(writers), message)
        self._metrics.deliveries += taken
        return taken

    # Both get a copy of the members: one that overflows leaves its index.

    def _send_to_few(self, writers: tuple[Writer, ...], message: Message) -> int:
        overflows, frames = self.overflows, Frames(message)
        for writer in writers:
            self.post(writer, frames[writer.encode])
        return len(writers) - (self.overflows - overflows)

    def _fan_out(self, writers: tuple[Writer, ...], message: Message) -> int:
        overflows, frames = self.overflows, Frames(message)
        self._lane_bytes += len(message.data)
        self._lane_frames += len(writers)
        self.lane_full = self._lane_bytes > LANE_BYTES or self._lane_frames > LANE_FRAMES
        fanned = self._fanned
        encode, frame = None, b""
        for writer in writers:
            if writer.encode is not encode:
                encode = writer.encode
                frame = frames[encode]
            if writer.lane:
                writer.pending.append(frame)
            else:
                writer.pending = [frame]
                writer.lane = FANNED
                fanned.append(writer)
        self._wake()
        return len(writers) - (self.overflows - overflows)

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            self._loop.call_soon(self._pass)

    def _pass(self) -> None:
        self._awake = False
        self.credit = PASS_CREDIT
        waiting = self._starved + self._waiting
        self._starved, self._waiting = [], []
        for callback in waiting:  # in the next pass, when the loop has seen who reads
            self._loop.call_soon(callback)
        targeted, self._targeted = self._targeted, []
        for writer in targeted:
            writer.flush()
        self._flush_slice()

    def _flush_slice(self) -> None:
        fanned = self._fanned
        written = 0
        for _ in range(min(SLICE, len(fanned))):
            written += fanned.popleft().flush()
            if written > SLICE_BYTES:
                break
        if fanned:
            self._wake()
        else:
            self._lane_bytes = self._lane_frames = 0
            self.lane_full = False

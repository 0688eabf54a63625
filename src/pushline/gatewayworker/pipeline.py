"""Frames out in the order of the calls, and answers back to who asked, in the same order."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pushline.errors import ClientError, UnavailableError

FLUSH_AT: Final = 64 * 1024
"""Bytes of frames that are written without waiting for the end of the loop's pass."""
IN_FLIGHT: Final = 10_000
"""Questions without an answer yet; more wait."""
WAITING: Final = 10_000
"""Frames that wait; more are refused."""


class _Waiting(NamedTuple):
    frame: bytes
    done: "asyncio.Future[Any]"
    is_question: bool


class Pipeline:
    """Frames of one pass of the loop go out in one `write`. Frames wait, in their order, until it
    flows: while the link is not open yet, and while the other side does not read.

    `name` is whom errors are about. Create it in a running event loop.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._write_out: Callable[[bytes], object] | None = None
        self._flowing = False
        self._no_frames: ClientError | None = None
        self._no_answers: ClientError | None = None
        self._unanswered: deque[asyncio.Future[bytes]] = deque()
        self._waiting: deque[_Waiting] = deque()
        self._unwritten: list[bytes] = []
        self._unwritten_size = 0

    # --- frames -------------------------------------------------------------------------------

    def send(self, frame: bytes) -> "asyncio.Future[None] | None":
        """Send frames that have no answer; None, or what is done when they are written.

        To cancel what waits is to take it back. Raises UnavailableError or RejectedError where
        nothing is sent any more, and UnavailableError where too many wait.
        """
        if self._has_room:
            self._write(frame)
            return None
        return self._wait(frame, is_question=False)

    def ask(self, frame: bytes) -> "asyncio.Future[bytes]":
        """Send a question; what will be its answer's payload. Raises as `send` does."""
        if self._no_answers is not None:
            raise again(self._no_answers)
        if self._has_room:
            answer: asyncio.Future[bytes] = self._loop.create_future()
            self._ask(frame, answer)
            return answer
        return self._wait(frame, is_question=True)

    @property
    def _has_room(self) -> bool:
        return self._flowing and not self._waiting and len(self._unanswered) < IN_FLIGHT

    def _wait(self, frame: bytes, *, is_question: bool) -> "asyncio.Future[Any]":
        if self._no_frames is not None:
            raise again(self._no_frames)
        while self._waiting and self._waiting[0].done.done():
            self._waiting.popleft()  # taken back
        if len(self._waiting) >= WAITING:
            raise UnavailableError(
                f"{WAITING} calls wait for {self._name} already, which takes no more before it has "
                "read and answered what it has: is it stuck, or are too many made at a time?"
            )
        waiting = _Waiting(frame, self._loop.create_future(), is_question)
        self._waiting.append(waiting)
        return waiting.done

    def _drain(self) -> None:
        """Write what waits, as far as there is room."""
        while self._waiting and self._flowing and len(self._unanswered) < IN_FLIGHT:
            frame, done, is_question = self._waiting.popleft()
            if done.done():
                continue  # taken back
            if is_question:
                self._ask(frame, done)
            else:
                self._write(frame)
                done.set_result(None)

    def _ask(self, frame: bytes, answer: "asyncio.Future[bytes]") -> None:
        self._unanswered.append(answer)
        self._write(frame)

    def _write(self, frame: bytes) -> None:
        if not self._unwritten:
            self._loop.call_soon(self.flush)
        self._unwritten.append(frame)
        self._unwritten_size += len(frame)
        if self._unwritten_size >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Write what is held for the end of this pass of the loop."""
        if self._unwritten and self._write_out is not None:
            data = b"".join(self._unwritten)
            self._unwritten.clear()
            self._unwritten_size = 0
            self._write_out(data)

    # --- what the link says -------------------------------------------------------------------

    def open(self, write: Callable[[bytes], object]) -> None:
        """From now on frames are given to `write`."""
        self._write_out = write
        self.resume()

    def pause(self) -> None:
        """The other side does not read."""
        self._flowing = False

    def resume(self) -> None:
        """It does again."""
        self._flowing = self._write_out is not None and self._no_frames is None
        self._drain()

    def answered(self, payload: bytes) -> bool:
        """The next answer has come; False if there is no question to it."""
        if not self._unanswered:
            return False
        answer = self._unanswered.popleft()
        if not answer.done():  # its caller may not wait any more
            answer.set_result(payload)
        if self._waiting:
            self._drain()
        return True

    def end_frames(self, error: ClientError) -> None:
        """Nothing more is sent, because of `error`; what is in flight is still answered."""
        if self._no_frames is None:
            self._no_frames = error
            self._flowing = False
            for waiting in self._waiting:
                _fail(waiting.done, again(error, "; it was sent nothing of this"))
            self._waiting.clear()
            self._unwritten.clear()

    def end_answers(self, error: ClientError) -> None:
        """No answer comes any more, because of `error`."""
        if self._no_answers is None:
            self._no_answers = error
            for answer in self._unanswered:
                _fail(answer, again(error))
            self._unanswered.clear()


def again(error: ClientError, more: str = "") -> ClientError:
    """For one more of those whom it concerns: what is raised gets a traceback of its own."""
    return type(error)(f"{error}{more}")


def _fail(done: "asyncio.Future[Any]", error: ClientError) -> None:
    if not done.done():
        done.set_exception(error)

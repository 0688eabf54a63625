"""Standard error, which a thread writes to: nobody waits for who reads it, or does not."""

import atexit
import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Iterable

log = logging.getLogger(__name__)

STANDARD_ERROR = 2
MOST = 1000
"""Texts that wait for who reads them."""
PATIENCE = 0.25
"""Seconds in which they are read in any case, if anybody reads; less than the last moment that a
process has for its end."""


class Output:
    """Writes texts to a descriptor, in their order.

    While nobody reads, MOST of them are kept, and those behind are only counted: until all that
    were kept are written, then the log says how many. A process that was forked writes its texts
    itself: it has no such thread, and may end without notice.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._kept: deque[str] = deque()
        """The first one is being written."""
        self._left_out = 0
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> None:
        """Have it written, if there is room."""
        if self._was_forked():
            self._put(text)
            return
        with self._changed:
            if self._left_out or len(self._kept) >= MOST:
                self._left_out += 1
                return
            self._kept.append(text)
            self._changed.notify_all()
            self._have_thread()

    def settle(self) -> None:
        """Wait until all is written, but not for long."""
        if self._was_forked():
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._kept, PATIENCE)

    def _was_forked(self) -> bool:
        return os.getpid() != self._process

    def _have_thread(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="pushline-output", daemon=True)
            thread.start()  # where that fails, the next text tries again
            self._thread = thread

    def _run(self) -> None:
        while True:
            self._put(self._first())
            if left_out := self._written():
                log.error("%d log lines were left out: nobody read those before them", left_out)

    def _first(self) -> str:
        with self._changed:
            self._changed.wait_for(lambda: self._kept)
            return self._kept[0]

    def _written(self) -> int:
        """The first one is; gives how many were left out behind the last one."""
        with self._changed:
            self._kept.popleft()
            self._changed.notify_all()
            if self._kept:
                return 0
            left_out, self._left_out = self._left_out, 0
            return left_out

    def _put(self, text: str) -> None:
        """Past `sys.stderr`, whose lock the interpreter wants at its end."""
        rest = memoryview(text.encode(errors="backslashreplace"))
        with contextlib.suppress(OSError):  # nobody can read it any more
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]


OUTPUT = Output(STANDARD_ERROR)
atexit.register(OUTPUT.settle)


def say(lines: Iterable[str]) -> None:
    """Show lines at standard error, in their turn among those of the log."""
    OUTPUT.write("".join(f"{line}\n" for line in lines))

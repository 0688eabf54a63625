"""Somebody who is pushed to all the time, through another node, and must not notice anything."""

import contextlib
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from tests.cluster.nodes import log_in, until_reached
from tests.faults.back_end import BackEnd, push_line
from tests.faults.unharmed import IN_TIME, wait_until
from tests.server import Server

PACE = 0.002
"""Seconds between pushes."""


class Traffic:
    """From a back end at one node to a browser at another; `pushes` have come so far."""

    def __init__(self, there: Server, here: Server, uid: str) -> None:
        self.pushes = 0
        self._uid = uid
        self._browser = log_in(here, uid)
        self._back_end = BackEnd(there.text)
        self._error: BaseException | None = None
        self._worst = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        until_reached(self._back_end, self._uid)
        self._browser.settle()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._browser.disconnect()
        self._back_end.disconnect()
        if error is None:
            self.check()

    def check(self) -> None:
        """Raises what went wrong so far."""
        if self._error is not None:
            raise AssertionError(f"{self._uid} has lost the service") from self._error
        assert self._worst < IN_TIME, f"a push took {self._worst:.1f} s"

    def goes_on(self) -> None:
        """Wait until it has gone on from here."""
        goal = self.pushes + 2
        wait_until(lambda: self.pushes >= goal or self._error is not None)
        self.check()

    def _run(self) -> None:
        try:
            while not self._stopped.wait(PACE):
                self._push()
        except BaseException as error:
            self._error = error

    def _push(self) -> None:
        line = push_line(self._uid, number=self.pushes)
        started = time.monotonic()
        assert self._back_end.push(line), "a push to a connected user was not taken"
        message = self._browser.message()
        assert message == line, f"{message!r} came instead of {line!r}"
        self._worst = max(self._worst, time.monotonic() - started)
        self.pushes += 1


@contextlib.contextmanager
def under_load(server: Server, *uids: str) -> Iterator[None]:
    """Pushes to these users without a pause, whatever becomes of them."""
    stopped = threading.Event()
    lines = b"".join(push_line(uid, load=True) + b"\n" for uid in uids) * 20

    def push() -> None:
        with BackEnd(server.text) as back_end, contextlib.suppress(ConnectionError):
            while not stopped.is_set():
                back_end.send(lines)
                for _ in range(lines.count(b"\n")):
                    back_end.answer()

    thread = threading.Thread(target=push, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()

"""What has to hold after every fault: the server lives, serves, and has let go of everything."""

import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

from tests.browser import DEADLINE, connect
from tests.faults.back_end import BackEnd, push_line
from tests.server import Server

IN_TIME = 2.0
"""Seconds that a push to a healthy client may take on a busy machine; it takes one millisecond."""
PACE = 0.005
"""Seconds between its pushes."""
MEMORY = 8 << 20
"""Bytes by which a process may have grown: what the allocator keeps, far less than a leak."""
POLL = 0.01
SAME = 4
"""Equal readings in a row that are taken for a state."""


def wait_until(condition: Callable[[], bool], deadline: float = DEADLINE) -> None:
    """Raises TimeoutError where the condition has not come true by then."""
    until = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("what was waited for has not come true")
        time.sleep(POLL)


class Readings(NamedTuple):
    """What a server holds."""

    open_sockets: int
    connections: int
    users: int
    back_ends: int
    descriptors: int
    resident: int

    @property
    def gauges(self) -> tuple[int, ...]:
        return self[:4]

    def no_more_than(self, other: "Readings", memory: int) -> bool:
        """Exactly the same gauges, no more descriptors, at most `memory` bytes more."""
        return (
            self.gauges == other.gauges
            and self.descriptors <= other.descriptors
            and self.resident <= other.resident + memory
        )


def read(server: Server) -> Readings:
    descriptors = server.descriptors()  # first: asking for the metrics takes one for a moment
    metrics = server.metrics()
    return Readings(
        open_sockets=int(metrics["open_sockets"]),
        connections=int(metrics["connections"]),
        users=int(metrics["users"]),
        back_ends=int(metrics["back_ends"]),
        descriptors=descriptors,
        resident=server.resident(),
    )


def settled(server: Server) -> Readings:
    """Readings whose gauges have stopped changing, and the fewest descriptors meanwhile."""
    readings = [read(server)]

    def stand_still() -> bool:
        readings.append(read(server))
        return len(readings) > SAME and len({each.gauges for each in readings[-SAME:]}) == 1

    wait_until(stand_still)
    fewest = min(each.descriptors for each in readings[-SAME:])
    return readings[-1]._replace(descriptors=fewest)


class Healthy:
    """A client that behaves, pushed to all the time; `worst` is its slowest push in seconds."""

    def __init__(self, server: Server, *, tls: ssl.SSLContext | None, secret: str) -> None:
        self.worst = 0.0
        self._browser = connect(server.websocket, tls=tls).login("healthy", utype="healthy")
        self._browser.settle()
        self._back_end = BackEnd(server.text, secret=secret)
        self._turn = threading.Condition()
        self._pushes = 0
        self._error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
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
            raise AssertionError("the healthy client lost its service") from self._error
        assert self.worst < IN_TIME, f"a healthy client's push took {self.worst:.1f} s"

    def serve_more(self) -> None:
        """Wait for two pushes, of which the second at least was made after this call."""
        with self._turn:
            goal = self._pushes + 2
            served = self._turn.wait_for(lambda: self._pushes >= goal or self._error, DEADLINE)
        self.check()
        assert served, "the healthy client gets nothing more"

    def _run(self) -> None:
        try:
            while not self._stopped.wait(PACE):
                self._push()
        except BaseException as error:
            self._error = error
        with self._turn:
            self._turn.notify_all()

    def _push(self) -> None:
        line = push_line("healthy", "healthy", number=self._pushes)
        started = time.monotonic()
        assert self._back_end.push(line), "a push to a connected client was not taken"
        message = self._browser.message()
        assert message == line, f"{message!r} came instead of {line!r}"
        self.worst = max(self.worst, time.monotonic() - started)
        with self._turn:
            self._pushes += 1
            self._turn.notify_all()


@contextlib.contextmanager
def unharmed(
    server: Server,
    *,
    memory: int = MEMORY,
    tls: ssl.SSLContext | None = None,
    secret: str = "",
    orderly: bool = True,
) -> Iterator[Healthy]:
    """Whatever is done inside leaves no trace, and a healthy client does not notice it.

    `memory` is by how many bytes the process may have grown in the end, `tls` how to reach it,
    `secret` that of the text port; not `orderly` is a server whose log is expected to complain.
    """
    with Healthy(server, tls=tls, secret=secret) as healthy:
        healthy.serve_more()
        before = settled(server)
        yield healthy
        healthy.serve_more()
        wait_until_as(server, before, memory)
        healthy.serve_more()
    assert disorder(server) == [] or not orderly


def wait_until_as(server: Server, before: Readings, memory: int = MEMORY) -> None:
    """Wait until the server holds no more than it did."""
    try:
        wait_until(lambda: read(server).no_more_than(before, memory))
    except TimeoutError:
        raise AssertionError(f"before: {before}, still: {read(server)}") from None


def disorder(server: Server) -> list[str]:
    """The lines of its log that no orderly server writes."""
    words = ("Traceback", "ERROR", "CRITICAL", "Exception", "Error:", "never retrieved")
    return [line for line in server.log if any(word in line for word in words)]

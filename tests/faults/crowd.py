"""Very many clients at once."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from tests.browser import CLOSE, Browser, EndedError, connect, dial

Frames = list[tuple[int, bytes]]


@contextlib.contextmanager
def sockets(address: str, size: int) -> Iterator[list[socket.socket]]:
    """TCP connections that have said nothing yet."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(dial(address)) for _ in range(size)]


@contextlib.contextmanager
def browsers(
    address: str, size: int, *, uid: str = "user{}", receive_buffer: int = 0
) -> Iterator[list[Browser]]:
    """Logged-in browsers with the uids user0, user1, …; all their logins are done."""
    with contextlib.ExitStack() as stack:
        opened = []
        for number in range(size):
            browser = connect(address, receive_buffer=receive_buffer)
            stack.enter_context(browser)
            opened.append(browser.login(uid.format(number)))
        for browser in opened:
            browser.settle()
        yield opened


class Readers:
    """Reads for many browsers in one thread, and answers their Close frames as browsers do.

    `note` is called in that thread with a browser and the frames that have come.
    """

    def __init__(self, many: Sequence[Browser], note: Callable[[Browser, Frames], None]) -> None:
        self._note = note
        self._selector = selectors.DefaultSelector()
        for browser in many:
            self._selector.register(browser.socket, selectors.EVENT_READ, browser)
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
        self._selector.close()

    def wait_all_ended(self, deadline: float) -> None:
        """Until the server has ended all connections, or they have answered its Close."""
        self._thread.join(deadline)
        assert not self._thread.is_alive(), f"{len(self._selector.get_map())} have not ended"

    def _run(self) -> None:
        while self._selector.get_map() and not self._stopped.is_set():
            for key, _ in self._selector.select(0.1):
                self._read(key.data)

    def _read(self, browser: Browser) -> None:
        try:
            frames = browser.arrived()
        except EndedError:
            self._forget(browser)
            return
        self._note(browser, frames)
        if frames and frames[-1][0] == CLOSE:
            browser.send_frame(CLOSE, frames[-1][1])
            self._forget(browser)

    def _forget(self, browser: Browser) -> None:
        self._selector.unregister(browser.socket)
        browser.disconnect()

"""Pushes from plain code: the same verbs, run on the process's loop thread."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self
from weakref import finalize

from pushline.client import loop_thread
from pushline.client.address import DEFAULT_ADDRESS, server_at
from pushline.client.fate import behind
from pushline.client.pushes import MAX_LINE, Composer, Data, Push, Uid, Uids
from pushline.client.wire import TIMEOUT, Wire, batches

GRACE = 1.0
"""Seconds more than its timeout that a call waits for the loop thread, which keeps the timeout."""


class Client:
    """Pushes over one connection, from any thread, and after a fork from the child as well.

    It is closed when nobody has it any more, if not before.

    The parameters and errors are AsyncClient's. A call waits in its thread, so in a coroutine it
    would hold up the event loop: there AsyncClient is the better one.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        secret: str = "",
        timeout: float = TIMEOUT,
        max_line: int = MAX_LINE,
    ) -> None:
        self._wire = Wire(server_at(address), secret=secret, timeout=timeout)
        self.max_line = max_line
        self._composer = Composer(max_line)
        finalize(self, self._wire.drop).atexit = False

    def push(self, uid: Uids, data: Data, *, utype: Uid | None = None) -> bool:
        """`data` to every connection of `uid`, or of several; false: none of them has one."""
        return self._ask_one(self._composer.to_uid(uid, data, utype))

    def push_all(self, data: Data, *, utype: Uid | None = None) -> bool:
        """`data` to everyone who is logged in with `utype`; true even if nobody is."""
        return self._ask_one(self._composer.to_all(data, utype))

    def push_line(self, line: bytes | str) -> bool:
        """A line of JSON as it is: an empty uid in it is a broadcast."""
        return self._ask_one(self._composer.ready(line))

    def push_many(self, pushes: Iterable[Push], *, utype: Uid | None = None) -> list[bool]:
        """Ready lines, or tuples of uid and data, one after the other without waiting between.

        All are checked before the first is sent. `timeout` holds for each thousand of them. A
        ClientError has the `answers` that came, and how many were `sent`.
        """
        answers: list[bool] = []
        lines = [self._composer.any_of(push, utype) for push in pushes]
        with behind(answers):
            for batch in batches(lines):
                answers += self._ask(batch)
        return answers

    def _ask_one(self, line: bytes) -> bool:
        return all(self._ask([line]))

    def _ask(self, lines: Sequence[bytes]) -> list[bool]:
        return loop_thread.shared().run(self._wire.ask(lines), self._wire.timeout + GRACE)

    def close(self) -> None:
        """Closes the connection; a later push opens another one."""
        if self._wire.is_open:
            loop_thread.shared().run(self._wire.close(), self._wire.timeout + GRACE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({str(self._wire.address)!r})"

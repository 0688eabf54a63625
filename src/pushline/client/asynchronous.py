"""Pushes from asyncio code."""

import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import Self
from weakref import finalize

from pushline.client.address import DEFAULT_ADDRESS, server_at
from pushline.client.fate import behind
from pushline.client.pushes import MAX_LINE, Composer, Data, Push, Uid, Uids
from pushline.client.wire import TIMEOUT, Wire, batches


class AsyncClient:
    """Pushes over one connection, opened when it is needed and again when it was lost.

    Any number of tasks of one event loop may use it at the same time. `address` is HOST:PORT,
    [IPv6]:PORT or unix:/PATH; `secret` the server's text.secret; `timeout`, in seconds, holds for
    each call, from connecting to the answer; `max_line` is the server's text.max_line, in bytes.

    A push returns whether it was queued on at least one live connection. Every method that pushes
    raises BadNameError and InvalidPushError before anything is sent, and UnavailableError,
    DeadlineError and RejectedError, which are ClientErrors. Nothing is sent twice: after
    an error that says that a push may have been delivered it is for the caller to decide.

    Close it, or use `async with`: one that is dropped open warns, and then closes.
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
        self._composer = Composer(max_line)
        finalize(self, _dropped, self._wire).atexit = False

    async def push(self, uid: Uids, data: Data, *, utype: Uid | None = None) -> bool:
        """`data` to every connection of `uid`, or of several; false: none of them has one."""
        return await self._ask(self._composer.to_uid(uid, data, utype))

    async def push_all(self, data: Data, *, utype: Uid | None = None) -> bool:
        """`data` to everyone who is logged in with `utype`; true even if nobody is."""
        return await self._ask(self._composer.to_all(data, utype))

    async def push_line(self, line: bytes | str) -> bool:
        """A line of JSON as it is: an empty uid in it is a broadcast."""
        return await self._ask(self._composer.ready(line))

    async def push_many(self, pushes: Iterable[Push], *, utype: Uid | None = None) -> list[bool]:
        """Ready lines, or tuples of uid and data, one after the other without waiting between.

        All are checked before the first is sent. `timeout` holds for each thousand of them. A
        ClientError has the `answers` that came, and how many were `sent`.
        """
        answers: list[bool] = []
        lines = [self._composer.any_of(push, utype) for push in pushes]
        with behind(answers):
            for batch in batches(lines):
                answers += await self._wire.ask(batch)
        return answers

    async def _ask(self, line: bytes) -> bool:
        return all(await self._wire.ask([line]))

    async def close(self) -> None:
        """Closes the connection; a later push opens another one."""
        await self._wire.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({str(self._wire.address)!r})"


def _dropped(wire: Wire) -> None:
    if wire.is_open:
        wire.drop()
        warnings.warn(f"unclosed AsyncClient of {wire.address}", ResourceWarning, stacklevel=1)

"""The way to a text port: one link that is kept, and opened again once it was lost."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

from pushline.address import Address
from pushline.client.exchange import Exchange
from pushline.client.fate import told
from pushline.client.link import Link
from pushline.errors import ClientError, ConfigError, DeadlineError, UnavailableError

TIMEOUT = 2.0
"""Seconds."""
BATCH = 1000
"""Lines for which one timeout holds."""
IN_FLIGHT = 5000
"""Lines without an answer yet; below 10,000, where a server stops reading (its text.pipeline)."""
BACKOFF = 0.1
"""Seconds from an attempt to open that failed to the next one."""


class Wire:
    """Lines to the server at `address`, and their answers back: true for `ok`, false for `fail`.

    Any number of tasks of one event loop may ask at the same time. `timeout` is in seconds, for
    each call as a whole. No line is ever sent twice.
    """

    def __init__(
        self,
        address: Address,
        *,
        secret: str = "",
        timeout: float = TIMEOUT,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        if not (isinstance(timeout, int | float) and timeout > 0):
            raise ConfigError("the client's timeout is a number of seconds above 0")
        if not (isinstance(secret, str) and secret.isprintable()):
            raise ConfigError("the client's secret is printable text; empty, if there is none")
        self.address = address
        self.timeout = timeout
        self._secret = secret
        self._in_flight = in_flight
        self._link: Link | None = None
        self._opening: asyncio.Task[None] | None = None
        self._not_before = 0.0

    async def ask(self, lines: Sequence[bytes]) -> list[bool]:
        """Sends `lines`, without line ends, in their order; the answers in the same order.

        Raises UnavailableError, DeadlineError or RejectedError.
        """
        if not lines:
            return []
        started = asyncio.get_running_loop().time()
        exchange = Exchange(lines)
        link = None
        try:
            async with asyncio.timeout(self.timeout):
                link = await self._open_link()
                return await link.ask(exchange)
        except TimeoutError:
            raise exchange.told(self._overdue(link, started)) from None

    async def _open_link(self) -> Link:
        link = self._current_link()
        await link.ready.wait()
        if link.error is not None and not link.opened:
            raise told(link.error)
        return link

    def _current_link(self) -> Link:
        if self._link is None or not self.is_open or not _is_ours(self._link):
            self._link = Link(self.address, self._secret, self._in_flight)
            self._opening = self._link.loop.create_task(self._open(self._link))
        return self._link

    async def _open(self, link: Link) -> None:
        """Shared by all who wait for the link: they do not come to the server one by one."""
        await asyncio.sleep(self._not_before - link.loop.time())
        await link.open(self.timeout)
        if link.error is not None:
            self._not_before = link.loop.time() + BACKOFF

    def _overdue(self, link: Link | None, started: float) -> ClientError:
        if link is None:
            return UnavailableError(self._no_answer)
        if link.heard < started:
            # A server that was silent all the time may never say anything again.
            link.lose(UnavailableError(self._no_answer))
        return DeadlineError(self._no_answer)

    @property
    def _no_answer(self) -> str:
        return f"{self.address} does not answer within {self.timeout:g} s"

    async def close(self) -> None:
        """Closes the connection; the next line opens another one."""
        link, opening = self._link, self._opening
        if link is not None and opening is not None and self.is_open and _is_ours(link):
            opening.cancel()
            await link.close(self._closed)
            await asyncio.wait([opening])

    def drop(self) -> None:
        """Has its loop close the connection; from any thread, and without waiting for it."""
        if self._link is not None and self.is_open:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the connection too
                self._link.loop.call_soon_threadsafe(self._link.lose, self._closed)

    @property
    def _closed(self) -> UnavailableError:
        return UnavailableError(f"the client of {self.address} was closed")

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, or soon will be."""
        return self._link is not None and self._link.error is None


def _is_ours(link: Link) -> bool:
    """Whether it lives in the running loop; no longer where that loop was closed."""
    if link.loop is asyncio.get_running_loop():
        return True
    if link.loop.is_closed():
        return False
    raise RuntimeError("an AsyncClient belongs to one event loop; Client serves any thread")


def batches(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """`lines` in parts that are each one call of `ask`."""
    return (lines[start : start + BATCH] for start in range(0, len(lines), BATCH))

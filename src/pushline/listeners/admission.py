"""Upgrades that an application decides over, before they are accepted."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from pushline.errors import HttpError
from pushline.listeners.http_connection import HttpConnection

log = logging.getLogger(__name__)


REFUSALS = frozenset(range(300, 600)) - {304}
"""The statuses of an answer that says no, or where else, and may have a body."""


class Admissions:
    """Those under way. Each has `time` seconds."""

    def __init__(self, time: float) -> None:
        self._time = time
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(
        self,
        http: HttpConnection,
        rest: bytes,
        decide: Coroutine[Any, Any, None],
        accepted: Callable[[bytes], None],
        refused: Callable[[], None],
    ) -> None:
        """Have `accepted` called with all that the client has sent so far, or `refused`."""
        task = asyncio.get_running_loop().create_task(self._settle(http, decide, accepted, refused))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        http.decide(task, rest)

    async def _settle(
        self,
        http: HttpConnection,
        decide: Coroutine[Any, Any, None],
        accepted: Callable[[bytes], None],
        refused: Callable[[], None],
    ) -> None:
        try:
            error = await self._decide(decide)
        except asyncio.CancelledError:  # the client has gone
            refused()
            raise
        early = http.decided()
        if http.transport.is_closing():  # the client has gone, and the application did not care
            refused()
        elif error is None:
            accepted(early)
        else:
            refused()
            self._refuse(http, error)

    def _refuse(self, http: HttpConnection, error: HttpError) -> None:
        try:
            if error.status not in REFUSALS:
                raise ValueError(f"{error.status!r} refuses nothing")
            http.refuse(error)
        except (ValueError, TypeError):
            log.exception("this HttpError cannot be an answer: %r", error)
            http.refuse(HttpError(500))

    async def _decide(self, decide: Coroutine[Any, Any, None]) -> HttpError | None:
        try:
            async with asyncio.timeout(self._time):
                await decide
        except HttpError as error:
            return error
        except TimeoutError:
            return HttpError(503, "not decided in time", (("Retry-After", "5"),))
        return None

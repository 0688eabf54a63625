"""What a worker's verbs are carried out by: its links, or a spare way where these do not do."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from pushline.codecs import gateway_call_queries, gateway_call_selects
from pushline.codecs.gateway_calls import Tell, call_of
from pushline.commands import Command
from pushline.errors import UnavailableError
from pushline.gateway import Executor
from pushline.gateway.partial import Partial
from pushline.gatewayworker.link import Link
from pushline.worker.line import Line

log = logging.getLogger(__name__)

T = TypeVar("T")

QUESTIONS: Final = {*gateway_call_queries.BY_COMMAND, *gateway_call_selects.BY_COMMAND}


class Reach:
    """An Executor over a worker's links, so that all it does goes out in the order of the calls.

    A gateway of PHP's that has given this worker's clients to another process still takes what has
    no answer, but answers nothing, having ended its side. So questions go the spare way then: also
    those that it has left unanswered, which are asked again. Before `open` and after `close`
    everything does.
    """

    def __init__(self, spare: Executor) -> None:
        self.lines: dict[Link, Line] = {}
        """Of all links that are there."""
        self.partial: Partial = spare.partial
        self._spare = spare
        self._over_links: Executor | None = None
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()
        self._asking = 0
        self._handed_on: set[asyncio.Task[Any]] = set()

    def open(self, over_links: Executor) -> None:
        """Go over the links from now on."""
        self._over_links = over_links

    def close(self) -> None:
        """Go over the links no more, and wait until `go_on`."""
        self._over_links = None
        self._may_go_on.clear()

    def go_on(self) -> None:
        """The gateways have taken all that went over the links."""
        self._may_go_on.set()

    async def handed_on(self) -> None:
        """Wait until all is sent that the links did not take."""
        while self._handed_on:
            await asyncio.wait(self._handed_on)

    def execute(self, command: Command[T]) -> T | Awaitable[T]:
        """The answer where it is known at once, else something that gives it."""
        over_links = self._over_links
        if over_links is None:
            return self._go_spare(command)
        if type(command) in QUESTIONS:
            answer = over_links.execute(command)
            return self._asked(command, answer) if isinstance(answer, Awaitable) else answer
        if self._is_left and not isinstance(call_of(command), Tell):
            return self._spare.execute(command)
        return over_links.execute(command)

    def hand_on(self, command: Command[Any]) -> bool:
        """Do what a link does not take any more, as we have ended it; False where it is lost."""
        if self._over_links is not None:
            return False
        task = asyncio.ensure_future(self._when_it_may(command))
        self._handed_on.add(task)
        task.add_done_callback(self._sent)
        return True

    def _sent(self, task: "asyncio.Task[Any]") -> None:
        self._handed_on.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("what was left to send is lost: %s", error)

    @property
    def _is_left(self) -> bool:
        return any(line.is_left for line in self.lines.values())

    def _go_spare(self, command: Command[T]) -> T | Awaitable[T]:
        if self._may_go_on.is_set():
            return self._spare.execute(command)
        return self._when_it_may(command)

    async def _when_it_may(self, command: Command[T]) -> T:
        await self._may_go_on.wait()
        answer = self._spare.execute(command)
        return await answer if isinstance(answer, Awaitable) else answer

    async def _asked(self, command: Command[T], answer: Awaitable[T]) -> T:
        self._ask(1)
        try:
            return await answer
        except UnavailableError:
            if not self._is_left:
                raise
        finally:
            self._ask(-1)
        again = self._spare.execute(command)
        return await again if isinstance(again, Awaitable) else again

    def _ask(self, more: int) -> None:
        """While an answer is awaited, links are read from that are paused: it may come there."""
        before, self._asking = self._asking, self._asking + more
        if not (before and self._asking):
            for line in self.lines.values():
                line.read_on(self._asking > 0)

"""Carries out Commands over the links to gateways."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple, TypeVar

from pushline.codecs.gateway_calls import Ask, AskThenTell, Call, Parts, Tell, call_of
from pushline.commands import Command
from pushline.errors import ClientError, PushlineError, UnavailableError
from pushline.gateway.partial import Partial
from pushline.gatewayworker.link import Link
from pushline.gatewayworker.links import KnownGateway, Links
from pushline.gatewayworker.pipeline import again
from pushline.gatewayworker.scatter import Scatter, Start

T = TypeVar("T")

TIMEOUT: Final = 5.0
"""Seconds; PHP's client has the same."""

SENT: Final = "have been sent it"


class _Queued(NamedTuple):
    call: Call[Any]
    scatter: Scatter
    begun: "asyncio.Future[Any]"


class WireExecutor:
    """An Executor over `links`.

    Frames are written in the order of the calls. What is built from a question is written when its
    answer has come, which its caller waits for; what is called in the meantime is not held up.

    Sends answer `Sent(None, None)` and actions None, once they are written: gateways answer to
    neither. What is for a client whose gateway is not known does nothing, and a question about it
    is answered as for one that is not there.

    `timeout`, in seconds, is one for all gateways of a call. Raises UnsupportedError before
    anything is sent, and UnavailableError, RejectedError and DeadlineError, which name the
    gateways; the others have been sent it. Inside `with executor.partial.allowed() as missing` they
    are named there, and the answer is that of the others. Where no gateway is known at all, that
    is always an error.
    """

    def __init__(
        self, links: Links, timeout: float = TIMEOUT, partial: Partial | None = None
    ) -> None:
        self.partial = Partial() if partial is None else partial
        self._links = links
        self._timeout = timeout
        self._queue: list[_Queued] = []
        self._settling: asyncio.Task[None] | None = None

    def execute(self, command: Command[T]) -> T | Awaitable[T]:
        """The answer where it is known at once, else something that gives it."""
        call = call_of(command)
        scatter = Scatter(self._links.loop.time(), self._timeout, self.partial.missing)
        if self._links.told and not self._queue:
            return self._carry_out(call, scatter)
        return self._in_turn(call, scatter)

    # --- before a Register has said which gateways there are ----------------------------------

    async def _in_turn(self, call: Call[T], scatter: Scatter) -> T:
        begun: asyncio.Future[T | Awaitable[T]] = self._links.loop.create_future()
        self._queue.append(_Queued(call, scatter, begun))
        if self._settling is None:
            self._settling = self._links.loop.create_task(self._settle())
        try:
            async with asyncio.timeout(self._timeout):
                answer = await begun
        except TimeoutError:
            why = f"{self._links} has sent no list within {self._timeout:g} s"
            raise UnavailableError(why) from None
        return await answer if isinstance(answer, Awaitable) else answer

    async def _settle(self) -> None:
        """Begin all calls that have come by then, in their order; or fail them all."""
        error = None
        try:
            await self._links.settle(self._timeout)
        except ClientError as failed:
            error = failed
        self._settling = None
        queue, self._queue = self._queue, []
        for call, scatter, begun in queue:
            if begun.done():
                continue  # taken back
            try:
                if error is not None:
                    raise again(error)
                begun.set_result(self._carry_out(call, scatter))
            except PushlineError as failed:
                begun.set_exception(failed)

    # --- at the gateways that are known -------------------------------------------------------
    # All is begun when these are called; what is waited for is only how it ends.

    def _carry_out(self, call: Call[T], scatter: Scatter) -> T | Awaitable[T]:
        targets = self._targets(call.parts)
        if isinstance(call, Tell):
            scatter.begin(targets, _send)
            return _told(call.answer, scatter) if scatter.is_waiting else _done(call, scatter)
        scatter.asks = True
        start = _ask if isinstance(call, Ask) else _asking(call)
        scatter.begin(targets, start)
        for parts in call.more:
            scatter.begin(self._targets(parts), start)
        return _asked(call, scatter) if isinstance(call, Ask) else _told(call.answer, scatter)

    def _targets(self, parts: Parts) -> Iterable[tuple[KnownGateway, bytes]]:
        known, (only, others) = self._links.known, parts
        if not known and (only or others):
            raise UnavailableError(f"no gateway is known to {self._links}")
        if others:
            return [(gateway, parts.of(place)) for place, gateway in known.items()]
        return [(known[place], frame) for place, frame in only.items() if place in known]


def _done(call: Tell[T], scatter: Scatter) -> T:
    scatter.conclude(SENT)
    return call.answer


async def _told(answer: T, scatter: Scatter) -> T:
    await scatter.gather(_nothing)
    scatter.conclude(SENT)
    return answer


async def _asked(call: Ask[T], scatter: Scatter) -> T:
    read = await scatter.gather(call.read)
    scatter.conclude()
    return call.merge(read)


def _send(link: Link, frame: bytes) -> "asyncio.Future[None] | None":
    return link.send(frame)


def _ask(link: Link, frame: bytes) -> "asyncio.Future[bytes]":
    return link.ask(frame)


def _asking(call: AskThenTell[Any]) -> Start:
    """Asks, and sends what the answer makes; or only sends, where that will do."""

    def start(link: Link, frame: bytes) -> "asyncio.Future[None] | None":
        if call.ours is not None and link.ours:
            return link.send(call.ours.of(link.place))
        return asyncio.ensure_future(_follow(link, link.ask(frame), call.then))

    return start


async def _follow(
    link: Link, answer: "asyncio.Future[bytes]", then: Callable[[int, bytes], bytes]
) -> None:
    frames = then(link.place, await answer)
    written = link.send(frames) if frames else None
    if written is not None:
        await written


def _nothing(_place: int, _result: object) -> None:
    """Of a send there is nothing to read."""

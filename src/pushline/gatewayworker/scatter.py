"""One call at several gateways: what each has made of it, within one deadline."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from pushline.errors import BadFrameError, DeadlineError, PushlineError, UnavailableError
from pushline.gateway.partial import Missing
from pushline.gatewayworker.link import Link
from pushline.gatewayworker.links import KnownGateway

T = TypeVar("T")

Start = Callable[[Link, bytes], "asyncio.Future[Any] | None"]
"""Does something with a frame; gives what will come of it, or None where it is done."""
Read = Callable[[int, Any], T]
"""Makes something of what a gateway, by its place, has given. Raises BadFrameError where that
cannot be, and SerializedError."""


class _Begun(NamedTuple):
    gateway: KnownGateway
    link: Link
    future: "asyncio.Future[Any]"


class Scatter:
    """Begins something at each gateway, which may fail at some and come too late from others.

    What is not done so many `seconds` after `since`, in the loop's time, is ended. Gateways that
    have no part in it are put into `missing`; where that is None, they are an error. `asks` is
    whether gateways have to answer.
    """

    __slots__ = ("_begun", "_done", "_failed", "_missing", "_seconds", "_since", "asks")

    def __init__(self, since: float, seconds: float, missing: list[Missing] | None) -> None:
        self.asks = False
        self._since = since
        self._seconds = seconds
        self._missing = missing
        self._begun: list[_Begun] = []
        self._failed: dict[KnownGateway, PushlineError] = {}
        """With the first that each has failed with."""
        self._done = 0

    @property
    def is_waiting(self) -> bool:
        """Something was begun that is not done."""
        return bool(self._begun)

    def begin(self, targets: Iterable[tuple[KnownGateway, bytes]], start: Start) -> None:
        """Start it over the link to each gateway, with its frame."""
        for gateway, frame in targets:
            try:
                link = gateway.current()
                future = start(link, frame)
            except PushlineError as error:
                self._failed.setdefault(gateway, error)
            else:
                if future is None:
                    self._done += 1
                else:
                    self._begun.append(_Begun(gateway, link, future))

    async def gather(self, read: Read[T]) -> list[T]:
        """What was made where it was done in time, gateway by gateway."""
        if not self._begun:
            return []
        futures = [begun.future for begun in self._begun]
        left = self._since + self._seconds - asyncio.get_running_loop().time()
        try:
            in_time, _ = await asyncio.wait(futures, timeout=max(0.0, left))
        finally:
            for future in futures:
                future.cancel()  # of no effect on what is done
        results = []
        for begun in self._begun:
            try:
                if begun.future not in in_time:
                    raise self._late(begun.link)
                results.append(_result(begun, read))
            except PushlineError as error:
                self._failed.setdefault(begun.gateway, error)
        self._done += len(results)
        return results

    def _late(self, link: Link) -> DeadlineError:
        if not self.asks:
            return DeadlineError(f"{link} has not taken it within {self._seconds:g} s")
        link.overdue(self._since)
        return DeadlineError(f"{link} does not answer within {self._seconds:g} s")

    def conclude(self, fate: str = "") -> None:
        """Say which gateways are missing. Raises what they failed with, or a DeadlineError.

        `fate` is what has become of it at the other gateways, where that has to be said.
        """
        if not self._failed:
            return
        if self._missing is None:
            raise self._error(f"; the others ({self._done}) {fate}" if fate and self._done else "")
        self._missing += [Missing(at.address, str(error)) for at, error in self._failed.items()]

    def _error(self, fate: str) -> PushlineError:
        errors = [*self._failed.values()]
        return _kind_of(errors)("; ".join(map(str, errors)) + fate)


def _kind_of(errors: Sequence[PushlineError]) -> type[PushlineError]:
    kinds = {type(error) for error in errors}
    if len(kinds) == 1:
        return kinds.pop()
    return DeadlineError if DeadlineError in kinds else UnavailableError


def _result(begun: _Begun, read: Read[T]) -> T:
    try:
        return read(begun.link.place, begun.future.result())
    except BadFrameError as error:
        stranger = f"{begun.link} gave an answer that is none ({error}): is it a gateway?"
        begun.link.lose(UnavailableError(stranger))
        raise UnavailableError(stranger) from None

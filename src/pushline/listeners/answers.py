"""A back end's answers, in the order of its requests, also where some take their time."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from pushline.cluster import Pending
from pushline.commands import Sent


class Answers:
    """Those that wait for an earlier one which is not known yet.

    `answer` makes one of a push of which it is known what has become.
    """

    __slots__ = ("_answer", "_waiting", "transport")

    transport: asyncio.WriteTransport

    def __init__(self, answer: Callable[[Pending], bytes]) -> None:
        self._waiting: deque[bytes | Pending] = deque()
        self._answer = answer

    def __len__(self) -> int:
        return len(self._waiting)

    def give(self, answers: Iterable[bytes | Pending]) -> None:
        """Write those that are known, and the others when they are."""
        for answer in answers:
            self._waiting.append(answer)
            if isinstance(answer, Pending):
                answer.add_done_callback(self._settle)
        self._settle()

    def clear(self) -> None:
        """Nobody reads them any more."""
        self._waiting.clear()

    def _settle(self, _answer: "asyncio.Future[Sent] | None" = None) -> None:
        waiting, ready = self._waiting, []
        while waiting:
            first = waiting[0]
            if isinstance(first, Pending):
                if not first.done():
                    break
                first = self._answer(first)
            ready.append(first)
            waiting.popleft()
        if ready:
            self.transport.write(b"".join(ready))

"""A back end's answers, in the order of its requests, also where some take their time."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from pushline.cluster.pushes import Pending
from pushline.commands import Sent


class Answers:
    """Those that wait for an earlier one which is not known yet.

    `answer` makes one of a push of which it is known what has become; `settled` is called when some
    that were waited for have been written.
    """

    __slots__ = ("_answer", "_settled", "_waiting", "transport")

    transport: asyncio.WriteTransport

    def __init__(self, answer: Callable[[Pending], bytes], settled: Callable[[], object]) -> None:
        self._waiting: deque[bytes | Pending] = deque()
        self._answer = answer
        self._settled = settled

    def __len__(self) -> int:
        return len(self._waiting)

    def give(self, answers: Iterable[bytes | Pending]) -> None:
        """Write those that are known, and the others when they are."""
        for answer in answers:
            self._waiting.append(answer)
            if isinstance(answer, Pending):
                answer.add_done_callback(self._known)
        self._write()

    def clear(self) -> None:
        """Nobody reads them any more, nor is told when there are fewer."""
        self._waiting.clear()
        self._settled = bool  # what it was would keep its owner alive

    def _known(self, _answer: "asyncio.Future[Sent]") -> None:
        if self._write():
            self._settled()

    def _write(self) -> bool:
        """All up to the first that is not known; whether there were any."""
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
        return bool(ready)

"""Who waits for what a Redis answers: answers come in the order of the commands."""

import asyncio
from collections import deque
from itertools import islice
from typing import Any, Final

from pushline.brokers.base import Counts
from pushline.errors import UnavailableError

ORDINARY: Final = -1
CONFIRMED: Final = -2

Answer = asyncio.Future[Any]


class RefusedError(UnavailableError):
    """A Redis, `name`, has answered with an error; `code` is its first word, as in NOPERM."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name} refuses it: {text}")
        self.text = text
        self.code = text.partition(" ")[0]


class Answers:
    """A queue of futures.

    `own` is, for a PUBLISH, how many of those who receive the message are this node itself: 0 or 1,
    and taken off the answer. ORDINARY commands have their answers as they are. CONFIRMED ones,
    SUBSCRIBE and UNSUBSCRIBE, have no answer but an error, and are done when each channel of theirs
    is confirmed.

    Time is counted in ticks, and as all wait equally long it is never asked for: who was in the
    queue `timeout` - 1 ticks ago and still is has waited for more than that, less than `timeout`.
    """

    def __init__(self, name: str, timeout: int, patience: int, counts: Counts) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._counts = counts
        self._timeout = timeout
        self._queue: deque[tuple[Answer, int]] = deque()
        self._unconfirmed: deque[int] = deque()
        """Of each CONFIRMED command the channels that are not."""
        self._taken = 0
        self._overdue = 0
        """Of all commands there ever were, so many were to be answered by now."""
        self._marks: deque[int] = deque([0], maxlen=max(patience, timeout))
        """At each of the latest ticks, the number of commands there ever were."""

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def are_prompt(self) -> bool:
        """Nothing is overdue."""
        return self._taken >= self._overdue

    def expect(self, own: int) -> Answer:
        """The answer to a command that goes out now."""
        answer = self._loop.create_future()
        self._queue.append((answer, own))
        return answer

    def expect_confirmation(self, channels: int) -> Answer:
        """The same for a CONFIRMED one."""
        self._unconfirmed.append(channels)
        return self.expect(CONFIRMED)

    def take(self, reply: Any) -> None:
        """The answer to the first has come. Raises IndexError where there is none."""
        answer, own = self._queue.popleft()
        self._taken += 1
        if own == CONFIRMED:
            self._unconfirmed.popleft()
        if answer.done():
            return  # nobody waits for it any more
        if isinstance(reply, Exception):
            self._fail(answer, own, reply)
        elif own >= 0:
            answer.set_result(reply - own)
        else:
            answer.set_result(reply)

    def confirmed(self) -> None:
        """One channel of the first is subscribed to, or not any more. Raises as `take` does."""
        self._unconfirmed[0] -= 1
        if not self._unconfirmed[0]:
            self.take(None)

    def _fail(self, answer: Answer, own: int, error: Exception) -> None:
        answer.set_exception(error)
        if own >= 0:
            self._counts.failed += 1

    # --- who waits for too long -----------------------------------------------------------------

    def tick(self) -> bool:
        """Have those who waited for too long fail; false where the patience is at its end."""
        self._marks.append(self._taken + len(self._queue))
        if len(self._marks) >= self._timeout:
            self._let_go(self._marks[-self._timeout])
        return len(self._marks) < (self._marks.maxlen or 0) or self._taken >= self._marks[0]

    def _let_go(self, overdue: int) -> None:
        first, last = (max(0, count - self._taken) for count in (self._overdue, overdue))
        for answer, own in list(islice(self._queue, first, last)):
            if not answer.done():
                self._fail(answer, own, UnavailableError(f"{self._name} does not answer"))
        self._overdue = max(overdue, self._overdue)

    def end(self, error: UnavailableError) -> None:
        """No answer comes any more, because of `error`."""
        for answer, own in self._queue:
            if not answer.done():
                self._fail(answer, own, UnavailableError(str(error)))
        self._queue.clear()

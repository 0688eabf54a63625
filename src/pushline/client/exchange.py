"""What one call asked of the server, and what came of it."""

import asyncio
from collections.abc import Sequence

from pushline.client.fate import told
from pushline.errors import ClientError


class Exchange:
    """Lines, and their answers in the same order; or an error, if they cannot all come.

    Create it in a running event loop. `sent` is how many of the lines have gone out. Answers that
    come after its end are taken and forgotten.
    """

    __slots__ = ("_answers", "_done", "_error", "lines", "sent")

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.lines = lines
        self.sent = 0
        self._answers: list[bool] = []
        self._error: ClientError | None = None
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(self, answer: bool) -> None:
        self._answers.append(answer)
        if len(self._answers) == len(self.lines):
            self._end()

    def fail(self, error: ClientError) -> None:
        """Ends it with `error`, unless it has ended."""
        if not self._done.done():
            self._error = self.told(error)
            self._end()

    def told(self, error: ClientError) -> ClientError:
        """`error`, with how far this call came."""
        return told(error, self._answers, self.sent)

    def _end(self) -> None:
        if not self._done.done():  # its caller may have been cancelled
            self._done.set_result(None)

    async def result(self) -> list[bool]:
        """The answers, when all of them are here; raises what it failed with."""
        await self._done
        if self._error is not None:
            raise self._error
        return self._answers

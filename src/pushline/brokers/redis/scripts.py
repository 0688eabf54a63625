"""Lua that runs in Redis, called by its hash (EVALSHA); sent whole only where it is not known."""

from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import Any, Final

from pushline.brokers.redis.answers import Answer, RefusedError
from pushline.brokers.redis.link import command
from pushline.errors import UnavailableError

Ask = Callable[[bytes], Answer]
Part = bytes | str | int

NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
"""Milliseconds of Redis's own clock, which all nodes share."""


class Script:
    """One script. `source` has `now` where it begins with NOW."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._sha = sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def call(self, ask: Ask, keys: Sequence[bytes], *arguments: Part) -> Any:
        """What it returns. Raises UnavailableError."""
        parts = (len(keys), *keys, *arguments)
        try:
            return await ask(command("EVALSHA", self._sha, *parts))
        except RefusedError as error:
            if error.code != "NOSCRIPT":
                raise
        return await ask(command("EVAL", self._source, *parts))

    def tell(
        self, ask: Ask, keys: Sequence[bytes], *arguments: Part, done: Callable[[], object]
    ) -> None:
        """The same, where nobody waits for it; `done` is called if it was."""
        parts = (len(keys), *keys, *arguments)

        def answered(answer: Answer) -> None:
            error = UnavailableError("") if answer.cancelled() else answer.exception()
            if error is None:
                done()
            elif isinstance(error, RefusedError) and error.code == "NOSCRIPT":
                ask(command("EVAL", self._source, *parts)).add_done_callback(answered)

        ask(command("EVALSHA", self._sha, *parts)).add_done_callback(answered)

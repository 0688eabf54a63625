"""Questions to other nodes, and their answers."""

import asyncio
from collections.abc import Sequence
from typing import Any

from pushline.brokers.base import Broker
from pushline.codecs.cluster_wire import (
    EVERYONE,
    Answer,
    Question,
    decode_result,
    encode_question,
)
from pushline.commands import Command, IsAlive
from pushline.errors import AppError, BadFrameError, DeadlineError, SerializedError

LAST_NUMBER = 2**32 - 1


class Asked:
    """A question to the nodes behind a channel, and what they have answered so far."""

    def __init__(
        self, number: int, channel: bytes, command: Command[Any], count: "asyncio.Future[int]"
    ) -> None:
        self.number = number
        self.channel = channel
        self.command = command
        self.count = count
        """How many nodes it went to."""
        self.results: list[Any] = []
        self.failures: list[str] = []
        self.answered: set[str] = set()
        """The nodes that have answered."""
        self.changed = asyncio.Event()

    def take(self, answer: Answer) -> None:
        """A node has answered."""
        self.answered.add(answer.node)
        if answer.failed:
            self.failures.append(answer.result.decode(errors="replace"))
        else:
            try:
                self.results.append(decode_result(self.command, answer.result))
            except BadFrameError as error:
                self.failures.append(str(error))
        self.changed.set()

    async def settle(self) -> None:
        """Until all nodes have answered. Raises UnavailableError."""
        nodes = await self.count
        while len(self.answered) < nodes:
            self.changed.clear()
            await self.changed.wait()


class Questions:
    """Those of one node, whose `name` it is; `timeout` is in seconds."""

    def __init__(self, broker: Broker, timeout: float) -> None:
        self.name = ""
        self._broker = broker
        self._timeout = timeout
        self._open: dict[int, Asked] = {}
        self._last = 0

    def ask(self, channel: bytes, command: Command[Any]) -> Asked:
        """Publish a question. Raises AppError for one that cannot be sent."""
        number = self._last = self._last % LAST_NUMBER + 1
        try:
            question = encode_question(Question(number, self.name, command))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise AppError(f"this cannot be sent to another node: {error}") from None
        asked = Asked(number, channel, command, self._broker.publish(channel, question))
        self._open[number] = asked
        return asked

    def take(self, answer: Answer) -> None:
        """An answer to one of them; nobody waits for a late one any more."""
        asked = self._open.get(answer.number)
        if asked is not None:
            asked.take(answer)

    async def gather(self, asked: Sequence[Asked]) -> None:
        """Until all are answered. Raises UnavailableError, DeadlineError, SerializedError."""
        more = [each.command.seconds for each in asked if isinstance(each.command, IsAlive)]
        seconds = self._timeout + max(more, default=0.0)
        try:
            async with asyncio.timeout(seconds):
                for each in asked:
                    await each.settle()
        except TimeoutError:
            who = ", ".join(await self._missing(asked))
            raise DeadlineError(f"no answer within {seconds:g} s from {who}") from None
        finally:
            for each in asked:
                del self._open[each.number]
                each.count.cancel()
        failures = [failure for each in asked for failure in each.failures]
        if failures:
            raise SerializedError("; ".join(failures))

    async def _missing(self, asked: Sequence[Asked]) -> list[str]:
        named = [each.channel[1:].decode() for each in asked if each.channel[:1] == b"n"]
        if any(each.channel == EVERYONE for each in asked):
            named += [node for node in await self._broker.nodes() if node != self.name]
        answered = {node for each in asked for node in each.answered}
        return [f"node {node}" for node in named if node not in answered] or ["some nodes"]

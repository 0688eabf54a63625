"""Nodes of a cluster that a test has in its own hands, on a Bus of this process."""

import asyncio
from typing import Any

from pushline.brokers.base import Broker
from pushline.brokers.memory import Bus, MemoryBroker
from pushline.codecs import cluster_wire as wire
from pushline.codecs.cluster_wire import Payload, Question
from pushline.commands import Command

PASSES = 10
"""Of the loop: more than anything on a Bus takes."""


async def settle() -> None:
    """Let the loop do what is due."""
    for _ in range(PASSES):
        await asyncio.sleep(0)


class Slow(MemoryBroker):
    """Where it `is_silent`, it says how many have received something when it is told to."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self.is_silent = False
        self._counts: list[tuple[asyncio.Future[int], asyncio.Future[int]]] = []

    def publish(self, channel: bytes, payload: bytes) -> "asyncio.Future[int]":
        count = super().publish(channel, payload)
        if not self.is_silent:
            return count
        later: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._counts.append((later, count))
        return later

    def tell(self, most: int = 1000) -> None:
        """Say so of those who have waited the longest."""
        told, self._counts = self._counts[:most], self._counts[most:]
        for later, count in told:
            if error := count.exception():
                later.set_exception(error)
            else:
                later.set_result(count.result())


class Member:
    """A node that does nothing but what a test says; `came` is what others have published.

    It is subscribed to what concerns all nodes and itself, and to `channels`.
    """

    def __init__(self, broker: Broker, name: str) -> None:
        self.broker = broker
        self.name = name
        self.came: list[tuple[bytes, Payload]] = []

    async def start(self, *channels: bytes) -> None:
        for channel in (wire.EVERYONE, wire.channel_of_node(self.name), *channels):
            self.broker.subscribe(channel)
        await self.broker.start(self.name, self._take)

    def _take(self, channel: bytes, payload: bytes) -> None:
        self.came.append((channel, wire.decode(payload)))

    @property
    def questions(self) -> list[Question]:
        return [each for _, each in self.came if isinstance(each, Question)]

    async def ask(self, channel: bytes, command: Command[Any], number: int = 7) -> None:
        """Publish a question, and have it answered if it ever is."""
        question = wire.encode_question(Question(number, self.name, command))
        await self.broker.publish(channel, question)
        await settle()

    async def answer(self, question: Question, result: object) -> None:
        """Tell who has asked."""
        await self._tell(question, wire.encode_answer(question.number, self.name, result))

    async def fail(self, question: Question, why: str) -> None:
        """Say that there is no answer."""
        await self._tell(question, wire.encode_failure(question.number, self.name, why))

    async def _tell(self, question: Question, answer: bytes) -> None:
        await self.broker.publish(wire.channel_of_node(question.node), answer)
        await settle()


async def member(bus: Bus, name: str, *channels: bytes) -> Member:
    """One that has joined."""
    joined = Member(MemoryBroker(bus), name)
    await joined.start(*channels)
    return joined

"""Which channels this node is subscribed to, and what goes over them.

How many *other* nodes receive a message is exact at every moment. Redis does what one connection
asks for in the order in which it was asked, and we ask for everything over one connection: so when
it comes to a PUBLISH, this node is subscribed exactly if the last SUBSCRIBE or UNSUBSCRIBE of that
channel that was written before it was a SUBSCRIBE. Whether it was is known when the PUBLISH is
written (`in_force`), whatever is still on its way or confirmed later; if it was, then one of those
whom Redis counts is this node's connection. Each other node has one connection, too: who connects
again has the old one ended before anything else (see lease.py).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from pushline.brokers.base import Counts, Receive
from pushline.brokers.redis.answers import Answer, RefusedError
from pushline.brokers.redis.chunks import chunks, some_of
from pushline.brokers.redis.link import Link, command
from pushline.brokers.redis.scripts import Ask
from pushline.errors import UnavailableError

log = logging.getLogger(__name__)

VERSION: Final = 1
NOTICE: Final = b"\xff"
"""In place of the version, in front of what a script of ours publishes."""
HEADER: Final = 8
"""Bytes in front of every payload: the version, 0, and the node's 6 bytes."""


class Channels:
    """`prefix` is what the channels of this cluster begin with in Redis.

    `noticed` is given what a script has published. `wanted` is what the node wants to have, `stale`
    the channels that Redis, when it has done all that was written so far, has the other way round.
    """

    def __init__(self, prefix: bytes, counts: Counts, noticed: Callable[[bytes], object]) -> None:
        self.wanted: set[bytes] = set()
        self.stale: set[bytes] = set()
        self._prefix = prefix
        self._cut = len(prefix)
        self._counts = counts
        self._noticed = noticed
        self._header = b""
        self._receive: Receive = _nobody

    def start(self, node: str, receive: Receive) -> None:
        """From now on we are this node."""
        self._header = bytes((VERSION, 0)) + bytes.fromhex(node)
        self._receive = receive

    # --- subscriptions --------------------------------------------------------------------------

    def subscribe(self, channel: bytes) -> None:
        """With the next `flush`."""
        if channel not in self.wanted:
            self.wanted.add(channel)
            self.stale ^= {channel}

    def unsubscribe(self, channel: bytes) -> None:
        """With the next `flush`; what Redis has sent before that is still received."""
        if channel in self.wanted:
            self.wanted.remove(channel)
            self.stale ^= {channel}

    def unsubscribe_all(self) -> None:
        """As `unsubscribe`, for each."""
        for channel in tuple(self.wanted):
            self.unsubscribe(channel)

    def in_force(self, channel: bytes) -> bool:
        """Whether Redis has us subscribed when it comes to what is written next."""
        return (channel in self.wanted) != (channel in self.stale)

    def forget(self) -> None:
        """It is another connection, which is subscribed to nothing."""
        self.stale = set(self.wanted)

    def flush(self, link: Link) -> Answer | None:
        """Write a slice of what is stale; done when Redis has done it, None where nothing was."""
        channels = some_of(self.stale)
        wanted = [self._prefix + channel for channel in channels if channel in self.wanted]
        others = [self._prefix + channel for channel in channels if channel not in self.wanted]
        last = _write(link, "UNSUBSCRIBE", others)
        return _write(link, "SUBSCRIBE", wanted) or last

    # --- messages -------------------------------------------------------------------------------

    def publish(self, link: Link, channel: bytes, payload: bytes) -> "asyncio.Future[int]":
        """How many other nodes have received it."""
        return link.ask(
            b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b%b\r\n$%d\r\n%b%b\r\n"
            % (
                self._cut + len(channel),
                self._prefix,
                channel,
                HEADER + len(payload),
                self._header,
                payload,
            ),
            self.in_force(channel),
        )

    def received(self, channel: bytes, message: bytes) -> None:
        """Hand on what another node has published."""
        header = message[:HEADER]
        if header == self._header:
            return  # our own: our clients have it already
        if len(header) < HEADER or header[0] != VERSION:
            self._other(message)
            return
        self._counts.received += 1
        try:
            self._receive(channel[self._cut :], message[HEADER:])
        except Exception:
            log.exception("a message of another node could not be taken")

    def _other(self, message: bytes) -> None:
        if not message.startswith(NOTICE):
            self._counts.strange += 1
            return
        try:
            self._noticed(message.removeprefix(NOTICE))
        except Exception:
            log.exception("a notice could not be taken")

    async def subscribers(self, ask: Ask, channels: Sequence[bytes]) -> list[int]:
        """How many other nodes are subscribed to each."""
        asked = [self._count(ask, chunk) for chunk in chunks(channels)]
        answers = await asyncio.gather(*(answer for answer, _ in asked))
        return [
            int(count) - mine
            for (_, own), answer in zip(asked, answers, strict=True)
            for count, mine in zip(answer[1::2], own, strict=True)
        ]

    def _count(self, ask: Ask, channels: Sequence[bytes]) -> tuple[Answer, list[bool]]:
        names = [self._prefix + channel for channel in channels]
        own = [self.in_force(channel) for channel in channels]
        return ask(command("PUBSUB", "NUMSUB", *names)), own


def _nobody(channel: bytes, payload: bytes) -> None:
    pass


def _write(link: Link, verb: str, channels: list[bytes]) -> Answer | None:
    last = None
    for chunk in chunks(channels):
        last = link.ask_confirmation(command(verb, *chunk), len(chunk))
        last.add_done_callback(lambda answer: _confirmed(link, answer))
    return last


def _confirmed(link: Link, answer: Answer) -> None:
    error = None if answer.cancelled() else answer.exception()
    if isinstance(error, RefusedError):
        link.lose(UnavailableError(f"{link} does not let us subscribe ({error.text})"))

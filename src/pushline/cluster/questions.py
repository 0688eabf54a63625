"""Questions to other nodes, and their answers."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from pushline.brokers.base import Broker
from pushline.cluster.routes import Part
from pushline.codecs.cluster_wire import (
    Answer,
    Question,
    decode_result,
    encode_question,
    node_in,
    user_in,
    user_of,
)
from pushline.commands import Command, IsAlive
from pushline.errors import (
    AppError,
    BadFrameError,
    DeadlineError,
    PushlineError,
    SerializedError,
    UnavailableError,
)
from pushline.gateway.partial import Missing

LAST_NUMBER: Final = 2**32 - 1
OTHERS: Final = "all other nodes"
"""In place of a name, where Redis does not answer."""
SOMEBODY: Final = "another node"
"""Where it does not even say who there is."""


class Loss(NamedTuple):
    """Who has not answered, why, and what is raised where that matters."""

    node: str
    why: str
    kind: type[PushlineError]


class Asked:
    """A question to the nodes behind a channel, and what they have answered so far.

    `settled` is done when all have answered to whom it went, or when that cannot be known.
    """

    def __init__(self, part: Part, count: "asyncio.Future[int]") -> None:
        self.channel, self.command = part
        self.count = count
        """How many nodes it went to."""
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.results: dict[str, Any] = {}
        """Of the nodes that have answered, by name."""
        self.failures: dict[str, str] = {}
        """Of those that could not, likewise."""
        count.add_done_callback(self._counted)

    @property
    def answered(self) -> set[str]:
        """The nodes that have said something."""
        return {*self.results, *self.failures}

    @property
    def error(self) -> PushlineError | None:
        """Why it may have come to nobody."""
        error = self.count.exception() if self.count.done() else None
        return error if isinstance(error, PushlineError) else None

    @property
    def silent(self) -> int:
        """How many nodes it went to that have not answered."""
        if not self.count.done() or self.error is not None:
            return 0
        return max(0, self.count.result() - len(self.results) - len(self.failures))

    def take(self, answer: Answer) -> None:
        """A node has answered."""
        if answer.failed:
            self.failures[answer.node] = answer.result.decode(errors="replace")
        else:
            try:
                self.results[answer.node] = decode_result(self.command, answer.result)
            except BadFrameError as error:
                self.failures[answer.node] = str(error)
        self._check()

    def close(self) -> None:
        """Nobody waits for it any more."""
        self.count.cancel()
        self.settled.cancel()

    def _counted(self, count: "asyncio.Future[int]") -> None:
        if not count.cancelled():
            count.exception()  # taken, also where nobody waits any more
            self._check()

    def _check(self) -> None:
        if self.count.done() and not self.silent and not self.settled.done():
            self.settled.set_result(None)


class Questions:
    """Those of one node, whose `name` it is; `timeout` is in seconds."""

    def __init__(self, broker: Broker, timeout: float) -> None:
        self.name = ""
        self._broker = broker
        self._timeout = timeout
        self._open: dict[int, Asked] = {}
        self._last = 0

    def __len__(self) -> int:
        """Those that somebody waits for."""
        return len(self._open)

    def ask(self, parts: Iterable[Part]) -> dict[int, Asked]:
        """Publish questions, by their numbers. Raises AppError for what cannot be sent, at once."""
        encoded = {self._new(): part for part in parts}
        payloads = [self._encode(number, part.command) for number, part in encoded.items()]
        for (number, part), payload in zip(encoded.items(), payloads, strict=True):
            self._open[number] = Asked(part, self._broker.publish(part.channel, payload))
        return {number: self._open[number] for number in encoded}

    def take(self, answer: Answer) -> None:
        """An answer to one of them; nobody waits for a late one any more."""
        asked = self._open.get(answer.number)
        if asked is not None:
            asked.take(answer)

    async def gather(
        self, asked: dict[int, Asked], missing: list[Missing] | None
    ) -> list[tuple[Any, Any]]:
        """What has been answered, each with its Command.

        Who has not answered in time is put into `missing`; without that, UnavailableError,
        DeadlineError or SerializedError names them.
        """
        seconds = self._timeout + max(map(_patience, asked.values()), default=0.0)
        try:
            await asyncio.wait([each.settled for each in asked.values()], timeout=seconds)
            losses = await self._losses(list(asked.values()), f"no answer within {seconds:g} s")
        finally:
            for number, each in asked.items():
                del self._open[number]
                each.close()
        if losses and missing is None:
            raise _error(losses)
        if missing is not None:
            missing += [Missing(loss.node, loss.why) for loss in losses]
        return [
            (each.command, result) for each in asked.values() for result in each.results.values()
        ]

    # --- what is sent ---------------------------------------------------------------------------

    def _new(self) -> int:
        self._last = self._last % LAST_NUMBER + 1
        while self._last in self._open:
            self._last = self._last % LAST_NUMBER + 1
        return self._last

    def _encode(self, number: int, command: Command[Any]) -> bytes:
        try:
            return encode_question(Question(number, self.name, command))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise AppError(f"this cannot be sent to another node: {error}") from None

    # --- who is missing -------------------------------------------------------------------------

    async def _losses(self, asked: Sequence[Asked], late: str) -> list[Loss]:
        losses = [
            Loss(node, why, SerializedError)
            for each in asked
            for node, why in each.failures.items()
        ]
        errors = {str(each.error): None for each in asked if each.error is not None}
        losses += [Loss(OTHERS, error, UnavailableError) for error in errors]
        if any(not each.count.done() for each in asked):
            losses.append(Loss(OTHERS, late, DeadlineError))
        silent = [each for each in asked if each.silent]
        names = await self._names(silent) if silent else {}
        return losses + [Loss(name, late, DeadlineError) for name in names]

    async def _names(self, silent: Sequence[Asked]) -> dict[str, None]:
        """Of nodes that were asked and have not answered, as exact as can be."""
        names: dict[str, None] = {}
        nodes = await asyncio.gather(*map(self._possible, silent))
        for each, here in zip(silent, nodes, strict=True):
            possible = sorted(here - each.answered - {self.name})
            if len(possible) > each.silent:
                names[" or ".join(possible)] = None
            else:
                names |= dict.fromkeys(possible or [SOMEBODY])
        return names

    async def _possible(self, asked: Asked) -> set[str]:
        """The nodes behind a channel, as far as is known."""
        if node := node_in(asked.channel):
            return {node}
        try:
            if user := user_in(asked.channel):
                return set(*await self._broker.whereabouts([user_of(*user)]))
            return set(await self._broker.nodes())
        except PushlineError:
            return set()


def _patience(asked: Asked) -> float:
    """Seconds that the answer may take beyond the usual."""
    return asked.command.seconds if isinstance(asked.command, IsAlive) else 0.0


def _error(losses: Sequence[Loss]) -> PushlineError:
    """Of the kind that all are of, else that of the ones who are late."""
    kinds = {loss.kind for loss in losses}
    kind = kinds.pop() if len(kinds) == 1 else DeadlineError
    nodes: dict[str, dict[str, None]] = {}
    for loss in losses:
        nodes.setdefault(loss.why, {})[loss.node] = None
    return kind("; ".join(f"{', '.join(names)}: {why}" for why, names in nodes.items()))

"""Commands on all nodes of a cluster: this one first, then, through the Broker, the others."""

import asyncio
import logging
from collections.abc import Awaitable, Collection, Sequence
from typing import Any, TypeVar

from pushline.asked import Asked, Questions
from pushline.brokers.base import Broker
from pushline.codecs import cluster_wire as wire
from pushline.codecs.cluster_wire import Question
from pushline.commands import Command, SendToAll, SendToUid, Sent
from pushline.connection import Connection
from pushline.errors import BadFrameError, PushlineError
from pushline.messages import Message
from pushline.node import Node
from pushline.routes import Route, route_of

log = logging.getLogger(__name__)

T = TypeVar("T")

Push = SendToUid | SendToAll
Counts = Sequence["asyncio.Future[int]"]
"""Of nodes that will have taken what was published."""


class Pending(asyncio.Future[Sent]):
    """What will become of `send`: nobody here got it, and others are being asked."""

    delivered = None

    def __init__(self, send: "Push") -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.send = send


class Cluster:
    """An Executor, and the Watcher of a Hub. `timeout` is in seconds.

    `execute` answers exactly, for all nodes; `push` says no more than whether anybody got it, and
    is for pushes by the thousand.
    """

    def __init__(self, node: Node, broker: Broker, timeout: float) -> None:
        self._node = node
        self._broker = broker
        self._name = ""
        self._questions = Questions(broker, timeout)
        self.doubtful = 0
        """Pushes that somebody here got, and that may not have come to other nodes."""

    async def start(self) -> None:
        """Join the cluster, under the first part of the node's client_ids. Raises ConfigError."""
        self._name = f"{self._node.address:012x}"
        self._questions.name = self._name
        self._node.hub.watcher = self
        await self._broker.start(self._name, self.receive)
        self._broker.subscribe(wire.EVERYONE)
        self._broker.subscribe(wire.channel_of_node(self._name))

    # --- who is here: as Watcher has it ---------------------------------------------------------

    def user_came(self, uid: str, utype: str, connections: int) -> None:
        if connections == 1:
            self._broker.subscribe(wire.channel_of_uid(uid, utype))
        self._broker.present(wire.user_of(uid, utype), connections)

    def user_left(self, uid: str, utype: str, connections: int) -> None:
        if connections == 0:
            self._broker.unsubscribe(wire.channel_of_uid(uid, utype))
        self._broker.present(wire.user_of(uid, utype), connections)

    def group_came(self, group: str, members: int) -> None:
        if members == 1:
            self._broker.subscribe(wire.channel_of_group(group))

    def group_left(self, group: str, members: int) -> None:
        if members == 0:
            self._broker.unsubscribe(wire.channel_of_group(group))

    # --- pushes ---------------------------------------------------------------------------------

    def push(self, command: Push) -> Sent | Pending:
        """Whether anybody got it: `delivered` is of this node, or how many others took it.

        Where somebody here got it that is known at once. Else UnavailableError is raised when the
        broker fails, and whether others got it is then not known.
        """
        here = self._node.execute(command)
        counts = self._publish(command)
        if not here.delivered and counts:
            return _total(command, counts)
        for count in counts:
            count.add_done_callback(self._note)
        return here

    def _publish(self, command: Push) -> Counts:
        publish = self._broker.publish
        if isinstance(command, SendToAll):
            question = Question(0, self._name, command)
            return (publish(wire.EVERYONE, wire.encode_question(question)),)
        payload, utype = wire.encode_message(command.message), command.utype
        return [publish(wire.channel_of_uid(uid, utype), payload) for uid in command.uids]

    def _note(self, count: "asyncio.Future[int]") -> None:
        if not count.cancelled() and count.exception() is not None:
            self.doubtful += 1

    # --- all Commands, exactly ------------------------------------------------------------------

    def execute(self, command: Command[T]) -> T | Awaitable[T]:
        """As Executor has it. Raises UnavailableError, and DeadlineError, which names who is
        missing."""
        route = route_of(command, self._name)
        here = [] if route.local is None else [(route.local, self._node.execute(route.local))]
        if not route.remote and not any(isinstance(each, asyncio.Future) for _, each in here):
            return route.merge(here)  # type: ignore[no-any-return] # as the route has it
        asked = [self._questions.ask(part.channel, part.command) for part in route.remote]
        return self._complete(route, here, asked)

    async def ask(self, command: Command[T]) -> T:
        """The same, to await in any case."""
        answer = self.execute(command)
        return await answer if isinstance(answer, Awaitable) else answer

    async def _complete(
        self, route: Route, here: list[tuple[Any, Any]], asked: Sequence[Asked]
    ) -> Any:
        await self._questions.gather(asked)
        answers = [(part, await _known(answer)) for part, answer in here]
        answers += [(each.command, result) for each in asked for result in each.results]
        return route.merge(answers)

    # --- what others publish --------------------------------------------------------------------

    def receive(self, channel: bytes, payload: bytes) -> None:
        """Another node has published this."""
        try:
            what = wire.decode(payload)
        except BadFrameError as error:
            log.warning("broker: %s", error)
            return
        if isinstance(what, Message):
            self._node.outbox.send(self._behind(channel), what)
        elif isinstance(what, Question):
            self._carry_out(what)
        else:
            self._questions.take(what)

    def _behind(self, channel: bytes) -> Collection[Connection]:
        user = wire.user_in(channel)
        return self._node.hub.of_uid(*user) if user else ()

    def _carry_out(self, question: Question) -> None:
        try:
            result = self._node.execute(question.command)
        except PushlineError as error:
            result = error
        if not question.number:
            return
        if isinstance(result, asyncio.Future):
            result.add_done_callback(lambda future: self._answer(question, future.result()))
        else:
            self._answer(question, result)

    def _answer(self, question: Question, result: Any) -> None:
        number, name = question.number, self._name
        try:
            if isinstance(result, PushlineError):
                raise result
            answer = wire.encode_answer(number, name, result)
        except (PushlineError, TypeError, ValueError, OverflowError) as error:
            answer = wire.encode_failure(number, name, str(error))
        sent = self._broker.publish(wire.channel_of_node(question.node), answer)
        sent.add_done_callback(_forget)


async def _known(answer: Any) -> Any:
    return await answer if isinstance(answer, asyncio.Future) else answer


def _forget(count: "asyncio.Future[int]") -> None:
    """An answer that cannot be sent is one that the asker misses."""
    if not count.cancelled():
        count.exception()


def _total(command: Push, counts: Counts) -> Pending:
    """How many nodes took it, once that is known of all; an error only where none did."""
    total = Pending(command)
    left = len(counts)

    def settle(_count: "asyncio.Future[int]") -> None:
        nonlocal left
        left -= 1
        if left or total.done():
            return
        errors = [error for count in counts if (error := count.exception())]
        nodes = sum(count.result() for count in counts if not count.exception())
        if errors and not nodes:
            total.set_exception(errors[0])
        else:
            total.set_result(Sent(nodes))

    for count in counts:
        count.add_done_callback(settle)
    return total

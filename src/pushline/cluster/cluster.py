"""Commands on all nodes of a cluster: this one first, then, through the Broker, the others."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, TypeVar

from pushline.brokers.base import Broker
from pushline.cluster.backlog import Backlog
from pushline.cluster.pushes import Pushes
from pushline.cluster.questions import OTHERS, Asked, Questions
from pushline.cluster.routes import Route, route_of
from pushline.codecs import cluster_wire as wire
from pushline.codecs.cluster_wire import Answer, Question
from pushline.commands import Command, UidsOnline
from pushline.errors import BadFrameError, PushlineError
from pushline.gateway.partial import Missing, Partial
from pushline.messages import Message
from pushline.node import Node

log = logging.getLogger(__name__)

T = TypeVar("T")


class Cluster:
    """An Executor that answers exactly, for all nodes; and the Watcher of a Hub.

    `pushes` are those that need no such answer. `timeout` is in seconds.
    """

    def __init__(self, node: Node, broker: Broker, timeout: float) -> None:
        self.partial = Partial()
        self.backlog = Backlog(node, self._carry_out)
        self._node = node
        self._broker = broker
        self._loop = asyncio.get_running_loop()
        self._name = ""
        self._questions = Questions(broker, timeout)
        self.pushes = Pushes(node, broker, self._questions)

    async def start(self) -> None:
        """Join the cluster, under the first part of the node's client_ids.

        Raises ConfigError and UnavailableError.
        """
        self._name = self._questions.name = f"{self._node.address:012x}"
        self._node.hub.watcher = self
        self._broker.subscribe(wire.EVERYONE)
        self._broker.subscribe(wire.channel_of_node(self._name))
        await self._broker.start(self._name, self.receive)

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

    # --- all Commands, exactly ------------------------------------------------------------------

    def execute(self, command: Command[T]) -> T | Awaitable[T]:
        """As Executor has it. Raises UnavailableError, DeadlineError and SerializedError, which
        name who is missing; the others have done it."""
        if isinstance(command, UidsOnline):
            return self._uids_online(command, self.partial.missing)  # type: ignore[return-value] # a T is what it gives
        route = route_of(command, self._name)
        here = [] if route.local is None else [(route.local, self._node.execute(route.local))]
        if not route.remote and not any(isinstance(each, asyncio.Future) for _, each in here):
            return route.merge(here)  # type: ignore[no-any-return] # as the route has it
        asked = self._questions.ask(route.remote)
        return self._complete(route, here, asked, self.partial.missing)

    async def ask(self, command: Command[T]) -> T:
        """The same, to await in any case."""
        answer = self.execute(command)
        return await answer if isinstance(answer, Awaitable) else answer

    async def _complete(
        self,
        route: Route,
        here: list[tuple[Any, Any]],
        asked: dict[int, Asked],
        missing: list[Missing] | None,
    ) -> Any:
        others = await self._questions.gather(asked, missing) if asked else []
        return route.merge([(part, await _known(answer)) for part, answer in here] + others)

    def _uids_online(
        self, command: UidsOnline, missing: list[Missing] | None
    ) -> dict[str, bool] | Awaitable[dict[str, bool]]:
        online = self._node.execute(command)
        away = [uid for uid in command.uids if not online[uid]]
        return self._seek(online, away, command.utype, missing) if away else online

    async def _seek(
        self, online: dict[str, bool], away: list[str], utype: str, missing: list[Missing] | None
    ) -> dict[str, bool]:
        """Who of those that are not here is anywhere, in one round trip."""
        channels = [wire.channel_of_uid(uid, utype) for uid in away]
        try:
            counts = await self._broker.subscribers(channels)
        except PushlineError as error:
            if missing is None:
                raise
            missing.append(Missing(OTHERS, str(error)))
            return online
        return online | {uid: count > 0 for uid, count in zip(away, counts, strict=True)}

    # --- what others publish --------------------------------------------------------------------

    def receive(self, channel: bytes, payload: bytes) -> None:
        """Another node has published this."""
        try:
            what = wire.decode(payload)
        except BadFrameError as error:
            log.warning("broker: %s", error)
            return
        if isinstance(what, Answer):
            self._questions.take(what)
        else:
            self.backlog.take(channel, what, len(payload))

    def _carry_out(self, channel: bytes, what: Message | Question) -> None:
        if isinstance(what, Question):
            self._do(what)
        elif user := wire.user_in(channel):
            uid, utype = user
            node = self._node
            node.outbox.send(node.hub.of_uid(uid, utype), what)

    def _do(self, question: Question) -> None:
        result: Any
        try:
            result = self._node.execute(question.command)
        except PushlineError as error:
            result = error
        except Exception as error:
            log.exception("what the node %s has asked for could not be done", question.node)
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
            if isinstance(result, Exception):
                raise result
            answer = wire.encode_answer(number, name, result)
        except Exception as error:
            answer = wire.encode_failure(number, name, str(error) or repr(error))
        # In the next pass: who has been told that a client is in a group must reach it there, and
        # the subscription goes out in the next one, too.
        self._loop.call_soon(self._publish, wire.channel_of_node(question.node), answer)

    def _publish(self, channel: bytes, answer: bytes) -> None:
        self._broker.publish(channel, answer).add_done_callback(_forget)


async def _known(answer: Any) -> Any:
    return await answer if isinstance(answer, asyncio.Future) else answer


def _forget(count: "asyncio.Future[int]") -> None:
    """An answer that cannot be sent is one that the asker misses."""
    if not count.cancelled():
        count.exception()

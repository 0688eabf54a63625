"""Pushes to a whole cluster, by the thousand: all that is said is whether anybody got one."""

import asyncio
from collections.abc import Sequence

from pushline.brokers.base import Broker
from pushline.cluster.questions import Asked, Questions
from pushline.cluster.routes import Part, is_long
from pushline.codecs import cluster_wire as wire
from pushline.codecs.cluster_wire import Question
from pushline.commands import SendToAll, SendToUid, Sent
from pushline.errors import UnavailableError
from pushline.gateway.partial import Missing
from pushline.node import Node
from pushline.outbox import ENQUEUE_COST

Push = SendToUid | SendToAll
Counts = Sequence["asyncio.Future[int]"]
"""Of nodes that will have taken what was published."""


class Pending(asyncio.Future[Sent]):
    """What will become of `send`: nobody here got it, and others are being asked.

    `delivered` is how many of them took it, and UnavailableError says that this is not known.
    """

    delivered = None

    def __init__(self, send: Push) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.send = send

    def fail(self, error: BaseException) -> None:
        """It is not known; nothing is logged where nobody asks any more."""
        self.set_exception(error)
        self.exception()


class Pushes:
    """`push` gives them to this node, and then to the others."""

    def __init__(self, node: Node, broker: Broker, questions: Questions) -> None:
        self.doubtful = 0
        """Pushes that somebody got, and that may not have come to all nodes."""
        self._node = node
        self._broker = broker
        self._questions = questions
        self._tasks: set[asyncio.Task[None]] = set()

    def push(self, command: Push) -> Sent | Pending:
        """What became of it here, at once, where anybody here got it."""
        here = self._node.execute(command)
        if isinstance(command, SendToAll):
            counts: Counts = (self._tell_all(command),)
        elif not is_long(command.uids, len(command.message.data)):
            counts = self._copies(command)
        elif here.delivered:
            counts = (self._tell_all(command),)
        else:
            return self._ask_all(command)
        if not here.delivered and counts:
            return self._total(command, counts)
        for count in counts:
            count.add_done_callback(self._note)
        return here

    def _tell_all(self, command: Push) -> "asyncio.Future[int]":
        question = Question(0, self._questions.name, command)
        return self._broker.publish(wire.EVERYONE, wire.encode_question(question))

    def _copies(self, command: SendToUid) -> Counts:
        """One for each user; the first has been paid for when it was sent to those here."""
        publish, uids, utype = self._broker.publish, command.uids, command.utype
        payload = wire.encode_message(command.message)
        if len(uids) > 1:
            self._node.outbox.credit -= (len(uids) - 1) * (len(payload) + ENQUEUE_COST)
        return [publish(wire.channel_of_uid(uid, utype), payload) for uid in uids]

    def _note(self, count: "asyncio.Future[int]") -> None:
        if not count.cancelled() and count.exception() is not None:
            self.doubtful += 1

    # --- where nobody here got it ---------------------------------------------------------------

    def _total(self, command: Push, counts: Counts) -> Pending:
        """How many nodes took it, once that is known of all; an error only where none did."""
        total = Pending(command)
        left = len(counts)

        def settle(_: "asyncio.Future[int]") -> None:
            nonlocal left
            left -= 1
            if left:
                return
            errors = [error for count in counts if (error := count.exception())]
            nodes = sum(count.result() for count in counts if not count.exception())
            if errors and not nodes:
                total.fail(errors[0])
            else:
                self.doubtful += bool(errors)
                total.set_result(Sent(nodes))

        for count in counts:
            count.add_done_callback(settle)
        return total

    def _ask_all(self, command: SendToUid) -> Pending:
        """Of a long list every node has to say whether anybody got it."""
        pending = Pending(command)
        asked = self._questions.ask([Part(wire.EVERYONE, command)])
        task = asyncio.create_task(self._settle(pending, asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return pending

    async def _settle(self, pending: Pending, asked: dict[int, Asked]) -> None:
        missing: list[Missing] = []
        answers = await self._questions.gather(asked, missing)
        nodes = sum(sent.delivered > 0 for _, sent in answers)
        if missing and not nodes:
            pending.fail(UnavailableError(missing[0].why))
        else:
            self.doubtful += bool(missing)
            pending.set_result(Sent(nodes))

"""How many connections one user may have on all nodes of a cluster: `auth.sessions`."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from pushline.brokers.base import Broker, Holder
from pushline.cluster import Cluster
from pushline.codecs.cluster_wire import user_of
from pushline.commands import IsAlive, Kick
from pushline.connection import Connection
from pushline.errors import PushlineError
from pushline.heartbeat import Heartbeat
from pushline.messages import LIMIT, REPLACED, UNDECIDED
from pushline.metrics import Metrics
from pushline.node import Node
from pushline.sessions import Sessions
from pushline.wheel import Wheel

log = logging.getLogger(__name__)

ATTEMPTS = 5
"""To close a connection of another node that has been replaced."""


class ClaimedSessions(Sessions):
    """Who a user is, is claimed in the Broker, where one connection at a time can have him.

    A login waits for that, and is asked to come again where it cannot be had.
    """

    def __init__(
        self,
        node: Node,
        cluster: Cluster,
        broker: Broker,
        wheel: Wheel,
        heartbeat: Heartbeat,
        metrics: Metrics,
        *,
        policy: str,
        challenge: float,
    ) -> None:
        super().__init__(node.hub, wheel, heartbeat, metrics, policy=policy, challenge=challenge)
        self._node = node
        self._cluster = cluster
        self._broker = broker
        self._seconds = challenge
        self._claimed: dict[Connection, bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        node.teach(IsAlive, self._is_alive)

    def left(self, connection: Connection) -> None:
        user = self._claimed.pop(connection, None)
        if user is not None:
            self._broker.release(user, self._node.client_id(connection))

    def _newest(self, newer: Connection, uid: str, utype: str) -> None:
        self._begin(newer, self._seize(newer, uid, utype))

    def _first(self, newer: Connection, uid: str, utype: str) -> None:
        self._begin(newer, self._claim(newer, uid, utype))

    def _begin(self, newer: Connection, work: Coroutine[Any, Any, None]) -> None:
        self.challengers.add(newer)
        self._hub.name(newer)
        self._run(self._decided(newer, work))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _decided(self, newer: Connection, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except PushlineError as error:
            log.warning("a login cannot be decided: %s", error)
            newer.close(UNDECIDED)
        finally:
            self.challengers.discard(newer)

    async def _seize(self, newer: Connection, uid: str, utype: str) -> None:
        user, client = user_of(uid, utype), self._node.client_id(newer)
        holder = await self._broker.seize(user, client)
        if self._let_in(newer, user, client):
            super()._newest(newer, uid, utype)
        if holder is not None:
            self._run(self._replace(holder))

    async def _claim(self, newer: Connection, uid: str, utype: str) -> None:
        user, client = user_of(uid, utype), self._node.client_id(newer)
        before = None
        while holder := await self._broker.claim(user, client, before):
            if newer.sealed:
                return
            if await self._cluster.ask(IsAlive(holder.client, self._seconds)):
                newer.close(LIMIT)
                return
            before = holder  # gone, or as good as that; another may have come in
        if self._let_in(newer, user, client):
            self._enter(newer, uid, utype)
        if before is not None:
            self._run(self._replace(before))

    def _let_in(self, newer: Connection, user: bytes, client: str) -> bool:
        """False where it has gone in the meantime."""
        if newer.sealed:
            self._broker.release(user, client)
            return False
        self._claimed[newer] = user
        return True

    async def _replace(self, holder: Holder) -> None:
        """Close a connection that holds its user no more, wherever it is."""
        kick = Kick((holder.client,), None, REPLACED)
        for _ in range(ATTEMPTS):
            try:
                await self._cluster.ask(kick)
                return
            except PushlineError as error:
                log.warning("%s is to be closed: %s", holder.client, error)
                await asyncio.sleep(1.0)

    def _is_alive(self, question: IsAlive) -> "asyncio.Future[bool] | bool":
        connection = self._node.find(question.client)
        if connection is None or connection.sealed:
            return False
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._ask((connection,), answer.set_result)
        return answer

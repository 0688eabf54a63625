"""How many connections one user may have on all nodes of a cluster: `auth.sessions`."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, NamedTuple

from pushline.brokers.base import Broker
from pushline.cluster.cluster import Cluster
from pushline.codecs.cluster_wire import user_of
from pushline.commands import IsAlive
from pushline.connection import Connection
from pushline.errors import PushlineError
from pushline.heartbeat import Heartbeat
from pushline.messages import LIMIT, REPLACED, UNDECIDED
from pushline.metrics import Metrics
from pushline.node import Node
from pushline.sessions import Sessions
from pushline.wheel import Wheel

log = logging.getLogger(__name__)


class User(NamedTuple):
    """Whose a connection is."""

    uid: str
    utype: str

    @property
    def name(self) -> bytes:
        """Among all users."""
        return user_of(self.uid, self.utype)


class ClaimedSessions(Sessions):
    """Who a user is, is claimed in the Broker, where one connection at a time can have him.

    A login waits for that, and is asked to come again where it cannot be had. Whom another takes
    the place of is closed, as the Broker says, wherever they are.
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
        self._claimed: dict[Connection, User] = {}
        self._deciding: dict[str, Connection] = {}
        """Those of the challengers by client_id: they may hold their user already."""
        self._tasks: set[asyncio.Task[None]] = set()
        node.teach(IsAlive, self._is_alive)
        broker.ousted = self._ousted

    def left(self, connection: Connection) -> None:
        user = self._claimed.pop(connection, None)
        if user is not None:
            self._broker.release(user.name, self._node.client_id(connection))

    # --- a login --------------------------------------------------------------------------------

    def _newest(self, newer: Connection, uid: str, utype: str) -> None:
        self._begin(newer, self._seize(newer, User(uid, utype)))

    def _first(self, newer: Connection, uid: str, utype: str) -> None:
        self._begin(newer, self._claim(newer, User(uid, utype)))

    def _begin(self, newer: Connection, work: Coroutine[Any, Any, None]) -> None:
        self.challengers.add(newer)
        self._hub.name(newer)
        self._deciding[self._node.client_id(newer)] = newer
        self._run(self._decided(newer, work))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _decided(self, newer: Connection, work: Coroutine[Any, Any, None]) -> None:
        client = self._node.client_id(newer)
        try:
            await work
        except PushlineError as error:
            log.warning("a login cannot be decided: %s", error)
            newer.close(UNDECIDED)
        finally:
            self.challengers.discard(newer)
            del self._deciding[client]

    async def _seize(self, newer: Connection, user: User) -> None:
        client = self._node.client_id(newer)
        await self._broker.seize(user.name, client)
        if self._let_in(newer, user, client):
            super()._newest(newer, user.uid, user.utype)

    async def _claim(self, newer: Connection, user: User) -> None:
        client = self._node.client_id(newer)
        before = None
        while holder := await self._broker.claim(user.name, client, before):
            is_alive = await self._cluster.ask(IsAlive(holder.client, *user, self._seconds))
            if is_alive or newer.sealed:
                newer.close(LIMIT)
                return
            before = holder  # gone, or as good as that; another may have come in
        if self._let_in(newer, user, client):
            self._enter(newer, user.uid, user.utype)

    def _let_in(self, newer: Connection, user: User, client: str) -> bool:
        """False where it has gone in the meantime."""
        if newer.sealed:
            self._broker.release(user.name, client)
            return False
        self._claimed[newer] = user
        return True

    # --- what other nodes ask of an older connection --------------------------------------------

    def _is_alive(self, question: IsAlive) -> "asyncio.Future[bool] | bool":
        newer = self._deciding.get(question.client)
        if newer is not None:
            return not newer.sealed  # it has only just come
        connection = self._node.find(question.client)
        if connection is None or not self._has(connection, question.uid, question.utype):
            return False
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._ask((connection,), answer.set_result)
        return answer

    def _has(self, connection: Connection, uid: str, utype: str) -> bool:
        """Nobody has given it another uid since."""
        return not connection.sealed and (connection.uid, connection.utype) == (uid, utype)

    def _ousted(self, name: bytes, client: str) -> None:
        """Another connection has its user, wherever that is."""
        newer = self._deciding.get(client)
        connection = newer or self._node.find(client)
        if connection is not None and (newer or self._holds(connection, name)):
            connection.close(REPLACED)

    def _holds(self, connection: Connection, name: bytes) -> bool:
        user = self._claimed.get(connection)
        return user is not None and user.name == name and self._has(connection, *user)

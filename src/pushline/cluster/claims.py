"""How many connections one user may have on all nodes of a cluster: `auth.sessions`."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from itertools import islice
from typing import Any, Final, NamedTuple

from pushline.brokers.base import Broker, Holder
from pushline.cluster.cluster import Cluster
from pushline.codecs.cluster_wire import user_of
from pushline.commands import IsAlive, Replace
from pushline.connection import Connection
from pushline.errors import PushlineError
from pushline.heartbeat import Heartbeat
from pushline.messages import LIMIT, REPLACED, UNDECIDED
from pushline.metrics import Metrics
from pushline.node import Node
from pushline.sessions import Sessions
from pushline.wheel import Item, Wheel

log = logging.getLogger(__name__)

ATTEMPTS: Final = 5
"""To close a connection of another node that has been replaced."""
PAUSE: Final = 1.0
"""Seconds between them, and between two looks at the broker."""
AT_ONCE: Final = 1000
"""Claims that are looked at together."""


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

    A login waits for that, and is asked to come again where it cannot be had. What others have
    claimed while this node was cut off is given up to them when it is back.
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
        self._reconnects = 0
        self._look_ticks = wheel.ticks(PAUSE)
        self._watch = Item()
        self._watch.slot = None
        node.teach(IsAlive, self._is_alive)
        node.teach(Replace, self._give_way)
        self._look()

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
        holder = await self._broker.seize(user.name, client)
        if self._let_in(newer, user, client):
            super()._newest(newer, user.uid, user.utype)
        if holder is not None:
            self._run(self._replace(holder, user))

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
        if before is not None:
            self._run(self._replace(before, user))

    def _let_in(self, newer: Connection, user: User, client: str) -> bool:
        """False where it has gone in the meantime."""
        if newer.sealed:
            self._broker.release(user.name, client)
            return False
        self._claimed[newer] = user
        return True

    async def _replace(self, holder: Holder, user: User) -> None:
        """Close a connection that holds its user no more, wherever it is."""
        for _ in range(ATTEMPTS):
            try:
                await self._cluster.ask(Replace(holder.client, *user))
                return
            except PushlineError as error:
                log.warning("%s is to be closed: %s", holder.client, error)
                await asyncio.sleep(PAUSE)

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

    def _give_way(self, command: Replace) -> bool:
        connection = self._deciding.get(command.client)
        if connection is None:
            connection = self._node.find(command.client)
            if connection is None or not self._has(connection, command.uid, command.utype):
                return False
        connection.close(REPLACED)
        return True

    def _has(self, connection: Connection, uid: str, utype: str) -> bool:
        """Nobody has given it another uid since."""
        return not connection.sealed and (connection.uid, connection.utype) == (uid, utype)

    # --- after a time in which others may have claimed what we hold -----------------------------

    def _look(self, _: Item | None = None) -> None:
        self._wheel.schedule(self._watch, self._look_ticks, self._look)
        reconnects = self._broker.counts.reconnects
        if reconnects != self._reconnects and self._broker.ready:
            self._reconnects = reconnects
            self._run(self._give_up_lost())

    async def _give_up_lost(self) -> None:
        claims = iter(list(self._claimed.items()))
        while some := list(islice(claims, AT_ONCE)):
            try:
                await self._give_up_lost_of(some)
            except PushlineError as error:
                log.warning("who has claimed our users is not known: %s", error)
                self._reconnects = 0  # look again
                return

    async def _give_up_lost_of(self, claims: Iterable[tuple[Connection, User]]) -> None:
        asked = [
            self._broker.claim(user.name, self._node.client_id(connection), None)
            for connection, user in claims
        ]
        holders = await asyncio.gather(*asked)
        for (connection, user), holder in zip(claims, holders, strict=True):
            if holder is not None:
                connection.close(REPLACED)
            elif connection.sealed:
                self._broker.release(user.name, self._node.client_id(connection))

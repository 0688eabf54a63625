"""How many connections one user may have: `auth.sessions`."""

from collections.abc import Callable

from pushline.connection import Connection
from pushline.heartbeat import Heartbeat
from pushline.hub import Hub
from pushline.messages import LIMIT, REPLACED
from pushline.metrics import Metrics
from pushline.wheel import Item, Wheel


class Sessions:
    """Decides over a login. `policy` is `all`, `newest` or `first`.

    With `first` an older connection is asked for a sign of life before the newer one is refused;
    if none comes within `challenge` seconds, the newer one takes its place.
    """

    def __init__(
        self,
        hub: Hub,
        wheel: Wheel,
        heartbeat: Heartbeat,
        metrics: Metrics,
        *,
        policy: str,
        challenge: float,
    ) -> None:
        self._hub = hub
        self._wheel = wheel
        self._heartbeat = heartbeat
        self._metrics = metrics
        self._challenge_ticks = wheel.ticks(challenge)
        self.challengers: set[Connection] = set()
        """Newer connections that wait for the answer of older ones: in no index yet."""
        self.login = {"all": self._enter, "newest": self._newest, "first": self._first}[policy]
        """Called with a connection, its uid and its utype."""

    def left(self, connection: Connection) -> None:
        """One that may have logged in is over."""

    def _enter(self, connection: Connection, uid: str, utype: str) -> None:
        self._hub.add(connection)
        self._hub.bind(connection, uid, utype)
        self._heartbeat.start(connection)
        self._metrics.logins += 1

    def _newest(self, newer: Connection, uid: str, utype: str) -> None:
        for older in tuple(self._hub.of_uid(uid, utype)):
            older.close(REPLACED)
        self._enter(newer, uid, utype)

    def _first(self, newer: Connection, uid: str, utype: str) -> None:
        olders = tuple(self._hub.of_uid(uid, utype))
        if not olders:
            self._enter(newer, uid, utype)
            return
        self.challengers.add(newer)

        def settle(alive: bool) -> None:
            self.challengers.discard(newer)
            if newer.sealed:
                return
            if alive:
                newer.close(LIMIT)
                return
            for older in olders:
                older.close(REPLACED)
            self._first(newer, uid, utype)  # another may have come in

        self._ask(olders, settle, newer)

    def _ask(
        self,
        olders: tuple[Connection, ...],
        settle: Callable[[bool], None],
        newer: Connection | None = None,
    ) -> None:
        challenge = Challenge(newer, olders, settle, since=self._wheel.now)
        self._wheel.schedule(challenge, 1, self._judge)

    def _judge(self, challenge: "Challenge") -> None:
        waited = self._wheel.now - challenge.since
        if challenge.answered():
            challenge.settle(True)
        elif challenge.over() or waited >= self._challenge_ticks:
            challenge.settle(False)
        else:
            self._wheel.schedule(challenge, 1, self._judge)


class Challenge(Item):
    """Connections that are asked for a sign of life, for as long as `newer`, if any, is there.

    `settle` is told whether one of them gave it.
    """

    __slots__ = ("newer", "olders", "settle", "since")

    def __init__(
        self,
        newer: Connection | None,
        olders: tuple[Connection, ...],
        settle: Callable[[bool], None],
        since: int,
    ) -> None:
        self.slot = None
        self.newer = newer
        self.olders = olders
        self.settle = settle
        self.since = since
        for older in olders:
            older.seen = min(older.seen, since - 1)  # so that any byte from now on shows
            older.ping()

    def answered(self) -> bool:
        """An older connection lives; one that is paused is taken to: its answer cannot be seen."""
        return any(
            not older.sealed and (older.seen >= self.since or not older.is_read)
            for older in self.olders
        )

    def over(self) -> bool:
        """There is nothing left to wait for."""
        gone = self.newer is not None and self.newer.sealed
        return gone or all(older.sealed for older in self.olders)

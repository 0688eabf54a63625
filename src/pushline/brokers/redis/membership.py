"""Being in the cluster, at one Redis, for as long as it takes: connected again and again."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from pushline.brokers.base import Counts
from pushline.brokers.redis.answers import RefusedError
from pushline.brokers.redis.backoff import Backoff
from pushline.brokers.redis.endpoint import Endpoint
from pushline.brokers.redis.lease import Lease, TakenError
from pushline.brokers.redis.link import Link
from pushline.brokers.redis.opening import open_link
from pushline.brokers.redis.times import Times
from pushline.errors import ConfigError, PushlineError, UnavailableError

log = logging.getLogger(__name__)

GOODBYE: Final = 0.5
"""Seconds, at most, that a Redis which is ill holds up the end of a node."""
STEADY: Final = 5.0
"""Seconds after which a connection that was lost is no reason to wait longer for the next."""


class Home(Protocol):
    """What is told of a connection."""

    def received(self, channel: bytes, message: bytes) -> None:
        """Somebody has published this."""

    async def settle(self, link: Link, fresh: bool) -> None:
        """Have everything in force over a new connection; `fresh`: Redis knows nothing of us."""

    async def check(self, link: Link, fresh: bool) -> None:
        """The lease was renewed."""

    async def leave(self, link: Link) -> None:
        """Get nothing more; raises UnavailableError."""

    def missed(self) -> int:
        """Of how many channels messages are missed while there is no connection."""


class Membership:
    """`link` is the connection; None while there is none that has the lease."""

    def __init__(
        self, endpoint: Endpoint, timeout: float, times: Times, counts: Counts, home: Home
    ) -> None:
        self.link: Link | None = None
        self._endpoint = endpoint
        self._timeout = timeout
        self._times = times
        self._counts = counts
        self._home = home
        self._lease: Lease | None = None
        self._task: asyncio.Task[None] | None = None
        self._backoff = Backoff(times.retry, times.retry_most)
        self._said = ""
        """The latest reason in the log why there is no connection."""
        self._is_settled = False
        self._is_leased = False

    @property
    def is_ready(self) -> bool:
        """See the contract."""
        is_in_force = self._is_settled and self._is_leased
        return self.link is not None and self.link.is_prompt and is_in_force

    async def start(self, lease: Lease) -> None:
        """Join, and stay. Raises ConfigError or UnavailableError."""
        self._lease = lease
        link = await self._join_first()
        log.info("%s: connected, as the node %s", link, lease.node)
        self._task = asyncio.create_task(self._stay(link))

    async def stop(self) -> None:
        """Leave."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        link = self.link
        if link is not None and self._lease is not None:
            try:
                async with asyncio.timeout(min(self._timeout, GOODBYE)):
                    await self._home.leave(link)
                    await self._lease.give_up(link)
            except (UnavailableError, TimeoutError) as error:
                why = str(error) or "no answer in time"
                log.warning("%s: the others will miss this node only later (%s)", link, why)
            finally:
                self.link = None
            await link.close()

    # --- joining --------------------------------------------------------------------------------

    async def _join_first(self) -> Link:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._times.join
        predecessor = _Predecessor(self._times.renew)
        while True:
            try:
                return await self._join()
            except TakenError as error:
                pause = predecessor.wait(error, loop.time())
            except UnavailableError as error:
                if loop.time() >= until:
                    raise
                self._say(error)
                pause = self._backoff.wait()
            await asyncio.sleep(pause)

    async def _join(self) -> Link:
        assert self._lease is not None  # noqa: S101 - start has set it
        name = str(self._endpoint)
        patience = max(self._times.patience, self._timeout)
        link = Link(name, self._timeout, patience, self._counts, self._home.received)
        await open_link(self._endpoint, link, self._lease.name, self._timeout)
        try:
            fresh = await self._lease.take(link)
            self.link = link
            await self._with_lease(link, self._home.settle(link, fresh))
        except asyncio.CancelledError:
            self.link = link  # over which `stop` gives the lease up that it may have taken
            raise
        except BaseException:
            self.link = None
            link.lose(UnavailableError(f"{link}: the connection was given up"))
            raise
        self._is_settled = self._is_leased = True
        return link

    async def _with_lease(self, link: Link, work: Coroutine[Any, Any, None]) -> None:
        """Renew the lease meanwhile: where all come back at once, Redis is busy, and it may take
        longer than the lease lasts."""
        assert self._lease is not None  # noqa: S101 - start has set it
        task, forgotten = asyncio.create_task(work), False
        try:
            while not (await asyncio.wait((task,), timeout=self._times.renew))[0]:
                forgotten |= await self._lease.take(link)
            task.result()
        finally:
            task.cancel()
        if forgotten:
            await self._with_lease(link, self._home.check(link, fresh=True))

    def _say(self, error: PushlineError) -> None:
        if str(error) != self._said:
            self._said = str(error)
            log.warning("%s; trying again", error)

    # --- staying --------------------------------------------------------------------------------

    async def _stay(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            await self._keep(link)
            if loop.time() - begun >= STEADY:
                self._backoff.reset()
            lost = loop.time()
            link = await self._join_again()
            self._tell(link, loop.time() - lost)

    async def _keep(self, link: Link) -> None:
        """Until it is lost."""
        while not link.lost.done():
            await asyncio.wait((link.lost,), timeout=self._times.renew)
            if link.error is None:
                await self._renew(link)
        self.link = None
        self._is_settled = False
        log.warning("%s; until it is back, only the clients of this node are reached", link.error)

    async def _renew(self, link: Link) -> None:
        assert self._lease is not None  # noqa: S101 - start has set it
        try:
            fresh = await self._lease.take(link)
            await self._with_lease(link, self._home.check(link, fresh))
        except UnavailableError as error:
            self._is_leased = False
            if link.error is None:
                log.warning("%s: the lease could not be renewed (%s)", link, error)
            if isinstance(error, TakenError) or _is_copy(error):
                link.lose(error)
        except Exception as error:
            log.exception("%s: the lease could not be renewed", link)
            link.lose(UnavailableError(str(error)))
        else:
            self._is_leased = True

    async def _join_again(self) -> Link:
        self._said = ""
        while True:
            await asyncio.sleep(self._backoff.wait())
            try:
                return await self._join()
            except PushlineError as error:
                self._say(error)
            except Exception:
                log.exception("%s: it could not be joined", self._endpoint)

    def _tell(self, link: Link, seconds: float) -> None:
        self._counts.reconnects += 1
        missed = self._home.missed()
        self._counts.gaps += bool(missed)
        log.warning(
            "%s: connected again after %.1f s; what other nodes sent to %d channels was missed",
            *(link, seconds, missed),
        )


class _Predecessor:
    """Whether who has our name is dead, and its lease about to end, or alive, and renews it."""

    def __init__(self, renew: float) -> None:
        self._renew = renew
        self._ends = 0.0

    def wait(self, error: TakenError, now: float) -> float:
        """Seconds until it is worth trying again. Raises ConfigError where it is alive."""
        ends = now + error.left
        if self._ends and ends > self._ends + self._renew / 3:
            raise ConfigError(f"{error}: give each its own (gateway.advertise)")
        self._ends = self._ends or ends
        return min(error.left, self._renew / 3) + self._renew / 30


def _is_copy(error: UnavailableError) -> bool:
    """The Redis is not the master any more."""
    return isinstance(error, RefusedError) and error.code == "READONLY"

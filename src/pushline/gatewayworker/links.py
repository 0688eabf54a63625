"""The links to all gateways that one Register or several list."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Sequence
from typing import Final

from pushline.address import Address
from pushline.errors import ClientError, RejectedError, UnavailableError
from pushline.gatewayworker.link import DOUBT, Link
from pushline.gatewayworker.pipeline import again
from pushline.gatewayworker.register_client import REFUSED, RegisterClient
from pushline.gatewayworker.role import Role, place_of

log = logging.getLogger(__name__)

RETRY: Final = 1.0
"""Seconds from the loss of a link to the next attempt; twice as many after each that fails."""
LONGEST_RETRY: Final = 8.0
"""Seconds; one that is listed again is tried at once."""


class KnownGateway:
    """One that a Register lists, or that was listed and has a link still.

    `link` is open, or on its first attempt; without one, `error` says why. `tried` is set when
    that attempt is over.
    """

    def __init__(self, address: str, links: "Links") -> None:
        self.address = address
        self.place = place_of(address)
        self.link: Link | None = Link(address, links.role)
        self.error: ClientError | None = None
        self.tried = asyncio.Event()
        self._links = links
        self._listed = True
        self._said = ""
        self._unlisted = asyncio.Event()
        self._task = asyncio.create_task(self._stay(self.link))

    def mark(self, *, listed: bool) -> None:
        """Whether a Register lists it. One that is not is forgotten when it has no link."""
        self._listed = listed
        if listed:
            self._unlisted.clear()
        else:
            self._unlisted.set()

    @property
    def fault(self) -> ClientError | None:
        """Why it has no link, or none that works."""
        return self.link.fault if self.link is not None else self.error

    def current(self) -> Link:
        """Its link; raises UnavailableError or RejectedError where there is none."""
        if self.link is not None:
            return self.link
        raise again(self.error or UnavailableError(f"gateway {self.address} is not connected to"))

    async def stop(self) -> None:
        """Close the link behind what was written, and open none any more."""
        link = self.link
        if link is not None:
            await link.close()
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _stay(self, link: Link) -> None:
        """Link after link, until it is lost and not listed any more."""
        role, retry = self._links.role, self._links.retry
        try:
            while True:
                opened = await link.open(self._links.timeout)
                if opened:
                    self._opened(link)
                self.tried.set()
                await link.lost
                taken = opened and not isinstance(link.error, RejectedError)
                self._lost(link, taken)
                if taken:
                    retry = self._links.retry
                if opened and role.on_lost is not None:
                    role.on_lost(link)
                if not await self._pause(retry):
                    break
                retry = min(2 * retry, LONGEST_RETRY)
                link = Link(self.address, role)
        finally:
            link.lose(UnavailableError(f"gateway {self.address}: the links were closed"))
            self._links.forget(self)

    def _opened(self, link: Link) -> None:
        refused = isinstance(self.error, RejectedError)
        self.link, self.error = link, None
        if refused:  # a worker is told nothing: it was taken if the link has not been ended by then
            self._links.loop.call_later(DOUBT, self._say_connected, link)
        else:
            self._say_connected(link)
        if self._links.role.on_open is not None:
            self._links.role.on_open(link)

    def _say_connected(self, link: Link) -> None:
        if link.error is None:
            log.info("gateway %s: connected", self.address)

    def _lost(self, link: Link, taken: bool) -> None:
        """`taken`: the gateway had let us in."""
        if str(link.error) != self._said and not self._links.stopped:
            log.warning("%s", link.error)  # once, not at every attempt
        self._said = "" if taken else str(link.error)
        self.link, self.error = None, link.error

    async def _pause(self, seconds: float) -> bool:
        """Until the next attempt; False if there is none, as the gateway is not listed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._unlisted.wait()
        return self._listed and not self._links.stopped


class Links:
    """To the gateways that `registers` list, in `role`; from `start` to `stop`.

    A link that is lost is opened again as long as its gateway is listed. That one is not listed
    any more, or that a Register is lost, ends no link. `timeout` is for the opening of one link,
    `retry` from its loss to the next attempt, both in seconds. `known` has the gateways by their
    places, in the order in which they were listed.
    """

    def __init__(
        self,
        registers: Sequence[Address],
        secret: str,
        role: Role,
        *,
        timeout: float,
        retry: float = RETRY,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.retry = retry
        self.role = role
        self.timeout = timeout
        self.known: dict[int, KnownGateway] = {}
        self.told = False
        """A Register has said which gateways there are."""
        self.listed: tuple[str, ...] = ()
        """Their addresses."""
        self.stopped = False
        self._registers = [
            RegisterClient(address, secret, on_addresses=self._told) for address in registers
        ]

    def __str__(self) -> str:
        """Who has to know the gateways."""
        return ", ".join(f"register {register.address}" for register in self._registers)

    def start(self, known: Sequence[str] = ()) -> None:
        """Begin to ask the Registers, and to open links: at once to those that are known."""
        for address in known:
            self.known[place_of(address)] = KnownGateway(address, self)
        self.told = bool(known)
        for register in self._registers:
            register.start()

    def finish(self) -> None:
        """Open no more links; those that are there stay until they are lost."""
        self.stopped = True

    async def stop(self) -> None:
        """Close all links behind what was written."""
        self.finish()
        stopping = [register.stop() for register in self._registers]
        stopping += [gateway.stop() for gateway in self.known.values()]
        await asyncio.gather(*stopping)

    async def settle(self, seconds: float) -> None:
        """Wait until every Register has said which gateways there are, or failed; one must have.

        Raises UnavailableError or RejectedError. Where there are several, those that say nothing
        take half of the time at most, so that some is left for the gateways.
        """
        if not self.told:
            waits = [asyncio.ensure_future(_error(each, seconds)) for each in self._registers]
            try:
                await asyncio.wait(waits, timeout=seconds / 2 if len(waits) > 1 else None)
                if not self.told:
                    raise self._not_told(await asyncio.gather(*waits))
            finally:
                for wait in waits:
                    wait.cancel()

    def _not_told(self, errors: Iterable[object]) -> ClientError:
        refused = all(register.reason == REFUSED for register in self._registers)
        kind = RejectedError if refused else UnavailableError
        return kind("; ".join(map(str, errors)))

    def refusal(self) -> RejectedError | None:
        """Why a gateway does not let us in, if one does not."""
        faults = (gateway.fault for gateway in self.known.values())
        return next((fault for fault in faults if isinstance(fault, RejectedError)), None)

    async def tried(self) -> None:
        """Wait until the first attempt to open a link is over for every gateway that is known."""
        for gateway in tuple(self.known.values()):
            await gateway.tried.wait()

    def forget(self, gateway: KnownGateway) -> None:
        """It is gone."""
        if self.known.get(gateway.place) is gateway:
            del self.known[gateway.place]

    def _told(self, _addresses: tuple[str, ...]) -> None:
        """The list of one Register; what counts is what all of them say."""
        lists = [register.addresses or () for register in self._registers]
        listed = dict.fromkeys(address for addresses in lists for address in addresses)
        self.listed = tuple(listed)
        for gateway in self.known.values():
            gateway.mark(listed=gateway.address in listed)
        for address in listed:
            if place_of(address) not in self.known and not self.stopped:
                self.known[place_of(address)] = KnownGateway(address, self)
        self.told = True


async def _error(register: RegisterClient, seconds: float) -> ClientError | None:
    """Why it has given no list in that time, if it has not."""
    try:
        await register.wait(seconds)
    except UnavailableError as error:
        return error
    return None

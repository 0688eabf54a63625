"""Which worker gets what a client does: one, for as long as it is here."""

import logging
from typing import Protocol

from pushline.codecs import gateway_events as events
from pushline.codecs.gateway_frames import Place
from pushline.connection import Connection
from pushline.heartbeat import Heartbeat
from pushline.messages import NO_WORKER
from pushline.names import client_id_of
from pushline.session import for_wire
from pushline.wheel import Item, Wheel

log = logging.getLogger(__name__)

PING_EVERY = 25.0
"""Seconds between two pings to a worker on another machine, as PHP's Gateway sends them."""
HELD, STALLED, FULL = 1, 2, 4
"""Why a client is not read from: no worker is here, its link takes nothing, it is busy with it."""


class WorkerLink(Protocol):
    """A worker's connection to this gateway."""

    @property
    def stalled(self) -> bool:
        """It does not take what it is sent."""

    def post(self, frame: bytes) -> None:
        """Send a frame behind those before it."""

    def hand_over(self, *, ours: bool) -> None:
        """Send no events behind those; go on taking what comes from it."""


class Route(Item):
    """What a gateway keeps of a client: its worker, and what waits for one.

    `body` is its request, until a worker has been told of the client; `before` counts the workers
    that had it and have not finished yet.
    """

    __slots__ = (
        *("before", "body", "connection", "gone", "paused", "place", "told", "waiting"),
        "worker",
    )

    def __init__(self, connection: Connection, place: Place, body: bytes) -> None:
        self.slot = None
        self.connection = connection
        self.place = place
        self.body = body
        self.before = 0
        self.told = False
        self.gone = False
        self.worker: Worker | None = None
        self.waiting: list[str | bytes] = []
        self.paused = 0

    @property
    def client_id(self) -> str:
        """As others know it."""
        address = self.place.local_ip << 16 | self.place.local_port
        return client_id_of(address, self.connection.id)


class Worker(Item):
    """One that is here, its clients, and those of them that are not read from while its link takes
    nothing. `mark` is OURS for one of Pushline's own, else 0. `moved` are clients that another has,
    and that wait until this one has finished."""

    __slots__ = ("key", "link", "mark", "moved", "roster", "routes", "stuck")

    def __init__(self, roster: "Roster", key: tuple[str, str], link: WorkerLink, mark: int) -> None:
        self.slot = None
        self.roster = roster
        self.key = key
        self.link = link
        self.mark = mark
        self.routes: dict[Route, None] = {}
        self.stuck: dict[Route, None] = {}
        self.moved: tuple[Route, ...] = ()


class Roster:
    """The workers that are here, by key, and the clients that wait for one.

    A client waits `wait` seconds, then it is closed; `limit` events wait at the most, of all
    clients. Where workers are not `expected`, nobody waits before the first one has come. With
    `pings` workers are pinged.
    """

    def __init__(
        self,
        wheel: Wheel,
        heartbeat: Heartbeat,
        *,
        wait: float,
        limit: int,
        expected: bool,
        pings: bool,
    ) -> None:
        self.workers: dict[tuple[str, str], Worker] = {}
        self.events_waiting = 0
        self._wheel = wheel
        self._heartbeat = heartbeat
        self._wait_ticks = wheel.ticks(wait) + 1
        self._ping_ticks = wheel.ticks(PING_EVERY) if pings else 0
        self._limit = limit
        self._expected = expected
        self._held: dict[Route, int] = {}
        """How many events of each client wait."""

    # --- workers come and go --------------------------------------------------------------------

    def join(self, key: tuple[str, str], link: WorkerLink, mark: int) -> Worker:
        """A worker is here. One that was here with the same key has its clients no more."""
        worker = Worker(self, key, link, mark)
        before = self.workers.get(key)
        self.workers[key] = worker
        self._expected = True
        if before is not None:
            worker.routes = before.routes
            self._move(before, worker)
            before.link.hand_over(ours=bool(before.mark))
        for route in tuple(self._held):
            self._deliver(route)
        if self._ping_ticks:
            self._wheel.schedule(worker, self._ping_ticks, self._ping)
        return worker

    def leave(self, worker: Worker) -> None:
        """It is gone, or will be: the next event of each of its clients finds another one."""
        if self.workers.get(worker.key) is worker:
            self._wheel.cancel(worker)
            del self.workers[worker.key]
        self._move(worker, None)

    def finished(self, worker: Worker) -> None:
        """It has done all that it was told: clients that another has by now wait no longer."""
        self._wheel.cancel(worker)
        moved, worker.moved = worker.moved, ()
        for route in moved:
            route.before -= 1
            if not route.before and route in self._held:
                self._deliver(route)

    def unstick(self, worker: Worker) -> None:
        """Its link takes something again: those that have waited longest go first."""
        stuck = worker.stuck
        for route in tuple(stuck):
            if worker.link.stalled:
                return
            if route in stuck:
                del stuck[route]
                self.resume(route, STALLED)

    def _move(self, before: Worker, worker: Worker | None) -> None:
        """What its clients do waits until `before` has finished, so that it is done in order; but
        no longer than for a worker that is not here."""
        moved = tuple(before.routes)
        for route in moved:
            route.worker = worker
            route.before += 1
        before.moved += moved
        self._release(before)
        if moved:
            self._wheel.schedule(before, self._wait_ticks, self._go_on_without)
        elif not before.moved:
            self._wheel.cancel(before)

    def _go_on_without(self, before: Worker) -> None:
        if any(route in self._held for route in before.moved):
            late = "worker %.100s has not finished in time: what its clients send waits no longer"
            log.warning(late, before.key[1])
        self.finished(before)

    def _release(self, worker: Worker) -> None:
        routes, worker.routes, worker.stuck = worker.routes, {}, {}
        for route in tuple(routes):
            self.resume(route, STALLED | FULL)

    def _ping(self, worker: Worker) -> None:
        worker.link.post(events.PING)
        self._wheel.schedule(worker, self._ping_ticks, self._ping)

    # --- what clients do ------------------------------------------------------------------------

    def arrived(self, route: Route) -> None:
        """A client is here."""
        if self._worker_of(route) is None and self._expected:
            self._hold(route)

    def said(self, route: Route, payload: str | bytes) -> None:
        """It has sent a message."""
        worker = route.worker or self._worker_of(route)
        if worker is not None and not self._has_to_wait(route):
            self._pass_on(route, worker, payload)
        elif worker is not None or self._expected:
            self._hold(route, payload)
            self.pause(route, HELD)

    def left(self, route: Route) -> None:
        """It is gone."""
        route.gone = True
        route.paused = 0
        worker = route.worker or (self._worker_of(route) if route.told else None)
        if worker is not None and not self._has_to_wait(route):
            self._see_off(route, worker)
        elif route.told or route.waiting:
            self._hold(route)
        else:
            self._forget(route)

    def pause(self, route: Route, why: int) -> None:
        """Read nothing from it, and expect no sign of life, for one more reason."""
        if route.gone:
            return
        if not route.paused:
            route.connection.pause_reading()
            self._heartbeat.rest(route.connection)
        route.paused |= why

    def resume(self, route: Route, why: int) -> None:
        """For one reason less; without any, read on."""
        if route.paused & why:
            route.paused &= ~why
            if not route.paused:
                self._heartbeat.start(route.connection)
                route.connection.resume_reading()

    def _worker_of(self, route: Route) -> Worker | None:
        """The one with the fewest clients, which is told of this one if nobody has been."""
        if not self.workers:
            return None
        worker = min(self.workers.values(), key=lambda worker: len(worker.routes))
        worker.routes[route] = None
        route.worker = worker
        if not route.told:
            self._introduce(route, worker)
        return worker

    def _introduce(self, route: Route, worker: Worker) -> None:
        place, number = route.place, route.connection.id
        worker.link.post(events.connect(place, number, worker.mark))
        worker.link.post(events.websocket_connect(place, number, worker.mark, route.body))
        route.told, route.body = True, b""

    def _pass_on(self, route: Route, worker: Worker, payload: str | bytes) -> None:
        number, session = route.connection.id, for_wire(route.connection)
        worker.link.post(events.message(route.place, number, worker.mark, session, payload))
        if worker.link.stalled:
            worker.stuck[route] = None
            self.pause(route, STALLED)

    def _see_off(self, route: Route, worker: Worker) -> None:
        session = for_wire(route.connection)
        worker.link.post(events.close(route.place, route.connection.id, worker.mark, session))
        del worker.routes[route]
        worker.stuck.pop(route, None)
        route.worker = None

    # --- while there is no worker ---------------------------------------------------------------

    def _has_to_wait(self, route: Route) -> bool:
        """For a worker that had it before, if there is room to."""
        return route.before > 0 and (route in self._held or self.events_waiting < self._limit)

    def _hold(self, route: Route, *messages: str | bytes) -> None:
        if self.events_waiting >= self._limit and not route.before:
            self._give_up(route)
            return
        self.events_waiting += 1
        route.waiting += messages
        if route in self._held:
            self._held[route] += 1
        else:
            self._held[route] = 1
            if not route.before:
                self._wheel.schedule(route, self._wait_ticks, self._give_up)

    def _deliver(self, route: Route) -> None:
        """A worker has come, or those before it have finished."""
        if route.before:
            return
        worker = route.worker or self._worker_of(route)
        if worker is None:
            self._wheel.schedule(route, self._wait_ticks, self._give_up)
            return
        waiting = route.waiting
        self._forget(route)
        for payload in waiting:
            self._pass_on(route, worker, payload)
        if route.gone:
            self._see_off(route, worker)
        self.resume(route, HELD)

    def _give_up(self, route: Route) -> None:
        self._forget(route)
        if not route.gone:
            log.warning("no worker for %s: it is asked to reconnect", route.client_id)
            route.connection.close(NO_WORKER)

    def _forget(self, route: Route) -> None:
        self._wheel.cancel(route)
        self.events_waiting -= self._held.pop(route, 0)
        route.waiting = []

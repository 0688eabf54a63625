"""The composition root: the only file that names the concrete listeners; start, drain, stop."""

import asyncio
import contextlib
import math
from collections.abc import Callable, Sized
from dataclasses import replace
from ipaddress import IPv4Address

from pushline.app.application import App
from pushline.app.running import Running
from pushline.brokers.base import Broker
from pushline.brokers.redis import RedisBroker
from pushline.cluster.claims import ClaimedSessions
from pushline.cluster.cluster import Cluster
from pushline.config import Address, Config
from pushline.connection import Connection
from pushline.gatewayworker.register_client import RegisterClient
from pushline.heartbeat import Heartbeat
from pushline.hub import Hub, random_id
from pushline.listeners.application import Application
from pushline.listeners.gateway import GatewayListener
from pushline.listeners.http import OperatorListener
from pushline.listeners.pages import Pages
from pushline.listeners.plain import Plain
from pushline.listeners.protocol import ClientProtocol
from pushline.listeners.register import RegisterListener
from pushline.listeners.roster import Roster
from pushline.listeners.sockets import Port, listen, tls_context
from pushline.listeners.text import TextListener
from pushline.listeners.websocket import WebSocketListener
from pushline.listeners.workers import Workers
from pushline.memory import Garbage, keep_large_blocks_apart
from pushline.messages import SHUTDOWN
from pushline.metrics import Described, Metrics
from pushline.node import Node
from pushline.outbox import Outbox
from pushline.sessions import Sessions
from pushline.wheel import TICK, Ticker, Wheel

AFTER = 1.0
"""Seconds in which all is over after `shutdown.time`."""
LAST_WORDS = 0.75
"""Seconds of them that the last closed connections have for their side of the close, and others
that had everything sooner; the rest is for the end of the process itself."""
LAST_HANDLERS = 0.25
"""Seconds that an application's last handlers have in any case, and then `on_stop` again; they
share what is left of the time for the closes."""
FEW = 100
"""Connections that may be closed together in any case when the server drains."""


def _address_of(config: Config) -> int | None:
    """The first part of client_ids, where others have to find this node by it."""
    address = config.gateway_address
    if address is None or not address.port:
        return None
    return int(IPv4Address(address.host)) << 16 | address.port


def stop_time(config: Config) -> float:
    """Seconds that a process takes to stop, at most."""
    return config.shutdown.time + AFTER


class Service:
    """A whole server in the running event loop; `tick` is the wheel's resolution in seconds, `draw`
    gives candidates for connections' ids.

    `websocket`, `text`, `http`, `gateway` and `register` are the addresses in use once it has
    started, `demo` those that show the demo page.
    """

    def __init__(
        self,
        config: Config,
        app: App | None = None,
        *,
        tick: float = TICK,
        draw: Callable[[], int] = random_id,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.config = config
        self._shared = config.serve.workers > 1
        self.metrics = Metrics()
        self.hub = Hub(draw)
        self.wheel = Wheel(tick)
        self.node = Node(
            self.hub, Outbox(loop, config.limits.queue, self.metrics), _address_of(config)
        )
        self.broker = self._new_broker()
        self.cluster = (
            Cluster(self.node, self.broker, config.broker.timeout) if self.broker else None
        )
        self.websocket: list[Address] = []
        self.text: list[Address] = []
        self.http: list[Address] = []
        self.demo: list[Address] = []
        self.gateway: list[Address] = []
        self.register: list[Address] = []
        self._heartbeat = self._new_heartbeat()
        self._text = TextListener(
            config,
            self.node,
            self.wheel,
            self.metrics,
            self.cluster.pushes if self.cluster else None,
        )
        self._sessions = self._new_sessions()
        self._running = self._new_running(app) if app else None
        self._roster = self._new_roster() if config.events == "workers" else None
        self._gateway = GatewayListener(config, self.node, self.wheel, self.metrics, self._roster)
        self._registers = RegisterListener(
            config.register.secret,
            self.wheel,
            self.metrics,
            connections=config.register.connections,
        )
        self._joined: list[RegisterClient] = []
        self._protocol = self._new_protocol()
        self._listeners: list[WebSocketListener] = []
        self._public: list[Port] = []
        self._operators: list[Port] = []
        self._ticker = Ticker(self.wheel, loop)

    @property
    def ready(self) -> bool:
        """It takes new connections, and is one of its cluster, if it is in one."""
        return not self.unready

    @property
    def unready(self) -> str:
        """Why it is not ready; empty where it is."""
        if not self._public:
            return "shutting down"
        if self.broker is not None and not self.broker.ready:
            return "not in the cluster: its broker does not answer"
        return ""

    async def start(self) -> None:
        """Open every port; raises ConfigError where one cannot be had."""
        try:
            if self.cluster:
                await self.cluster.start()
            if self._running:
                await self._running.start(self.cluster or self.node)
            await self._open_gateway()  # first: client_ids begin with its address
            await self._open_text()  # then: the demo page names its address
            await self._open_websocket()
            await self._open_http()
            await self._open_register()
            self._join_registers()
        except BaseException:
            self.stop()
            if self.broker:
                await self.broker.stop()
            raise
        keep_large_blocks_apart()
        Garbage(self.wheel, self.metrics).start()

    async def drain(self) -> None:
        """Take nothing new, and tell every browser to reconnect.

        The closes are spread over `shutdown.time`; back ends are answered until the end. Who reads
        slowly has until then for what was sent to him, however few there are.
        """
        self._close(self._public)
        if self._shared:  # who takes the place of this process answers for it
            self._close(self._operators)
        for register in self._joined:  # nobody new finds this gateway
            await register.stop()
        for listener in self._listeners:
            listener.draining = True
        connections = self._connections()
        steps = max(1, math.floor(self.config.shutdown.time / self.wheel.tick))
        step = max(FEW, math.ceil(len(connections) / steps))
        loop = asyncio.get_running_loop()
        next_at = loop.time()
        end = next_at + self.config.shutdown.time + LAST_WORDS
        for start in range(0, len(connections), step):
            for connection in connections[start : start + step]:
                connection.close(SHUTDOWN)
            next_at += self.wheel.tick
            await asyncio.sleep(next_at - loop.time())
        await self._last_words(connections, end)
        if self._running:
            await self._running.stop(max(0.0, end - loop.time()) / 2 + LAST_HANDLERS)
        if self.broker:
            await self.broker.stop()

    def stop(self) -> None:
        """End at once everything that is left."""
        self._close(self._public)
        self._close(self._operators)
        for back_end in (*self._text.back_ends, *self._gateway.links):
            back_end.close()
        self._registers.close()
        for connection in self._connections():
            connection.abort()
        if self._running:
            self._running.end()
        self._ticker.stop()

    def metrics_text(self) -> str:
        """Everything that is counted, in the text format of Prometheus."""
        return self.metrics.text(
            {
                "connections": (len(self.hub.connections), "Connections that have logged in."),
                "users": (self.hub.users(), "Different users that are connected."),
                "back_ends": (len(self._text.back_ends), "Connections on the text port."),
                "gateway_links": (len(self._gateway.links), "GatewayWorker's clients and workers."),
                "workers": (len(self._workers()), "Workers that get events."),
                **self._cluster_gauges(),
                "events_waiting": (
                    self._roster.events_waiting if self._roster else 0,
                    "What clients did that waits for a worker.",
                ),
                "registered_gateways": (
                    len(self._registers.gateways),
                    "Gateways that this Register lists.",
                ),
                "app_handlers": (self._busy(), "Clients whose handler is running."),
                "app_longest_handler_seconds": (
                    self._running.longest() if self._running else 0.0,
                    "How long the oldest of them has been running.",
                ),
                "loop_lag_seconds": (self._ticker.lag, "How late the last tick was."),
                "loop_lag_max_seconds": (
                    self._ticker.worst_lag,
                    "How late the latest tick of the last one to two minutes was.",
                ),
            },
            self._cluster_counters(),
        )

    def _new_broker(self) -> Broker | None:
        settings = self.config.broker
        if not settings.urls:
            return None
        return RedisBroker(settings.urls, prefix=settings.prefix, timeout=settings.timeout)

    def _new_heartbeat(self) -> Heartbeat:
        beat = self.config.heartbeat
        return Heartbeat(self.wheel, ping=beat.ping, pong=beat.pong, timeout=beat.timeout)

    def _new_sessions(self) -> Sessions:
        auth, shared = self.config.auth, (self.wheel, self._heartbeat, self.metrics)
        if self.cluster is None or self.broker is None or auth.sessions == "all":
            return Sessions(self.hub, *shared, policy=auth.sessions, challenge=auth.challenge)
        return ClaimedSessions(
            self.node,
            self.cluster,
            self.broker,
            *shared,
            policy=auth.sessions,
            challenge=auth.challenge,
        )

    def _new_running(self, app: App) -> Running:
        settings = self.config.app
        return Running(
            app,
            self.wheel,
            self.metrics,
            queue=settings.queue,
            threads=settings.threads,
            sync_timeout=settings.sync_timeout,
            slow=settings.slow,
        )

    def _new_roster(self) -> Roster:
        settings, address = self.config.gateway, self.config.gateway_address
        return Roster(
            self.wheel,
            self._heartbeat,
            wait=settings.worker_wait,
            limit=settings.worker_queue,
            expected=self.config.auth_mode == "app",
            pings=address is not None and not address.is_loopback,
        )

    def _new_protocol(self) -> ClientProtocol:
        login = None if self.config.auth_mode == "app" else self._new_plain()
        if self._roster is not None:
            return Workers(self._roster, self.node, self._heartbeat, login)
        if self._running is None:
            return login or self._new_plain()
        return Application(self._running, self.node, self._heartbeat, login)

    def _new_plain(self) -> Plain:
        auth = self.config.auth
        return Plain(
            self.wheel,
            self.metrics,
            self._sessions,
            secret=auth.secret if self.config.auth_mode == "token" else None,
            timeout=auth.timeout,
        )

    async def _open_websocket(self) -> None:
        settings = self.config.websocket
        tls = tls_context(settings.certificate, settings.key) if settings.certificate else None
        for address in settings.listen:
            demo = self.config.has_demo(address)
            listener = WebSocketListener(
                self.config,
                self.node,
                self.wheel,
                self.metrics,
                self._protocol,
                self._pages(demo),
                self._running.app.static if self._running else None,
            )
            self._listeners.append(listener)
            port, opened = await listen(
                address,
                listener.accept,
                self.config.limits,
                tls=None if address.path else tls,
                shared=self._shared,
            )
            self._public.append(port)
            self.websocket.append(opened)
            self.demo += [opened] if demo else []

    async def _open_text(self) -> None:
        for address in self.config.text.listen:
            port, opened = await listen(
                address, self._text.accept, self.config.limits, shared=self._shared
            )
            self._public.append(port)
            self.text.append(opened)

    async def _open_http(self) -> None:
        operators = OperatorListener(
            self.config, self.wheel, lambda: self.unready, self.metrics_text
        )
        for address in self.config.http.listen:
            port, opened = await listen(
                address, operators.accept, self.config.limits, shared=self._shared
            )
            self._operators.append(port)
            self.http.append(opened)

    async def _open_gateway(self) -> None:
        for address in self.config.gateway.listen:
            port, opened = await listen(address, self._gateway.accept, self.config.limits)
            self._public.append(port)
            self.gateway.append(opened)
            advertised = self._advertised(opened)
            self._gateway.open_at(int(IPv4Address(advertised.host)) << 16 | advertised.port)

    async def _open_register(self) -> None:
        for address in self.config.register.listen:
            port, opened = await listen(address, self._registers.accept, self.config.limits)
            self._public.append(port)
            self.register.append(opened)

    def _join_registers(self) -> None:
        for address in self.config.register.join:
            gateway = str(self._advertised(self.gateway[0]))
            self._joined.append(
                RegisterClient(address, self.config.register.secret, gateway=gateway)
            )
            self._joined[-1].start()

    def _advertised(self, opened: Address) -> Address:
        """By which others reach the gateway that was opened there; its port may have been 0."""
        address = self.config.gateway_address or opened
        return address if address.port else replace(address, port=opened.port)

    def _pages(self, demo: bool) -> Pages:
        text = ", ".join(map(str, self.text[:1]))
        return Pages(
            demo=demo,
            text=text,
            auth=self.config.auth_mode,
            secret=bool(self.config.text.secret),
        )

    def _workers(self) -> Sized:
        return self._roster.workers if self._roster else ()

    def _busy(self) -> int:
        return len(self._running.desk.busy) if self._running else 0

    def _connections(self) -> list[Connection]:
        """All that have been upgraded: logged in, waiting to be, or with a deadline for it."""
        timed = (item for item in self.wheel.items() if isinstance(item, Connection))
        known = (*self.hub.connections.values(), *self._sessions.challengers, *timed)
        return list(dict.fromkeys(known))

    async def _last_words(self, connections: list[Connection], end: float) -> None:
        """Until nobody is left: LAST_WORDS for those who have everything, for others until `end`.

        Also for those who take nothing: the window of a slow reader may open only now and then.
        """
        await self._all_gone()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                while self.metrics.open and any(each.unconfirmed() for each in connections):
                    await self._all_gone()

    async def _all_gone(self) -> None:
        """Wait for that, LAST_WORDS at most."""
        for _ in range(math.ceil(LAST_WORDS / self.wheel.tick)):
            if not self.metrics.open:
                return
            await asyncio.sleep(self.wheel.tick)

    def _cluster_gauges(self) -> Described:
        if self.broker is None or self.cluster is None:
            return {}
        return {
            "broker_ready": (int(self.broker.ready), "Whether this node is one of its cluster."),
            "broker_waiting": (len(self.cluster.backlog), "Others' messages for slow readers."),
        }

    def _cluster_counters(self) -> Described:
        if self.broker is None or self.cluster is None:
            return {}
        counts = self.broker.counts
        return {
            "broker_published": (counts.published, "Messages for other nodes."),
            "broker_failed": (counts.failed, "Of these, may not have been sent."),
            "broker_doubtful": (self.cluster.pushes.doubtful, "Pushes ok, but maybe not to all."),
            "broker_received": (counts.received, "Messages of other nodes."),
            "broker_strange": (counts.strange, "Messages of another version, dropped."),
            "broker_dropped": (self.cluster.backlog.dropped, "Messages that had no room."),
            "broker_reconnects": (counts.reconnects, "How often Redis was connected to again."),
            "broker_gaps": (counts.gaps, "How often others' messages may have been missed."),
        }

    @staticmethod
    def _close(ports: list[Port]) -> None:
        for port in ports:
            port.close()
        ports.clear()

"""Running a service: an event loop, signals, and what the terminal shows."""

import asyncio
import logging
import resource
import signal
import sys

import uvloop

from pushline import __version__
from pushline.app.application import App
from pushline.app.load import load_app
from pushline.config import Address, Config
from pushline.config.values import size_text
from pushline.ending import LAST_MOMENT, end_without_threads
from pushline.logs import configure
from pushline.service import Service

log = logging.getLogger(__name__)

FEW_DESCRIPTORS = 10_000
OWN_DESCRIPTORS = 20
"""What the server itself has open: its ports, its event loop, its output."""


def serve(config: Config) -> int:
    """Serve until SIGTERM or Ctrl-C, then drain; a second one ends at once. Raises ConfigError."""
    configure(config.log.level)
    app = load_app(config.app.load) if config.app.load else None
    descriptors = raise_descriptor_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, app, descriptors))
        end_without_threads()
    return 0


def raise_descriptor_limit() -> int:
    """Allow this process as many sockets as it may have at all; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


async def _serve(config: Config, app: App | None, descriptors: int) -> None:
    service = Service(config, app)
    stopped = _on_signals()
    signalled = asyncio.ensure_future(stopped.get())
    if not await _started(service, signalled):
        return
    print("\n".join(banner(service, descriptors)), file=sys.stderr, flush=True)
    await signalled
    log.info("stopping: %d connections are asked to reconnect", len(service.hub.connections))
    draining = asyncio.ensure_future(service.drain())
    again = asyncio.ensure_future(stopped.get())
    await asyncio.wait((draining, again), return_when=asyncio.FIRST_COMPLETED)
    draining.cancel()
    again.cancel()
    service.stop()
    log.info("stopped")


async def _started(service: Service, signalled: "asyncio.Future[signal.Signals]") -> bool:
    """False where a signal came first: an application's `on_start` may take its time."""
    starting = asyncio.ensure_future(service.start())
    await asyncio.wait((starting, signalled), return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
        return True
    starting.cancel()
    await asyncio.wait((starting,), timeout=LAST_MOMENT)
    service.stop()
    return False


def _on_signals() -> "asyncio.Queue[signal.Signals]":
    received: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, received.put_nowait, number)
    return received


def banner(service: Service, descriptors: int) -> list[str]:
    """What listens where, at what limits."""
    config = service.config
    scheme = "wss" if config.websocket.certificate else "ws"
    lines = [f"Pushline {__version__}", ""]
    lines += [f"  browsers    {_url(scheme, at)}" for at in service.websocket]
    lines += [f"  back ends   {at}   one line of JSON, one push" for at in service.text]
    lines += [f"  gateway     {at}   GatewayWorker's clients and workers" for at in service.gateway]
    lines += [f"  register    {at}" for at in service.register]
    lines += [f"  cluster     {_cluster(config)}"] if config.broker.urls else []
    lines += [f"  operators   http://{at}/ready  http://{at}/metrics" for at in service.http]
    pages = [at for at in service.demo if not at.path]  # no browser opens a Unix socket
    lines += [f"  application {_application(config)}"] if config.events != "nobody" else []
    lines += [f"  demo page   {_url(scheme.replace('ws', 'http'), at)}/" for at in pages]
    lines += [
        f"  login       {_login(config)}",
        f"  limits      {_limits(config, descriptors)}",
        "",
    ]
    if descriptors < FEW_DESCRIPTORS:
        lines += [
            f"  warning: only {descriptors} descriptors, one for each connection: raise the limit"
            " with `ulimit -n 100000`, or LimitNOFILE= in a systemd unit.",
            "",
        ]
    return [*lines, "  Ctrl-C stops it.", ""]


def _url(scheme: str, address: Address) -> str:
    return str(address) if address.path else f"{scheme}://{address}"


_PROOFS = {
    "open": "open, every uid is believed",
    "token": "a token is needed",
    "app": "the application decides",
}


def _cluster(config: Config) -> str:
    count = len(config.broker.urls)
    return "Redis" if count == 1 else f"{count} Redises"


def _application(config: Config) -> str:
    return config.app.load if config.events == "app" else "workers, which ask a Register for us"


def _login(config: Config) -> str:
    proof = _PROOFS[config.auth_mode]
    return (
        proof
        if config.auth_mode == "app"
        else f"{proof}; sessions of one uid: {config.auth.sessions}"
    )


def _limits(config: Config, descriptors: int) -> str:
    limits = config.limits
    room = max(0, descriptors - OWN_DESCRIPTORS)
    most = min(limits.connections or room, room)
    return (
        f"{most} connections, {size_text(limits.message)} a message, "
        f"{size_text(limits.queue)} waiting for a slow reader"
    )

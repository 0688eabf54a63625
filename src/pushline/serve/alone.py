"""A server in this process: an event loop, signals, and what the terminal shows."""

import asyncio
import contextlib
import logging
import signal
from itertools import chain, repeat
from types import FrameType

import uvloop

from pushline.app.application import App
from pushline.app.load import load_app
from pushline.config import Config
from pushline.ending import GRACE, LAST_MOMENT, end_within
from pushline.output import say
from pushline.serve.banner import banner, opened
from pushline.service import Service, stop_time

log = logging.getLogger(__name__)


def serve(config: Config, descriptors: int) -> int:
    """Serve until SIGTERM or Ctrl-C, then drain; a second one ends at once.

    `descriptors` is how many this process may have. Raises ConfigError, and AppError.
    """
    app = load_app(config.app.load) if config.app.load else None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, app, descriptors))
        end_within(LAST_MOMENT)
    return 0


async def _serve(config: Config, app: App | None, descriptors: int) -> None:
    service = Service(config, app)
    stopped = _on_signals(stop_time(config) + GRACE)
    signalled = asyncio.ensure_future(stopped.get())
    if not await _started(service, signalled):
        return
    say(banner(opened(service), descriptors))
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


def _on_signals(seconds: float) -> "asyncio.Queue[signal.Signals]":
    """The signals that come. `seconds` after the first one the process is gone, and soon after the
    second, also where an application blocks the event loop: handlers run in between its steps."""
    received: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    left = chain((seconds,), repeat(LAST_MOMENT))

    def take(number: int, _frame: FrameType | None) -> None:
        end_within(next(left))
        with contextlib.suppress(RuntimeError):  # it is over already
            loop.call_soon_threadsafe(received.put_nowait, signal.Signals(number))

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, take)
    return received

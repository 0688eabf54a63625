"""An App among the gateways of its Registers: start, life and end of one process."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final

from pushline.app.application import App
from pushline.app.running import Running
from pushline.codecs.gateway_frames import Cmd, Frame, encode
from pushline.config import Config
from pushline.errors import AppError, ClientError, UnavailableError
from pushline.gatewayworker.executor import WireExecutor
from pushline.gatewayworker.link import Link
from pushline.gatewayworker.role import Role, worker_greeting
from pushline.metrics import Metrics
from pushline.wheel import Ticker, Wheel
from pushline.worker.clients import Clients
from pushline.worker.line import Line
from pushline.worker.reach import Reach
from pushline.worker.spare import Spare, links_of
from pushline.worker.visit import visit
from pushline.worker.write_back import WriteBack

log = logging.getLogger(__name__)

READY: Final = 5.0
"""Seconds in which the Registers and all gateways should have been reached; it goes on without."""
HANDED_OVER: Final = 0.2
"""Seconds in which a gateway that has another process in our place has said so."""
READ: Final = 2.0
"""Seconds that a gateway has in any case to end a link of which we end our side."""
LAST: Final = 0.1
"""The share of the time to stop that is left for the last handlers, and then for on_stop."""
PROBE: Final = 0.1
"""Seconds between two frames to a gateway that has ended its side of a link: if it has ended both,
as PHP's do, or is gone, its system says so to the first, and the second finds that."""
PATIENCE: Final = 10.0
"""Seconds until this process is told to stop, when a gateway has given its clients to another."""

FLUSH: Final = 0.1
"""Seconds for a system to send the rest to a gateway of PHP's: as it has ended its side, it cannot
say that it has it. Ours ends its side then."""

PING: Final = encode(Cmd.PING)


class Worker:
    """One process with its App, in the running event loop. `key` is its worker_key, `NAME:ID`."""

    def __init__(self, config: Config, app: App, key: str) -> None:
        self._loop = asyncio.get_running_loop()
        self.metrics = Metrics()
        self.wheel = Wheel()
        self._config = config
        settings = config.app
        self.running = Running(
            app,
            self.wheel,
            self.metrics,
            queue=settings.queue,
            threads=settings.threads,
            sync_timeout=settings.sync_timeout,
            slow=settings.slow,
        )
        on_connect = app.handlers.get("on_connect")
        self._on_connect = on_connect and self.running.handlers.call(on_connect)
        self._write_back = WriteBack(self.running.desk, self.running.runner)
        self._spare = Spare(config, self._known)
        self._reach = Reach(self._spare)
        self._clients: dict[Link, Clients] = {}
        self._links = links_of(config, self._role(key, config.gateway.secret))
        self._stopping = False
        self._ticker = Ticker(self.wheel, self._loop)

    def _role(self, key: str, secret: str) -> Role:
        return Role(
            worker_greeting(key, secret),
            is_worker=True,
            on_open=self._opened,
            on_event=self._happened,
            on_end=self._left,
        )

    def _known(self) -> Sequence[str]:
        """The gateways that there are, as far as we have been told."""
        return self._links.listed

    # --- start --------------------------------------------------------------------------------

    async def start(self, *, follows: bool = False) -> None:
        """on_start has run, and the gateways that are known by now send events.

        A process that follows another also waits until they have taken it in its place, and does
        not start where one would not let it in, or no Register says which they are: who runs has
        what it would not have. Raises AppError.
        """
        if follows:
            await visit(self._config, READY)
        await self.running.start(self._reach)
        self._reach.open(WireExecutor(self._links, partial=self._reach.partial))
        self._links.start()
        try:
            async with asyncio.timeout(READY):
                await self._links.settle(READY)
                await self._links.tried()
                if follows:
                    await asyncio.gather(*map(_knock, self._reach.lines))
        except ClientError as error:
            log.warning("%s; going on without, until it can be reached", error)
        except TimeoutError:
            log.warning("not every gateway answers within %g s; going on without", READY)
        await self._spare.stop()
        if follows and (refusal := self._links.refusal()) is not None:
            raise AppError(str(refusal))

    # --- links --------------------------------------------------------------------------------

    def _opened(self, link: Link) -> Clients:
        """It is there: by its first event, or by what its opening says later."""
        if link not in self._clients:
            line = self._reach.lines[link] = Line(link, self._reach, self._reach.hand_on)
            self._clients[link] = Clients(
                self.running.desk,
                self.running.runner,
                self._on_connect,
                line,
                self._write_back,
            )
            link.lost.add_done_callback(lambda _: self._lost(link))
        return self._clients[link]

    def _happened(self, link: Link, event: Frame) -> None:
        clients = self._clients.get(link)
        if clients is None:
            clients = self._opened(link)
        if event.cmd == Cmd.HANDED_OVER:
            self._handed_over(self._reach.lines[link])
        else:
            clients.take(event)

    def _handed_over(self, line: Line) -> None:
        """A gateway of ours has another process in our place; it goes on answering."""
        line.nothing_more()
        if not self._stopping:
            self._loop.call_later(PATIENCE, self._give_up, line)

    def _left(self, link: Link) -> None:
        """The gateway has ended its side: PHP's for another process in our place; or it is gone."""
        self._opened(link)
        line = self._reach.lines[link]
        line.is_left = True
        line.nothing_more()
        if not self._stopping:
            self._probe(line)
            self._loop.call_later(PROBE, self._probe, line)
            self._loop.call_later(PATIENCE, self._give_up, line)

    def _probe(self, line: Line) -> None:
        line.write(PING)

    def _give_up(self, line: Line) -> None:
        """Who was to follow us has not come to stay: begin anew."""
        if not self._stopping and self._reach.lines.get(line.link) is line:
            del self._clients[line.link]  # they have gone to others, and are not lost
            line.link.lose(
                UnavailableError(f"{line.link} has given our clients to another process")
            )

    def stay(self) -> None:
        """Nobody follows us after all: begin anew where our clients were given to another."""
        for line in tuple(self._reach.lines.values()):
            if line.read.done():
                self._give_up(line)

    def _lost(self, link: Link) -> None:
        self._reach.lines.pop(link).nothing_more()
        clients = self._clients.pop(link, None)
        if clients is not None and not self._stopping:
            clients.lose()

    # --- stop ---------------------------------------------------------------------------------

    async def stop(self, seconds: float) -> None:
        """Have all events that came handled, and on_stop run, within that time."""
        end = self._loop.time() + seconds
        last = seconds * LAST
        self._stopping = True
        self._links.finish()
        self.running.app.timers.stop()
        await self._take_leave(seconds / 2)
        await self._handled(end - 2 * last - self._loop.time())
        self._write_back.finish()
        await self._part(last)
        await self.running.stop(last)
        self._write_back.finish()
        await _done([asyncio.ensure_future(self._reach.handed_on())], last)
        await self._links.stop()
        await self._spare.stop()

    def end(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self.running.end()
        self._ticker.stop()

    async def _take_leave(self, seconds: float) -> None:
        """Get no more events: read the links to their end, which the gateways make."""
        end = self._loop.time() + seconds
        lines = [*self._reach.lines.values()]
        if any(self._clients[line.link] and not line.link.ours for line in lines):
            await self._handled(seconds)  # what PHP's send behind that is lost: as little as can be
        else:
            await _done([line.read for line in lines], HANDED_OVER)
        staying = [line for line in lines if not line.read.done()]
        if staying:
            await self._leave(staying, max(end, self._loop.time() + READ))
            for line in staying:
                if not line.read.done():
                    log.warning("%s does not end its side: what it still sends is lost", line.link)

    async def _leave(self, lines: Sequence[Line], end: float) -> None:
        """Nobody follows us there: have gateways of ours give our clients to others, who wait until
        we have finished, and end our side for PHP's."""
        unknown = [line.link for line in lines if not line.link.ours]  # or PHP's
        await _done([asyncio.ensure_future(_knock(link)) for link in unknown], HANDED_OVER)
        theirs = [line for line in lines if not line.link.ours]
        for line in lines:
            if line.link.ours:
                line.leave()
        writing = [asyncio.ensure_future(line.written()) for line in lines]
        await _done(writing, (end - self._loop.time()) / 2)
        if theirs:
            self._reach.close()
            for line in theirs:
                line.end()
        await _done([line.read for line in lines], end - self._loop.time())
        self._reach.go_on()

    async def _handled(self, seconds: float) -> None:
        """Wait until no handler runs, for so long at most."""
        end = self._loop.time() + seconds
        while (tasks := self.running.tasks()) and (left := end - self._loop.time()) > 0:
            await asyncio.wait(tasks, timeout=left)

    async def _part(self, seconds: float) -> None:
        """Leave the gateways that have another process in our place: they have had everything.

        What is sent from now on, by on_stop or a handler that is late, goes another way.
        """
        left = [line for line in self._reach.lines.values() if line.read.done()]
        await _done([asyncio.ensure_future(line.written()) for line in left], seconds)
        self._reach.close()
        await asyncio.gather(*(line.part(FLUSH if line.is_left else seconds) for line in left))
        self._reach.go_on()


async def _knock(link: Link) -> None:
    """Wait until it answers, or has ended."""
    with contextlib.suppress(ClientError):
        await link.knock()


async def _done(futures: Sequence[asyncio.Future[None]], seconds: float) -> None:
    """Wait for all of them, for so long at most."""
    if futures:
        await asyncio.wait(futures, timeout=seconds)

"""Several `pushline serve` on one Redis."""

import contextlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.browser import DEADLINE, Browser, connect
from tests.faults.back_end import BackEnd, push_line
from tests.faults.unharmed import wait_until
from tests.server import Server


@contextlib.contextmanager
def nodes(url: str, count: int, **settings: str) -> Iterator[list[Server]]:
    """Started together, and killed in the end; `settings` are environment variables of them all."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        servers = [Server("--broker", url, **settings) for _ in range(count)]
        for server in servers:
            stack.push(lambda *_, server=server: _end(server))
        list(pool.map(Server.start, servers))
        yield servers


def _end(server: Server) -> None:
    with contextlib.suppress(AttributeError):  # it has not been started
        server.kill()


def ready(server: Server) -> bool:
    """What `/ready` says."""
    try:
        with urllib.request.urlopen(f"http://{server.http}/ready", timeout=DEADLINE) as answer:
            return int(answer.status) == 200
    except urllib.error.HTTPError as error:
        with error:
            return False


def log_in(server: Server, uid: str) -> Browser:
    """A browser of that user, whom this node knows."""
    browser = connect(server.websocket).login(uid)
    browser.settle()
    return browser


@contextlib.contextmanager
def logged_in(server: Server, *uids: str) -> Iterator[list[Browser]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(log_in(server, uid)) for uid in uids]


@contextlib.contextmanager
def back_ends(*servers: Server) -> Iterator[list[BackEnd]]:
    """One at each."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(BackEnd(server.text)) for server in servers]


def until_reached(back_end: BackEnd, uid: object) -> None:
    """Push until somebody gets it: a login is known elsewhere a moment later."""
    wait_until(lambda: back_end.push(push_line(uid, probe=True)))


def until_gone(back_end: BackEnd, uid: object, deadline: float = DEADLINE) -> None:
    """Push until nobody gets it."""
    wait_until(lambda: not back_end.push(push_line(uid, probe=True)), deadline)


def message(browser: Browser) -> bytes:
    """The next one that is no probe."""
    while b'"probe":true' in (received := browser.message()):
        pass
    return received

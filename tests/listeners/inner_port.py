"""GatewayWorker's clients and workers: plain sockets to the inner port of a service in here."""

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, Self

from pushline import App
from pushline.codecs.gateway_frames import Cmd, Frame, LinkReader, encode, encode_answer
from pushline.codecs.php_serialize import loads
from pushline.gatewayworker.role import KNOCK, KNOWN_TO_US
from pushline.hub import random_id
from pushline.listeners.roster import Worker
from pushline.service import Service
from tests.browser import DEADLINE, PONG, Browser, EndedError, connect, dial
from tests.in_process import InProcess, configured

POLL: Final = 0.005
SECRET: Final = "s3cret"
NAMES: Final = {
    int(Cmd.CONNECT): "connect",
    int(Cmd.WEBSOCKET_CONNECT): "open",
    int(Cmd.MESSAGE): "message",
    int(Cmd.CLOSE): "close",
    int(Cmd.PING): "ping",
    int(Cmd.HANDED_OVER): "handed over",
}


def wait_until(condition: Callable[[], object]) -> None:
    """Raises TimeoutError where the condition does not come true."""
    until = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("what was waited for has not come true")
        time.sleep(POLL)


def workers_of(service: Service) -> dict[tuple[str, str], Worker]:
    return dict(service._roster.workers) if service._roster else {}


class Gateway:
    """A service that has an inner port, started."""

    def __init__(self, runs: InProcess) -> None:
        self.runs = runs
        self.service = runs.start()
        self.address = str(self.service.gateway[0])
        self.browsers = str(self.service.websocket[0])

    def browse(self, path: str = "/", **headers: str) -> Browser:
        """A browser that workers, if there are any, have been told of."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        browser = connect(self.browsers, path, fields)
        browser.settle()
        return browser

    def look(self, at: Callable[[Service], Any]) -> Any:
        """What it is, in the loop's thread."""
        return self.runs.call(lambda: at(self.service))

    def wait(self, until: Callable[[Service], object]) -> None:
        wait_until(lambda: self.look(until))

    def metric(self, name: str) -> float:
        """Of those that operators see."""
        lines = self.look(lambda service: service.metrics_text()).splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return float(values.get(f"pushline_{name}", 0))

    def refused(self) -> dict[str, int]:
        """What was not taken, by kind."""
        return dict(self.look(lambda service: service.metrics.refused_links))

    def pass_time(self, seconds: float) -> None:
        """For the wheel, at once."""

        def turn(service: Service) -> None:
            for _ in range(service.wheel.ticks(seconds)):
                service.wheel.advance()

        self.look(turn)

    def unsent(self) -> int:
        """Bytes that the process holds for all links."""

        def held(service: Service) -> int:
            links = service._gateway.links
            return sum(link._size + link.transport.get_write_buffer_size() for link in links)

        return int(self.look(held))

    def worker(self, key: str = "App:0", *, ours: bool = False, receive_buffer: int = 0) -> "Peer":
        """One that is here."""
        before = self.look(workers_of)
        peer = Peer(self.address, receive_buffer=receive_buffer)
        peer.send(worker_greeting(key, ours=ours))
        self.wait(lambda service: workers_of(service) != before)
        return peer

    def wait_for_workers(self, many: int) -> None:
        self.wait(lambda service: len(workers_of(service)) == many)

    def wait_for_events(self, many: int) -> None:
        """That wait."""
        wait_until(lambda: self.metric("events_waiting") == many)

    def wait_for_a_stalled_link(self) -> None:
        self.wait(lambda service: any(link.stalled for link in service._gateway.links))


@contextlib.contextmanager
def serving(
    app: App | None = None, *, draw: Callable[[], int] = random_id, **settings: str
) -> Iterator[Gateway]:
    """With an inner port, and no text port. Nothing is left when the peers are gone."""
    defaults = {"GATEWAY_LISTEN": "127.0.0.1:0", "TEXT_LISTEN": "", "AUTH_MODE": "open"}
    config = configured(**(defaults | settings))
    with InProcess(config, app, draw=draw) as runs:
        gateway = Gateway(runs)
        yield gateway
        gateway.wait(lambda service: not service._gateway.links)
        assert gateway.metric("workers") == 0


def client_greeting(secret: str) -> bytes:
    return encode(Cmd.CLIENT_CONNECT, body=json.dumps({"secret_key": secret}).encode())


def worker_greeting(key: str, *, ours: bool = False, secret: str = "") -> bytes:
    said = {"worker_key": key, "secret_key": secret} | ({"pushline": 1} if ours else {})
    return encode(Cmd.WORKER_CONNECT, body=json.dumps(said).encode())


class Peer:
    """A plain socket to the inner port. Every wait has a deadline."""

    def __init__(self, address: str, *, secret: str = "", receive_buffer: int = 0) -> None:
        self.socket = dial(address, receive_buffer=receive_buffer)
        self._reader = LinkReader(1 << 28)
        self._units: list[Frame | bytes] = []
        if secret:
            self.send(client_greeting(secret))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.leave()

    def leave(self) -> None:
        self.socket.close()

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def trickle(self, *frames: bytes) -> None:
        """In packets of one byte."""
        for byte in b"".join(frames):
            self.socket.sendall(bytes([byte]))

    def flood(self, *frames: bytes) -> threading.Thread:
        """While somebody else reads."""
        thread = threading.Thread(target=self.send, args=frames, daemon=True)
        thread.start()
        return thread

    def say_last(self) -> None:
        """It sends nothing more, and still reads."""
        self.socket.shutdown(socket.SHUT_WR)

    def unit(self, deadline: float = DEADLINE) -> Frame | bytes:
        """The next event or answer. Raises EndedError."""
        while not self._units:
            self.socket.settimeout(deadline)
            data = self._receive()
            if not data:
                raise EndedError("the gateway has ended the link")
            self._units += self._reader.feed(data)
        return self._units.pop(0)

    def answer(self) -> bytes:
        """The next answer; nothing else may come before it."""
        unit = self.unit()
        assert isinstance(unit, bytes), unit
        return unit

    def ask(self, question: bytes) -> Any:
        self.send(question)
        return loads(self.answer())

    def event(self) -> str:
        """The next event, in short; nothing else may come before it."""
        unit = self.unit()
        assert isinstance(unit, Frame), unit
        said = "" if unit.cmd == Cmd.WEBSOCKET_CONNECT else unit.body.decode("latin-1")
        return f"{NAMES[unit.cmd]} {unit.connection_id} {said}".strip()

    def events(self, count: int) -> list[str]:
        return [self.event() for _ in range(count)]

    def settle(self) -> list[Frame]:
        """Return once all that was sent is carried out: the events that came meanwhile."""
        self.send(KNOCK)
        came: list[Frame] = []
        while isinstance(unit := self.unit(), Frame):
            came.append(unit)
        assert unit == KNOWN_TO_US
        return came

    def exactly(self, size: int) -> bytes:
        """The next bytes as they come."""
        data = b""
        self.socket.settimeout(DEADLINE)
        while len(data) < size:
            piece = self._receive(size - len(data))
            if not piece:
                raise EndedError(data)
            data += piece
        return data

    def rest(self) -> bytes:
        """All that still comes until the gateway ends the link."""
        data = b"".join(_raw(unit) for unit in self._units)
        self._units.clear()
        self.socket.settimeout(DEADLINE)
        while piece := self._receive():
            data += piece
        return data

    def _receive(self, size: int = 1 << 18) -> bytes:
        try:
            return self.socket.recv(size)
        except ConnectionResetError:
            return b""


def _raw(unit: Frame | bytes) -> bytes:
    return encode_answer(unit) if isinstance(unit, bytes) else unit.body


@contextlib.contextmanager
def read_from(*peers: Peer | Browser) -> Iterator[None]:
    """Whatever comes there is taken, and dropped."""
    stopped = threading.Event()
    plugs = [peer.socket for peer in peers]

    def read() -> None:
        while not stopped.is_set():
            for plug in select.select(plugs, [], [], 0.05)[0]:
                plug.recv(1 << 18)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    yield
    stopped.set()
    thread.join()


def taken(browser: Browser) -> list[bytes]:
    """The messages that have come until now, text or binary."""
    browser.send_frame(0x9, b"until now")
    messages = []
    while (frame := browser.receive()) != (PONG, b"until now"):
        messages.append(frame[1])
    return messages

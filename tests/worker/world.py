"""Clients of one gateway and the App that serves them, without a socket: events in, frames out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pushline import App
from pushline.app.running import Running
from pushline.codecs.gateway_frames import (
    BINARY,
    PLAIN,
    Cmd,
    Frame,
    FrameReader,
    Place,
    encode_event,
)
from pushline.codecs.php_serialize import dumps
from pushline.commands import Command
from pushline.metrics import Metrics
from pushline.wheel import Wheel
from pushline.worker.clients import Clients
from pushline.worker.write_back import WriteBack

WHERE = Place(0x7F000001, 2300, 0x7F000001, 41748, 7272)
NUMBER = 1
CLIENT = "7f00000108fc00000001"
LIMIT = 1 << 20
PATIENCE = 10.0


def frames_of(data: bytes) -> list[Frame]:
    """What stands in it; it ends with a whole frame."""
    return [*FrameReader(LIMIT).feed(data)]


def event(
    cmd: int, number: int = NUMBER, *, flag: int = PLAIN, session: bytes = b"", body: bytes = b""
) -> Frame:
    """One, as a gateway sends it."""
    (frame,) = frames_of(encode_event(cmd, WHERE, number, flag=flag, ext=session, body=body))
    return frame


def request(target: str = "/", **server: object) -> bytes:
    """The body of event 205."""
    told = {"REQUEST_URI": target, "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": 41748, **server}
    return dumps({"get": {}, "server": told, "cookie": {}})


class Line:
    """Notes what is written, unless it takes nothing, and what is handed on then.

    Questions are answered from `answers`, by their types, when they may be.
    """

    def __init__(self) -> None:
        self.takes_pauses = False
        self.takes_frames = True
        self.paused = 0
        self.written: list[bytes] = []
        self.handed_on: list[Command[Any]] = []
        self.answers: dict[type, Any] = {}
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    @property
    def sent(self) -> list[Frame]:
        return frames_of(b"".join(self.written))

    @property
    def said(self) -> list[tuple[str, bytes, bytes]]:
        """Of each frame its command, ext_data and body."""
        return [(Cmd(frame.cmd).name, frame.ext, frame.body) for frame in self.sent]

    @property
    def is_overrun(self) -> bool:
        return self.paused > 0

    def write(self, frame: bytes) -> bool:
        self.written += [frame] if self.takes_frames else []
        return self.takes_frames

    def hand_on(self, command: Command[Any]) -> bool:
        self.handed_on.append(command)
        return True

    async def execute(self, command: Command[Any]) -> Any:
        answer = self.answers[type(command)]
        await self.may_answer.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pause_reading(self) -> None:
        self.paused += 1

    def resume_reading(self) -> None:
        self.paused -= 1


class World:
    """`clients` serves `app`; `line` is what its gateway gets."""

    def __init__(self, app: App, *, queue: int = 64) -> None:
        self.wheel = Wheel(1.0)
        self.metrics = Metrics()
        self.running = Running(
            app, self.wheel, self.metrics, queue=queue, threads=4, sync_timeout=5, slow=5
        )
        self.line = Line()
        on_connect = app.handlers.get("on_connect")
        self.write_back = WriteBack(self.running.desk, self.running.runner)
        self.clients = Clients(
            self.running.desk,
            self.running.runner,
            on_connect and self.running.handlers.call(on_connect),
            self.line,
            self.write_back,
        )

    def connect(self, number: int = NUMBER, target: str = "/", **server: object) -> None:
        """A browser comes."""
        self.take(Cmd.CONNECT, number)
        self.take(Cmd.WEBSOCKET_CONNECT, number, flag=0, body=request(target, **server))

    def say(self, text: str | bytes, number: int = NUMBER, session: bytes = b"") -> None:
        """It sends a message."""
        body, flag = (text.encode(), PLAIN) if isinstance(text, str) else (text, PLAIN | BINARY)
        self.take(Cmd.MESSAGE, number, flag=flag, session=session, body=body)

    def leave(self, number: int = NUMBER, session: bytes = b"") -> None:
        """It is gone."""
        self.take(Cmd.CLOSE, number, session=session)

    def take(
        self,
        cmd: int,
        number: int = NUMBER,
        *,
        flag: int = PLAIN,
        session: bytes = b"",
        body: bytes = b"",
    ) -> None:
        self.clients.take(event(cmd, number, flag=flag, session=session, body=body))

    async def settle(self) -> None:
        """Everything that has come in is handled."""
        async with asyncio.timeout(PATIENCE):
            while tasks := [*self.running.desk.busy.values()]:
                await asyncio.wait(tasks)


@asynccontextmanager
async def serving(app: App, *, queue: int = 64) -> AsyncIterator[World]:
    """The App runs within; its gateway's verbs are not for these tests."""
    world = World(app, queue=queue)
    app.gateway.runner = world.running.runner
    try:
        yield world
    finally:
        world.running.end()
        await asyncio.sleep(0)

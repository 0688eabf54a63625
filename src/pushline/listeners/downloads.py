"""Files on their way to clients, each as fast as its client takes it.

The disk is asked in threads. Of each file one chunk at a time is in memory: the next one is read
when the kernel has all of the last.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from pushline.app.file_response import head_of, redirection
from pushline.app.files import File, Files, Redirect
from pushline.codecs.http_head import Request
from pushline.errors import HttpError
from pushline.listeners.http_connection import HttpConnection
from pushline.sockets import unconfirmed
from pushline.wheel import Item, Wheel

log = logging.getLogger(__name__)

CHUNK: Final = 64 << 10
"""Bytes."""


class Downloads:
    """What the downloads of one port share.

    `otherwise` answers what no file does, or raises HttpError; a client that takes nothing for
    `patience` ticks is ended.
    """

    def __init__(
        self, files: Files, otherwise: Callable[[Request], bytes], wheel: Wheel, patience: int
    ) -> None:
        self.files = files
        self.otherwise = otherwise
        self.wheel = wheel
        self.patience = patience

    def answer(self, http: HttpConnection, request: Request) -> None:
        """Respond to a request that is no upgrade, now or later. Raises HttpError."""
        if request.method in ("GET", "HEAD") and self.files.claims(request.path):
            http.upgrade(Download(self, http, request), b"")
        else:
            http.respond(self.otherwise(request))


class Download(Item):
    """One answer: it takes the connection over, as a WebSocket does."""

    def __init__(self, shared: Downloads, http: HttpConnection, request: Request) -> None:
        self.slot = None
        self._shared = shared
        self._http = http
        self._request = request
        self._lost = False
        self._ended = False
        self._sent = False
        self._room = asyncio.Event()
        self._room.set()
        self._in_flight = 0
        self._since = 0
        self._task = asyncio.get_running_loop().create_task(self._respond())

    def data_received(self, data: bytes) -> None:
        """Nothing more is expected."""

    def pause(self) -> None:
        if not self._sent:
            self._room.clear()
            self._watch()

    def resume(self) -> None:
        if not self._sent:
            self._shared.wheel.cancel(self)
            self._room.set()

    def ended(self) -> bool:
        """It may end its side and still read; TLS knows no such thing."""
        self._ended = True
        return not self._sent and self._http.transport.can_write_eof()

    def lost(self) -> None:
        self._lost = True
        self._shared.wheel.cancel(self)
        self._room.set()

    async def _respond(self) -> None:
        try:
            found = await self._find()
            if isinstance(found, File):
                with found.stream:
                    await self._send(found)
            elif not self._lost:
                self._http.respond(self._other(found))
        except HttpError as error:
            if not self._lost:
                self._http.refuse(error, self._request)
        except OSError as error:
            self._cut_off(error)

    async def _find(self) -> File | Redirect | None:
        try:
            return await asyncio.to_thread(self._shared.files.find, self._request.path)
        except OSError as error:
            self._complain(error)
            raise HttpError(503, "cannot be read now", (("Retry-After", "5"),)) from None

    def _other(self, redirect: Redirect | None) -> bytes:
        if redirect:
            return redirection(self._request, redirect)
        return self._shared.otherwise(self._request)

    async def _send(self, file: File) -> None:
        if self._lost:
            return
        head, content_follows = head_of(self._request, file)
        if content_follows:
            await self._stream(head, file)
        else:
            self._http.respond(head)

    async def _stream(self, head: bytes, file: File) -> None:
        """Raises OSError where the file turns out to be shorter than its head has said."""
        self._http.transport.set_write_buffer_limits(high=1, low=0)
        left = file.size
        while left and not self._lost:
            chunk = await asyncio.to_thread(file.stream.read, min(CHUNK, left))
            if not chunk:
                raise OSError("it has become shorter")
            left -= len(chunk)
            await self._write(head + chunk)
            head = b""
        if not self._lost:
            self._end()

    async def _write(self, data: bytes) -> None:
        """Until the kernel has all of it, or the client is gone."""
        if not self._lost:
            self._http.transport.write(data)
            await self._room.wait()

    def _end(self) -> None:
        """All is with the kernel, and perhaps still on its way."""
        self._sent = True
        self._watch()
        if self._ended:
            self._http.transport.close()
        elif self._http.transport.can_write_eof():
            self._http.transport.write_eof()

    def _cut_off(self, error: OSError) -> None:
        """What has begun cannot be taken back: the client has to notice."""
        self._complain(error)
        if not self._lost:
            self._http.abort()

    def _complain(self, error: OSError) -> None:
        log.warning("%s cannot be served: %s", self._request.path, error)

    def _watch(self) -> None:
        """From now on the client has to take something."""
        self._in_flight, self._since = unconfirmed(self._http.transport), self._shared.wheel.now
        self._shared.wheel.schedule(self, 1, Download._look)

    def _look(self) -> None:
        """However little it has taken counts."""
        wheel, in_flight = self._shared.wheel, unconfirmed(self._http.transport)
        if in_flight != self._in_flight:
            self._in_flight, self._since = in_flight, wheel.now
        if wheel.now - self._since >= self._shared.patience:
            self._http.abort()
            return
        if self._sent and not in_flight:
            self._close()
        wheel.schedule(self, 1, Download._look)

    def _close(self) -> None:
        """TLS can only end both sides, and only in a fixed time: so not while anything waits."""
        if not self._http.transport.can_write_eof():
            self._http.transport.close()

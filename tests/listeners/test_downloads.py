"""Files over real connections: whole, as fast as each client takes them, and never for ever."""

import asyncio
import contextlib
import hashlib
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop

from pushline.address import Address
from pushline.app.files import Files
from pushline.codecs import handshake
from pushline.codecs.http_head import Request
from pushline.config import Limits
from pushline.errors import HttpError
from pushline.listeners.downloads import CHUNK, Downloads
from pushline.listeners.http_connection import HttpConnection, head_limits
from pushline.listeners.sockets import listen, tls_context
from pushline.metrics import Metrics
from pushline.wheel import Ticker, Wheel
from tests.browser import DEADLINE, dial
from tests.certificates import Authority

TICK = 0.02
BIG = 20 << 20
LIMITS = replace(Limits(), close_timeout=0.5)


class Port:
    """A port that has files and nothing else."""

    def __init__(self, directory: Path, limits: Limits) -> None:
        self.wheel = Wheel(TICK)
        self.metrics = Metrics()
        self.limits = limits
        self.head_limits = head_limits(limits)
        self.open: list[HttpConnection] = []
        files = Files()
        files.add("/", directory)
        patience = self.wheel.ticks(limits.close_timeout)
        self._downloads = Downloads(files, self._otherwise, self.wheel, patience)

    def accept(self) -> HttpConnection:
        self.open.append(HttpConnection(self))
        return self.open[-1]

    def answer(self, connection: HttpConnection, request: Request, rest: bytes) -> None:
        self._downloads.answer(connection, request)

    def _otherwise(self, request: Request) -> bytes:
        if request.method not in ("GET", "HEAD"):
            raise HttpError(405, "only GET and HEAD", (("Allow", "GET, HEAD"),))
        if request.path != "/page":
            raise HttpError(404, "nothing here")
        return handshake.response(200, b"a page", head_only=request.method == "HEAD")


class Served(NamedTuple):
    port: Port
    address: Address


@contextlib.asynccontextmanager
async def serving(
    directory: Path, limits: Limits = LIMITS, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Served]:
    """Afterwards every connection is over and every file closed."""
    loop = asyncio.get_running_loop()
    before, port = open_files(directory), Port(directory, limits)
    ticker = Ticker(port.wheel, loop)
    server, address = await listen(Address.parse("127.0.0.1:0"), port.accept, limits, tls=tls)
    try:
        yield Served(port, address)
        await until(lambda: not port.metrics.open)
        await until(lambda: open_files(directory) == before)
        assert port.wheel.items() == []
    finally:
        server.close()
        ticker.stop()


def open_files(directory: Path) -> list[str]:
    """Those below a directory that this process has open."""
    links = []
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(str(each.readlink()))
    return [link for link in links if link.startswith(str(directory))]


async def until(condition: Callable[[], bool]) -> None:
    """Raises TimeoutError."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def asking(
    address: Address,
    path: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection with a small receive buffer, on which a request has been sent."""
    plug = socket.socket()
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
    plug.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plug, (address.host, address.port))
    reader, writer = await asyncio.open_connection(
        sock=plug, ssl=tls, server_hostname=address.host if tls else None
    )
    fields = {"Host": address, **(headers or {})}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {fields[name]}" for name in fields), "", ""]
    writer.write("\r\n".join(lines).encode())
    try:
        yield reader, writer
    finally:
        writer.close()


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


async def head(reader: asyncio.StreamReader) -> Answer:
    read = (await reader.readuntil(b"\r\n\r\n")).decode()
    status, *lines = read.removesuffix("\r\n\r\n").split("\r\n")
    return Answer(int(status.split()[1]), dict(line.split(": ", 1) for line in lines), b"")


async def ask(
    address: Address, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> Answer:
    """All that is answered, to the end of the connection."""
    async with asking(address, path, method, headers) as (reader, _):
        return (await head(reader))._replace(body=await reader.read())


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    uvloop.run(coroutine)


@pytest.fixture
def big(tmp_path: Path) -> bytes:
    """What is in the file `big`."""
    content = os.urandom(1 << 20) * (BIG >> 20)
    (tmp_path / "big").write_bytes(content)
    return content


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_a_file_comes_whole(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "face.png").write_bytes(content)

    async def main() -> None:
        async with serving(tmp_path) as (_, address):
            status, headers, body = await ask(address, "/face.png?v=1")
            assert (status, headers["Content-Type"], body) == (200, "image/png", content)
            assert headers["Content-Length"] == str(size)

    run(main())


def test_what_a_client_has_is_sent_again_only_when_it_has_changed(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("old")

    async def main() -> None:
        async with serving(tmp_path) as (_, address):
            first = await ask(address, "/")
            known = {"If-None-Match": first.headers["ETag"]}
            again = await ask(address, "/", "GET", known)
            assert (again.status, again.body) == (304, b"")
            (tmp_path / "index.html").write_text("newer")
            newer = await ask(address, "/", "GET", known)
            assert (newer.status, newer.body) == (200, b"newer")

    run(main())


def test_a_head_has_the_headers_of_its_get_and_no_body(tmp_path: Path, big: bytes) -> None:
    (tmp_path / "chat").mkdir()

    async def main() -> None:
        async with serving(tmp_path) as (port, address):
            for path in ("/big", "/chat", "/page", "/missing"):
                get, only = await ask(address, path), await ask(address, path, "HEAD")
                assert only == get._replace(body=b""), path
            assert port.metrics.refused == {"404": 2}

    run(main())


def test_a_directory_leads_to_the_one_with_a_slash(tmp_path: Path) -> None:
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat/index.html").write_text("chat")

    async def main() -> None:
        async with serving(tmp_path) as (_, address):
            moved = await ask(address, "/chat?room_id=1")
            assert (moved.status, moved.headers["Location"]) == (301, "/chat/?room_id=1")
            assert (await ask(address, moved.headers["Location"])).body == b"chat"

    run(main())


def test_what_no_file_answers_is_answered_otherwise(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("home")

    async def main() -> None:
        async with serving(tmp_path) as (_, address):
            assert (await ask(address, "/page")).body == b"a page"
            for path in ("/missing", "/../secret", "/%2e%2e/secret"):
                assert (await ask(address, path)).status == 404
            post = await ask(address, "/", "POST")
            assert (post.status, post.headers["Allow"]) == (405, "GET, HEAD")

    run(main())


# --- clients of all kinds -----------------------------------------------------------------------


def test_a_big_file_comes_byte_by_byte_as_it_is(tmp_path: Path, big: bytes) -> None:
    async def main() -> None:
        limits = replace(LIMITS, close_timeout=60)  # which is not what ends it
        async with serving(tmp_path, limits) as (_, address):
            answer = await ask(address, "/big")
            assert answer.headers["Content-Length"] == str(BIG)
            assert answer.body == big

    run(main())


def test_it_comes_over_tls_too(tmp_path: Path, big: bytes) -> None:
    (tmp_path / "tls").mkdir()
    authority = Authority(tmp_path / "tls")
    context = tls_context(authority.certificate, authority.key)

    async def main() -> None:
        async with (
            serving(tmp_path, tls=context) as (_, address),
            asking(address, "/big", tls=authority.client()) as (reader, _),
        ):
            await head(reader)
            assert await reader.read() == big

    run(main())


def test_a_client_that_has_ended_its_side_gets_all_of_it(tmp_path: Path, big: bytes) -> None:
    async def main() -> None:
        limits = replace(LIMITS, close_timeout=60)  # which is not what ends it
        async with (
            serving(tmp_path, limits) as (_, address),
            asking(address, "/big") as (reader, writer),
        ):
            writer.write_eof()
            await head(reader)
            assert await reader.read() == big

    run(main())


@pytest.mark.parametrize("secure", [False, True])
def test_a_reader_that_stops_is_ended_and_its_file_closed(
    tmp_path: Path, big: bytes, secure: bool
) -> None:
    (tmp_path / "tls").mkdir()
    authority = Authority(tmp_path / "tls")
    server = tls_context(authority.certificate, authority.key) if secure else None
    client = authority.client() if secure else None

    async def main() -> None:
        async with (
            serving(tmp_path, tls=server) as (port, address),
            asking(address, "/big", tls=client) as (reader, _),
        ):
            await reader.readexactly(BIG // 2)
            assert open_files(tmp_path) == [str(tmp_path / "big")]
            await until(lambda: not port.metrics.open)
            await until(lambda: open_files(tmp_path) == [])
            with contextlib.suppress(ConnectionResetError):
                assert len(await reader.read()) < BIG // 2

    run(main())


def test_a_client_that_goes_away_is_read_for_no_longer(tmp_path: Path, big: bytes) -> None:
    limits = replace(LIMITS, close_timeout=60)  # which is not what ends it

    async def main() -> None:
        async with serving(tmp_path, limits) as (port, address):
            async with asking(address, "/big") as (reader, writer):
                await reader.readexactly(BIG // 2)
                writer.transport.abort()
            await until(lambda: not port.metrics.open)

    run(main())


def test_one_that_goes_away_at_once_leaves_nothing(tmp_path: Path, big: bytes) -> None:
    async def main() -> None:
        async with serving(tmp_path) as (port, address):
            for _ in range(50):
                async with asking(address, "/big") as (_, writer):
                    await writer.drain()
                    writer.transport.abort()
            await until(lambda: port.metrics.accepted == 50)

    run(main())


@pytest.mark.parametrize("secure", [False, True])
def test_a_slow_phone_is_not_cut_off(tmp_path: Path, secure: bool) -> None:
    """It takes 64 KiB each 50 ms, for several times as long as it might take nothing."""
    (tmp_path / "tls").mkdir()
    (tmp_path / "song").write_bytes(content := os.urandom(4 << 20))
    authority = Authority(tmp_path / "tls")
    server = tls_context(authority.certificate, authority.key) if secure else None
    client = authority.client() if secure else None

    async def main() -> None:
        async with (
            serving(tmp_path, tls=server) as (_, address),
            asking(address, "/song", tls=client) as (reader, _),
        ):
            await head(reader)
            body, started = b"", asyncio.get_running_loop().time()
            while piece := await reader.read(64 << 10):
                body += piece
                await asyncio.sleep(0.05)
            assert body == content
            taken = asyncio.get_running_loop().time() - started
            assert taken > 2 * LIMITS.close_timeout

    run(main())


def test_little_by_little_counts_even_while_the_kernel_wants_no_more(tmp_path: Path) -> None:
    """The kernel asks for more when a third of its buffer is free: that takes this client longer
    than it might take nothing."""
    (tmp_path / "song").write_bytes(content := os.urandom(1 << 20))

    def listen_slowly(address: str) -> bytes:
        with dial(address, receive_buffer=8 << 10) as plug:
            plug.sendall(b"GET /song HTTP/1.0\r\n\r\n")
            pieces = []
            for _ in range(40):
                pieces.append(plug.recv(4 << 10))
                time.sleep(0.05)
            while pieces[-1]:
                pieces.append(plug.recv(1 << 18))
        return b"".join(pieces)

    async def main() -> None:
        async with serving(tmp_path, replace(LIMITS, close_timeout=0.4)) as (_, address):
            answer = await asyncio.to_thread(listen_slowly, str(address))
            assert answer.partition(b"\r\n\r\n")[2] == content

    run(main())


def test_many_downloads_at_the_same_time_take_little_memory(tmp_path: Path) -> None:
    (tmp_path / "song").write_bytes(content := os.urandom(4 << 20))
    many, expected = 50, hashlib.sha256(content).digest()

    async def digest(reader: asyncio.StreamReader) -> bytes:
        await head(reader)
        body = hashlib.sha256()
        while piece := await reader.read(1 << 18):
            body.update(piece)
        return body.digest()

    async def main() -> None:
        limits = replace(LIMITS, close_timeout=60)
        async with (
            serving(tmp_path, limits) as (port, address),
            AsyncExitStack() as stack,
        ):
            before = resident()
            asked = [await stack.enter_async_context(asking(address, "/song")) for _ in range(many)]
            await until(lambda: len(waiting(port)) == many)
            assert max(waiting(port)) <= CHUNK + 1024
            assert resident() - before < many * 6 * CHUNK
            assert await asyncio.gather(*(digest(r) for r, _ in asked)) == [expected] * many

    run(main())


def waiting(port: Port) -> list[int]:
    """Bytes that wait in each connection that has some."""
    sizes = [http.transport.get_write_buffer_size() for http in port.open]
    return [size for size in sizes if size]


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# --- files of all kinds -------------------------------------------------------------------------


def test_a_file_that_shrinks_ends_the_connection(
    tmp_path: Path, big: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with serving(tmp_path) as (_, address), asking(address, "/big") as (reader, _):
            await reader.readexactly(BIG // 2)
            os.truncate(tmp_path / "big", BIG // 2)
            with contextlib.suppress(ConnectionResetError):
                assert len(await reader.read()) < BIG // 2

    run(main())
    (record,) = caplog.records
    assert record.getMessage() == "/big cannot be served: it has become shorter"
    assert record.levelno == logging.WARNING


def test_a_file_that_grows_is_sent_as_it_was(tmp_path: Path, big: bytes) -> None:
    async def main() -> None:
        async with serving(tmp_path) as (_, address), asking(address, "/big") as (reader, _):
            await head(reader)
            with (tmp_path / "big").open("ab") as file:
                file.write(b"more")
            assert await reader.read() == big

    run(main())


def test_a_disk_that_hangs_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on while a look-up does not come back; then its client is answered."""
    (tmp_path / "song").write_bytes(b"song")
    hangs, find = threading.Event(), Files.find

    def slow_find(files: Files, path: str) -> object:
        assert hangs.wait(DEADLINE)
        return find(files, path)

    monkeypatch.setattr(Files, "find", slow_find)

    async def main() -> None:
        async with serving(tmp_path) as (_, address):
            first = asyncio.create_task(ask(address, "/song"))
            post = await ask(address, "/", "POST")
            assert (post.status, first.done()) == (405, False)
            hangs.set()
            assert (await first).body == b"song"

    run(main())

"""The socket by which `pushline reload` finds a worker that runs, and what is said there.

A request is one line, `reload`. It is answered with lines of text while it goes on, and last with
`ok` or `fail` alone on a line.
"""

import asyncio
import contextlib
import errno
import os
import socket
import struct
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from pushline.address import LONGEST_SOCKET_PATH
from pushline.config import Config
from pushline.errors import ConfigError, UnavailableError

RELOAD = "reload"
OK, FAIL = "ok", "fail"
FAILED = 1
"""The exit code of a reload that was not one."""
OWN_ONLY = 0o177
"""The umask of a socket that is for its owner alone."""
PATIENCE = 5.0
"""Seconds for a worker that is asked whether it lives."""

Say = Callable[[str], None]
Reload = Callable[[Say], Awaitable[bool]]
"""Reloads, says how it goes, and returns whether it went well."""


def path_of(config: Config) -> Path:
    """Where the socket is: `worker.control`, or made of the application's name and the user's.

    Raises ConfigError where that would be too long for a socket.
    """
    path = Path(config.worker.control or _directory() / f"{_prefix()}{config.app.load}.sock")
    if len(os.fsencode(path.absolute())) > LONGEST_SOCKET_PATH:
        raise ConfigError(
            f"{path} is too long for a socket, which has {LONGEST_SOCKET_PATH} bytes: "
            "set worker.control"
        )
    return path.absolute()


class Control:
    """The worker's side. Raises ConfigError where another worker listens there already."""

    def __init__(self, path: Path, reload: Reload) -> None:
        self.path = path
        self._reload = reload
        self._socket = _bound(path)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Answer, in the running event loop."""
        self._server = await asyncio.start_unix_server(self._answer, sock=self._socket)

    def stop(self) -> None:
        """Leave nothing of it."""
        if self._server is not None:
            self._server.close()
        self._socket.close()
        self.path.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(text: str) -> None:
            if not writer.is_closing():
                writer.write(f"{text}\n".encode(errors="replace"))

        with contextlib.suppress(OSError, ValueError):  # ValueError: a line that is too long
            if (await reader.readline()).decode(errors="replace").strip() == RELOAD:
                say(OK if await self._reload(say) else FAIL)
            await writer.drain()
        writer.close()


def reload(config: Config) -> int:
    """Have the worker of `config` reload, print how it goes; 0, or FAILED.

    Raises UnavailableError where none runs, ConfigError where it is not clear which.
    """
    with _connected(path_of(config) if _is_named(config) else _the_only_one()) as plug:
        plug.sendall(f"{RELOAD}\n".encode())
        last = ""
        for line in plug.makefile(encoding="utf-8", errors="replace"):
            last = line.rstrip("\n")
            if last not in (OK, FAIL):
                print(last, flush=True)
    if last not in (OK, FAIL):
        raise UnavailableError("the worker ended before the reload was done")
    return 0 if last == OK else FAILED


def _is_named(config: Config) -> bool:
    return bool(config.worker.control or config.app.load)


def _the_only_one() -> Path:
    found = sorted(_directory().glob(f"{_prefix()}*.sock"))
    if not found:
        raise UnavailableError(
            f"no worker of yours runs here: there is no socket in {_directory()}"
        )
    if len(found) > 1:
        apps = ", ".join(path.name.removeprefix(_prefix()).removesuffix(".sock") for path in found)
        raise ConfigError(f"which of your workers? name one: {apps}")
    return found[0]


def _directory() -> Path:
    """Of this user alone, where the system has one; else the one for temporary files."""
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    return own if own.is_dir() and os.access(own, os.W_OK) else Path(tempfile.gettempdir())


def _prefix() -> str:
    return f"pushline-{os.getuid()}-"


# --- sockets ----------------------------------------------------------------------------------


def _bound(path: Path) -> socket.socket:
    """A listening one at `path`, in place of one that nobody listens on any more."""
    plug = socket.socket(socket.AF_UNIX)
    try:
        try:
            _bind(plug, path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            _remove_stale(path)
            _bind(plug, path)
        plug.listen()
    except OSError as error:
        plug.close()
        raise ConfigError(f"worker.control: {path} cannot be had: {error.strerror}") from None
    except ConfigError:
        plug.close()
        raise
    return plug


def _bind(plug: socket.socket, path: Path) -> None:
    before = os.umask(OWN_ONLY)
    try:
        plug.bind(str(path))
    finally:
        os.umask(before)


def _remove_stale(path: Path) -> None:
    try:
        _connect(path).close()
    except ConnectionRefusedError:
        if not path.is_socket():
            raise ConfigError(f"worker.control: {path} is there, and no socket") from None
        path.unlink(missing_ok=True)
    else:
        raise ConfigError(
            f"another worker runs with the control socket {path}: end it, reload it with "
            "`pushline reload`, or give this one a worker.control of its own"
        )


def _connected(path: Path) -> socket.socket:
    """To the worker there, whose answers may take their time."""
    try:
        plug = _connect(path)
    except OSError as error:
        raise UnavailableError(f"no worker runs at {path}: {error.strerror}") from None
    if _owner(plug) not in (os.getuid(), 0):
        plug.close()
        raise UnavailableError(f"what runs at {path} is another user's")
    plug.settimeout(None)
    return plug


def _connect(path: Path) -> socket.socket:
    plug = socket.socket(socket.AF_UNIX)
    plug.settimeout(PATIENCE)
    try:
        plug.connect(str(path))
    except BaseException:
        plug.close()
        raise
    return plug


def _owner(plug: socket.socket) -> int:
    """The user id of who listens at the other end: SO_PEERCRED, socket(7)."""
    credentials = plug.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    owner: int = struct.unpack("3i", credentials)[1]
    return owner

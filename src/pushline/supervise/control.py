"""The socket at which `pushline reload` is heard, and what is said there.

A request is one line, `reload`. It is answered with lines of text while it goes on, and last with
`ok` or `fail` alone on a line.
"""

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

from pushline.config import Config
from pushline.errors import ConfigError, UnavailableError
from pushline.supervise.places import Place, to_reload

RELOAD = "reload"
OK, FAIL = "ok", "fail"
FAILED = 1
"""The exit code of a reload that was not one."""
OWN_ONLY = 0o177
"""The umask of a socket that is for its owner alone."""
PATIENCE = 5.0
"""Seconds for who is asked whether he lives."""

Say = Callable[[str], None]
Reload = Callable[[Say], Awaitable[bool]]
"""Reloads, says how it goes, and returns whether it went well."""


class Control:
    """The supervisor's side. Raises ConfigError where another one listens there already."""

    def __init__(self, place: Place, reload: Reload) -> None:
        self.path = place.path
        self._reload = reload
        self._socket = _bound(place)
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
    """Have the worker or server of `config` reload, print how it goes; 0, or FAILED.

    Raises UnavailableError where none runs, ConfigError where it is not clear which.
    """
    place = to_reload(config)
    with _connected(place) as plug:
        plug.sendall(f"{RELOAD}\n".encode())
        last = ""
        for line in plug.makefile(encoding="utf-8", errors="replace"):
            last = line.rstrip("\n")
            if last not in (OK, FAIL):
                print(last, flush=True)
    if last not in (OK, FAIL):
        raise UnavailableError(f"the {place.who} ended before the reload was done")
    return 0 if last == OK else FAILED


# --- sockets ----------------------------------------------------------------------------------


def _bound(place: Place) -> socket.socket:
    """A listening one there, in place of one that nobody listens on any more."""
    plug = socket.socket(socket.AF_UNIX)
    try:
        try:
            _bind(plug, place.path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            _remove_stale(place)
            _bind(plug, place.path)
        plug.listen()
    except OSError as error:
        plug.close()
        raise ConfigError(f"{place.key}: {place.path} cannot be had: {error.strerror}") from None
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


def _remove_stale(place: Place) -> None:
    try:
        _connect(place.path).close()
    except ConnectionRefusedError:
        if not place.path.is_socket():
            raise ConfigError(f"{place.key}: {place.path} is there, and no socket") from None
        place.path.unlink(missing_ok=True)
    else:
        raise ConfigError(
            f"another {place.who} runs with the control socket {place.path}: end it, reload it "
            f"with `pushline reload`, or give this one a {place.key} of its own"
        )


def _connected(place: Place) -> socket.socket:
    """To who runs there, whose answers may take their time."""
    try:
        plug = _connect(place.path)
    except OSError as error:
        raise UnavailableError(f"no {place.who} runs at {place.path}: {error.strerror}") from None
    if _owner(plug) not in (os.getuid(), 0):
        plug.close()
        raise UnavailableError(f"what runs at {place.path} is another user's")
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

"""Where the control sockets are by which `pushline reload` finds what runs."""

import errno
import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pushline.address import LONGEST_SOCKET_PATH
from pushline.config import Config
from pushline.errors import ConfigError, UnavailableError


@dataclass(frozen=True, slots=True)
class Place:
    """A control socket: of a `worker`, or of a `server` with several processes; `key` sets it."""

    path: Path
    who: str = "worker"
    key: str = "worker.control"


def of_worker(config: Config) -> Place:
    """`worker.control`, or made of the application's name and the user's.

    Raises ConfigError where that would be too long for a socket.
    """
    return _checked(Place(Path(config.worker.control or _default(config.app.load))))


def of_server(config: Config) -> Place:
    """`serve.control`, or made of the application's name or the port for browsers, and the user's.

    Raises ConfigError, as `of_worker`.
    """
    name = config.app.load or f"serve-{config.websocket.listen[0].port}"
    path = Path(config.serve.control or _default(name))
    return _checked(Place(path, "server", "serve.control"))


def to_reload(config: Config) -> Place:
    """Where what `config` names is; or, if it names nothing, the only one of this user.

    Raises UnavailableError where there is none, ConfigError where it is not clear which.
    """
    if config.serve.control or config.serve.workers > 1:
        return of_server(config)
    if config.worker.control or config.app.load:
        return of_worker(config)
    return Place(_the_only_one(), "worker or server")


def _checked(place: Place) -> Place:
    path = place.path.absolute()
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise ConfigError(
            f"{place.path} is too long for a socket, which has {LONGEST_SOCKET_PATH} bytes: "
            f"set {place.key}"
        )
    return Place(path, place.who, place.key)


def _the_only_one() -> Path:
    found = sorted(filter(_is_listened_at, _directory().glob(f"{_prefix()}*.sock")))
    if not found:
        raise UnavailableError(
            "no worker of yours runs here, and no server with several processes: "
            f"there is no socket in {_directory()}"
        )
    if len(found) > 1:
        names = ", ".join(path.name.removeprefix(_prefix()).removesuffix(".sock") for path in found)
        raise ConfigError(f"which of them? give its --config, or name one: {names}")
    return found[0]


def _is_listened_at(path: Path) -> bool:
    """One that was left behind is not."""
    with socket.socket(socket.AF_UNIX) as plug:
        plug.setblocking(False)
        return plug.connect_ex(str(path)) != errno.ECONNREFUSED


def _default(name: str) -> Path:
    return _directory() / f"{_prefix()}{name}.sock"


def _directory() -> Path:
    """Of this user alone, where the system has one; else the one for temporary files."""
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    return own if own.is_dir() and os.access(own, os.W_OK) else Path(tempfile.gettempdir())


def _prefix() -> str:
    return f"pushline-{os.getuid()}-"

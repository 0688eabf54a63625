"""Where the files of an application stand: from a request's path to an open file.

Everything but `claims` asks the disk, and so blocks. Links are followed as far as they stay inside
the directory; names that begin with a dot are not served.
"""

import errno
import io
import mimetypes
import os
import re
import stat
from os import PathLike
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from pushline.errors import AppError

INDEX: Final = "index.html"
"""What a directory answers with."""

Names = tuple[str, ...]
"""The decoded parts of a path between its slashes."""

_ENCODED: Final = re.compile("(?:[^%]|%[0-9A-Fa-f]{2})+")
_FORBIDDEN: Final = re.compile(r"\A\.|[/\\\0]")
"""A name that begins with a dot, or is none: %2F is a slash within a name."""
_NOT_THERE: Final = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EACCES,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENXIO,
)
_NEWER_TYPES: Final = {
    ".avif": "image/avif",
    ".js": "text/javascript",  # RFC 9239
    ".mjs": "text/javascript",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
"""Which not every Python knows."""


class File(NamedTuple):
    """A regular file, open at its start; whoever has it closes `stream`."""

    stream: io.FileIO
    name: str
    size: int
    """In bytes, when it was opened."""
    modified: int
    """In nanoseconds since 1970."""


class Redirect(NamedTuple):
    """What was asked for is a directory; `path` is its own, which ends in a slash."""

    path: str


class Files:
    """Directories by the prefix of the paths that they answer; the longest prefix wins."""

    def __init__(self) -> None:
        self._directories: dict[Names, Path] = {}

    def add(self, prefix: str, directory: str | PathLike[str]) -> None:
        """Answer paths below `prefix`, as in "/" or "/static", with a directory's files.

        Raises AppError where the prefix is none or taken, or there is no such directory.
        """
        names = _split(prefix)
        if names is None:
            raise AppError(f'app.files: the prefix {prefix!r} is not like "/" or "/static"')
        if names in self._directories:
            raise AppError(f"app.files: the prefix {prefix!r} has a directory already")
        root = Path(directory).resolve()
        if not root.is_dir():
            raise AppError(f"app.files: there is no directory {root}")
        self._directories[names] = root

    def claims(self, path: str) -> bool:
        """Whether a request's path (percent-encoded) is below a prefix; asks no disk."""
        return bool(self._directories) and self._locate(path) is not None

    def find(self, path: str) -> File | Redirect | None:
        """What is at a request's path (percent-encoded). Raises OSError where the disk fails."""
        located = self._locate(path)
        if located is None:
            return None
        try:
            return _find(*located, path)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise

    def _locate(self, path: str) -> tuple[Path, Names] | None:
        """The directory that answers, and the names below it."""
        names = _split(path)
        if names is None:
            return None
        for length in range(len(names), -1, -1):
            root = self._directories.get(names[:length])
            if root is not None:
                return root, names[length:]
        return None


def content_type(name: str) -> str:
    """By the name's ending; text is UTF-8."""
    kind, packed = _TYPES.guess_type(f"/{name}")  # a slash: it would take `data:` for a scheme
    if kind is None or packed is not None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind in _TEXTS else kind


_TEXTS: Final = ("application/javascript", "application/json", "image/svg+xml")


def _types() -> mimetypes.MimeTypes:
    """Python's own and newer ones: those that the system has would differ between machines."""
    types = mimetypes.MimeTypes()
    for ending, kind in _NEWER_TYPES.items():
        types.add_type(kind, ending)
    return types


_TYPES: Final = _types()


def _split(path: str) -> Names | None:
    """The names of an absolute path without the slash at its end; None for what may not be."""
    first, *parts = path.split("/")
    if first or not parts:
        return None
    names = [_decode(part) for part in (parts if parts[-1] else parts[:-1])]
    return None if None in names else tuple(name for name in names if name)


def _decode(part: str) -> str | None:
    if not _ENCODED.fullmatch(part):
        return None
    try:
        name = unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return None
    return None if _FORBIDDEN.search(name) else name


def _find(root: Path, names: Names, path: str) -> File | Redirect | None:
    wanted = _inside(root, root.joinpath(*names))
    is_directory = wanted.is_dir()
    if is_directory and not path.endswith("/"):
        return Redirect(f"{quote(path, safe='/%')}/")
    if is_directory:
        return _open(_inside(root, wanted / INDEX), INDEX)
    return None if path.endswith("/") else _open(wanted, names[-1])


def _inside(root: Path, path: Path) -> Path:
    """Where a path leads to. Raises FileNotFoundError where that is not inside the directory."""
    real = Path(os.path.realpath(path, strict=True))
    if not real.is_relative_to(root):
        raise FileNotFoundError(errno.ENOENT, "leads outside", str(path))
    return real


def _open(path: Path, name: str) -> File | None:
    """None for what is no regular file; nothing waits for a FIFO's writer."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return None
    return File(io.FileIO(descriptor), name, status.st_size, status.st_mtime_ns)

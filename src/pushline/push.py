"""`pushline push`: one push from arguments, or ready lines from standard input."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from typing import BinaryIO

import msgspec
from tqdm import tqdm

from pushline.client import Client
from pushline.errors import InvalidPushError

CHUNK = 64 * 1024
"""Bytes that are read at most before their lines go out, and their answers are waited for."""
LONG_INPUT = 1.0
"""Seconds after which a progress bar shows, on a terminal."""


def push_one(client: Client, uids: Sequence[str], json: str, utype: str | None) -> bool:
    """Push a JSON object to `uids`, or to everyone if there are none; whether it was `ok`."""
    data = _object(json)
    if not uids:
        return client.push_all(data, utype=utype)
    return client.push(uids[0] if len(uids) == 1 else list(uids), data, utype=utype)


def push_lines(client: Client, source: BinaryIO) -> tuple[int, int]:
    """Push every line of `source`, each as soon as it is there; how many were `ok`, and `fail`.

    A line that is no push counts as `fail`, and standard error says why.
    """
    ok = lines = 0
    with tqdm(
        total=_size(source), unit="B", unit_scale=True, delay=LONG_INPUT, disable=None
    ) as bar:
        for batch in _batches(source):
            ok += sum(_push(client, batch, lines + 1))
            lines += len(batch)
            bar.update(sum(map(len, batch)))
    return ok, lines - ok


def _push(client: Client, batch: Sequence[bytes], number: int) -> Iterable[bool]:
    """The answers to the lines from `number` on."""
    try:
        return client.push_many(batch)
    except InvalidPushError:  # nothing was sent yet
        return [_push_or_say_why(client, line, at) for at, line in enumerate(batch, number)]


def _push_or_say_why(client: Client, line: bytes, number: int) -> bool:
    try:
        return client.push_line(line)
    except InvalidPushError as error:
        tqdm.write(f"pushline: line {number}: {error}", file=sys.stderr)  # above a bar
        return False


def _batches(source: BinaryIO) -> Iterator[list[bytes]]:
    """Lines that have come together: whoever writes one need not write more to have it pushed."""
    begun: list[bytes] = []
    while data := os.read(source.fileno(), CHUNK):
        lines, end, rest = data.rpartition(b"\n")
        if end:
            yield BytesIO(b"".join((*begun, lines, end))).readlines()
            begun.clear()
        begun.append(rest)
    if any(begun):
        yield [b"".join(begun)]


def _size(source: BinaryIO) -> int | None:
    """Bytes of a file; None for a pipe, which has no end yet."""
    status = os.fstat(source.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _object(json: str) -> dict[str, object]:
    try:
        return msgspec.json.decode(json, type=dict[str, object])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise InvalidPushError(f"the last argument is no JSON object: {error}") from None

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
from pushline.client.fate import MAYBE_PUSHED, behind
from pushline.errors import ClientError, InvalidPushError

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

    A line that is no push counts as `fail`, and standard error says why. A ClientError says how
    far it came, so that one can go on from there.
    """
    ok = lines = 0
    with tqdm(
        total=_size(source), unit="B", unit_scale=True, delay=LONG_INPUT, disable=None
    ) as bar:
        for batch in _batches(source, client.max_line):
            try:
                ok += sum(_push(client, batch, lines + 1))
            except ClientError as error:
                raise _so_far(error, ok, lines) from None
            lines += len(batch)
            bar.update(sum(map(len, batch)))
    return ok, lines - ok


def _push(client: Client, batch: Sequence[bytes], number: int) -> Iterable[bool]:
    """The answers to the lines from `number` on."""
    try:
        return client.push_many(batch)
    except InvalidPushError:  # nothing was sent yet
        return _push_each(client, batch, number)


def _push_each(client: Client, batch: Sequence[bytes], number: int) -> list[bool]:
    answers: list[bool] = []
    with behind(answers):
        for at, line in enumerate(batch, number):
            answers.append(_push_or_say_why(client, line, at))
    return answers


def _push_or_say_why(client: Client, line: bytes, number: int) -> bool:
    try:
        return client.push_line(line)
    except InvalidPushError as error:
        tqdm.write(f"pushline: line {number}: {error}", file=sys.stderr)  # above a bar
        return False


def _so_far(error: ClientError, ok: int, lines: int) -> ClientError:
    """`error`, about all of the input: of its first `lines`, before this batch, so many were ok."""
    if error.sent == lines == 0:
        return error
    ok, answered = ok + sum(error.answers), lines + len(error.answers)
    sent = None if error.sent is None else lines + error.sent
    counts = f"{ok} ok, {answered - ok} fail"
    return type(error)(error.args[0], MAYBE_PUSHED, counts, *_open_ends(answered, sent))


def _open_ends(answered: int, sent: int | None) -> Iterator[str]:
    """What became of the lines behind those that were answered."""
    first = answered + 1
    if sent is None:
        yield f"not known: from line {first} on"
    elif sent >= first:
        yield f"not known: lines {first} to {sent}" if sent > first else f"not known: line {first}"
    if sent is not None:
        yield f"not sent: from line {sent + 1} on"


def _batches(source: BinaryIO, max_line: int) -> Iterator[list[bytes]]:
    """Lines that have come together: whoever writes one need not write more to have it pushed.

    Of one that is too long there may be only the beginning, which is too long as well.
    """
    begun = bytearray()
    kept = max_line + len(b"\r\n")
    while data := os.read(source.fileno(), CHUNK):
        lines, end, rest = data.rpartition(b"\n")
        if end:
            yield BytesIO(begun + lines + end).readlines()
            begun.clear()
        begun += rest[: kept - len(begun)]
    if begun:
        yield [bytes(begun)]


def _size(source: BinaryIO) -> int | None:
    """Bytes of a file; None for a pipe, which has no end yet."""
    status = os.fstat(source.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _object(json: str) -> dict[str, object]:
    try:
        return msgspec.json.decode(json, type=dict[str, object])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise InvalidPushError(f"the last argument is no JSON object: {error}") from None

"""Inputs, and what must hold for every one of them."""

import tracemalloc
from collections import deque
from itertools import pairwise
from random import Random
from typing import NamedTuple

from fuzz.targets import Target
from pushline.errors import PeerError

FLOOD = 30_000
"""Bytes that follow where memory is measured: many times any limit here."""
SHORT_CHUNK = 100


class Outcome(NamedTuple):
    events: list[object]
    error: str


def outcome(target: Target, chunks: list[bytes]) -> Outcome:
    """The events, and the PeerError that ended them; any other exception is a finding."""
    feed = target.start()
    events: list[object] = []
    try:
        for chunk in chunks:
            events.extend(feed(chunk))
    except PeerError as error:
        return Outcome(events, repr((type(error), vars(error))))
    return Outcome(events, "")


def check(target: Target, random: Random, data: bytes) -> None:
    """Raises AssertionError where cutting `data` changes what comes out."""
    whole = outcome(target, [data])
    for chunks in (single(data), cut(random, data), cut(random, data)):
        assert outcome(target, chunks) == whole, f"cut as {chunks}"


def check_memory(target: Target, data: bytes, piece: bytes) -> None:
    """Raises AssertionError where `data`, then `piece` without end, takes more than it may."""
    chunks = [data, *sliced(piece * (FLOOD // len(piece)))]
    feed = target.start()
    tracemalloc.start()
    try:
        for chunk in chunks:
            deque(feed(chunk), maxlen=0)
    except PeerError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak <= target.memory, f"{peak} bytes, in a flood of {piece!r}"


def sliced(data: bytes) -> list[bytes]:
    return [data[at : at + SHORT_CHUNK] for at in range(0, len(data), SHORT_CHUNK)]


def single(data: bytes) -> list[bytes]:
    return [bytes((byte,)) for byte in data]


def cut(random: Random, data: bytes) -> list[bytes]:
    places = sorted(random.choices(range(len(data) + 1), k=random.randrange(8)))
    return [data[start:end] for start, end in pairwise([0, *places, len(data)])]


def make_input(random: Random, seeds: tuple[bytes, ...]) -> bytes:
    """A few seeds in a row, and up to eight mutations of them."""
    data = bytearray(b"".join(random.choices(seeds, k=random.randrange(4))))
    for _ in range(random.randrange(9)):
        mutate(random, data, seeds)
    return bytes(data)


def mutate(random: Random, data: bytearray, seeds: tuple[bytes, ...]) -> None:
    """Replaces a piece of `data` by nothing, itself twice, random bytes or a piece of a seed."""
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + random.choice((0, 0, 1, 1, 2, 8, 64)))
    seed = random.choice(seeds)
    at = random.randrange(len(seed))
    data[start:end] = random.choice(
        (
            b"",
            data[start:end] * 2,
            random.randbytes(random.randrange(4)),
            random.choice((b"\0", b"\xff", b"\x7f", b"\x80", b"\r", b"\n", b" ", b",", b":")),
            seed[at : at + random.randrange(20)],
        )
    )

"""When the garbage collector runs, and how malloc is told to treat large blocks."""

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

from pushline.memory import FREEZE_EVERY, IDLE, NEVER, YOUNG, Garbage
from pushline.metrics import Metrics
from pushline.wheel import Wheel


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Given back as it was found."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.fixture
def wheel() -> Wheel:
    return Wheel()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def garbage(wheel: Wheel, metrics: Metrics) -> Garbage:
    garbage = Garbage(wheel, metrics)
    garbage.start()
    return garbage


class Loose:
    """Something that only a collection can find."""

    def __init__(self) -> None:
        self.itself = self


def loose() -> "weakref.ref[Loose]":
    return weakref.ref(Loose())


def advance(wheel: Wheel, seconds: float) -> None:
    for _ in range(wheel.ticks(seconds)):
        wheel.advance()


# --- collections --------------------------------------------------------------------------------


@pytest.mark.usefixtures("garbage")
def test_from_the_start_the_oldest_are_not_looked_at_by_themselves() -> None:
    young, _, oldest = gc.get_threshold()
    assert (young, oldest) == (YOUNG, NEVER)
    assert gc.get_freeze_count() > 0


def test_what_the_start_itself_left_over_is_collected(wheel: Wheel, metrics: Metrics) -> None:
    left_over = loose()
    Garbage(wheel, metrics).start()
    assert left_over() is None


@pytest.mark.usefixtures("garbage")
def test_every_few_thousand_connections_all_are_taken_out_of_sight(
    wheel: Wheel, metrics: Metrics
) -> None:
    kept: list[list[object]] = []
    for _ in range(3):
        metrics.accepted += FREEZE_EVERY - 1
        kept.append([[]])
        wheel.advance()
        assert is_in_sight(kept[-1])
        metrics.accepted += 1
        wheel.advance()
        assert not is_in_sight(kept[-1])


def is_in_sight(thing: object) -> bool:
    """Whether the collector looks at it."""
    return any(each is thing for each in gc.get_objects())


@pytest.mark.usefixtures("garbage")
def test_when_nothing_happens_for_long_everything_is_collected_once(wheel: Wheel) -> None:
    garbage = loose()
    advance(wheel, IDLE - wheel.tick)
    assert garbage() is not None
    wheel.advance()
    assert garbage() is None
    assert gc.get_freeze_count() > 0
    later = loose()
    advance(wheel, IDLE * 3)
    assert later() is not None


@pytest.mark.usefixtures("garbage")
@pytest.mark.parametrize("what", ["accepted", "deliveries"])
def test_connections_and_pushes_put_it_off(wheel: Wheel, metrics: Metrics, what: str) -> None:
    garbage = loose()
    for _ in range(5):
        advance(wheel, IDLE / 2)
        setattr(metrics, what, getattr(metrics, what) + 1)
    advance(wheel, IDLE)
    assert garbage() is not None
    wheel.advance()
    assert garbage() is None


@pytest.mark.usefixtures("garbage")
def test_what_was_taken_out_of_sight_is_collected_then_too(wheel: Wheel, metrics: Metrics) -> None:
    garbage = loose()
    metrics.accepted += FREEZE_EVERY
    wheel.advance()
    gc.collect()
    assert garbage() is not None
    advance(wheel, IDLE)
    assert garbage() is None


# --- malloc -------------------------------------------------------------------------------------

SECOND_BLOCK = """
import ctypes
from pushline.memory import keep_large_blocks_apart
{prepare}
c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
c.free.argtypes = [ctypes.c_void_p]
c.free(c.malloc(8 << 20))  # more than an interpreter leaves free on its heap
block = c.malloc(8 << 20)
print(ctypes.c_size_t.from_address(block - ctypes.sizeof(ctypes.c_size_t)).value & 2)
"""
"""Prints IS_MMAPPED, the bit in front of a block of glibc's that has pages of its own."""


@pytest.mark.parametrize(
    ("prepare", "bit"), [("", 0), ("keep_large_blocks_apart()", 2)], ids=["by itself", "told to"]
)
def test_a_large_block_has_pages_of_its_own_also_after_one_was_freed(
    prepare: str, bit: int
) -> None:
    program = [sys.executable, "-c", SECOND_BLOCK.format(prepare=prepare)]
    assert int(subprocess.check_output(program)) == bit

"""Parts of what is too long for one command."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

CHUNK: Final = 1000
"""Channels or users of one command; Lua's `unpack` takes 8,000 (LUAI_MAXCSTACK)."""
SLICE: Final = 1000
"""Channels or users of one pass of the loop, or of what is written before Redis has answered."""


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """`items` in parts of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def some_of(items: set[T]) -> list[T]:
    """A slice, taken out of the set."""
    return [items.pop() for _ in range(min(SLICE, len(items)))]

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.codecs.lines import LineReader

LIMIT = 10
PIECES = st.sampled_from(
    [b"\n", b"\r\n", b"\r", b"a", b"x" * (LIMIT - 1), b"x" * LIMIT, b"x" * (LIMIT + 1)]
)


def feed(*chunks: bytes) -> tuple[list[bytes], bool]:
    """All the lines, and whether one was over the limit."""
    reader = LineReader(LIMIT)
    return [line for chunk in chunks for line in reader.feed(chunk)], reader.overrun


def single(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a", []),
        (b"a\n", [b"a"]),
        (b"a\nb\nc", [b"a", b"b"]),
        (b"\n\n", [b"", b""]),
        (b"a\r\nb\n", [b"a", b"b"]),
        (b"\r\n", [b""]),
        (b"a\r\r\n", [b"a\r"]),
        (b"a\rb\n", [b"a\rb"]),
        (b"a\0b\n", [b"a\0b"]),
        (b"x" * LIMIT + b"\n", [b"x" * LIMIT]),
        (b"x" * LIMIT + b"\r\n", [b"x" * LIMIT]),
        (b"x" * LIMIT + b"\r", []),
        (b"a\n" * 1000, [b"a"] * 1000),
    ],
)
def test_lines_come_without_their_line_end(data: bytes, lines: list[bytes]) -> None:
    assert feed(data) == feed(*single(data)) == (lines, False)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"x" * (LIMIT + 1), []),
        (b"x" * (LIMIT + 1) + b"\n", []),
        (b"x" * (LIMIT + 1) + b"\r\n", []),
        (b"x" * LIMIT + b"\r\r", []),
        (b"x" * LIMIT + b"\rx", []),
        (b"a\nb\n" + b"x" * (LIMIT + 1), [b"a", b"b"]),
        (b"a\n" + b"x" * (LIMIT + 1) + b"\nb\nc\n", [b"a"]),
    ],
)
def test_a_line_over_the_limit_ends_it_all(data: bytes, lines: list[bytes]) -> None:
    assert feed(data) == feed(*single(data)) == (lines, True)


def test_nothing_is_taken_after_a_line_over_the_limit() -> None:
    reader = LineReader(LIMIT)
    reader.feed(b"x" * (LIMIT + 1))
    assert reader.feed(b"\na\n") == []
    assert reader.overrun


def test_an_empty_chunk_changes_nothing() -> None:
    assert feed(b"x" * LIMIT + b"\r", b"", b"\n") == ([b"x" * LIMIT], False)


@given(st.lists(PIECES).map(b"".join), st.data())
def test_the_lines_are_the_same_however_the_bytes_are_cut(data: bytes, draw: st.DataObject) -> None:
    chunks = draw.draw(slices(data))
    assert feed(*chunks) == feed(data) == feed(*single(data)) == expected(data)


@pytest.mark.parametrize("chunk", [b"x", b"\r", b"x" * LIMIT, b"x" * 1000])
def test_a_line_without_an_end_takes_no_memory(chunk: bytes) -> None:
    reader = LineReader(LIMIT)
    tracemalloc.start()
    try:
        for _ in range(1000):
            reader.feed(chunk)
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()


def slices(data: bytes) -> st.SearchStrategy[list[bytes]]:
    places = st.lists(st.integers(0, len(data)), max_size=6).map(sorted)
    return places.map(
        lambda cuts: [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    )


def expected(data: bytes) -> tuple[list[bytes], bool]:
    """The rule, a line at a time."""
    lines: list[bytes] = []
    *whole, rest = data.split(b"\n")
    for line in (*whole, rest):
        if len(line.removesuffix(b"\r")) > LIMIT:
            return lines, True
        lines.append(line.removesuffix(b"\r"))
    return lines[:-1], False

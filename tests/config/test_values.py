"""How values are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.config.values import listed, quoted, size, size_text


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1536 B"), (2**30, "1 GiB")],
)
def test_a_size_is_written_with_the_largest_unit_that_divides_it(number: int, text: str) -> None:
    assert size_text(number) == text


@given(st.integers(min_value=1, max_value=2**40))
def test_a_size_is_read_as_it_was_written(number: int) -> None:
    kind = size("1 B", "1024 GiB")
    assert kind.read(size_text(number)) == kind.read(number) == number


def test_a_list_of_words_reads_as_prose() -> None:
    assert listed(("a",)) == "a"
    assert listed(("a", "b", "c")) == "a, b or c"


def test_text_that_would_not_print_is_escaped() -> None:
    assert quoted('é "x"') == '"é \\"x\\""'
    assert quoted("a\n\x7f\udc80") == '"a\\n\\u007f\\udc80"'

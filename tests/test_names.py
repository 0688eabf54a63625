import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.errors import BadClientIdError, BadNameError
from pushline.names import (
    LONGEST_NAME,
    check_client_id,
    check_name,
    client_id_of,
    name_of,
    split_client_id,
    utype_of,
)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        " ",
        '"uid1"',
        "Zoë 張 😀",
        "a\u2028b",  # a line separator is no control character
        "x" * 63,
        "x" * 64,
        "x" * LONGEST_NAME,
        "é" * 127 + "x",
        "😀" * 63 + "xxx",
    ],
)
def test_a_name_is_taken_as_it_is(name: str) -> None:
    assert check_name(name) is name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "1 to 255 bytes, this one 0"),
        ("x" * 256, "1 to 255 bytes, this one 256"),
        ("é" * 128, "1 to 255 bytes, this one 256"),
        ("😀" * 64, "1 to 255 bytes, this one 256"),
        *((f"a{control}b", "control character") for control in "\0\t\r\n\x1f\x7f\x80\x9f"),
        ("a\ud800", "lone surrogate"),
    ],
)
def test_what_is_no_name_is_refused_and_told_why(name: str, why: str) -> None:
    with pytest.raises(BadNameError, match=why):
        check_name(name)


@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_a_name_has_1_to_255_bytes_and_no_control_character(text: str) -> None:
    controls = any(unicodedata.category(character) == "Cc" for character in text)
    assert _is_name(text) == (0 < len(text.encode()) <= LONGEST_NAME and not controls)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("42", "42"),
        (42, "42"),
        (0, "0"),
        (-1, "-1"),
        (2**63 - 1, "9223372036854775807"),
        (-(2**63), "-9223372036854775808"),
    ],
)
def test_a_number_and_its_digits_are_the_same_name(value: object, name: str) -> None:
    assert name_of(value) == name


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 1.0, True, False, None, [], {}, b"a"])
def test_what_is_neither_a_string_nor_a_64_bit_integer_is_no_name(value: object) -> None:
    with pytest.raises(BadNameError, match="non-empty string or a 64-bit integer"):
        name_of(value)


def test_an_empty_string_is_no_name() -> None:
    with pytest.raises(BadNameError):
        name_of("")


@pytest.mark.parametrize(("value", "utype"), [(None, "0"), (0, "0"), (1, "1"), ("1", "1")])
def test_a_utype_that_is_missing_is_0(value: object, utype: str) -> None:
    assert utype_of(value) == utype


@pytest.mark.parametrize("value", ["", False, True, 1.0, [], {}, "a\nb", 2**63])
def test_what_is_no_name_is_no_utype(value: object) -> None:
    with pytest.raises(BadNameError):
        utype_of(value)


# --- client_ids ---------------------------------------------------------------------------------


def test_a_client_id_is_its_nodes_address_and_its_number_there() -> None:
    client_id = client_id_of(0x7F0000010BB8, 0x2A)
    assert client_id == "7f0000010bb80000002a"
    assert split_client_id(client_id) == (0x7F0000010BB8, 0x2A)


@given(st.integers(0, 2**48 - 1), st.integers(1, 2**32 - 1))
def test_any_client_id_can_be_taken_apart_again(address: int, number: int) -> None:
    client_id = client_id_of(address, number)
    assert check_client_id(client_id) == client_id
    assert split_client_id(client_id) == (address, number)


def test_a_client_id_is_taken_in_capitals_too() -> None:
    assert check_client_id("7F0000010BB80000002A") == "7f0000010bb80000002a"


@pytest.mark.parametrize(
    "client_id",
    [
        "",
        "0" * 19,
        "0" * 21,
        "g" * 20,
        "0" * 20 + "\n",
        " " * 20,
        "\u0660" * 20,
        7,
        None,
        b"0" * 20,
    ],
)
def test_what_is_no_client_id_is_refused_and_told_why(client_id: Any) -> None:
    with pytest.raises(BadClientIdError, match="20 hexadecimal digits, not "):
        check_client_id(client_id)


def _is_name(text: str) -> bool:
    try:
        return check_name(text) == text
    except BadNameError:
        return False

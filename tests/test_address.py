"""What is an address, and which ones only this machine reaches."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pushline.address import Address

LOOPBACK = [
    "127.0.0.1:1234",
    "127.255.0.9:0",
    "[::1]:1234",
    "localhost:1234",
    "LOCALHOST:1234",
    "unix:/run/pushline.sock",
]
PUBLIC = [
    "0.0.0.0:1234",
    "10.0.0.1:65535",
    "128.0.0.1:1",
    "[::]:1234",
    "[fe80::1%eth0]:1234",
    "[2001:db8::1]:80",
    "push.example.com:443",
    "localhost.example.com:443",
    "3f2a9b:1234",
    "x" * 63 + ".example.com:1234",
]
NO_ADDRESS = [
    "",
    ":1234",
    "1234",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "127.0.0.1:+1",
    "127.0.0.1: 1",
    "127.0.0.1:١",  # noqa: RUF001 - a digit for int(), but none here
    "127.0.0.1:1234 ",
    " 127.0.0.1:1234",
    "127.0.0.1:1234\n",
    "127.1:1234",
    "2130706433:1234",
    "256.0.0.1:1234",
    "*:1234",
    "::1:1234",
    "[::1]",
    "[127.0.0.1]:1234",
    "[::g]:1234",
    "[]:1234",
    "http://127.0.0.1:1234",
    "user@host:1234",
    "host name:1234",
    "höst:1234",
    "localhost.:1234",
    "x" * 64 + ":1234",
    "x" * 64 + ".example.com:1234",
    "unix:",
    "unix:relative.sock",
    "unix:/run/\n.sock",
    "unix:/run/\0.sock",
    "UNIX:/run/pushline.sock",
    "unix:/" + "x" * 107,
    "unix:/" + "é" * 54,
]


@pytest.mark.parametrize("text", LOOPBACK + PUBLIC)
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize("text", LOOPBACK)
def test_only_this_machine_reaches(text: str) -> None:
    assert Address.parse(text).is_loopback


@pytest.mark.parametrize("text", PUBLIC)
def test_other_machines_may_reach(text: str) -> None:
    assert not Address.parse(text).is_loopback


@pytest.mark.parametrize("text", NO_ADDRESS)
def test_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"^no address: "):
        Address.parse(text)


def test_an_address_has_its_parts() -> None:
    assert Address.parse("[::1]:1234") == Address(host="::1", port=1234)
    assert Address.parse("unix:/run/p.sock") == Address(path="/run/p.sock")


def test_the_longest_path_of_a_socket_is_an_address() -> None:
    assert Address.parse("unix:/" + "x" * 106).path == "/" + "x" * 106


@given(st.text() | st.from_regex(r"(\[[:0-9a-f]*\]|[a-z0-9.:]*):[0-9]*|unix:/.*", fullmatch=True))
@example("[::1]:0")
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = Address.parse(text)
    except ValueError:
        return
    assert Address.parse(str(address)) == address

import pytest

from pushline.address import Address
from pushline.client.address import server_at
from pushline.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:5678", Address("127.0.0.1", 5678)),
        ("push.example.com:65535", Address("push.example.com", 65535)),
        ("[::1]:5678", Address("::1", 5678)),
        ("unix:/run/pushline.sock", Address(path="/run/pushline.sock")),
    ],
)
def test_an_address_is_read_and_written_back(text: str, address: Address) -> None:
    assert server_at(text) == address
    assert str(address) == text


NO_HOSTS = ["", "127.0.0.1", ":5678", "5678", "::1:5678", "[::1]", "h h:1", "unix:relative"]
NO_PORTS = ["h:0", "h:65536", "h:-1", "h:x", "h:5678\n", "h:\u0665", "http://h:1"]


@pytest.mark.parametrize("text", NO_HOSTS + NO_PORTS)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no address: HOST:PORT"):
        server_at(text)

"""Where the text port is."""

from pushline.address import Address
from pushline.errors import ConfigError

DEFAULT_ADDRESS = "127.0.0.1:5678"


def server_at(text: str) -> Address:
    """Of `HOST:PORT`, `[IPv6]:PORT` or `unix:/PATH`; raises ConfigError."""
    try:
        address = Address.parse(text)
    except ValueError:
        address = Address()
    if not (address.port or address.path):
        raise ConfigError(f"{text!r} is no address: HOST:PORT, [IPv6]:PORT or unix:/PATH")
    return address

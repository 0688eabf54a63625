"""What GatewayWorker's Register and its peers say to each other: lines of JSON. Sans-I/O.

No text of an error holds anything of the line: it may be a key, even in the wrong place.
"""

from typing import Final

import msgspec

from pushline.address import Address
from pushline.errors import BadFrameError

LONGEST_REQUEST: Final = 8192
"""Bytes of the longest line to a Register: an address and a key."""
LONGEST_LIST: Final = 1 << 20
"""Bytes of the longest line from one: the addresses of some 40,000 gateways."""


class GatewayConnect(msgspec.Struct, frozen=True, tag_field="event", tag="gateway_connect"):
    """A gateway is here; `address` is where its workers and clients find it."""

    address: str
    secret_key: str = ""

    def __repr__(self) -> str:  # without the key
        return f"GatewayConnect({self.address!r})"


class WorkerConnect(msgspec.Struct, frozen=True, tag_field="event", tag="worker_connect"):
    """A worker, or a client, asks for the gateways, now and at each change."""

    secret_key: str = ""

    def __repr__(self) -> str:  # without the key
        return "WorkerConnect()"


class Addresses(msgspec.Struct, frozen=True, tag_field="event", tag="broadcast_addresses"):
    """The gateways that are here: the Register's answer."""

    addresses: tuple[str, ...]


class Ping(msgspec.Struct, frozen=True, tag_field="event", tag="ping"):
    """Only says that its sender lives; from either side, never answered."""


class _Addresses(msgspec.Struct, tag_field="event", tag="broadcast_addresses"):
    """As they stand on the wire: PHP writes a list with gaps as an object."""

    addresses: list[str] | dict[str, str]


Line = GatewayConnect | WorkerConnect | Addresses | Ping

_decode: Final = msgspec.json.Decoder(GatewayConnect | WorkerConnect | _Addresses | Ping).decode
_encode: Final = msgspec.json.Encoder().encode


def decode(line: bytes) -> Line:
    """A line, without its line end; distinct addresses in their order.

    Raises BadFrameError ("register"), which says why.
    """
    try:
        message = _decode(line)
    except msgspec.ValidationError:
        raise BadFrameError("register", "nothing that a Register or its peers say") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadFrameError("register", "not JSON") from None
    except RecursionError:
        raise BadFrameError("register", "nested too deep") from None
    return _distinct(message.addresses) if isinstance(message, _Addresses) else message


def encode(message: Line) -> bytes:
    """The line, with its line end."""
    return _encode(message) + b"\n"


def is_gateway_address(text: str) -> bool:
    """Whether a gateway can be found there: `IPv4:PORT`, the only form that there is."""
    try:
        address = Address.parse(text)
    except ValueError:
        return False
    return address.is_ipv4 and address.port > 0 and str(address) == text


def _distinct(addresses: list[str] | dict[str, str]) -> Addresses:
    values = addresses.values() if isinstance(addresses, dict) else addresses
    return Addresses(tuple(dict.fromkeys(values)))

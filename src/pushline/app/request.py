"""What an application sees of the request that became a client's connection."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from pushline.address import Address
from pushline.codecs import http_head


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is decoded, `query` has the last of repeated names, `headers` lower-case names.

    `address` is the peer's; of a Unix socket it is empty.
    """

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    cookies: dict[str, str]
    address: Address


def request_of(head: http_head.Request, peer: object) -> Request:
    """Of a request's head and the transport's `peername`."""
    address = Address(*peer[:2]) if isinstance(peer, tuple) else Address()
    return request_with(head.path, head.query, head.headers, address)


def request_with(path: str, query: str, headers: dict[str, str], address: Address) -> Request:
    """Of the two parts of the request's target, both as they came, and its headers."""
    return Request(
        path=unquote(path),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers=headers,
        cookies=_cookies(headers.get("cookie", "")),
        address=address,
    )


def _cookies(header: str) -> dict[str, str]:
    """RFC 6265, section 4.2; a value may stand in quotes. The first of a name is the nearest."""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    named = [(name, value.strip('"')) for name, equals, value in pairs if name and equals]
    return dict(reversed(named))

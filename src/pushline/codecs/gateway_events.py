"""What a gateway tells its workers of a client: the frames of its events. Sans-I/O."""

from ipaddress import IPv4Address
from urllib.parse import parse_qsl

from pushline.codecs.gateway_frames import BINARY, PLAIN, Cmd, Place, encode, encode_event
from pushline.codecs.http_head import Request
from pushline.codecs.php_serialize import dumps

PING = encode(Cmd.PING)
HANDED_OVER = encode(Cmd.HANDED_OVER)
_MANGLED = str.maketrans(". [", "___")
"""What PHP cannot have in the name of a query's variable."""


def place_of(address: int, peer: object, port: int) -> Place:
    """Where a client is: behind the gateway of `address` (48 bits), at the transport's peername.

    The wire has IPv4 only; another peer's address is 0 there.
    """
    client_ip, client_port = 0, 0
    if isinstance(peer, tuple):
        client_port = peer[1]
        try:
            client_ip = int(IPv4Address(peer[0]))
        except ValueError:
            client_ip = 0
    return Place(address >> 16, address & 0xFFFF, client_ip, client_port, port)


def connect(place: Place, connection_id: int, mark: int) -> bytes:
    """It is here. `mark` is OURS for a worker of Pushline's, else 0."""
    return encode_event(Cmd.CONNECT, place, connection_id, flag=PLAIN | mark)


def websocket_connect(place: Place, connection_id: int, mark: int, body: bytes) -> bytes:
    """The request that it came with: `body` is of `request_body`."""
    return encode_event(Cmd.WEBSOCKET_CONNECT, place, connection_id, flag=mark, body=body)


def message(
    place: Place, connection_id: int, mark: int, session: bytes, payload: str | bytes
) -> bytes:
    """It says something. Only Pushline's workers are told whether that was a binary message."""
    flag = PLAIN | mark
    if isinstance(payload, str):
        payload = payload.encode()
    elif mark:
        flag |= BINARY
    return encode_event(Cmd.MESSAGE, place, connection_id, flag=flag, ext=session, body=payload)


def close(place: Place, connection_id: int, mark: int, session: bytes) -> bytes:
    """It is gone."""
    return encode_event(Cmd.CLOSE, place, connection_id, flag=PLAIN | mark, ext=session)


def request_body(request: Request, peer: object, port: int) -> bytes:
    """What PHP has in $_GET, $_SERVER and $_COOKIE: strings are the bytes that came."""
    cookie = request.fields.get(b"cookie", b"")
    server = _server(request, peer, port)
    return dumps({"get": _variables(request.query), "server": server, "cookie": _cookies(cookie)})


def _server(request: Request, peer: object, port: int) -> dict[str, object]:
    """With the header fields in the order in which they came."""
    fields, remote = request.fields, peer if isinstance(peer, tuple) else ("", 0)
    return {
        "QUERY_STRING": request.query,
        "REQUEST_METHOD": request.method,
        "REQUEST_URI": request.target,
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "SERVER_NAME": fields.get(b"host"),
        "CONTENT_TYPE": fields.get(b"content-type"),
        "REMOTE_ADDR": remote[0],
        "REMOTE_PORT": remote[1],
        "SERVER_PORT": port,
        **{_variable(name): value for name, value in fields.items() if b"_" not in name},
    }


def _variable(field: bytes) -> str:
    """One with an underscore would have the name of another, which a proxy may have set."""
    return "HTTP_" + field.decode("latin-1").upper().replace("-", "_")


def _variables(query: str) -> dict[bytes, bytes]:
    """PHP's $_GET, but for its arrays: the last of a name, which may hold no dot and no blank."""
    pairs = parse_qsl(query, keep_blank_values=True, encoding="latin-1")  # any byte, as it is
    return {
        name.translate(_MANGLED).encode("latin-1"): value.encode("latin-1")
        for name, value in pairs
        if name
    }


def _cookies(header: bytes) -> dict[bytes, bytes]:
    pairs = (part.strip().partition(b"=") for part in header.split(b";"))
    return {name: value for name, equals, value in pairs if name and equals}

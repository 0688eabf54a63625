"""The request that became a client's connection, as event 205 tells a worker of it."""

import logging

from pushline.address import Address
from pushline.app.request import Request, request_with
from pushline.codecs import http_head
from pushline.codecs.gateway_frames import Frame
from pushline.codecs.php_serialize import Value, loads
from pushline.errors import SerializedError

log = logging.getLogger(__name__)

_HEADER = "HTTP_"
"""In front of a header's name, which is in upper case and has `_` for `-`: PHP's $_SERVER."""


def unknown() -> Request:
    """Of a client whose request was told to another worker, or that came without one."""
    return request_with("", "", {}, Address())


def request_of(event: Frame) -> Request:
    """Of a 205, whose body is serialized `get`, `server` and `cookie`; all is in `server`."""
    try:
        told = loads(event.body)
    except SerializedError as error:
        log.warning("a client's request cannot be read: %s", error)
        return unknown()
    server = told.get("server") if isinstance(told, dict) else None
    if not isinstance(server, dict):
        return unknown()
    head = http_head.Request()
    head.target = _text(server.get("REQUEST_URI"))
    port = server.get("REMOTE_PORT")
    address = Address(_text(server.get("REMOTE_ADDR")), port if isinstance(port, int) else 0)
    return request_with(head.path, head.query, _headers(server), address)


def _headers(server: dict[int | str | bytes, Value]) -> dict[str, str]:
    names = [name for name in server if isinstance(name, str) and name.startswith(_HEADER)]
    return {
        name.removeprefix(_HEADER).lower().replace("_", "-"): _text(server[name]) for name in names
    }


def _text(value: Value) -> str:
    """As Latin-1, like everything of a request's head; what is no text is none."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode().decode("latin-1")
    return value.decode("latin-1") if isinstance(value, bytes) else ""

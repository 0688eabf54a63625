"""The process's own Client, so that a view needs one line."""

import os
from collections.abc import Iterable

from pushline.client.address import DEFAULT_ADDRESS
from pushline.client.pushes import Data, Push, Uid, Uids
from pushline.client.sync import Client
from pushline.client.wire import TIMEOUT


def configure(
    address: str | None = None, *, secret: str | None = None, timeout: float = TIMEOUT
) -> None:
    """Sets the Client behind the functions of this module; call it once, at start.

    What is left out comes from the environment, as it does without this call: the address from
    PUSHLINE_TEXT_LISTEN (the first one), the secret from PUSHLINE_TEXT_SECRET.
    """
    client = _configured(address, secret, timeout)
    before = _clients.get(_DEFAULT)
    _clients[_DEFAULT] = client
    if before is not None:
        before.close()


def push(uid: Uids, data: Data, *, utype: Uid | None = None) -> bool:
    """As Client.push."""
    return _client().push(uid, data, utype=utype)


def push_all(data: Data, *, utype: Uid | None = None) -> bool:
    """As Client.push_all."""
    return _client().push_all(data, utype=utype)


def push_line(line: bytes | str) -> bool:
    """As Client.push_line."""
    return _client().push_line(line)


def push_many(pushes: Iterable[Push], *, utype: Uid | None = None) -> list[bool]:
    """As Client.push_many."""
    return _client().push_many(pushes, utype=utype)


def _client() -> Client:
    # setdefault is one step for all threads, and leaves no lock that a fork could copy locked.
    return _clients.get(_DEFAULT) or _clients.setdefault(_DEFAULT, _configured())


def _configured(
    address: str | None = None, secret: str | None = None, timeout: float = TIMEOUT
) -> Client:
    listen = os.environ.get("PUSHLINE_TEXT_LISTEN", "").split(",")[0].strip()
    return Client(
        address or listen or DEFAULT_ADDRESS,
        secret=os.environ.get("PUSHLINE_TEXT_SECRET", "") if secret is None else secret,
        timeout=timeout,
    )


_DEFAULT = "default"
_clients: dict[str, Client] = {}

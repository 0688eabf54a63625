"""What we are to a gateway, and how that begins."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

import msgspec

from pushline.codecs.gateway_frames import Cmd, Frame, encode

if TYPE_CHECKING:
    from pushline.gatewayworker.link import Link

KNOCK: Final = encode(Cmd.IS_ONLINE, ext=b"pushline")
"""Whether connection 0 is online, which never is: PHP's gateways say 0 and ignore the ext_data."""
KNOWN_TO_US: Final = b's:8:"pushline";'
"""What a gateway of Pushline's says to that."""

_json: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Role:
    """A client, or a worker, which is told events. `greeting` is the first frame.

    `on_open` and `on_lost` say that a link is there, and no longer. `on_event` is called with a
    worker's events as they come, and `on_end` when the gateway has ended its writing side: from
    then on it takes frames, and gives no answers.
    """

    greeting: bytes = b""
    is_worker: bool = False
    on_open: "Callable[[Link], object] | None" = None
    on_lost: "Callable[[Link], object] | None" = None
    on_event: "Callable[[Link, Frame], object] | None" = None
    on_end: "Callable[[Link], object] | None" = None

    @property
    def opening(self) -> bytes:
        """What a connection begins with. A client knocks: so a wrong key, or something that is no
        gateway, is known before anything is sent that has no answer."""
        return self.greeting if self.is_worker else self.greeting + KNOCK


def client_role(secret: str) -> Role:
    """Of a client; without a secret it does not greet, as PHP's does not."""
    if not secret:
        return Role()
    return Role(encode(Cmd.CLIENT_CONNECT, body=_json({"secret_key": secret})))


def worker_greeting(worker_key: str, secret: str) -> bytes:
    """The greeting of a worker, `NAME:ID`, which a gateway of Pushline's takes for one of ours."""
    said = {"worker_key": worker_key, "secret_key": secret, "pushline": 1}
    return encode(Cmd.WORKER_CONNECT, body=_json(said))


def place_of(address: str) -> int:
    """The 48 bits with which the client_ids of the gateway at `IPv4:PORT` begin."""
    host, _, port = address.rpartition(":")
    return int(IPv4Address(host)) << 16 | int(port)

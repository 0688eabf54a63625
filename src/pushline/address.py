"""Addresses: where a listener listens, and where a client finds it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

LONGEST_SOCKET_PATH = 107
"""Bytes that `sun_path` holds on Linux besides its final NUL (unix(7))."""

_TCP = re.compile(r"(?:\[(?P<ipv6>[^]]+)\]|(?P<host>[^]:[]+)):(?P<port>[0-9]{1,5})")
# A label has at most 63 bytes (RFC 1035, section 2.3.4); look-ups raise UnicodeError for more.
# A last label of digits only would be an IPv4 address in one of its old short forms.
_HOST_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*(?![0-9]+$)[a-z0-9_-]{1,63}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener listens: `host` and `port` (0: any free one), or the `path` of a socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Of `HOST:PORT`, `[IPv6]:PORT` or `unix:/PATH`; raises ValueError."""
        address = _unix(text) if text.startswith("unix:") else _tcp(text)
        if address is None:
            raise ValueError(f"no address: {text!r}")
        return address

    @property
    def is_loopback(self) -> bool:
        """Only this machine can reach it: 127.0.0.0/8, ::1, localhost, a Unix socket."""
        if self.path or self.host.lower() == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_ipv4(self) -> bool:
        """One IPv4 address: 0.0.0.0, which is all of them, is not."""
        try:
            ip = IPv4Address(self.host)
        except ValueError:
            return False
        return not ip.is_unspecified

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _unix(text: str) -> Address | None:
    path = text.removeprefix("unix:")
    fits = path.isprintable() and len(path.encode()) <= LONGEST_SOCKET_PATH
    return Address(path=path) if path.startswith("/") and fits else None


def _tcp(text: str) -> Address | None:
    match = _TCP.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        return None
    host = match["ipv6"] or match["host"]
    is_host = _is_ip(host, IPv6Address) if match["ipv6"] else _is_host(host)
    return Address(host, int(match["port"])) if is_host else None


def _is_host(text: str) -> bool:
    return bool(_HOST_NAME.fullmatch(text)) or _is_ip(text, ip_address)


def _is_ip(text: str, parse: Callable[[str], object]) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True

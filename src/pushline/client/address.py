"""Where the text port is."""

import re
from typing import NamedTuple

from pushline.errors import ConfigError

DEFAULT_ADDRESS = "127.0.0.1:5678"

_TCP = re.compile(r"(?:\[(?P<ipv6>[^]]+)\]|(?P<host>[^]:[\s]+)):(?P<port>[0-9]{1,5})")


class Address(NamedTuple):
    """A `host` and `port`, or the `path` of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Of `HOST:PORT`, `[IPv6]:PORT` or `unix:/PATH`; raises ConfigError."""
        if text.startswith("unix:/"):
            return cls(path=text.removeprefix("unix:"))
        match = _TCP.fullmatch(text)
        if match is None or not 0 < int(match["port"]) < 65536:
            raise ConfigError(f"{text!r} is no address: HOST:PORT, [IPv6]:PORT or unix:/PATH")
        return cls(match["ipv6"] or match["host"], int(match["port"]))

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

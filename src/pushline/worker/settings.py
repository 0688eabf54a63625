"""The settings of a worker, as its supervisor and each of its processes read them."""

from collections.abc import Mapping
from pathlib import Path

from pushline.config import Config, read
from pushline.config.sources import Name
from pushline.errors import ConfigError


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[Name, str]) -> Config:
    """As `config.read` has it, but checked. Raises ConfigError."""
    config = read(path, environ, flags)
    if not config.app.load:
        raise ConfigError("a worker runs an application: name it, as in `pushline worker chat:app`")
    if not config.register.join:
        raise ConfigError(
            "a worker asks a Register for its gateways: name it, as in `--register "
            "127.0.0.1:1236`, or set register.join"
        )
    return config

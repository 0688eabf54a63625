"""For back ends: push to a user's browsers, from asyncio or from plain code.

    import pushline.client
    pushline.client.push("42", {"percent": "88%"})

These functions use one Client for the process; `configure`, or the environment, says where the
server is. `Client` and `AsyncClient` are for all who need more than one, or asyncio.
"""

from pushline.client.asynchronous import AsyncClient
from pushline.client.default import configure, push, push_all, push_line, push_many
from pushline.client.sync import Client
from pushline.errors import (
    BadNameError,
    ClientError,
    ConfigError,
    DeadlineError,
    InvalidPushError,
    RejectedError,
    UnavailableError,
)

__all__ = [
    "AsyncClient",
    "BadNameError",
    "Client",
    "ClientError",
    "ConfigError",
    "DeadlineError",
    "InvalidPushError",
    "RejectedError",
    "UnavailableError",
    "configure",
    "push",
    "push_all",
    "push_line",
    "push_many",
]

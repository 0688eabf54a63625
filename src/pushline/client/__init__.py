"""For back ends: push to a user's browsers, from asyncio or from plain code.

    import pushline.client
    pushline.client.push("42", {"percent": "88%"})

These functions use one Client for the process; `configure`, or the environment, says where the
server is. `Client` and `AsyncClient` are for all who need more than one, or asyncio.

`GatewayClient` and `SyncGatewayClient` have the verbs of GatewayWorker, for its gateways and ours.
"""

from pushline.client.asynchronous import AsyncClient
from pushline.client.default import configure, push, push_all, push_line, push_many
from pushline.client.gateway_client import GatewayClient, SyncGatewayClient
from pushline.client.sync import Client
from pushline.errors import (
    BadNameError,
    ClientError,
    ConfigError,
    DeadlineError,
    InvalidPushError,
    RejectedError,
    SerializedError,
    UnavailableError,
    UnsupportedError,
)

__all__ = [
    "AsyncClient",
    "BadNameError",
    "Client",
    "ClientError",
    "ConfigError",
    "DeadlineError",
    "GatewayClient",
    "InvalidPushError",
    "RejectedError",
    "SerializedError",
    "SyncGatewayClient",
    "UnavailableError",
    "UnsupportedError",
    "configure",
    "push",
    "push_all",
    "push_line",
    "push_many",
]

"""Pushline: a real-time push server. A back end writes one line; every tab of that user has it."""

__version__ = "0.1.0"

from pushline.app.application import App
from pushline.app.client import Client, SyncClient
from pushline.app.request import Request
from pushline.app.timers import Timer
from pushline.commands import Sent
from pushline.errors import (
    AppError,
    BadClientIdError,
    BadMessageError,
    BadNameError,
    DeadlineError,
    HttpError,
    PushlineError,
)
from pushline.gateway import Gateway, SyncGateway
from pushline.messages import Close

__all__ = [
    "App",
    "AppError",
    "BadClientIdError",
    "BadMessageError",
    "BadNameError",
    "Client",
    "Close",
    "DeadlineError",
    "Gateway",
    "HttpError",
    "PushlineError",
    "Request",
    "Sent",
    "SyncClient",
    "SyncGateway",
    "Timer",
    "__version__",
]

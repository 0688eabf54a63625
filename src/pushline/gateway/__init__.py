"""The verbs that people call: `await gateway.send_to_uid("42", "hello")`."""

from pushline.gateway.executor import Executor, Runner
from pushline.gateway.partial import Missing
from pushline.gateway.values import close_of, message_of
from pushline.gateway.verbs import Gateway, SyncGateway

__all__ = ["Executor", "Gateway", "Missing", "Runner", "SyncGateway", "close_of", "message_of"]

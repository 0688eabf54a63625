"""Commands as GatewayWorker's gateways take them, and what their answers make. Sans-I/O.

The bytes are those of PHP's GatewayClient, but where its verbs do less than ours: several groups
at once (PHP's gateways send one copy for each), exclusion from a user's connections, and what is
for the users of utype 0 only, are built from a question and a send to the connections found.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from pushline.codecs import (
    gateway_call_actions,
    gateway_call_queries,
    gateway_call_selects,
    gateway_call_sends,
)
from pushline.codecs.gateway_call import Ask, AskThenTell, Call, Parts, Tell
from pushline.commands import Command

T = TypeVar("T")

__all__ = ["Ask", "AskThenTell", "Call", "Parts", "Tell", "call_of"]

_BY_COMMAND: Final[dict[type, Callable[[Any], Call[Any]]]] = {
    **gateway_call_sends.BY_COMMAND,
    **gateway_call_actions.BY_COMMAND,
    **gateway_call_queries.BY_COMMAND,
    **gateway_call_selects.BY_COMMAND,
}


def call_of(command: Command[T]) -> Call[T]:
    """How `command` is carried out over the wire.

    Raises UnsupportedError for a utype that is not 0, for binding to, joining or leaving the name
    0, which gateways take for none, and for a session that PHP's data cannot hold.
    """
    return _BY_COMMAND[type(command)](command)

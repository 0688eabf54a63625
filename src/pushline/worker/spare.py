"""A worker as a client: before its links are there, after they are gone, and for questions that
these do not answer any more."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pushline.commands import Command
from pushline.config import Config
from pushline.gateway.partial import Partial
from pushline.gatewayworker.executor import TIMEOUT, WireExecutor
from pushline.gatewayworker.links import Links
from pushline.gatewayworker.role import Role, client_role

T = TypeVar("T")


class Spare:
    """An Executor that connects to all gateways when it is first used, until it is stopped.

    `known` gives those that are known already: they are reached without a Register, too.
    """

    def __init__(self, config: Config, known: Callable[[], Sequence[str]]) -> None:
        self._config = config
        self._known = known
        self.partial = Partial()
        self._links: Links | None = None
        self._executor: WireExecutor | None = None

    def execute(self, command: Command[T]) -> T | Awaitable[T]:
        """As WireExecutor has it."""
        if self._executor is None:
            self._links = links_of(self._config, client_role(self._config.gateway.secret))
            self._links.start(self._known())
            self._executor = WireExecutor(self._links, partial=self.partial)
        return self._executor.execute(command)

    async def stop(self) -> None:
        """The gateways have taken all that it was given."""
        links, self._links, self._executor = self._links, None, None
        if links is not None:
            await links.stop()


def links_of(config: Config, role: Role) -> Links:
    """To all gateways of the configured Registers, in `role`; not started yet."""
    return Links(config.register.join, config.register.secret, role, timeout=TIMEOUT)

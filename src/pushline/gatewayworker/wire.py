"""The way to all gateways of one Register or several, which is there when it is first used."""

import asyncio
import os
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, Final, TypeVar
from weakref import WeakSet

from pushline.address import Address
from pushline.commands import Command
from pushline.errors import AppError, ConfigError
from pushline.gateway.partial import Partial
from pushline.gatewayworker.executor import WireExecutor
from pushline.gatewayworker.links import Links
from pushline.gatewayworker.role import client_role
from pushline.loop_runner import LoopRunner

T = TypeVar("T")

GRACE: Final = 1.0
"""Seconds more than its deadlines that a call from plain code waits for the loop."""


class Wire:
    """An Executor that connects when it is first used, and the Runner of the loop it is used in.

    `register` is `HOST:PORT`, or several. Raises ConfigError.
    """

    def __init__(self, register: str | Iterable[str], secret: str, timeout: float) -> None:
        if not (isinstance(timeout, int | float) and timeout > 0):
            raise ConfigError("the client's timeout is a number of seconds above 0")
        if not (isinstance(secret, str) and secret.isprintable()):
            raise ConfigError("the client's secret is printable text; empty, if there is none")
        self.partial = Partial()
        self._registers = _registers_at(register)
        self._secret = secret
        self._timeout = timeout
        self.patience = 2 * timeout + GRACE
        """Seconds for a verb that asks first, and then for the loop itself."""
        self._links: Links | None = None
        self._executor: WireExecutor | None = None
        self._inherited: list[object] = []
        _wires.add(self)

    def __str__(self) -> str:
        return ", ".join(repr(str(register)) for register in self._registers)

    @property
    def is_connected(self) -> bool:
        """Whether there are connections, or soon will be."""
        return self._links is not None

    def execute(self, command: Command[T]) -> T | Awaitable[T]:
        """As WireExecutor.execute. Raises AppError in any event loop but the one it lives in."""
        links, executor = self._links, self._executor
        if links is None or executor is None or links.loop is not asyncio.get_running_loop():
            executor = self._connect()
        return executor.execute(command)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """As LoopRunner.run, for threads, while the client is connected in an event loop."""
        if self._links is None:
            coroutine.close()
            raise AppError(
                "`sync` is for threads beside an event loop in which the client is in use; "
                "plain code has SyncGatewayClient"
            )
        return LoopRunner(self._links.loop, self.patience).run(coroutine)

    async def close(self) -> None:
        """Close what is open in this event loop."""
        links = self._links
        if links is not None and self._lives_here(links):
            self._links = self._executor = None
            await links.stop()

    def _connect(self) -> WireExecutor:
        if self._links is not None:
            self._lives_here(self._links)
        links = Links(
            self._registers, self._secret, client_role(self._secret), timeout=self._timeout
        )
        links.start()
        self._links = links
        self._executor = WireExecutor(links, self._timeout, self.partial)
        return self._executor

    def _lives_here(self, links: Links) -> bool:
        """False: its event loop was closed. Raises AppError where that lives on elsewhere."""
        if links.loop is not asyncio.get_running_loop() and not links.loop.is_closed():
            raise AppError(
                "a GatewayClient belongs to one event loop; SyncGatewayClient serves any thread"
            )
        return not links.loop.is_closed()

    def forget(self) -> None:
        """In a forked child: what is open is the parent's. It is kept, as to be collected it would
        touch what it shares with the parent."""
        self._inherited += [self._links, self._executor]
        self._links = self._executor = None


def _registers_at(register: str | Iterable[str]) -> tuple[Address, ...]:
    texts = [register] if isinstance(register, str) else list(register)
    if not texts:
        raise ConfigError("a client has to know one Register at least: HOST:PORT")
    return tuple(map(_register_at, texts))


def _register_at(text: str) -> Address:
    try:
        address = Address.parse(text)
    except ValueError:
        address = Address()
    if not address.port:
        raise ConfigError(f"{text!r} is no Register's address: HOST:PORT or [IPv6]:PORT")
    return address


def _forget_all() -> None:
    for wire in list(_wires):
        wire.forget()


_wires: WeakSet[Wire] = WeakSet()
os.register_at_fork(after_in_child=_forget_all)

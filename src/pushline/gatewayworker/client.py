"""The verbs over GatewayWorker's wire, for Python back ends: to PHP's gateways and to ours."""

import asyncio
import os
from collections.abc import Awaitable, Coroutine, Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from weakref import WeakSet

from pushline.address import Address
from pushline.client import loop_thread
from pushline.commands import Command
from pushline.errors import AppError, ConfigError, UnavailableError
from pushline.gateway import Gateway, SyncGateway
from pushline.gatewayworker.executor import TIMEOUT, WireExecutor
from pushline.gatewayworker.links import Links
from pushline.gatewayworker.partial import Missing, Partial
from pushline.gatewayworker.role import client_role
from pushline.loop_runner import LoopRunner

T = TypeVar("T")

DEFAULT_REGISTER: Final = "127.0.0.1:1236"
GRACE: Final = 1.0
"""Seconds more than its deadlines that a call from plain code waits for the loop."""


class GatewayClient(Gateway):
    """The verbs of `Gateway`, for all gateways of a Register, PHP's or Pushline's.

        async with GatewayClient("127.0.0.1:1236", secret="...") as gateway:
            await gateway.send_to_uid("42", "hi")
            with gateway.partial() as missing:
                online = await gateway.get_all_client_id_count()

    `register` is `HOST:PORT`, or several in a list; `secret` the key of Registers and gateways.
    `timeout`, in seconds, holds for each Command of a verb, at all gateways together (`close_uid`
    and `close_group` ask first, and so have it more than once).

    It connects when it is first used, stays connected, and belongs to that event loop, in which
    any number of tasks may use it at the same time. Make one and keep it.

    Sends return `Sent(None, None)` and actions None: the wire has no answer to them. Besides what
    the verbs raise themselves: UnsupportedError for what the wire cannot carry, as a utype other
    than 0; and the ClientErrors UnavailableError, RejectedError (the key) and DeadlineError, which
    name the gateways that have had no part in it, where the others have; SerializedError for a
    session of PHP objects.
    """

    def __init__(
        self,
        register: str | Iterable[str] = DEFAULT_REGISTER,
        *,
        secret: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        super().__init__()
        self._wire = _Wire(_registers_at(register), secret, timeout)
        self.attach(self._wire, self._wire)

    def partial(self) -> AbstractContextManager[list[Missing]]:
        """Inside `with gateway.partial() as missing` gateways that do not answer are no error.

        They are put into `missing`, each with its `address` and `why`, and the answers are those
        of the others.
        """
        return self._wire.partial.allowed()

    async def close(self) -> None:
        """Close the connections behind what was sent; a later verb opens new ones."""
        await self._wire.close()

    @property
    def is_connected(self) -> bool:
        """Whether there are connections, or soon will be."""
        return self._wire.is_connected

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._wire})"


class SyncGatewayClient(SyncGateway):
    """The same for plain code: from any thread, and after a fork from the child as well.

        with SyncGatewayClient("127.0.0.1:1236", secret="...") as gateway:
            gateway.send_to_uid("42", "hi")

    The parameters and errors are GatewayClient's. A call waits in its thread, so in a coroutine it
    would hold up the event loop: there GatewayClient is the better one.
    """

    def __init__(
        self,
        register: str | Iterable[str] = DEFAULT_REGISTER,
        *,
        secret: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        self._client = GatewayClient(register, secret=secret, timeout=timeout)
        self._client.attach(self._client.executor, _LoopThreadRunner(timeout))
        super().__init__(self._client)

    def partial(self) -> AbstractContextManager[list[Missing]]:
        """As GatewayClient.partial."""
        return self._client.partial()

    def close(self) -> None:
        """Close the connections behind what was sent; a later verb opens new ones."""
        if self._client.is_connected:
            self._client.runner.run(self._client.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._client).replace("GatewayClient", type(self).__name__, 1)


class _Wire:
    """An Executor that connects when it is first used, and the Runner of the loop it is used in."""

    def __init__(self, registers: tuple[Address, ...], secret: str, timeout: float) -> None:
        if not (isinstance(timeout, int | float) and timeout > 0):
            raise ConfigError("the client's timeout is a number of seconds above 0")
        if not (isinstance(secret, str) and secret.isprintable()):
            raise ConfigError("the client's secret is printable text; empty, if there is none")
        self.partial = Partial()
        self._registers = registers
        self._secret = secret
        self._timeout = timeout
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
        return LoopRunner(self._links.loop, _patience(self._timeout)).run(coroutine)

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


class _LoopThreadRunner:
    """The Runner of the event loop that all plain code of a process shares."""

    def __init__(self, timeout: float) -> None:
        self._patience = _patience(timeout)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What `coroutine` returns or raises."""
        try:
            thread = loop_thread.shared()
        except UnavailableError:
            coroutine.close()
            raise
        return thread.run(coroutine, self._patience)


def _patience(timeout: float) -> float:
    """For a verb that asks first, and then for the loop itself."""
    return 2 * timeout + GRACE


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


_wires: WeakSet[_Wire] = WeakSet()
os.register_at_fork(after_in_child=_forget_all)

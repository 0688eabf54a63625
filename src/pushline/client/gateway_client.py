"""The verbs over GatewayWorker's wire, for Python back ends: to PHP's gateways and to ours."""

from collections.abc import Coroutine, Iterable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from pushline.client import loop_thread
from pushline.errors import UnavailableError
from pushline.gateway import Gateway, SyncGateway
from pushline.gatewayworker.executor import TIMEOUT
from pushline.gatewayworker.wire import Wire

T = TypeVar("T")

DEFAULT_REGISTER: Final = "127.0.0.1:1236"


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
        self._wire = Wire(register, secret, timeout)
        self.attach(self._wire, self._wire)

    async def close(self) -> None:
        """Close the connections behind what was sent; a later verb opens new ones."""
        await self._wire.close()

    @property
    def is_connected(self) -> bool:
        """Whether there are connections, or soon will be."""
        return self._wire.is_connected

    @property
    def patience(self) -> float:
        """Seconds that plain code waits for a verb at most."""
        return self._wire.patience

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
        self._client.attach(self._client.executor, _LoopThreadRunner(self._client.patience))
        super().__init__(self._client)

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


class _LoopThreadRunner:
    """The Runner of the event loop that all plain code of a process shares."""

    def __init__(self, patience: float) -> None:
        self._patience = patience

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What `coroutine` returns or raises."""
        try:
            thread = loop_thread.shared()
        except UnavailableError:
            coroutine.close()
            raise
        return thread.run(coroutine, self._patience)

"""The contract between the verbs and who carries them out."""

from collections.abc import Awaitable, Coroutine
from typing import Any, NoReturn, Protocol, TypeVar

from pushline.commands import Command
from pushline.errors import AppError
from pushline.gateway.partial import Partial

T = TypeVar("T")


class Executor(Protocol):
    """Carries out Commands: a Node in this process, or a wire to one.

    Commands are carried out in the order of the calls. Where nothing comes back for sends and
    actions, their counts are None: `Sent(None, None)` for a send, None for an action.

    `partial` is whether it may do without those that give no answer.
    """

    partial: Partial

    def execute(self, command: Command[T]) -> T | Awaitable[T]:
        """The answer where it is known at once, else something that gives it."""


class Runner(Protocol):
    """Lets plain code wait for what an event loop does."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What `coroutine` returns or raises; DeadlineError where it takes too long.

        Raises AppError in the loop's own thread, which must not wait for itself.
        """


class NotRunning:
    """The Executor and the Runner before there are any."""

    def __init__(self) -> None:
        self.partial = Partial()

    def execute(self, command: Command[T]) -> T:
        """Raises AppError."""
        self._refuse()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Raises AppError."""
        coroutine.close()
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise AppError(
            "the application is not running yet: its verbs work from on_start on, "
            "which `pushline serve` calls"
        )

"""What all verbs stand on."""

from collections.abc import Awaitable
from typing import TypeVar

from pushline.commands import Command
from pushline.gateway.executor import Executor, NotRunning, Runner

T = TypeVar("T")


class Verbs:
    """Hands Commands to an Executor."""

    def __init__(self) -> None:
        nobody = NotRunning()
        self.executor: Executor = nobody
        self.runner: Runner = nobody

    def attach(self, executor: Executor, runner: Runner) -> None:
        """From now on `executor` carries out the verbs, and `runner` those of `sync`."""
        self.executor = executor
        self.runner = runner

    async def _ask(self, command: Command[T]) -> T:
        answer = self.executor.execute(command)
        return await answer if isinstance(answer, Awaitable) else answer

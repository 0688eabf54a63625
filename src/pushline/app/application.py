"""What people write: an App, its event handlers, timers and files."""

from collections.abc import Callable
from os import PathLike
from typing import TypeVar
from zoneinfo import ZoneInfo

from pushline.app.files import Files
from pushline.app.shape import check_shape, name_of_function
from pushline.app.timers import Timer, Timers
from pushline.errors import AppError
from pushline.gateway import Gateway

Function = TypeVar("Function", bound=Callable[..., object])


class App:
    """An application: functions for events, registered by decorators.

    Each may be async, or plain; plain ones run in threads, so that they may block. `gateway` has
    the verbs for all clients, and works from `on_start` on.
    """

    def __init__(self) -> None:
        self.gateway = Gateway()
        self.handlers: dict[str, Callable[..., object]] = {}
        """By event."""
        self.timers = Timers()
        self.static = Files()
        self.process = 0
        """Which of several processes this one is, from 0 on."""

    def on_start(self, handler: Function) -> Function:
        """`handler()` runs before any port is open; if it raises, the server does not start."""
        return self._register("on_start", handler)

    def on_connect(self, handler: Function) -> Function:
        """`handler(client)` runs before the upgrade is accepted; HttpError refuses."""
        return self._register("on_connect", handler, "client")

    def on_message(self, handler: Function) -> Function:
        """`handler(client, data)` gets text as str, binary as bytes."""
        return self._register("on_message", handler, "client", "data")

    def on_close(self, handler: Function) -> Function:
        """`handler(client, reason)` runs after the last message's handler; reason is a Close."""
        return self._register("on_close", handler, "client", "reason")

    def on_stop(self, handler: Function) -> Function:
        """`handler()` runs when every client has been closed."""
        return self._register("on_stop", handler)

    def every(self, seconds: float) -> Callable[[Callable[[], object]], Timer]:
        """Run a function each `seconds`; the decorated name is a Timer. Raises AppError."""
        return self.timers.every(seconds)

    def after(self, seconds: float) -> Callable[[Callable[[], object]], Timer]:
        """Run a function once, `seconds` after the start or, later, from now."""
        return self.timers.after(seconds)

    def cron(
        self, expression: str, tz: ZoneInfo | str | None = None
    ) -> Callable[[Callable[[], object]], Timer]:
        """Run a function when the clock says so: five fields, or six with the seconds first."""
        return self.timers.cron(expression, tz)

    def files(self, prefix: str, directory: str | PathLike[str]) -> None:
        """Serve a directory's files on the port for browsers. Raises AppError."""
        self.static.add(prefix, directory)

    def _register(self, event: str, handler: Function, *arguments: str) -> Function:
        check_shape(handler, f"@app.{event} (without brackets)", *arguments)
        if event in self.handlers:
            raise AppError(
                f"{event} has a handler already: {name_of_function(self.handlers[event])}"
            )
        self.handlers[event] = handler
        return handler

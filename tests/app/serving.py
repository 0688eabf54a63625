"""An App served in this process, for tests that talk to it and look inside."""

from collections.abc import Iterator
from contextlib import contextmanager

from pushline import App
from tests.browser import Browser, connect
from tests.in_process import InProcess, configured


class Serving:
    """A server that runs `app`; `process` has its loop and its service."""

    def __init__(self, process: InProcess) -> None:
        self.process = process
        self.address = str(process.service.websocket[0])

    def connect(self, path: str = "/", **headers: str) -> Browser:
        """A browser that was let in; RefusedError where it was not."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return connect(self.address, path, named)


@contextmanager
def serving(app: App, **settings: str) -> Iterator[Serving]:
    """`settings` are environment variables without PUSHLINE_."""
    config = configured(**{"APP_LOAD": "tests:app", **settings})
    with InProcess(config, app) as process:
        process.start()
        yield Serving(process)

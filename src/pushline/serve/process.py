"""One of the processes that share a server's ports, as `supervise.process` has it."""

import logging
import sys
from dataclasses import replace

from pushline.app.load import load_app
from pushline.config import load
from pushline.service import Service, stop_time
from pushline.supervise.process import Job, run

log = logging.getLogger(__name__)


class ServeProcess:
    """The Work of it. Raises AppError where the application cannot be loaded."""

    def __init__(self, job: Job) -> None:
        config = job.config
        operators = replace(config.http, listen=config.operators_of(job.index))
        self._config = replace(config, http=operators)
        self._app = load_app(config.app.load) if config.app.load else None
        if self._app:
            self._app.process = job.index
        self._service: Service | None = None

    async def start(self) -> None:
        """Raises ConfigError where it cannot have a port, AppError."""
        self._service = Service(self._config, self._app)
        await self._service.start()

    def stay(self) -> None:
        """It serves on, as it did."""

    async def stop(self) -> None:
        if self._service is not None:
            count = len(self._service.hub.connections)
            log.info("stopping: %d connections are asked to reconnect", count)
            await self._service.drain()

    def end(self) -> None:
        if self._service is not None:
            self._service.stop()


if __name__ == "__main__":
    sys.exit(run(load, stop_time, ServeProcess))

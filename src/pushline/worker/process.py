"""One process of a worker, as `supervise.process` has it; its key is its worker_key."""

import gc
import logging
import sys

from pushline.app.load import load_app
from pushline.config import Config
from pushline.supervise.process import Job, run
from pushline.worker.settings import load
from pushline.worker.worker import Worker

log = logging.getLogger(__name__)


class WorkerProcess:
    """The Work of it. Raises AppError where the application cannot be loaded."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._app = load_app(job.config.app.load)
        self._app.process = job.index
        self._worker: Worker | None = None

    async def start(self) -> None:
        """Raises AppError where the application does not start."""
        self._worker = Worker(self._job.config, self._app, self._job.key)
        await self._worker.start(follows=self._job.follows)
        gc.collect()
        gc.freeze()  # what is there now stays: no collection has to look at it

    def stay(self) -> None:
        if self._worker is not None:
            self._worker.stay()

    async def stop(self) -> None:
        log.info("stopping")
        if self._worker is not None:
            await self._worker.stop(_stop_time(self._job.config))

    def end(self) -> None:
        if self._worker is not None:
            self._worker.end()


def _stop_time(config: Config) -> float:
    return config.worker.stop_time


if __name__ == "__main__":
    sys.exit(run(load, _stop_time, WorkerProcess))

"""One process of a worker: `python -m pushline.worker.process FD KEY APP`, as its supervisor says.

FD is its end of the channel, KEY its worker_key, `NAME:INDEX`; APP shows whose it is in a list of
processes.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import uvloop

from pushline.app.application import App
from pushline.app.load import load_app
from pushline.config import Config
from pushline.ending import LAST_MOMENT, end_without_threads
from pushline.errors import PushlineError
from pushline.logs import configure
from pushline.worker.channel import Channel, Report, Task
from pushline.worker.settings import load
from pushline.worker.worker import Worker

log = logging.getLogger(__name__)

NOT_STARTED = 2
"""The exit code of a process that has not become ready, and has reported why."""


def main() -> int:
    """Until the supervisor says to stop, or is no more; the exit code."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are for the supervisor
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    key = sys.argv[2]
    task = channel.task()
    try:
        _run(_configured(task, key), key, channel, follows=task.follows)
    except PushlineError as error:
        channel.report(Report(False, str(error)))
        return NOT_STARTED
    return 0


def _configured(task: Task, key: str) -> Config:
    """Raises ConfigError."""
    flags = {}
    for dotted, text in task.flags.items():
        section, _, name = dotted.partition(".")
        flags[section, name] = text
    config = load(Path(task.path) if task.path else None, os.environ, flags)
    configure(config.log.level, f"process {_index(key)}")
    return config


def _index(key: str) -> int:
    return int(key.rpartition(":")[2])


def _run(config: Config, key: str, channel: Channel, *, follows: bool) -> None:
    """Raises AppError where the application does not start."""
    channel.end_with_supervisor(config.worker.stop_time)
    app = load_app(config.app.load)
    app.process = _index(key)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_work(config, app, key, channel, follows))
        except BaseException:
            end_without_threads(NOT_STARTED)
            raise
        end_without_threads()


async def _work(config: Config, app: App, key: str, channel: Channel, follows: bool) -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    worker = Worker(config, app, key)
    if await _started(worker, told, follows):
        _settle_memory()
        channel.report(Report(True))
        await told.wait()
        log.info("stopping")
        await worker.stop(config.worker.stop_time)
    worker.end()


async def _started(worker: Worker, told: asyncio.Event, follows: bool) -> bool:
    """False where it was told to stop first. Raises AppError."""
    starting = asyncio.ensure_future(worker.start(follows=follows))
    stopping = asyncio.ensure_future(told.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        stopping.cancel()
        starting.result()
        return True
    starting.cancel()
    await asyncio.wait((starting,), timeout=LAST_MOMENT)
    return False


def _settle_memory() -> None:
    """What is there now stays: no collection has to look at it."""
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    sys.exit(main())

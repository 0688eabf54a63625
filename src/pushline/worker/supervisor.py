"""`pushline worker`: an application in processes that are kept running."""

import asyncio
import secrets
from collections.abc import Mapping
from pathlib import Path

from pushline import __version__
from pushline.config import Config
from pushline.config.sources import Name
from pushline.logs import configure
from pushline.supervise.child import Plan, directory
from pushline.supervise.places import of_worker
from pushline.supervise.supervisor import Supervisor, supervise, task_of
from pushline.worker.settings import load

PROGRAM = "pushline.worker.process"
RANDOM = 4
"""Bytes that make a name unlike others."""


def run_worker(path: Path | None, environ: Mapping[str, str], flags: Mapping[Name, str]) -> int:
    """Run processes until SIGTERM or Ctrl-C, then let them finish; a second one ends at once.

    The arguments are those of `config.load`. Every process reads the settings anew, so that a
    reload takes new ones, but those of the supervisor itself: `worker` and `log`. Raises
    ConfigError; AppError where the application does not start.
    """
    config = load(path, environ, flags)
    configure(config.log.level)
    name = config.worker.name or _new_name(config.app.load)
    plan = Plan(PROGRAM, task_of(path, flags), environ, config.app.load, name, directory())
    asyncio.run(_supervise(config, plan))
    return 0


def _new_name(app: str) -> str:
    """For as long as this supervisor lives; a worker_key has a colon behind it."""
    return f"{app.replace(':', '.')}-{secrets.token_hex(RANDOM)}"


async def _supervise(config: Config, plan: Plan) -> None:
    worker = config.worker
    supervisor = Supervisor(
        plan,
        worker.processes,
        start_time=worker.start_time,
        stop_time=worker.stop_time,
        hang_time=worker.hang_time,
    )
    await supervise(supervisor, of_worker(config), banner(config))


def banner(config: Config) -> list[str]:
    """What runs, and with which Registers."""
    registers = ", ".join(map(str, config.register.join))
    return [
        f"Pushline {__version__}",
        "",
        f"  application {config.app.load}",
        f"  registers   {registers}",
        f"  processes   {config.worker.processes}",
        f"  new code    pushline reload {config.app.load}",
        "",
        "  Ctrl-C stops it.",
        "",
    ]

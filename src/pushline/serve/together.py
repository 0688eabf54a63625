"""A server in several processes that share its ports, on one machine."""

import asyncio
import contextlib
from collections.abc import Mapping

from pushline.config import Config
from pushline.listeners.sockets import hold
from pushline.serve.banner import banner
from pushline.service import stop_time
from pushline.supervise.channel import Task
from pushline.supervise.child import Plan, directory
from pushline.supervise.places import of_server
from pushline.supervise.supervisor import Supervisor, supervise

PROGRAM = "pushline.serve.process"


def serve_together(config: Config, task: Task, environ: Mapping[str, str], descriptors: int) -> int:
    """Run `serve.workers` processes, as `supervise` has it; `task` is how they read their settings.

    `descriptors` is how many each may have. Raises ConfigError, and AppError where one does not
    start.
    """
    plan = Plan(PROGRAM, _lasting(config, task), environ, config.app.load, "serve", directory())
    with contextlib.ExitStack() as ports:
        for address in (*config.websocket.listen, *config.text.listen, *config.operators):
            ports.enter_context(hold(address))
        asyncio.run(_supervise(config, plan, descriptors))
    return 0


async def _supervise(config: Config, plan: Plan, descriptors: int) -> None:
    supervisor = Supervisor(
        plan,
        config.serve.workers,
        start_time=config.serve.start_time,
        stop_time=stop_time(config),
        hang_time=config.serve.hang_time,
    )
    await supervise(supervisor, of_server(config), banner(config, descriptors))


def _lasting(config: Config, task: Task) -> Task:
    """Every process has the ports that are held, and the times that are kept, whatever its file or
    its environment says by the time of a reload."""
    lasting = {
        "websocket.listen": _listed(config.websocket.listen),
        "text.listen": _listed(config.text.listen),
        "http.listen": _listed(config.http.listen),
        "serve.workers": str(config.serve.workers),
        "shutdown.time": str(config.shutdown.time),
    }
    return Task(task.path, task.flags | lasting)


def _listed(values: tuple[object, ...]) -> str:
    return ",".join(map(str, values))

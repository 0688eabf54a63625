"""The two servers that are compared, on free loopback ports."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from urllib.request import urlopen

from benchmarks.processes import SERVER_CORE, UnableError, running, wait_until
from benchmarks.programs import program

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Server:
    """One that accepts on both ports."""

    pid: int
    websocket_port: int
    text_port: int
    gateway_port: int = 0
    register_port: int = 0
    http_port: int = 0

    @property
    def variables(self) -> dict[str, str]:
        """What stands for it in a load's command."""
        websocket, text = f"{HOST}:{self.websocket_port}", f"{HOST}:{self.text_port}"
        gateway = f"{HOST}:{self.gateway_port}"
        return {"WS": websocket, "TEXT": text, "GATEWAY": gateway, "PID": str(self.pid)}

    def metric(self, name: str) -> float:
        """A value of `/metrics`, where the server has a port for operators."""
        with urlopen(f"http://{HOST}:{self.http_port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        values = (line.split() for line in lines if not line.startswith("#"))
        return next(float(value) for key, value in values if key == f"pushline_{name}")


def floor() -> AbstractContextManager[Server]:
    ports = _free_ports(2)
    return _serving([program("floor"), *map(str, ports)], ports, os.environ)


def pushline(
    settings: dict[str, str] | None = None,
    *,
    app: str = "",
    directory: str | None = None,
    auth: str = "open",
    gateway: bool = False,
    operators: bool = False,
) -> AbstractContextManager[Server]:
    """All defaults, but for the ports and `settings` (environment variables).

    With an `app`, as in `chat:app`, it runs in that application's `directory`, else with `auth`.
    With a `gateway` it has one, a Register that knows it, and a port for `operators`.
    """
    ports = _free_ports(5 if gateway else 3 if operators else 2)
    websocket, text, *others = (f"{HOST}:{port}" for port in ports)
    command = [str(Path(sys.executable).with_name("pushline")), "serve"]
    command += [app] if app else ["--auth", auth]
    command += ["--websocket", websocket, "--text", text]
    inherited = {key: value for key, value in os.environ.items() if key[:9] != "PUSHLINE_"}
    environ = inherited | (settings or {})
    if others:
        *others, environ["PUSHLINE_HTTP_LISTEN"] = others
    if others:
        inner, register = others
        command += ["--gateway", inner, "--register", register, "--join-register", register]
    return _serving(command, ports, environ, directory)


@contextmanager
def _serving(
    command: Sequence[str],
    ports: Sequence[int],
    environ: Mapping[str, str],
    directory: str | None = None,
) -> Iterator[Server]:
    with (
        TemporaryFile("w+") as log,
        running(
            command,
            core=SERVER_CORE,
            stdout=log,
            stderr=log,
            environ=environ,
            directory=directory,
        ) as process,
    ):
        wait_until(
            lambda: _fallen(process) or all(map(_accepts, ports)),
            f"{command[0]} does not listen",
        )
        if _fallen(process):
            log.seek(0)
            raise UnableError(f"{command[0]} does not start: {log.read()}")
        yield _server(process.pid, *ports)


def _server(pid: int, websocket: int, text: int, *others: int) -> Server:
    """Its last port is that for operators, where there are more than two."""
    *inner, http = others or (0,)
    gateway, register = inner or (0, 0)
    return Server(pid, websocket, text, gateway, register, http)


def _fallen(process: subprocess.Popen[str]) -> bool:
    return process.poll() is not None


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _free_ports(count: int) -> list[int]:
    """Free a moment ago: floor.c cannot be asked which port it was given."""
    with ExitStack() as stack:
        plugs = [stack.enter_context(socket.socket()) for _ in range(count)]
        for plug in plugs:
            plug.bind((HOST, 0))
        return [plug.getsockname()[1] for plug in plugs]

"""Processes to measure: each on one core, always ended, seen through /proc."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = _CORES[0], _CORES[:2][-1]
PATIENCE = 15.0
"""Seconds that whatever we wait for may take."""


class UnableError(Exception):
    """Something cannot be measured here; the text says why."""


def use_client_core() -> None:
    """This process, which plays clients too, keeps off the server's core."""
    if SERVER_CORE == CLIENT_CORE:
        raise UnableError("server and client need a core each, and there is only one")
    os.sched_setaffinity(0, {CLIENT_CORE})


@contextmanager
def running(
    command: Sequence[str],
    *,
    core: int,
    stdout: int | IO[str],
    stderr: int | IO[str],
    environ: Mapping[str, str] | None = None,
    directory: str | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """The process, pinned to `core`, and ended when the block is left, however that happens."""
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        env=environ,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        start_new_session=True,  # Ctrl-C is for us; we end what we started, in our order
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    """Looks every 20 ms; UnableError with the text `otherwise` if it never comes true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise UnableError(otherwise)
        time.sleep(0.02)


def descriptors(pid: int) -> int:
    """How many it has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def resident(pid: int) -> int:
    """Memory now, in KB of 1,024 bytes."""
    return _status(pid, "VmRSS")


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has taken, its own and the kernel's for it, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def peak_memory(pid: int) -> int:
    """The most memory since `forget_peak`, in KB."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5)


def _status(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise UnableError(f"the kernel does not tell {key}")

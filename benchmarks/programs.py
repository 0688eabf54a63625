"""The two C programs, compiled when their source is newer."""

import subprocess
from pathlib import Path

from benchmarks.processes import UnableError

SOURCES = Path(__file__).parent
BUILD = SOURCES / "build"


def program(name: str) -> str:
    """The path of `name`, compiled from `name`.c."""
    source, target = SOURCES / f"{name}.c", BUILD / name
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(exist_ok=True)
        _compile(source, target)
    return str(target)


def _compile(source: Path, target: Path) -> None:
    command = ["cc", "-O2", "-w", "-o", str(target), str(source)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise UnableError(f"{source.name} does not compile: {outcome.stderr}")

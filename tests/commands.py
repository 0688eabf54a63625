"""The command line as a user runs it, in processes of their own; or here, where that is enough."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NamedTuple
from unittest.mock import patch

from pushline.cli import main

PROGRAM = str(Path(sys.executable).with_name("pushline"))
PATIENCE = 30.0
"""Seconds."""

Command = subprocess.Popen[bytes]


class Outcome(NamedTuple):
    """Of a command that has ended: its exit code, and what it has printed."""

    code: int
    output: str
    errors: str


def start(
    *arguments: str,
    settings: Mapping[str, str] | None = None,
    stderr: int | IO[bytes] = subprocess.PIPE,
    redirection: str = "",
) -> Command:
    """A command on its way; `settings` are environment variables without PUSHLINE_.

    A `redirection` is the shell's.
    """
    return subprocess.Popen(
        ["sh", "-c", f'exec "$0" "$@" {redirection}', PROGRAM, *arguments],
        env=_environment(settings or {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )


def outcome(command: Command, given: bytes = b"") -> Outcome:
    """Wait for its end; it is killed where that does not come."""
    with command:
        try:
            output, errors = command.communicate(given, PATIENCE)
        except subprocess.TimeoutExpired:
            command.kill()
            raise
    return Outcome(command.returncode, output.decode(), (errors or b"").decode())


def pushline(*arguments: str, given: bytes = b"", **settings: str) -> Outcome:
    """Run one command, with `given` as its standard input."""
    return outcome(start(*arguments, settings=settings), given)


def called(*arguments: str, **settings: str) -> Outcome:
    """Run one that reads no input in this process: it costs none of a start's time."""
    output, errors = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, _environment(settings), clear=True),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
    return Outcome(code, output.getvalue(), errors.getvalue())


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PUSHLINE_")}
    return kept | {f"PUSHLINE_{key}": value for key, value in settings.items()}

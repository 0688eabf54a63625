"""The command line: arguments to a configuration to a service; nothing else."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pushline import __version__
from pushline.codecs import login
from pushline.config import KEYS, Config, describe, load
from pushline.errors import PushlineError
from pushline.names import check_name
from pushline.serve import serve

WRONG_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0, 1 (a push failed) or 2 (wrong usage)."""
    options = _parser().parse_args(arguments)
    try:
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except PushlineError as error:
        print(f"pushline: {error}", file=sys.stderr)
        return WRONG_USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pushline", description="A real-time push server.")
    parser.add_argument("--version", action="version", version=f"pushline {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("serve", help="hold the browsers, take the back ends' pushes")
    _add_settings(command)
    command.set_defaults(run=lambda options: serve(_config(options)))

    command = commands.add_parser("token", help="print the login message of a user")
    command.add_argument("uid", metavar="UID")
    command.add_argument("--utype", default="0", metavar="N", help="the user type (0)")
    _add_settings(command)
    command.set_defaults(run=_token)

    command = commands.add_parser("config", help="print the configuration in force")
    _add_settings(command)
    command.set_defaults(run=_print_config)
    return parser


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help="a TOML file")
    for key in KEYS.values():
        if key.flag:
            command.add_argument(key.flag, dest=f"{key.section}.{key.name}", help=key.doc)


def _config(options: argparse.Namespace) -> Config:
    given = {
        (key.section, key.name): value
        for key in KEYS.values()
        if (value := getattr(options, f"{key.section}.{key.name}", None)) is not None
    }
    return load(options.config, os.environ, given)


def _token(options: argparse.Namespace) -> int:
    secret = _config(options).auth.secret
    print(login.encode(check_name(options.uid), check_name(options.utype), secret))
    return 0


def _print_config(options: argparse.Namespace) -> int:
    print(describe(_config(options)))
    return 0

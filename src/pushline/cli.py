"""The command line: arguments to a configuration to a service; nothing else."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pushline import __version__
from pushline.client import Client
from pushline.codecs import login
from pushline.config import KEYS, Config, describe, load, read
from pushline.errors import ClientError, ConfigError, InvalidPushError, PushlineError
from pushline.names import check_name
from pushline.push import push_lines, push_one
from pushline.serve import serve

PUSH_FAILED, WRONG_USAGE, NO_ANSWER, INTERRUPTED = 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    0: done; 1: a push was answered with `fail`; 2: wrong usage or configuration; 3: the server
    could not be asked.
    """
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except PushlineError as error:
        print(f"pushline: {error}", file=sys.stderr)
        unasked = isinstance(error, ClientError) and not isinstance(error, InvalidPushError)
        return NO_ANSWER if unasked else WRONG_USAGE
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pushline", description="A real-time push server.")
    parser.add_argument("--version", action="version", version=f"pushline {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(commands.add_parser("serve", help="hold the browsers, take the back ends' pushes"))
    _add_push(commands.add_parser("push", help="push to users, as a back end does"))
    _add_token(commands.add_parser("token", help="print the login message of a user"))
    _add_config(commands.add_parser("config", help="print the configuration in force"))
    return parser


def _add_serve(command: argparse.ArgumentParser) -> None:
    _add_settings(command)
    command.set_defaults(run=lambda options: serve(_config(options, load)))


def _add_push(command: argparse.ArgumentParser) -> None:
    command.usage = "pushline push [options] UID... JSON | --all JSON | < LINES"
    command.description = "Push a JSON object to users, or ready lines from standard input."
    command.add_argument("words", nargs="*", metavar="UID... JSON", help="whom, and a JSON object")
    command.add_argument("--all", action="store_true", help="everyone, instead of UIDs")
    command.add_argument("--utype", metavar="N", help="the user type (0)")
    command.add_argument("--text", metavar="H:P", help="the server's text port (127.0.0.1:5678)")
    command.add_argument("--config", type=Path, metavar="FILE", help="a TOML file")
    command.set_defaults(run=_push)


def _add_token(command: argparse.ArgumentParser) -> None:
    command.add_argument("uid", metavar="UID")
    command.add_argument("--utype", default="0", metavar="N", help="the user type (0)")
    command.add_argument("--config", type=Path, metavar="FILE", help="a TOML file")
    command.set_defaults(run=_token)


def _add_config(command: argparse.ArgumentParser) -> None:
    _add_settings(command)
    command.set_defaults(run=_print_config)


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help="a TOML file")
    for key in KEYS.values():
        if key.flag:
            destination = f"{key.section}.{key.name}"
            command.add_argument(key.flag, dest=destination, metavar="VALUE", help=key.doc)


def _config(options: argparse.Namespace, loader: Callable[..., Config]) -> Config:
    given = {
        name: value
        for name in KEYS
        if (value := getattr(options, ".".join(name), None)) is not None
    }
    return loader(options.config, os.environ, given)


def _push(options: argparse.Namespace) -> int:
    text = _config(options, read).text
    address = options.text or next(map(str, text.listen), "127.0.0.1:5678")
    with Client(address, secret=text.secret, max_line=text.max_line) as client:
        if not options.words and not options.all:
            return _push_lines(client)
        return _push_one(client, options)


def _push_lines(client: Client) -> int:
    ok, failed = push_lines(client, sys.stdin.buffer)
    print(f"{ok} ok, {failed} fail")
    return PUSH_FAILED if failed else 0


def _push_one(client: Client, options: argparse.Namespace) -> int:
    *uids, json = options.words or [""]
    if options.all == bool(uids):
        raise ConfigError("push to one or more UIDs, or to --all: one of both")
    ok = push_one(client, uids, json, options.utype)
    print("ok" if ok else "fail")
    return 0 if ok else PUSH_FAILED


def _token(options: argparse.Namespace) -> int:
    secret = _config(options, read).auth.secret
    if not secret:
        raise ConfigError("no auth.secret is set: tokens are made with it, and proven with it")
    print(login.encode(check_name(options.uid), check_name(options.utype), secret))
    return 0


def _print_config(options: argparse.Namespace) -> int:
    print(describe(_config(options, load)), end="")
    return 0

"""The command line: arguments to a configuration to a service; nothing else."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from pushline import __version__
from pushline.client import Client
from pushline.client.address import DEFAULT_ADDRESS
from pushline.codecs import login
from pushline.config import KEYS, Config, describe, load, read
from pushline.config.sources import Key, Name
from pushline.errors import ClientError, ConfigError, InvalidPushError, PushlineError
from pushline.names import check_name
from pushline.output import OUTPUT, STANDARD_ERROR
from pushline.push import push_lines, push_one
from pushline.serve.run import run_server
from pushline.supervise.control import reload
from pushline.worker.supervisor import run_worker

PUSH_FAILED, WRONG_USAGE, NO_ANSWER, INTERRUPTED, NO_READER = 1, 2, 3, 130, 141
EXIT_CODES = """\
exit codes:
  0  every push was answered ok
  1  a push was answered fail
  2  wrong usage or configuration
  3  the server could not be asked, or the answer not printed"""
RELOAD_EXIT_CODES = """\
exit codes:
  0  every process was replaced
  1  one did not start: it and those after it are as they were
  2  wrong usage or configuration
  3  nothing that has processes runs here"""
DATA = """'{"text": "hello"}'"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    Those of EXIT_CODES, and as a shell has them: 130 after Ctrl-C; 141 (SIGPIPE) where nobody
    reads what it prints.
    """
    _take_standard_descriptors()
    try:
        try:
            return _run(arguments)
        finally:
            _say("", end="")  # at the interpreter's end nobody could catch what that raises
    except BrokenPipeError:
        _silence(sys.stdout)
        return NO_READER
    except _UnwritableError as error:
        _silence(sys.stdout)
        _complain(error)
        return NO_ANSWER


def _take_standard_descriptors() -> None:
    """Open those of 0, 1 and 2 that are closed at nothing: no socket may come to be one of them.

    What is for a standard error that is closed goes there, too, and not to standard output.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stderr = sys.stderr or os.fdopen(STANDARD_ERROR, "w", closefd=False)


class _UnwritableError(Exception):
    """Standard output takes nothing; says why."""


def _say(words: str, end: str = "\n") -> None:
    """Print it, with all that was printed before; to nobody where standard output is closed."""
    try:
        print(words, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _UnwritableError(f"cannot write to standard output ({error.strerror})") from None


def _complain(error: Exception) -> None:
    """A line on standard error; where that cannot be written the exit code has to do."""
    try:
        print(f"pushline: {error}", file=sys.stderr)
    except OSError:
        _silence(sys.stderr)


def _silence(stream: TextIO) -> None:
    """What is left to print there at the interpreter's end goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(arguments: Sequence[str] | None) -> int:
    options = _parsed(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except PushlineError as error:
        OUTPUT.settle()
        _complain(error)
        unasked = isinstance(error, ClientError) and not isinstance(error, InvalidPushError)
        return NO_ANSWER if unasked else WRONG_USAGE
    except KeyboardInterrupt:
        return INTERRUPTED


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and (not hasattr(options, "words") or any(map(_is_option, rest))):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:  # options may stand between the words
        options.words += rest
    return options


def _is_option(word: str) -> bool:
    """A number below 0 is none."""
    return word.startswith("-") and not word[1:].isdecimal()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pushline", description="A real-time push server.")
    parser.add_argument("--version", action="version", version=f"pushline {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (what, add) in _COMMANDS.items():
        description = f"{what[0].upper()}{what[1:]}."
        add(commands.add_parser(name, help=what, description=description))
    return parser


def _add_serve(command: argparse.ArgumentParser) -> None:
    _add_application(command)
    _add_settings(command)
    command.set_defaults(run=lambda options: _run_with(options, run_server))


def _add_worker(command: argparse.ArgumentParser) -> None:
    _add_application(command)
    _add_file(command)
    _add_setting(command, ("register", "join"), "--register", "the Register of the gateways")
    _add_setting(command, ("worker", "processes"), "--processes", "how many processes")
    command.set_defaults(run=lambda options: _run_with(options, run_worker))


def _add_reload(command: argparse.ArgumentParser) -> None:
    command.epilog = RELOAD_EXIT_CODES
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    _add_application(command)
    _add_file(command)
    command.set_defaults(run=lambda options: reload(_config(options, read)))


def _add_push(command: argparse.ArgumentParser) -> None:
    command.usage = "pushline push [options] UID... JSON | --all JSON | < LINES"
    command.epilog = EXIT_CODES
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument(
        "words", nargs="*", metavar="UID... JSON", help="uids of users, then a JSON object for them"
    )
    command.add_argument("--all", action="store_true", help="everyone, instead of UIDs")
    command.add_argument("--utype", metavar="N", help="the user type (default: 0)")
    command.add_argument(
        "--text",
        metavar="H:P",
        help=f"the server's text port (default: the configuration's first, {DEFAULT_ADDRESS})",
    )
    _add_file(command)
    command.set_defaults(run=_push)


def _add_token(command: argparse.ArgumentParser) -> None:
    command.add_argument("uid", metavar="UID", help="the uid of the user who is to log in")
    command.add_argument("--utype", default="0", metavar="N", help="the user type (default: 0)")
    _add_file(command)
    command.set_defaults(run=_token)


def _add_config(command: argparse.ArgumentParser) -> None:
    _add_application(command)
    _add_settings(command)
    command.set_defaults(run=_print_config)


def _add_file(command: argparse.ArgumentParser) -> None:
    help_text = "a TOML file with settings (default: none)"
    command.add_argument("--config", type=Path, metavar="FILE", help=help_text)


def _add_application(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "app.load", nargs="?", metavar="MODULE:APP", help="your application, as in chat:app"
    )


def _add_settings(command: argparse.ArgumentParser) -> None:
    _add_file(command)
    for name, key in KEYS.items():
        if key.flag:
            _add_setting(command, name, key.flag)


def _add_setting(command: argparse.ArgumentParser, name: Name, flag: str, what: str = "") -> None:
    key = KEYS[name]
    help_text = f"{what or key.doc} (default: {_default(key)})"
    command.add_argument(flag, dest=key.dotted, metavar=key.metavar or "N", help=help_text)


def _default(key: Key) -> str:
    if isinstance(key.default, tuple):
        return ", ".join(map(str, key.default)) or "none"
    return str(key.default or "automatic")


_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "serve": ("hold the browsers, take the back ends' pushes", _add_serve),
    "worker": ("run an application in processes of its own, for gateways", _add_worker),
    "reload": ("replace the processes of a worker or a server, one by one", _add_reload),
    "push": ("push a JSON object to users, or ready lines from standard input", _add_push),
    "token": ("print the login message of a user", _add_token),
    "config": ("print the configuration in force, secrets masked", _add_config),
}


def _config(options: argparse.Namespace, loader: Callable[..., Config]) -> Config:
    return loader(options.config, os.environ, _flags(options))


def _flags(options: argparse.Namespace) -> dict[Name, str]:
    return {
        name: _given(key, value)
        for name, key in KEYS.items()
        if (value := getattr(options, key.dotted, None)) is not None
    }


def _run_with(options: argparse.Namespace, run: Callable[..., int]) -> int:
    return run(options.config, os.environ, _flags(options))


def _given(key: Key, value: str) -> str:
    if not value and not key.default:
        raise ConfigError(f"{key.flag}: {key.metavar}, or leave the flag out; not an empty value")
    return value


def _push(options: argparse.Namespace) -> int:
    _check_words(options)
    text = _config(options, read).text
    address = next(map(str, text.listen), DEFAULT_ADDRESS)
    address = address if options.text is None else options.text
    with Client(address, secret=text.secret, max_line=text.max_line) as client:
        return _push_one(client, options) if options.words else _push_lines(client)


def _check_words(options: argparse.Namespace) -> None:
    """Raises ConfigError for arguments that are neither one push nor none."""
    words, whom = len(options.words), "--all" if options.all else "alice"
    example = f"pushline push {whom} {DATA}"
    if words == 0 and (options.all or options.utype is not None):
        raise ConfigError(
            f"the JSON object is missing, as in: {example} "
            "(ready lines from standard input name their own uid and utype)"
        )
    if words == 1 and not options.all:
        missing = "UID" if options.words[0].startswith("{") else "JSON object"
        raise ConfigError(f"the {missing} is missing, as in: {example}")
    if words > 1 and options.all:
        raise ConfigError("push to one or more UIDs, or to --all: one of both")


def _push_lines(client: Client) -> int:
    if sys.stdin is None:
        raise ConfigError("no lines to push: standard input is closed")
    if sys.stdin.isatty():
        print("pushline: reading lines, Ctrl-D ends", file=sys.stderr)
    ok, failed = push_lines(client, sys.stdin.buffer)
    _say(f"{ok} ok, {failed} fail")
    return PUSH_FAILED if failed else 0


def _push_one(client: Client, options: argparse.Namespace) -> int:
    *uids, json = options.words
    ok = push_one(client, uids, json, options.utype)
    _say("ok" if ok else "fail")
    return 0 if ok else PUSH_FAILED


def _token(options: argparse.Namespace) -> int:
    secret = _config(options, read).auth.secret
    if not secret:
        raise ConfigError(
            "no auth.secret, with which tokens are made: set PUSHLINE_AUTH_SECRET, "
            "or give --config FILE"
        )
    _say(login.encode(check_name(options.uid), check_name(options.utype), secret))
    return 0


def _print_config(options: argparse.Namespace) -> int:
    _say(describe(_config(options, load)), end="")
    return 0

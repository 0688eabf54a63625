"""Every setting: its default, what it may be, and what it is for. Read, checked, described.

`docs/configuration.md` is made from this table: `python -m pushline.config.page`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from pushline.address import Address
from pushline.config.sources import Key, Name, error_at, from_environment, from_file, from_flags
from pushline.config.values import (
    ADDRESSES,
    APPLICATION,
    FLAG,
    NETWORKS,
    ORIGINS,
    PATH,
    SECRET,
    SOME_ADDRESSES,
    TOKENS,
    Kind,
    Network,
    choice,
    count,
    seconds,
    size,
    size_text,
)
from pushline.errors import ConfigError

__all__ = ["KEYS", "SECTIONS", "Address", "Config", "check", "describe", "load", "read"]

T = TypeVar("T")


def setting(kind: Kind[T], default: object, doc: str, *, flag: str = "", metavar: str = "") -> T:
    """A field of a section; `default` is written as in the file."""
    metadata = {"kind": kind, "doc": doc, "flag": flag, "metavar": metavar}
    return field(default=kind.read(default), repr=not kind.secret, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Websocket:
    """The port for browsers."""

    listen: tuple[Address, ...] = setting(
        SOME_ADDRESSES,
        "127.0.0.1:1234",
        "Where browsers connect.",
        flag="--websocket",
        metavar="H:P",
    )
    certificate: str = setting(
        PATH, "", "PEM file of the certificate chain; TCP addresses then speak TLS."
    )
    key: str = setting(PATH, "", "PEM file of the certificate's private key.")
    origins: tuple[str, ...] = setting(ORIGINS, [], "Sites whose pages may connect; empty: any.")
    subprotocols: tuple[str, ...] = setting(
        TOKENS,
        [],
        "Sub-protocols that a browser may ask for.",
    )
    compression: bool = setting(
        FLAG, False, "Whether to offer permessage-deflate: less traffic, more CPU."
    )
    demo: str = setting(
        choice("on", "off", "loopback"),
        "loopback",
        "Where / is a demo page: everywhere, nowhere, on loopback addresses.",
    )


@dataclass(frozen=True, slots=True)
class Text:
    """The port for back ends, where each line of JSON is a push."""

    listen: tuple[Address, ...] = setting(
        ADDRESSES,
        "127.0.0.1:5678",
        "Where back ends connect; empty: nowhere.",
        flag="--text",
        metavar="H:P",
    )
    secret: str = setting(SECRET, "", "What a back end has to send first, as `auth SECRET`.")
    trusted_networks: tuple[Network, ...] = setting(
        NETWORKS, [], "Networks whose back ends need not send the secret."
    )
    broadcast: bool = setting(
        FLAG, True, "Whether a push with an empty uid goes to everyone, or is `fail`."
    )
    max_line: int = setting(
        size("4 KiB", "64 MiB"),
        "1 MiB",
        "Longest line; a longer one is answered `fail` and ends the connection.",
    )
    pipeline: int = setting(
        count(1, 1_000_000), 10_000, "Unread answers at which a back end is not read from."
    )
    connections: int = setting(count(1, 1_000_000), 1000, "Most back ends at a time.")


@dataclass(frozen=True, slots=True)
class Http:
    """The port for operators, with /ready and /metrics."""

    listen: tuple[Address, ...] = setting(ADDRESSES, [], "Where operators connect; empty: nowhere.")
    allow_public: bool = setting(FLAG, False, "Whether other machines may reach it.")


@dataclass(frozen=True, slots=True)
class Auth:
    """How a browser logs in, and how often as one uid."""

    mode: str = setting(
        choice("open", "token", "app", empty="automatic"),
        "",
        "Whether any uid is believed, needs a token, or the application decides.",
        flag="--auth",
        metavar="open|token|app",
    )
    secret: str = setting(SECRET, "", "What login tokens are made with.")
    timeout: float = setting(
        seconds(0.01, 3600), 10, "A connection that has not logged in by then is closed."
    )
    sessions: str = setting(
        choice("all", "newest", "first"), "all", "Which connections of one uid stay."
    )
    challenge: float = setting(
        seconds(0.01, 60), 3, "How long `first` waits for the older one to answer a ping."
    )
    allow_public_open: bool = setting(
        FLAG, False, "Whether anyone who reaches the port may log in as anyone."
    )


@dataclass(frozen=True, slots=True)
class App:
    """An application of your own, in the server's process."""

    load: str = setting(
        APPLICATION, "", "The application, as in `chat:app`; `pushline serve chat:app` sets it."
    )
    queue: int = setting(
        count(1, 1_000_000),
        64,
        "Messages of a client that may wait before it is not read from.",
    )
    threads: int = setting(count(1, 10_000), 32, "Threads for handlers that are plain functions.")
    connect_time: float = setting(
        seconds(0.01, 300), 10, "How long on_connect may take to decide; then the answer is 503."
    )
    sync_timeout: float = setting(
        seconds(0.01, 3600), 5, "How long the verbs of `sync` wait for the event loop."
    )
    slow: float = setting(
        seconds(0.01, 3600), 5, "A handler that runs for so long is logged, once."
    )


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How a dead connection is noticed."""

    ping: float = setting(
        seconds(0.01, 3600, zero="off"), 25, "A connection silent for so long gets a ping."
    )
    pong: float = setting(
        seconds(0.01, 3600), 8, "One that is silent for so long after a ping is closed."
    )
    timeout: float = setting(
        seconds(0.01, 86_400, zero="never"),
        80,
        "One that is silent for so long is closed, where `ping` is 0.",
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection to the port for browsers may take, and how many there may be."""

    queue: int = setting(
        size("4 KiB", "1 GiB"), "1 MiB", "Unsent data at which a slow browser is closed."
    )
    message: int = setting(size("1 KiB", "64 MiB"), "64 KiB", "Longest message from a browser.")
    request_line: int = setting(size("256 B", "64 KiB"), "8 KiB", "Longest HTTP request line.")
    head: int = setting(
        size("1 KiB", "1 MiB"), "32 KiB", "Longest HTTP head: the request line and all headers."
    )
    headers: int = setting(count(16, 1000), 128, "Most headers in a head.")
    head_time: float = setting(
        seconds(0.01, 300), 5, "How long a connection may take to send its head."
    )
    tls_time: float = setting(
        seconds(0.01, 300), 5, "How long a connection may take for its TLS handshake."
    )
    backlog: int = setting(count(1, 65_535), 4096, "Connections that may wait to be accepted.")
    socket_buffer: int = setting(
        size("4 KiB", "16 MiB", zero="the system's"),
        "128 KiB",
        "The kernel's send buffer of a connection.",
    )
    close_timeout: float = setting(
        seconds(0.01, 60), 5, "How long a browser may take to answer a close."
    )
    connections: int = setting(count(1, 10_000_000, zero="no limit"), 0, "Most browsers at a time.")


@dataclass(frozen=True, slots=True)
class Shutdown:
    """How the server ends."""

    time: float = setting(
        seconds(0.01, 300, zero="at once"),
        3,
        "Connections are closed one by one over it; 1 s later all is over.",
    )


@dataclass(frozen=True, slots=True)
class Log:
    """What is written to standard error."""

    level: str = setting(
        choice("debug", "info", "warning", "error"), "info", "The least severe that is logged."
    )


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, by section; `Config()` is all defaults. It shows no secret in its repr."""

    websocket: Websocket = Websocket()
    text: Text = Text()
    http: Http = Http()
    auth: Auth = Auth()
    app: App = App()
    heartbeat: Heartbeat = Heartbeat()
    limits: Limits = Limits()
    shutdown: Shutdown = Shutdown()
    log: Log = Log()

    @property
    def auth_mode(self) -> Literal["open", "token", "app"]:
        """The login in force: where `auth.mode` is automatic, the application decides if there is
        one, else it is `open` if nothing asks for more."""
        local = not _public(self.websocket.listen + self.text.listen)
        automatic = "open" if local and not self.auth.secret else "token"
        mode = self.auth.mode or ("app" if self.app.load else automatic)
        return cast(Literal["open", "token", "app"], mode)


SECTIONS: dict[str, type] = {section.name: type(section.default) for section in fields(Config)}
KEYS: dict[Name, Key] = {
    (section, key.name): Key(section, key.name, default=key.default, **key.metadata)
    for section, its_type in SECTIONS.items()
    for key in fields(its_type)
}


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[Name, str]) -> Config:
    """The configuration in force for a server, as `read` has it, but checked.

    Raises ConfigError: one line that says what is wrong, and in which file if there is one.
    """
    config = read(path, environ, flags)
    try:
        check(config)
    except ConfigError as error:
        raise (error_at(path, str(error)) if path else error) from None
    return config


def read(path: Path | None, environ: Mapping[str, str], flags: Mapping[Name, str]) -> Config:
    """What is set: `flags` over `environ` over the file at `path` over defaults.

    `flags` are texts by section and key. Raises ConfigError for a wrong key or value.
    """
    values = from_file(path, KEYS) if path is not None else {}
    values |= from_environment(environ, KEYS) | from_flags(flags, KEYS)
    return _config(values)


def _config(values: Mapping[Name, Any]) -> Config:
    given: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for (section, name), value in values.items():
        given[section][name] = value
    return Config(**{section: SECTIONS[section](**its) for section, its in given.items()})


def describe(config: Config) -> str:
    """Everything in force as a TOML file, with what each key is for; secrets are masked."""
    in_force = replace(config, auth=replace(config.auth, mode=config.auth_mode))
    return "\n".join(_described(in_force, section) for section in SECTIONS)


def _described(config: Config, section: str) -> str:
    values = getattr(config, section)
    keys = [key for key in KEYS.values() if key.section == section]
    lines = [_line(key, getattr(values, key.name)) for key in keys]
    return "\n".join([f"[{section}]", *lines, ""])


def _line(key: Key, value: object) -> str:
    unit = f"{key.kind.unit}: " if key.kind.unit else ""
    return f"{f'{key.name} = {key.kind.write(value)}':<34}  # {unit}{key.doc}"


Rules = Iterator[tuple[bool, str]]
"""What must hold, and what is said where it does not."""


def check(config: Config) -> None:
    """Raises ConfigError where settings would be unsafe, or contradict each other."""
    for rules in (_ports, _logins, _numbers):
        for holds, otherwise in rules(config):
            if not holds:
                raise ConfigError(otherwise)


def _ports(config: Config) -> Rules:
    websocket, text, http = config.websocket, config.text, config.http
    addresses = [str(a) for a in websocket.listen + text.listen + http.listen if a.port or a.path]
    for address in addresses:
        yield addresses.count(address) == 1, f"the address {address} is to be listened on twice"
    yield (
        bool(websocket.certificate) == bool(websocket.key),
        "websocket.certificate and websocket.key belong together: set both for TLS, or neither",
    )
    yield (
        not _public(text.listen) or bool(text.secret or text.trusted_networks),
        f"text.listen = {_public(text.listen)} lets other machines push to every user: "
        "set text.secret, or name the back ends' networks in text.trusted_networks",
    )
    yield (
        not _public(http.listen) or http.allow_public,
        f"http.listen = {_public(http.listen)} shows the server's metrics to other machines: "
        "listen on 127.0.0.1, or set http.allow_public = true",
    )


def _logins(config: Config) -> Rules:
    auth, public = config.auth, _public(config.websocket.listen)
    yield config.auth_mode != "token" or bool(auth.secret), _no_secret(config)
    yield (
        config.auth_mode != "app" or bool(config.app.load),
        'auth.mode = "app" leaves logins to an application: name it, as in '
        "`pushline serve chat:app`",
    )
    yield (
        not (config.auth_mode == "open" and public) or auth.allow_public_open,
        f'auth.mode = "open" on websocket.listen = {public} lets anyone on the network log in '
        "as anyone: set auth.secret and drop auth.mode, or set auth.allow_public_open = true",
    )
    yield (
        auth.sessions != "first" or auth.challenge < auth.timeout,
        "auth.challenge must be less than auth.timeout, "
        "or a newer login runs out of time before the older one had its own",
    )


def _no_secret(config: Config) -> str:
    if config.auth.mode:
        return 'auth.mode = "token" needs auth.secret: set it to what login tokens are made with'
    public = _public(config.websocket.listen + config.text.listen)
    return (
        f"{public} can be reached from other machines, so a login needs a token: set auth.secret "
        'to what tokens are made with, or let anyone log in as anyone with auth.mode = "open" '
        "and auth.allow_public_open = true"
    )


def _numbers(config: Config) -> Rules:
    text, limits = config.text, config.limits
    yield (
        limits.queue >= text.max_line,
        f"limits.queue ({size_text(limits.queue)}) must not be less than text.max_line "
        f"({size_text(text.max_line)}), or one long push is more than a queue may hold",
    )
    yield (
        limits.head >= limits.request_line,
        f"limits.head ({size_text(limits.head)}) must not be less than limits.request_line "
        f"({size_text(limits.request_line)}), which is a part of it",
    )


def _public(addresses: tuple[Address, ...]) -> str:
    """The first that another machine can reach, if any."""
    return next((str(address) for address in addresses if not address.is_loopback), "")

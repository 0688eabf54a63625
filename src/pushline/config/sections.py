"""Every setting: its default, what it may be, and what it is for.

`docs/configuration.md` is made from this table: `python -m pushline.config.page`.
"""

from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar, cast

from pushline.address import Address
from pushline.config.values import (
    ADDRESSES,
    APPLICATION,
    FLAG,
    NETWORKS,
    ONE_ADDRESS,
    ORIGINS,
    PATH,
    PREFIX,
    SECRET,
    SOME_ADDRESSES,
    TCP_ADDRESSES,
    TOKENS,
    URLS,
    WORD,
    Kind,
    Network,
    choice,
    count,
    seconds,
    size,
)

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

    listen: tuple[Address, ...] = setting(
        ADDRESSES, [], "Where operators connect, to process i at port + i; empty: nowhere."
    )
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
class Gateway:
    """The inner port, on which GatewayWorker's clients and workers drive this server."""

    listen: tuple[Address, ...] = setting(
        ONE_ADDRESS,
        "",
        "Where GatewayWorker's clients and workers connect.",
        flag="--gateway",
        metavar="H:P",
    )
    advertise: tuple[Address, ...] = setting(
        ONE_ADDRESS,
        "",
        "The IPv4 address by which others reach it; empty: where it listens.",
    )
    secret: str = setting(SECRET, "", "The key that clients and workers have to send first.")
    events: str = setting(
        choice("app", "workers", empty="automatic"),
        "",
        "Who gets what browsers do: the application here, or workers.",
    )
    worker_wait: float = setting(
        seconds(0.01, 300), 3, "How long a browser waits where no worker is connected."
    )
    worker_queue: int = setting(
        count(1, 1_000_000), 10_000, "Events that may wait for a worker, of all browsers."
    )
    max_frame: int = setting(size("4 KiB", "1 GiB"), "10 MiB", "Longest frame.")
    connections: int = setting(count(1, 1_000_000), 1000, "Most clients and workers at a time.")


@dataclass(frozen=True, slots=True)
class Register:
    """The address book of GatewayWorker: who finds the gateways there."""

    listen: tuple[Address, ...] = setting(
        ADDRESSES,
        [],
        "Where gateways, workers and clients find each other; empty: nowhere.",
        flag="--register",
        metavar="H:P",
    )
    join: tuple[Address, ...] = setting(
        TCP_ADDRESSES,
        [],
        "Registers that are told of this gateway, or that a worker asks.",
        flag="--join-register",
        metavar="H:P",
    )
    secret: str = setting(SECRET, "", "The key of the Register, ours or the ones we join.")
    connections: int = setting(count(1, 1_000_000), 10_000, "Most connections at a time.")


@dataclass(frozen=True, slots=True)
class Worker:
    """An application in processes of its own: `pushline worker`."""

    processes: int = setting(
        count(1, 1024), 1, "How many processes; `pushline worker --processes` sets it."
    )
    name: str = setting(
        WORD,
        "",
        "What gateways call its processes; no other worker there may have it.",
    )
    start_time: float = setting(
        seconds(0.1, 3600), 60, "How long a process may take until it is ready."
    )
    stop_time: float = setting(
        seconds(0.1, 3600), 10, "How long a process may take to finish what it has begun."
    )
    hang_time: float = setting(
        seconds(5, 3600, zero="off"),
        30,
        "How long one may give no sign of life before another takes its place.",
    )
    control: str = setting(
        PATH, "", "The socket for `pushline reload`; empty: one in the runtime directory."
    )


@dataclass(frozen=True, slots=True)
class Serve:
    """How `pushline serve` runs."""

    workers: int = setting(
        count(1, 1024),
        1,
        "Processes of the whole server that share its ports; needs a broker.",
        flag="--workers",
        metavar="N",
    )
    start_time: float = setting(
        seconds(0.1, 3600), 60, "How long one of several may take until it is ready."
    )
    hang_time: float = setting(
        seconds(5, 3600, zero="off"),
        30,
        "How long one may give no sign of life before another takes its place.",
    )
    control: str = setting(
        PATH, "", "The socket for `pushline reload`; empty: one in the runtime directory."
    )


@dataclass(frozen=True, slots=True)
class Broker:
    """What connects this node to others: with it they act as one."""

    urls: tuple[str, ...] = setting(
        URLS,
        [],
        "The cluster's Redis, or several independent ones; empty: no cluster.",
        flag="--broker",
        metavar="URL",
    )
    prefix: str = setting(
        PREFIX, "pushline:", "What its keys and channels begin with; another cluster needs another."
    )
    timeout: float = setting(
        seconds(0.1, 20), 2, "How long a push or a question to other nodes may take."
    )


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How a dead connection is noticed."""

    ping: float = setting(
        seconds(0.01, 3600, zero="off"), 25, "A connection silent for so long gets a ping."
    )
    pong: float = setting(
        seconds(0.01, 3600),
        8,
        "One that neither answers a ping nor takes data for so long is closed.",
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
    gateway: Gateway = Gateway()
    register: Register = Register()
    worker: Worker = Worker()
    serve: Serve = Serve()
    broker: Broker = Broker()
    heartbeat: Heartbeat = Heartbeat()
    limits: Limits = Limits()
    shutdown: Shutdown = Shutdown()
    log: Log = Log()

    @property
    def gateway_address(self) -> Address | None:
        """By which others reach the gateway, if there is one."""
        return next(iter(self.gateway.advertise or self.gateway.listen), None)

    @property
    def events(self) -> Literal["app", "workers", "nobody"]:
        """Who gets what browsers do."""
        if self.app.load and self.gateway.events != "workers":
            return "app"
        return "workers" if self.gateway.listen else "nobody"

    @property
    def auth_mode(self) -> Literal["open", "token", "app"]:
        """The login in force: where `auth.mode` is automatic, the application decides if there is
        one, else it is `open` if nothing asks for more."""
        local = not public(self.websocket.listen + self.text.listen)
        automatic = "open" if local and not self.auth.secret else "token"
        mode = self.auth.mode or ("app" if self.app.load else automatic)
        return cast(Literal["open", "token", "app"], mode)

    def has_demo(self, address: Address) -> bool:
        """Whether / is a demo page there, where browsers connect."""
        where = self.websocket.demo
        local = address.is_loopback and self.auth_mode != "app"
        return where == "on" or (where == "loopback" and local)

    @property
    def operators(self) -> tuple[Address, ...]:
        """Where operators connect, to any process."""
        return tuple(at for i in range(self.serve.workers) for at in self.operators_of(i))

    def operators_of(self, process: int) -> tuple[Address, ...]:
        """Where operators connect to one of the processes of `serve.workers`."""
        return tuple(replace(at, port=at.port + process) for at in self.http.listen)


def public(addresses: tuple[Address, ...]) -> str:
    """The first that another machine can reach, if any."""
    return next((str(address) for address in addresses if not address.is_loopback), "")

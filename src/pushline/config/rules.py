"""Which settings go together, and which would be unsafe."""

from collections.abc import Iterator

from pushline.config.sections import Config, public
from pushline.config.values import size_text
from pushline.errors import ConfigError
from pushline.messages import LONGEST_BETWEEN_NODES

Rules = Iterator[tuple[bool, str]]
"""What must hold, and what is said where it does not."""


def check(config: Config) -> None:
    """Raises ConfigError where settings would be unsafe, or contradict each other."""
    for rules in (_workers, _ports, _gateway, _register, _broker, _logins, _numbers):
        for holds, otherwise in rules(config):
            if not holds:
                raise ConfigError(otherwise)


def _ports(config: Config) -> Rules:
    websocket, text, http = config.websocket, config.text, config.http
    inner = config.gateway.listen + config.register.listen
    listened = (*websocket.listen, *text.listen, *config.operators, *inner)
    addresses = [str(address) for address in listened if address.port or address.path]
    for address in addresses:
        yield addresses.count(address) == 1, f"the address {address} is to be listened on twice"
    yield (
        bool(websocket.certificate) == bool(websocket.key),
        "websocket.certificate and websocket.key belong together: set both for TLS, or neither",
    )
    yield (
        not public(text.listen) or bool(text.secret or text.trusted_networks),
        f"text.listen = {public(text.listen)} lets other machines push to every user: "
        "set text.secret, or name the back ends' networks in text.trusted_networks",
    )
    yield (
        not public(http.listen) or http.allow_public,
        f"http.listen = {public(http.listen)} shows the server's metrics to other machines: "
        "listen on 127.0.0.1, or set http.allow_public = true",
    )


def _workers(config: Config) -> Rules:
    """What several processes can share."""
    workers, last = config.serve.workers, 65_536 - config.serve.workers
    if workers == 1:
        return
    yield (
        bool(config.broker.urls),
        f"serve.workers = {workers} are processes that reach each other's browsers by a broker: "
        "name it, as in `--broker redis://127.0.0.1:6379`",
    )
    for key in ("gateway", "register"):
        yield (
            not getattr(config, key).listen,
            f"{key}.listen is for one process, and serve.workers = {workers} would need as many: "
            f"run servers with a {key} one by one, with a configuration each",
        )
    for key in ("websocket", "text", "http"):
        for address in getattr(config, key).listen:
            where = f"{key}.listen = {address}, with serve.workers = {workers}"
            yield not address.path, f"{where}: processes cannot share a Unix socket: use HOST:PORT"
            yield address.port > 0, f"{where}: each process would have another port: name one"
    for address in config.http.listen:
        yield (
            address.port <= last,
            f"http.listen = {address} is the first of {workers} ports, one for each process: "
            f"it can be {last} at most",
        )


def _gateway(config: Config) -> Rules:
    gateway, address = config.gateway, config.gateway_address
    yield (
        not public(gateway.listen) or bool(gateway.secret),
        f"gateway.listen = {public(gateway.listen)} lets other machines drive this server: "
        "set gateway.secret, which GatewayWorker calls secretKey",
    )
    yield (
        address is None or address.is_ipv4,
        f"gateway.{'advertise' if gateway.advertise else 'listen'} = {address} is told to others, "
        "and is not one IPv4 address, which is all that the wire has: set gateway.advertise to the "
        "IPv4 address and port by which they reach this gateway",
    )
    yield (
        bool(gateway.listen) or not (gateway.advertise or gateway.events),
        "gateway.advertise and gateway.events are for a gateway: set gateway.listen",
    )
    yield (
        gateway.events != "app" or bool(config.app.load),
        'gateway.events = "app" gives events to an application: name it, as in '
        "`pushline serve chat:app`",
    )


def _broker(config: Config) -> Rules:
    most = LONGEST_BETWEEN_NODES // 2  # a list's users go with the line that they are in
    yield (
        not config.broker.urls or config.text.max_line <= most,
        f"text.max_line ({size_text(config.text.max_line)}) is more than the nodes of a cluster "
        f"send each other: {size_text(most)} at most",
    )
    address = config.gateway_address
    yield (
        not config.broker.urls or address is None or address.port > 0,
        f"gateway.listen = {address} has no port yet, by which other nodes know this one: "
        "name one, or set gateway.advertise",
    )


def _register(config: Config) -> Rules:
    register = config.register
    yield (
        not public(register.listen) or bool(register.secret),
        f"register.listen = {public(register.listen)} lets other machines name gateways: "
        "set register.secret, which GatewayWorker calls secretKey",
    )
    for address in register.join:
        yield address.port > 0, f"register.join = {address} has no port to connect to: name it"
    yield (
        not register.join or bool(config.gateway.listen),
        "register.join tells Registers of this gateway, and there is none: set gateway.listen",
    )


def _logins(config: Config) -> Rules:
    auth, reachable = config.auth, public(config.websocket.listen)
    yield config.auth_mode != "token" or bool(auth.secret), _no_secret(config)
    yield (
        config.auth_mode != "app" or config.events != "nobody",
        'auth.mode = "app" leaves logins to an application: name it, as in '
        "`pushline serve chat:app`, or let workers have it, with gateway.listen",
    )
    yield (
        not (config.auth_mode == "open" and reachable) or auth.allow_public_open,
        f'auth.mode = "open" on websocket.listen = {reachable} lets anyone on the network log in '
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
    reachable = public(config.websocket.listen + config.text.listen)
    return (
        f"{reachable} can be reached from other machines, so a login needs a token: "
        "set auth.secret to what tokens are made with, or let anyone log in as anyone with "
        'auth.mode = "open" '
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

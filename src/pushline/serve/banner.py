"""What the terminal shows of a server that has started."""

from dataclasses import replace

from pushline import __version__
from pushline.config import Address, Config
from pushline.config.values import size_text
from pushline.serve.descriptors import FEW, OWN
from pushline.service import Service

_GATEWAY = "GatewayWorker's clients and workers"


def opened(service: Service) -> Config:
    """The configuration of one that has started, with its ports where it has asked for any."""
    config = service.config
    return replace(
        config,
        websocket=replace(config.websocket, listen=tuple(service.websocket)),
        text=replace(config.text, listen=tuple(service.text)),
        http=replace(config.http, listen=tuple(service.http)),
        gateway=replace(config.gateway, listen=tuple(service.gateway)),
        register=replace(config.register, listen=tuple(service.register)),
    )


def banner(config: Config, descriptors: int) -> list[str]:
    """What listens where, at what limits; `descriptors` is how many one process may have."""
    scheme = "wss" if config.websocket.certificate else "ws"
    pages = filter(config.has_demo, config.websocket.listen)
    several = config.serve.workers > 1
    lines = [f"Pushline {__version__}", ""]
    lines += [f"  browsers    {_url(scheme, at)}" for at in config.websocket.listen]
    lines += [f"  back ends   {at}   one line of JSON, one push" for at in config.text.listen]
    lines += [f"  gateway     {at}   {_GATEWAY}" for at in config.gateway.listen]
    lines += [f"  register    {at}" for at in config.register.listen]
    lines += [f"  cluster     {_cluster(config)}"] if config.broker.urls else []
    lines += [f"  operators   http://{at}/ready  http://{at}/metrics" for at in config.http.listen]
    lines += [f"  application {_application(config)}"] if config.events != "nobody" else []
    lines += [f"  demo page   {_url(scheme.replace('ws', 'http'), at)}/" for at in pages if at.host]
    lines += [f"  login       {_login(config)}", f"  limits      {_limits(config, descriptors)}"]
    lines += _processes(config) if several else []
    return [*lines, "", *_warnings(config, descriptors), "  Ctrl-C stops it.", ""]


def _warnings(config: Config, descriptors: int) -> list[str]:
    warnings = []
    if config.auth.secret and config.auth_mode == "open":
        warnings.append(
            'auth.secret is set, and nobody is asked for a token, as auth.mode is "open":'
            " leave auth.mode out, or the secret."
        )
    if descriptors < FEW:
        warnings.append(
            f"only {descriptors} descriptors, one for each connection: raise the limit"
            " with `ulimit -n 100000`, or LimitNOFILE= in a systemd unit."
        )
    return [line for warning in warnings for line in (f"  warning: {warning}", "")]


def _processes(config: Config) -> list[str]:
    workers, app = config.serve.workers, config.app.load
    own = "; process i has port + i for operators" if config.http.listen else ""
    return [
        f"  processes   {workers}, which share the ports; each has these limits{own}",
        f"  renewal     {' '.join(('pushline reload', app)).strip()}",
    ]


def _url(scheme: str, address: Address) -> str:
    return str(address) if address.path else f"{scheme}://{address}"


_PROOFS = {
    "open": "open, every uid is believed",
    "token": "a token is needed",
    "app": "the application decides",
}


def _cluster(config: Config) -> str:
    count = len(config.broker.urls)
    return "Redis" if count == 1 else f"{count} Redises"


def _application(config: Config) -> str:
    return config.app.load if config.events == "app" else "workers, which ask a Register for us"


def _login(config: Config) -> str:
    proof = _PROOFS[config.auth_mode]
    return (
        proof
        if config.auth_mode == "app"
        else f"{proof}; sessions of one uid: {config.auth.sessions}"
    )


def _limits(config: Config, descriptors: int) -> str:
    limits = config.limits
    room = max(0, descriptors - OWN)
    most = min(limits.connections or room, room)
    return (
        f"{most} connections, {size_text(limits.message)} a message, "
        f"{size_text(limits.queue)} waiting for a slow reader"
    )

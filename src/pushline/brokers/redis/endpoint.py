"""Where a Redis is and how it is entered, out of a URL."""

import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote

from pushline.address import Address
from pushline.errors import ConfigError

PORT: Final = 6379
SENTINEL_PORT: Final = 26379

FORMS: Final = (
    "redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss:// with TLS, unix://[USER:PASSWORD@]/PATH, "
    "or redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST...]/SERVICE[/DB] (rediss+sentinel://)"
)
# urlsplit knows of no list of hosts, and would take a # in a password for a fragment.
_URL: Final = re.compile(r"([a-z+]*)://([^/?]*)/?([^?]*)\??(.*)", re.DOTALL)
_SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_TLS_OPTIONS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
_SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")
_TRUTHS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class _WrongError(ValueError):
    """What is wrong with a URL."""


@dataclass(frozen=True, slots=True)
class Login:
    """Both are empty where none is needed; a password alone is the default user's."""

    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One Redis. Its text has no secrets in it.

    `addresses` are those of its Sentinels, where it is a `service` of theirs; else there is one.
    The names of the TLS options are redis-py's; there is TLS where `tls` is not None,
    with `context` for our own connections.
    """

    scheme: str
    addresses: tuple[Address, ...]
    service: str
    database: int
    login: Login
    sentinel_login: Login
    tls: Mapping[str, str | bool] | None
    context: ssl.SSLContext | None = field(compare=False)

    def __str__(self) -> str:
        addresses = ",".join(address.path or str(address) for address in self.addresses)
        service = f"/{self.service}" if self.service else ""
        return f"{self.scheme}://{addresses}{service}" + (
            f"/{self.database}" if self.database else ""
        )


def parse(url: str) -> Endpoint:
    """Of a URL, with the TLS files read.

    Raises ConfigError, in whose text the URL is not: it may hold a password.
    """
    try:
        return _parse(url)
    except _WrongError as error:
        why = f": {error}"
    except ValueError:
        why = ""
    raise ConfigError(f"the URL of a Redis is not right{why}; it is {FORMS}") from None


def _parse(url: str) -> Endpoint:
    match = _URL.fullmatch(url)
    scheme, where, path, query = match.groups() if match else ("", "", "", "")
    if scheme not in _SCHEMES:
        raise _WrongError(f"it does not begin with {_listed(f'{name}://' for name in _SCHEMES)}")
    if "@" in path + query:  # none of it is shown: it may be the rest of a password
        raise _WrongError("in a password / is written %2F, ? is %3F and @ is %40")
    options = _options(scheme, query)
    entry, _, hosts = where.rpartition("@")
    user, _, password = entry.partition(":")
    tls = _tls(options) if scheme.startswith("rediss") else None
    addresses, rest = _places(scheme, hosts, unquote(path))
    service, database = _service(rest) if "sentinel" in scheme else ("", rest)
    return Endpoint(
        scheme,
        addresses,
        service,
        _database(options.get("db", database)),
        Login(
            unquote(user) or options.get("username", ""),
            unquote(password) or options.get("password", ""),
        ),
        Login(options.get("sentinel_username", ""), options.get("sentinel_password", "")),
        tls,
        _context(tls) if tls is not None else None,
    )


def _options(scheme: str, query: str) -> dict[str, str]:
    allowed = (
        *("db", "username", "password"),
        *(_TLS_OPTIONS if scheme.startswith("rediss") else ()),
        *(_SENTINEL_OPTIONS if "sentinel" in scheme else ()),
    )
    options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    for name in options:
        if name not in allowed:
            raise _WrongError(f"{name!r:.40} is none of its options, {_listed(allowed)}")
    return options


def _places(scheme: str, hosts: str, path: str) -> tuple[tuple[Address, ...], str]:
    """The addresses, and what of the path they leave."""
    if scheme == "unix":
        if hosts or not path:
            raise _WrongError("a socket's path begins with a slash, so there are three in all")
        return (Address.parse(f"unix:/{path}"),), ""
    port = SENTINEL_PORT if "sentinel" in scheme else PORT
    each = hosts.split(",") if "sentinel" in scheme else [hosts]
    return tuple(_address(host or "localhost", port) for host in each), path.strip("/")


def _address(text: str, port: int) -> Address:
    has_port = ":" in text.rpartition("]")[2]
    try:
        address = Address.parse(text if has_port else f"{text}:{port}")
    except ValueError:
        raise _WrongError(f"{text!r:.80} is no HOST:PORT") from None
    if not address.port:
        raise _WrongError("no Redis is at port 0")
    return address


def _service(rest: str) -> tuple[str, str]:
    service, _, database = rest.partition("/")
    if not service:
        raise _WrongError("there is no name of a Sentinels' service behind the addresses")
    return service, database


def _database(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10) and text:
        raise _WrongError(f"{text!r:.40} is no number of a database")
    return int(text or 0)


def _tls(options: Mapping[str, str]) -> dict[str, str | bool]:
    tls: dict[str, str | bool] = {name: options[name] for name in _TLS_OPTIONS if options.get(name)}
    if "ssl_check_hostname" in tls:
        truth = _TRUTHS.get(options["ssl_check_hostname"].lower())
        if truth is None:
            raise _WrongError("ssl_check_hostname is true or false")
        tls["ssl_check_hostname"] = truth
    return tls


def _context(tls: Mapping[str, str | bool]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(tls.get("ssl_ca_certs", "")) or None)
        if certificate := str(tls.get("ssl_certfile", "")):
            context.load_cert_chain(certificate, str(tls.get("ssl_keyfile", "")) or None)
    except OSError as error:  # ssl.SSLError too
        raise _WrongError(f"one of its files cannot be used ({error})") from None
    context.check_hostname = bool(tls.get("ssl_check_hostname", True))
    return context


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)

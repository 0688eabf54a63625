"""Opening a connection to a Redis: who we are, and whether it is one that we can use."""

import asyncio
import ssl
from typing import Any, Final

from pushline.address import Address
from pushline.brokers.redis.answers import RefusedError
from pushline.brokers.redis.endpoint import Endpoint
from pushline.brokers.redis.link import Link, command, reason
from pushline.brokers.redis.sentinel import master_of
from pushline.errors import ConfigError, PushlineError, UnavailableError

OLDEST: Final = (6, 2)

CLUSTER: Final = (
    "is part of a Redis Cluster: there every message goes to all of its machines, whether anybody "
    "listens there or not, and nobody learns how many have received it; use a single Redis, "
    "Sentinel, or a list of several that know nothing of each other"
)
SENTINEL: Final = "is a Sentinel: its URL is redis+sentinel://HOST:PORT/SERVICE"
OLD: Final = "is older than Redis 6.2"
_WRONG: Final = {
    "WRONGPASS": "does not take the user or the password in its URL",
    "NOAUTH": "asks for a password, and there is none in its URL",
    "DENIED": "takes nobody from other machines, because it has no password",
}


async def open_link(endpoint: Endpoint, link: Link, name: str, seconds: float) -> None:
    """Connect, log in, and have the connection called `name`.

    Raises ConfigError where it cannot be used as it is, UnavailableError where it may be later.
    Then the link is lost. All that may take so many seconds.
    """
    try:
        async with asyncio.timeout(seconds):
            await _connect(endpoint, link, seconds)
            await _greet(endpoint, link, name)
    except ssl.SSLCertVerificationError as error:
        _give_up(link, ConfigError(f"{link}: its certificate is not trusted ({_said(error)})"))
    except TimeoutError:
        _give_up(link, UnavailableError(f"{link} does not answer within {seconds:g} s"))
    except (OSError, UnicodeError) as error:  # the latter: a host's name that is none
        _give_up(link, UnavailableError(f"{link} cannot be connected to ({reason(error)})"))
    except PushlineError as error:
        _give_up(link, error)
    except BaseException:
        link.lose(UnavailableError(f"{link}: the connection was given up"))
        raise


def _give_up(link: Link, error: PushlineError) -> None:
    link.lose(UnavailableError(str(error)))
    raise error


def _said(error: ssl.SSLCertVerificationError) -> str:
    return error.verify_message or str(error)


async def _connect(endpoint: Endpoint, link: Link, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    address = await _address(endpoint, seconds)
    if address.path:
        await loop.create_unix_connection(lambda: link, address.path)
        return
    tls = endpoint.context
    name = address.host if tls else None
    await loop.create_connection(
        lambda: link, address.host, address.port, ssl=tls, server_hostname=name
    )


async def _address(endpoint: Endpoint, seconds: float) -> Address:
    if endpoint.service:
        return await master_of(endpoint, seconds / (len(endpoint.addresses) + 1))
    return endpoint.addresses[0]


async def _greet(endpoint: Endpoint, link: Link, name: str) -> None:
    user, password = endpoint.login.user, endpoint.login.password
    login = ("AUTH", user or "default", password) if user or password else ()
    hello = await _ask(link, "HELLO", 3, *login, "SETNAME", name)
    _check(link, hello)
    if endpoint.database:
        await _ask(link, "SELECT", endpoint.database)


async def _ask(link: Link, *parts: str | int) -> Any:
    try:
        return await link.ask(command(*parts))
    except RefusedError as error:
        if why := _wrong(error):
            raise ConfigError(f"{link} {why}") from None
        raise UnavailableError(f"{link} is not ready ({error.text})") from None


def _wrong(error: RefusedError) -> str:
    """Why asking again would be of no use; empty where it may be."""
    text = error.text.lower()
    if error.code == "NOPROTO" or "unknown command" in text:
        return OLD
    if error.code == "NOPERM":
        return f"does not allow its user everything that is needed ({error.text})"
    if "db index" in text:
        return "has no database of that number (its `databases`)"
    return _WRONG.get(error.code, "")


def _check(link: Link, hello: Any) -> None:
    try:
        mode, version = hello[b"mode"], _version(hello[b"version"])
        link.id = int(hello[b"id"])
    except (TypeError, KeyError, ValueError):
        raise UnavailableError(f"{link} said what no Redis says: is it one?") from None
    if mode == b"cluster":
        raise ConfigError(f"{link} {CLUSTER}")
    if mode == b"sentinel":
        raise ConfigError(f"{link} {SENTINEL}")
    if version < OLDEST:
        raise ConfigError(f"{link} {OLD}")
    if hello[b"role"] != b"master":  # a Sentinel has none
        raise UnavailableError(f"{link} is only a copy of another Redis")


def _version(text: bytes) -> tuple[int, ...]:
    return tuple(map(int, text.split(b".")[:2]))

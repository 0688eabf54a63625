"""Asking Sentinels where the Redis is that they have made the master.

redis-py does that, and is imported only here: it takes 10 MB, which who has no Sentinel need not.
"""

from pushline.address import Address
from pushline.brokers.redis.endpoint import Endpoint
from pushline.errors import UnavailableError


async def master_of(endpoint: Endpoint, seconds: float) -> Address:
    """The address of the service's master, as the first Sentinel that knows one has it.

    Raises UnavailableError. So many seconds are for each Sentinel.
    """
    from redis.asyncio.retry import Retry
    from redis.asyncio.sentinel import Sentinel
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError

    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [(address.host, address.port) for address in endpoint.addresses],
        sentinel_kwargs={
            "socket_timeout": seconds,
            "socket_connect_timeout": seconds,
            "retry": Retry(NoBackoff(), 0),
            "username": endpoint.sentinel_login.user or None,
            "password": endpoint.sentinel_login.password or None,
            "ssl": endpoint.tls is not None,
            **(endpoint.tls or {}),
        },
    )
    try:
        host, port = await sentinel.discover_master(endpoint.service)
    except (RedisError, OSError) as error:
        raise UnavailableError(f"{endpoint}: no Sentinel knows a master ({error})") from None
    finally:
        for client in sentinel.sentinels:
            await client.aclose()
    return Address(str(host), int(port))

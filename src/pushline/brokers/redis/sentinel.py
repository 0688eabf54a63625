"""Asking Sentinels where the Redis is that they have made the master.

redis-py does that, and is imported only here: it takes 10 MB, which who has no Sentinel need not.
"""

from typing import Any, cast

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
    whys = []
    try:
        for address, client in zip(endpoint.addresses, sentinel.sentinels, strict=True):
            try:
                masters = cast(dict[str, dict[str, Any]], await client.sentinel_masters())
            except (RedisError, OSError) as error:
                whys.append(f"{address}: {error}")
                continue
            state = masters.get(endpoint.service)
            if state and sentinel.check_master_state(state, endpoint.service):
                return Address(str(state["ip"]), int(state["port"]))
            whys.append(f"{address}: {'its master is down' if state else 'no such service'}")
    finally:
        for client in sentinel.sentinels:
            await client.aclose()
    why = f"no Sentinel knows a master of {endpoint.service} ({'; '.join(whys)})"
    raise UnavailableError(f"{endpoint}: {why}")

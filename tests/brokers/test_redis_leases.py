"""Nodes that die, hang, come back, or have the name of another."""

import asyncio
import signal
import time

import pytest

from pushline.brokers.base import Holder
from pushline.errors import ConfigError, UnavailableError
from tests.brokers.node_process import CHANNEL, CLIENT, USER, NodeProcess
from tests.brokers.nodes import PATIENCE, PATIENT, QUICK, A, B, Node, on_redis, started, until
from tests.brokers.servers import RedisServer
from tests.ports import free_port

MINE = "0" * 20


async def is_there(asking: Node) -> bool:
    return (
        await asking.broker.nodes() == (A, B)
        and await asking.broker.subscribers([CHANNEL]) == [1]
        and await asking.broker.whereabouts([USER]) == [{B: 1}]
    )


async def holds(asking: Node) -> bool:
    return await asking.broker.claim(USER, MINE, None) is None


async def is_gone(asking: Node) -> bool:
    return (
        await asking.broker.nodes() == (A,)
        and await asking.broker.subscribers([CHANNEL]) == [0]
        and await asking.broker.whereabouts([USER]) == [{}]
    )


async def test_a_node_that_was_killed_is_gone_within_its_lease(shared_redis: RedisServer) -> None:
    a = on_redis(A, shared_redis.url, prefix="killed:")
    async with started(a):
        with NodeProcess(shared_redis.url, "killed:", B) as b:
            assert await is_there(a)
            assert await a.broker.claim(USER, MINE, None) == Holder(B, CLIENT)
            b.process.kill()
            begun = time.monotonic()
            await until(lambda: is_gone(a))
            await until(lambda: holds(a))
            assert time.monotonic() - begun < QUICK.lease + 2 * QUICK.renew + 1


async def test_a_node_that_hangs_is_counted_no_more_and_comes_back_by_itself(
    shared_redis: RedisServer,
) -> None:
    a = on_redis(A, shared_redis.url, prefix="hung:")
    async with started(a):
        with NodeProcess(shared_redis.url, "hung:", B) as b:
            assert await is_there(a)
            b.process.send_signal(signal.SIGSTOP)
            await until(lambda: is_gone(a))
            b.process.send_signal(signal.SIGCONT)
            await until(lambda: is_there(a))
            assert await a.broker.claim(USER, MINE, None) == Holder(B, CLIENT)


async def test_a_node_that_hung_while_it_was_alone_needs_nobody(shared_redis: RedisServer) -> None:
    with NodeProcess(shared_redis.url, "alone:", B) as b:
        b.process.send_signal(signal.SIGSTOP)
        async with shared_redis.client() as client:
            ends = await client.zscore("alone:nodes", B) or 0

            async def has_ended() -> bool:
                seconds, microseconds = await client.time()
                return seconds * 1000 + microseconds / 1000 > ends + 100

            await until(has_ended)
        b.process.send_signal(signal.SIGCONT)
        a = on_redis(A, shared_redis.url, prefix="alone:")
        async with started(a):
            await until(lambda: is_there(a))


async def test_when_redis_has_hung_for_longer_than_a_lease_nobody_is_taken_for_dead(
    redis_server: RedisServer,
) -> None:
    times = PATIENT._replace(lease=0.5, renew=0.1)
    a, b = (on_redis(name, redis_server.url, timeout=PATIENCE, times=times) for name in (A, B))
    async with started(a, b), redis_server.client() as client:
        b.broker.subscribe(CHANNEL)
        b.broker.present(USER, 1)
        await until(lambda: is_there(a))
        ends = await client.zscore("test:nodes", B) or 0
        redis_server.pause()
        await asyncio.sleep(ends / 1000 - time.time() + 0.1)
        redis_server.resume()
        await until(lambda: is_there(a))
        assert a.broker.counts.reconnects == b.broker.counts.reconnects == 0


async def test_what_a_dead_node_had_is_taken_away_though_it_is_much(
    shared_redis: RedisServer,
) -> None:
    a = on_redis(A, shared_redis.url, prefix="much:")
    async with started(a), shared_redis.client() as client:
        users = [f"user{number}" for number in range(25_000)]
        pairs = [part for user in users for part in (user, 1)]
        await client.hset("much:presence:" + B, items=pairs)
        await client.mset({f"much:claim:{user}": f"{B} {CLIENT}" for user in users})
        await client.set("much:claim:another", f"{A} {MINE}")
        await client.hset("much:node:" + B, items=["name", "b", "client", 0])
        await client.zadd("much:nodes", {B: 1})

        async def is_nothing_left() -> bool:
            left = {key async for key in client.scan_iter("much:*")}
            return left == {"much:nodes", "much:shape", "much:node:" + A, "much:claim:another"}

        await until(is_nothing_left)


async def test_only_the_connection_of_the_dead_node_is_ended(shared_redis: RedisServer) -> None:
    a = on_redis(A, shared_redis.url, prefix="only:")
    async with started(a), shared_redis.client() as client:
        stranger = await client.client_id()
        await client.hset("only:node:" + B, items=["name", "of before", "client", f"{stranger}"])
        await client.zadd("only:nodes", {B: 1})

        async def is_buried() -> bool:
            return not await client.exists("only:node:" + B)

        await until(is_buried)
        assert await client.client_id() == stranger, "its connection was ended"


async def test_who_starts_with_the_name_of_a_dead_node_waits_for_its_lease(
    shared_redis: RedisServer,
) -> None:
    with NodeProcess(shared_redis.url, "again:", B) as b:
        b.process.kill()
        second = on_redis(B, shared_redis.url, prefix="again:")
        async with started(second):
            assert second.broker.ready
            assert await second.broker.whereabouts([USER]) == [{}]
            assert await second.broker.claim(USER, MINE, None) is None


async def test_what_a_dead_node_of_the_same_name_had_is_taken_away_first(
    shared_redis: RedisServer,
) -> None:
    async with shared_redis.client() as client:
        users = [f"user{number}" for number in range(25_000)]
        pairs = [part for user in users for part in (user, 1)]
        await client.hset("first:presence:" + A, items=pairs)
        await client.hset("first:node:" + A, items=["name", "a", "client", 0])
        await client.zadd("first:nodes", {A: 1})
        await client.set("first:claim:user7", f"{A} {CLIENT}")
        a = on_redis(A, shared_redis.url, prefix="first:")
        async with started(a):
            assert not await client.exists("first:claim:user7", "first:presence:" + A)


async def test_who_starts_with_the_name_of_a_living_node_does_not_start(
    shared_redis: RedisServer,
) -> None:
    a = on_redis(A, shared_redis.url, prefix="twice:")
    async with started(a):
        begun = time.monotonic()
        with pytest.raises(ConfigError, match=f"another node has the address {A}.*advertise"):
            await on_redis(A, shared_redis.url, prefix="twice:").start()
        assert time.monotonic() - begun < QUICK.lease
        assert a.broker.ready


async def test_a_node_whose_name_was_taken_while_it_hung_does_not_take_it_back(
    shared_redis: RedisServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with NodeProcess(shared_redis.url, "usurped:", B) as b:
        b.process.send_signal(signal.SIGSTOP)
        second = on_redis(B, shared_redis.url, prefix="usurped:")
        async with started(second):
            b.process.send_signal(signal.SIGCONT)
            said = ""

            def is_told() -> bool:
                nonlocal said
                said += capfd.readouterr().err
                return f"another node has the address {B}" in said

            await until(is_told)
            assert second.broker.ready
            assert second.broker.counts.reconnects == 0


async def test_clusters_with_other_prefixes_and_databases_do_not_see_each_other(
    shared_redis: RedisServer,
) -> None:
    places = [("one:", 0), ("two:", 0), ("one:", 1)]
    nodes = [on_redis(A, f"{shared_redis.url}/{db}", prefix=prefix) for prefix, db in places]
    async with started(*nodes):
        for node in nodes:
            node.broker.subscribe(CHANNEL)
            node.broker.present(USER, 1)
            assert await node.broker.claim(USER, MINE, None) is None
        for node in nodes:
            assert await node.broker.nodes() == (A,)
            assert await node.broker.publish(CHANNEL, b"") == 0
            assert await node.broker.subscribers([CHANNEL]) == [0]


async def test_nothing_is_left_in_redis_when_all_nodes_have_left(shared_redis: RedisServer) -> None:
    nodes = [on_redis(name, shared_redis.url, prefix="left:") for name in (A, B)]
    async with started(*nodes):
        for node in nodes:
            node.broker.subscribe(CHANNEL)
            node.broker.present(node.name.encode(), 1)
            await node.broker.claim(node.name.encode(), MINE, None)
        await until(lambda: is_found(nodes[0]))
    async with shared_redis.client() as client:
        assert [key async for key in client.scan_iter("left:*")] == ["left:shape"]
        names = [one["name"] for one in await client.client_list()]
        assert not any(name.startswith(f"pushline-{A}") for name in names)


async def is_found(asking: Node) -> bool:
    return all(await asking.broker.whereabouts([A.encode(), B.encode()]))


# --- several Redises ------------------------------------------------------------------------------


async def test_a_node_that_has_the_redises_in_another_order_does_not_start(
    shared_redis: RedisServer,
) -> None:
    urls = [f"{shared_redis.url}/{number}" for number in range(3)]
    a = on_redis(A, *urls, prefix="shape:")
    async with started(a):
        more = [f"{shared_redis.url}/3"]
        for others in (urls[::-1], urls[:2], urls[:1], urls + more):
            with pytest.raises(ConfigError, match="the same Redises in the same order"):
                await on_redis(B, *others, prefix="shape:").start()
        assert a.broker.ready
    async with started(on_redis(B, *urls[:2], prefix="shape:")):
        pass  # when nobody else is there, one may begin anew


async def test_when_one_of_several_redises_is_down_the_others_go_on(
    shared_redis: RedisServer, redis_server: RedisServer
) -> None:
    urls = [shared_redis.url, redis_server.url]
    a, b = (on_redis(name, *urls, prefix="several:") for name in (A, B))
    channels = [b"channel%d" % number for number in range(20)]
    async with started(a, b):
        for channel in channels:
            b.broker.subscribe(channel)

        async def are_there() -> bool:
            return await a.broker.subscribers(channels) == [1] * 20

        await until(are_there)
        redis_server.kill()
        await until(lambda: not (a.broker.ready or b.broker.ready))
        went = [await _went(a, channel) for channel in channels]
        assert set(went) == {True, False}
        assert await a.broker.nodes() == (A, B)
        with pytest.raises(UnavailableError, match=str(redis_server.port)):
            await a.broker.subscribers(channels)
        redis_server.start()
        await until(lambda: a.broker.ready and b.broker.ready)
        assert all([await _went(a, channel) for channel in channels])


async def _went(node: Node, channel: bytes) -> bool:
    try:
        return await node.broker.publish(channel, b"") == 1
    except UnavailableError:
        return False


async def test_if_one_of_several_redises_refuses_the_node_is_at_none(
    shared_redis: RedisServer,
) -> None:
    urls = [shared_redis.url, f"{shared_redis.url}/1000000"]
    with pytest.raises(ConfigError, match="database"):
        await on_redis(A, *urls, prefix="none:").start()
    async with shared_redis.client() as client:
        assert [key async for key in client.scan_iter("none:nod*")] == []


async def test_where_no_redis_is_the_start_fails_after_a_while() -> None:
    times = QUICK._replace(join=0.3)
    with pytest.raises(UnavailableError, match="Connection refused"):
        await on_redis(A, f"redis://127.0.0.1:{free_port()}", times=times).start()

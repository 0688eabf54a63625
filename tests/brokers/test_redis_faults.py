"""Redis is killed, comes back, hangs, or is cut off."""

import asyncio
import random
import time
from functools import partial
from typing import Any

import pytest

from pushline.brokers.base import Holder
from pushline.brokers.redis import RedisBroker, membership
from pushline.brokers.redis.link import Link
from pushline.brokers.redis.opening import open_link
from pushline.errors import UnavailableError
from tests.brokers.nodes import PATIENT, QUICK, A, B, C, Node, on_redis, started, until
from tests.brokers.proxy import Proxy
from tests.brokers.servers import RedisServer

ONE, TWO = "0" * 19 + "1", "0" * 19 + "2"
MANY = 15_000


def spread(node: Node, count: int = MANY) -> None:
    """A node with many users."""
    for number in range(count):
        node.broker.subscribe(b"channel%d" % number)
        node.broker.present(b"user%d" % number, 1)


async def is_whole(asking: Node, asked: Node, count: int = MANY) -> bool:
    """Whether those are all there, for other nodes."""
    numbers = range(count)
    return await asking.broker.subscribers([b"channel%d" % number for number in numbers]) == (
        [1] * count
    ) and await asking.broker.whereabouts([b"user%d" % number for number in numbers]) == (
        [{asked.name: 1}] * count
    )


async def fails(node: Node) -> float:
    """Seconds in which a publish has failed."""
    begun = time.monotonic()
    with pytest.raises(UnavailableError):
        await node.broker.publish(b"channel", b"")
    return time.monotonic() - begun


# --- killed and back ------------------------------------------------------------------------------


async def test_while_there_is_no_redis_everything_fails_at_once(redis_server: RedisServer) -> None:
    a = on_redis(A, redis_server.url)
    async with started(a):
        redis_server.kill()
        await until(lambda: not a.broker.ready)
        assert max([await fails(a) for _ in range(10)]) < 0.1
        for attempt in (
            a.broker.subscribers([b"channel"]),
            a.broker.whereabouts([b"user"]),
            a.broker.nodes(),
            a.broker.claim(b"user", ONE, None),
        ):
            with pytest.raises(UnavailableError, match=str(redis_server.port)):
                await attempt
        assert a.broker.counts.failed == 10


async def test_what_was_under_way_when_redis_was_killed_fails_at_once(
    redis_server: RedisServer,
) -> None:
    a = on_redis(A, redis_server.url, timeout=10)
    async with started(a):
        redis_server.pause()
        answers = [a.broker.publish(b"channel", b"") for _ in range(100)]
        await asyncio.sleep(0)
        redis_server.kill()
        done = await asyncio.wait_for(asyncio.gather(*answers, return_exceptions=True), 5)
        assert {type(error) for error in done} == {UnavailableError}
        assert a.broker.counts.failed == 100


async def test_after_redis_came_back_empty_everything_is_as_it_was(
    redis_server: RedisServer,
) -> None:
    a, b = on_redis(A, redis_server.url), on_redis(B, redis_server.url)
    async with started(a, b):
        spread(b)
        await until(lambda: is_whole(a, b))
        assert await b.broker.claim(b"user1", ONE, None) is None
        redis_server.kill()
        await until(lambda: not (a.broker.ready or b.broker.ready))
        redis_server.start()
        await until(lambda: a.broker.ready and b.broker.ready)
        assert await is_whole(a, b), "it was ready before it was whole"
        assert await a.broker.nodes() == (A, B)
        assert await a.broker.claim(b"user1", TWO, None) == Holder(B, ONE)
        assert await a.broker.publish(b"channel1", b"again") == 1
        assert await b.got(1) == [(b"channel1", b"again")]
        assert (b.broker.counts.reconnects, b.broker.counts.gaps) == (1, 1)
        assert (a.broker.counts.reconnects, a.broker.counts.gaps) == (1, 0), "it missed nothing"


async def test_what_changes_while_there_is_no_redis_holds_afterwards(
    redis_server: RedisServer,
) -> None:
    a, b = on_redis(A, redis_server.url), on_redis(B, redis_server.url)
    async with started(a, b):
        spread(b, 10)
        await until(lambda: is_whole(a, b, 10))
        redis_server.kill()
        await until(lambda: not (a.broker.ready or b.broker.ready))
        b.broker.unsubscribe(b"channel1")
        b.broker.present(b"user1", 0)
        b.broker.subscribe(b"new")
        b.broker.present(b"user2", 7)
        redis_server.start()
        await until(lambda: a.broker.ready and b.broker.ready)
        assert await a.broker.subscribers([b"channel1", b"channel2", b"new"]) == [0, 1, 1]
        assert await a.broker.whereabouts([b"user1", b"user2"]) == [{}, {B: 7}]


async def test_a_redis_that_has_lost_its_data_is_noticed_though_the_connection_stays(
    redis_server: RedisServer,
) -> None:
    a, b = on_redis(A, redis_server.url), on_redis(B, redis_server.url)
    async with started(a, b):
        spread(b, 10)
        await b.broker.claim(b"user1", ONE, None)
        async with redis_server.client() as client:
            await client.flushall()
        await until(lambda: is_whole(a, b, 10))
        await until(lambda: _holds(a, Holder(B, ONE)))
        assert b.broker.counts.reconnects == 0


async def _holds(asking: Node, holder: Holder) -> bool:
    return await asking.broker.claim(b"user1", TWO, None) == holder


async def test_the_reason_is_in_the_log_once_and_how_long_it_took(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = 0

    async def counted(*arguments: Any) -> None:
        nonlocal attempts
        attempts += 1
        await open_link(*arguments)

    monkeypatch.setattr(membership, "open_link", counted)
    a = on_redis(A, redis_server.url)
    async with started(a):
        a.broker.subscribe(b"channel")
        redis_server.kill()
        await until(lambda: attempts > 5)
        redis_server.start()
        await until(lambda: a.broker.ready)
        assert caplog.text.count("Connection refused") == 1
        assert caplog.text.count("only the clients of this node are reached") == 1
        assert "sent to 1 channels was missed" in caplog.text


# --- hung or cut off ------------------------------------------------------------------------------


async def test_a_redis_that_hangs_is_not_ready_and_comes_back(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = on_redis(A, redis_server.url), on_redis(B, redis_server.url)
    async with started(a, b):
        spread(b, 100)
        await until(lambda: is_whole(a, b, 100))
        redis_server.pause()
        assert 0.3 < await fails(a) < 0.8, "the time-out is 0.4 s"
        assert not a.broker.ready
        await until(lambda: "does not answer; until it is back" in caplog.text)
        assert await fails(a) < 0.1, "the connection has been given up"
        redis_server.resume()
        await until(lambda: a.broker.ready and b.broker.ready)
        await until(lambda: is_whole(a, b, 100))
        assert await a.broker.publish(b"channel1", b"") == 1


async def test_a_redis_that_hangs_for_a_moment_is_ready_when_it_has_answered(
    redis_server: RedisServer,
) -> None:
    a = on_redis(A, redis_server.url, times=PATIENT)
    async with started(a):
        redis_server.pause()
        await fails(a)
        assert not a.broker.ready
        redis_server.resume()
        await until(lambda: a.broker.ready)
        assert a.broker.counts.reconnects == 0
        assert await a.broker.publish(b"channel", b"") == 0


async def test_a_node_that_was_cut_off_is_gone_for_the_others_and_comes_back_whole(
    redis_server: RedisServer,
) -> None:
    async with Proxy(redis_server.port) as proxy:
        a, b = on_redis(A, redis_server.url), on_redis(B, proxy.url)
        async with started(a, b):
            spread(b, 100)
            await b.broker.claim(b"user1", ONE, None)
            await until(lambda: is_whole(a, b, 100))
            proxy.hold()
            await until(lambda: _is_gone(a, 100))
            assert not b.broker.ready
            assert await a.broker.publish(b"channel1", b"") == 0
            proxy.let()
            await until(lambda: b.broker.ready)
            assert await is_whole(a, b, 100)
            assert await a.broker.claim(b"user1", TWO, None) == Holder(B, ONE)


async def _is_gone(asking: Node, count: int) -> bool:
    numbers = range(count)
    return (
        await asking.broker.nodes() == (asking.name,)
        and not any(await asking.broker.whereabouts([b"user%d" % number for number in numbers]))
        and not any(await asking.broker.subscribers([b"channel%d" % number for number in numbers]))
    )


async def test_an_old_connection_that_redis_still_has_is_counted_no_more(
    redis_server: RedisServer,
) -> None:
    async with Proxy(redis_server.port) as proxy:
        lasting = QUICK._replace(lease=60)
        a, b = on_redis(A, redis_server.url), on_redis(B, proxy.url, times=lasting)
        async with started(a, b):
            b.broker.subscribe(b"channel")
            await a.sees(b"channel", 1)
            proxy.freeze()
            await until(lambda: b.broker.counts.reconnects == 1)
            assert await a.broker.publish(b"channel", b"") == 1
            assert await b.broker.publish(b"channel", b"") == 0


async def test_connections_that_are_cut_again_and_again_are_made_again(
    redis_server: RedisServer,
) -> None:
    async with Proxy(redis_server.port) as proxy:
        a, b = on_redis(A, redis_server.url), on_redis(B, proxy.url)
        async with started(a, b):
            spread(b, 1000)
            for cuts in range(1, 6):
                proxy.cut()
                await until(partial(_has_reconnected, b, cuts))
            await until(lambda: b.broker.ready)
            assert await is_whole(a, b, 1000)


def _has_reconnected(node: Node, times: int) -> bool:
    return node.broker.counts.reconnects >= times


async def test_nothing_queues_without_bound(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushline.brokers.redis.link.PENDING", 100)
    a = on_redis(A, redis_server.url, timeout=5)
    async with started(a):
        redis_server.pause()
        answers = [a.broker.publish(b"channel", b"") for _ in range(200)]
        assert sum(answer.done() for answer in answers) >= 100
        redis_server.resume()
        done = await asyncio.gather(*answers, return_exceptions=True)
        assert done[:50] == [0] * 50
        assert isinstance(done[-1], UnavailableError)
        assert await a.broker.publish(b"channel", b"") == 0


async def test_what_redis_does_not_read_is_bounded_in_bytes(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushline.brokers.redis.link.UNSENT", 1 << 20)
    a = on_redis(A, redis_server.url, timeout=5, times=PATIENT)
    async with started(a):
        redis_server.pause()
        answers = []
        for _ in range(100):
            answers.append(a.broker.publish(b"channel", bytes(1 << 20)))
            await asyncio.sleep(0)
        assert sum(answer.done() for answer in answers) > 50
        redis_server.resume()
        done = await asyncio.gather(*answers, return_exceptions=True)
        assert done[0] == 0
        await until(lambda: _is_published(a))


async def _is_published(node: Node) -> bool:
    try:
        return await node.broker.publish(b"channel", b"") == 0
    except UnavailableError:
        return False


# --- ill ------------------------------------------------------------------------------------------


async def test_a_redis_whose_memory_is_full_still_carries_messages_and_recovers(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = on_redis(A, redis_server.url), on_redis(B, redis_server.url)
    async with started(a, b), redis_server.client() as client:
        b.broker.subscribe(b"channel")
        await a.sees(b"channel", 1)
        await client.config_set("maxmemory", "1")
        b.broker.present(b"user", 1)
        await until(lambda: not (a.broker.ready or b.broker.ready))
        assert await a.broker.publish(b"channel", b"") == 1
        assert "the lease could not be renewed" in caplog.text
        await client.config_set("maxmemory", "0")
        await until(lambda: a.broker.ready and b.broker.ready)
        assert await a.broker.whereabouts([b"user"]) == [{B: 1}]
        assert a.broker.counts.reconnects == b.broker.counts.reconnects == 0


async def test_scripts_that_redis_has_forgotten_are_sent_again(redis_server: RedisServer) -> None:
    a, b = on_redis(A, redis_server.url), on_redis(B, redis_server.url)
    async with started(a, b), redis_server.client() as client:
        await client.script_flush()
        assert await a.broker.claim(b"user", ONE, None) is None
        await client.script_flush()
        assert await b.broker.claim(b"user", ONE, None) == Holder(A, ONE)
        await client.script_flush()
        a.broker.release(b"user", ONE)
        await until(lambda: _is_free(b))


async def _is_free(asking: Node) -> bool:
    return await asking.broker.claim(b"user", ONE, None) is None


async def test_who_has_lost_a_user_while_it_was_cut_off_is_told_when_it_is_back(
    redis_server: RedisServer,
) -> None:
    async with Proxy(redis_server.port) as proxy:
        a = on_redis(A, redis_server.url)
        b = on_redis(B, f"redis://127.0.0.1:{proxy.port}")
        async with started(a, b):
            await b.broker.claim(b"lost", ONE, None)
            await b.broker.claim(b"kept", ONE, None)
            await proxy.shut()
            await until(lambda: not b.broker.ready)
            await a.broker.seize(b"lost", TWO)
            assert b.ousted == []
            await proxy.open()
            await until(lambda: b.broker.ready)
            assert b.ousted == [(b"lost", ONE)]
            assert await a.broker.claim(b"kept", TWO, None) == Holder(B, ONE)


async def test_when_redis_has_forgotten_all_the_newest_has_the_user_whoever_is_back_first(
    redis_server: RedisServer,
) -> None:
    a, b = on_redis(A, redis_server.url), on_redis(B, redis_server.url)

    async def seized() -> bool:
        try:
            await a.broker.seize(b"user", TWO)
        except UnavailableError:  # Redis does not know the node
            return False
        return True

    async with started(a, b), redis_server.client() as client:
        await a.broker.seize(b"user", TWO)
        for _ in range(5):
            await b.broker.seize(b"user", ONE)
            await until(lambda: bool(a.ousted))
            a.ousted.clear()
            b.ousted.clear()
            await asyncio.sleep(random.uniform(0, QUICK.renew))  # either is next
            await client.flushall()
            await until(seized)
            await until(lambda: bool(b.ousted))
            await until(lambda: a.broker.ready and b.broker.ready)
            assert await b.broker.claim(b"user", "3" * 20, None) == Holder(A, TWO)
            assert a.ousted == []


async def test_writing_anew_may_take_longer_than_the_lease(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = on_redis(A, redis_server.url), on_redis(B, redis_server.url)
    async with started(a, b), redis_server.client() as client:
        spread(b, 10)
        assert isinstance(b.broker, RedisBroker)
        (shard,) = b.broker.shards
        check, begun = shard.check, asyncio.Event()

        async def slowly(link: Link, fresh: bool) -> None:
            begun.set()
            await check(link, fresh)
            await asyncio.sleep(2 * QUICK.lease)

        monkeypatch.setattr(shard, "check", slowly)
        await begun.wait()
        await client.flushall()
        await until(lambda: is_whole(a, b, 10))
        await asyncio.sleep(2 * QUICK.lease)
        assert b.broker.counts.reconnects == 0
        assert await a.broker.nodes() == (A, B)


async def test_who_has_left_while_there_was_no_connection_holds_nothing(
    redis_server: RedisServer,
) -> None:
    async with Proxy(redis_server.port) as proxy:
        a = on_redis(A, f"redis://127.0.0.1:{proxy.port}")
        async with started(a), redis_server.client() as client:
            await a.broker.claim(b"left", ONE, None)
            await a.broker.claim(b"stays", TWO, None)
            await proxy.shut()
            await until(lambda: not a.broker.ready)
            a.broker.release(b"left", ONE)
            for _ in range(100):
                with pytest.raises(UnavailableError):
                    await a.broker.seize(b"tried", ONE)
            await proxy.open()
            await until(lambda: a.broker.ready)

            async def is_released() -> bool:
                return await client.keys("test:claim:*") == ["test:claim:stays"]

            await until(is_released)


async def test_a_claim_that_was_not_answered_in_time_is_taken_back(
    redis_server: RedisServer,
) -> None:
    a, b = (on_redis(name, redis_server.url, times=PATIENT) for name in (A, B))
    async with started(a, b):
        redis_server.pause()
        with pytest.raises(UnavailableError):
            await a.broker.claim(b"user", ONE, None)
        redis_server.resume()
        await until(lambda: a.broker.ready and b.broker.ready)
        assert await b.broker.claim(b"user", TWO, None) is None


async def test_a_node_stops_though_redis_hangs(redis_server: RedisServer) -> None:
    a = on_redis(A, redis_server.url, times=PATIENT)
    await a.start()
    redis_server.pause()
    begun = time.monotonic()
    await a.broker.stop()
    assert time.monotonic() - begun < 2
    assert not a.broker.ready


async def test_a_node_stops_though_there_is_no_redis(redis_server: RedisServer) -> None:
    a = on_redis(A, redis_server.url)
    await a.start()
    redis_server.kill()
    await until(lambda: not a.broker.ready)
    await a.broker.stop()


# --- slow -----------------------------------------------------------------------------------------


async def test_receivers_are_counted_exactly_whatever_is_delayed(shared_redis: RedisServer) -> None:
    chance = random.Random(5)
    async with Proxy(shared_redis.port) as proxy:
        proxy.delay = lambda: chance.choice((0, 0, 0.001, 0.01))
        a = on_redis(A, proxy.url, prefix="exact:", timeout=10)
        b, c = (on_redis(name, shared_redis.url, prefix="exact:") for name in (B, C))
        async with started(a, b, c):
            for node in (b, c):
                node.broker.subscribe(b"channel")
            await a.sees(b"channel", 2)
            answers, counts = [], []
            for _ in range(3000):
                chance.choice((a.broker.subscribe, a.broker.unsubscribe, _nothing))(b"channel")
                answers.append(a.broker.publish(b"channel", b""))
                if chance.random() < 0.1:
                    counts.append(asyncio.create_task(a.broker.subscribers([b"channel"])))
                if chance.random() < 0.3:
                    await asyncio.sleep(chance.choice((0, 0, 0.001)))
            assert set(await asyncio.gather(*answers)) == {2}
            assert all(count == [2] for count in await asyncio.gather(*counts))
            assert len(await b.got(3000)) == len(await c.got(3000)) == 3000
            assert a.received == []


def _nothing(channel: bytes) -> None:
    pass

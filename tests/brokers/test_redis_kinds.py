"""The kinds of Redis that there are, and those that are refused."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushline.brokers.redis import RedisBroker
from pushline.errors import ConfigError, UnavailableError
from tests.brokers.node_process import NodeProcess
from tests.brokers.nodes import QUICK, A, B, Node, on_redis, started, until
from tests.brokers.servers import RedisServer
from tests.certificates import Authority
from tests.ports import free_port

ALLOWED = (
    "+hello +auth +select +reset +subscribe +unsubscribe +publish +pubsub|numsub +eval +evalsha "
    "+client|list +client|kill +client|setname +time +get +set +del +unlink +rename "
    "+hset +hget +hmget +hdel +hlen +hrandfield +zadd +zrem +zscore +zcount +zrangebyscore"
)
"""All that a node does, for the documentation too."""


async def works(*nodes: Node) -> None:
    """Two nodes have all that there is."""
    a, b = nodes
    async with started(a, b):
        b.broker.subscribe(b"channel")
        b.broker.present(b"user", 2)
        await a.sees(b"channel", 1)
        assert await a.broker.publish(b"channel", b"hello") == 1
        assert await b.got(1) == [(b"channel", b"hello")]
        await a.finds(b"user", {B: 2})
        assert await a.broker.claim(b"user", "1" * 20, None) is None
        assert await b.broker.claim(b"user", "2" * 20, None) is not None
        assert await b.broker.nodes() == (A, B)


async def both_work(url: str, prefix: str = "test:") -> None:
    await works(on_redis(A, url, prefix=prefix), on_redis(B, url, prefix=prefix))


async def refuses(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as raised:
        await on_redis(A, url).start()
    assert "secret" not in str(raised.value)


# --- entering -------------------------------------------------------------------------------------


async def test_a_password(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--requirepass", "secret") as server:
        await both_work(f"redis://:secret@127.0.0.1:{server.port}")
        await both_work(f"redis://default:secret@127.0.0.1:{server.port}")
        await refuses(f"redis://:other-secret@127.0.0.1:{server.port}", "password in its URL")
        await refuses(f"redis://127.0.0.1:{server.port}", "asks for a password")


async def test_a_user_who_may_do_only_what_is_needed_with_the_prefix(tmp_path: Path) -> None:
    rights = f"user node on >secret ~mine:* &mine:* {ALLOWED}"
    with RedisServer(tmp_path, "--user", *rights.split()[1:]) as server:
        url = f"redis://node:secret@127.0.0.1:{server.port}/3"
        await both_work(url, "mine:")
        with pytest.raises(UnavailableError, match="NOPERM"):
            await on_redis(A, url, prefix="yours:", times=QUICK._replace(join=0)).start()
        await refuses(f"redis://other:secret@127.0.0.1:{server.port}", "the user or the password")


async def test_a_user_who_may_not_subscribe_is_told_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rights = "node on >secret ~* &mine:0:.* +@all"
    with RedisServer(tmp_path, "--user", *rights.split()) as server:
        node = on_redis(A, f"redis://node:secret@127.0.0.1:{server.port}", prefix="mine:")
        async with started(node):
            node.broker.subscribe(b"channel")
            await until(lambda: "does not let us subscribe (NOPERM" in caplog.text)
            assert not node.broker.ready


async def test_a_user_who_may_not_publish_is_told_so(tmp_path: Path) -> None:
    rights = "node on >secret ~* &* +@all -publish"
    with RedisServer(tmp_path, "--user", *rights.split()) as server:
        node = on_redis(A, f"redis://node:secret@127.0.0.1:{server.port}")
        async with started(node):
            with pytest.raises(UnavailableError, match="NOPERM"):
                await node.broker.publish(b"channel", b"")
            assert node.broker.counts.failed == 1


async def test_a_user_who_may_not_end_connections_is_told_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rights = "node on >secret ~* &* +@all -client|kill"
    with RedisServer(tmp_path, "--user", *rights.split()) as server:
        url = f"redis://node:secret@127.0.0.1:{server.port}"
        a = on_redis(A, url)
        with NodeProcess(url, "test:", B) as b:
            b.process.send_signal(signal.SIGSTOP)
            async with started(a):
                await until(lambda: "does not let us end the connection" in caplog.text)
                await until(lambda: _is_alone(a))


async def _is_alone(node: Node) -> bool:
    return await node.broker.nodes() == (node.name,)


async def test_a_unix_socket(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--unixsocket", str(tmp_path / "redis.sock")):
        await both_work(f"unix://{tmp_path}/redis.sock?db=2")


async def test_a_database(shared_redis: RedisServer) -> None:
    await both_work(f"{shared_redis.url}/7")
    await refuses(f"{shared_redis.url}/1000", "no database of that number")


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls_server(tmp_path: Path, authority: Authority) -> Iterator[RedisServer]:
    options = [
        *("--tls-cert-file", authority.certificate, "--tls-key-file", authority.key),
        *("--tls-ca-cert-file", authority.root, "--tls-auth-clients", "optional"),
    ]
    with RedisServer(tmp_path, *options, tls=True) as server:
        yield server


async def test_tls(tls_server: RedisServer, authority: Authority) -> None:
    await both_work(f"rediss://127.0.0.1:{tls_server.port}?ssl_ca_certs={authority.root}")
    await both_work(
        f"rediss://localhost:{tls_server.port}?ssl_ca_certs={authority.root}&ssl_check_hostname=false"
    )


async def test_a_certificate_that_is_not_trusted_is_refused(
    tls_server: RedisServer, authority: Authority
) -> None:
    port = tls_server.port
    await refuses(f"rediss://127.0.0.1:{port}", "its certificate is not trusted")
    await refuses(
        f"rediss://localhost:{port}?ssl_ca_certs={authority.root}", "not trusted.*localhost"
    )


async def test_where_there_is_no_tls_none_is_spoken(shared_redis: RedisServer) -> None:
    node = on_redis(A, f"rediss://127.0.0.1:{shared_redis.port}", times=QUICK._replace(join=0))
    with pytest.raises(UnavailableError, match=str(shared_redis.port)):
        await node.start()


# --- Sentinel -------------------------------------------------------------------------------------


@pytest.fixture
def replica(tmp_path: Path, redis_server: RedisServer) -> Iterator[RedisServer]:
    folder = tmp_path / "replica"
    folder.mkdir()
    with RedisServer(folder, "--replicaof", "127.0.0.1", str(redis_server.port)) as server:
        yield server


@pytest.fixture
def sentinel(
    tmp_path: Path, redis_server: RedisServer, replica: RedisServer
) -> Iterator[RedisServer]:
    settings = tmp_path / "sentinel.conf"
    settings.write_text(
        f"sentinel monitor service 127.0.0.1 {redis_server.port} 1\n"
        "sentinel down-after-milliseconds service 300\n"
        "sentinel failover-timeout service 2000\n"
    )
    with RedisServer(tmp_path, str(settings), "--sentinel") as server:
        yield server


async def test_sentinels_say_where_the_master_is_and_again_after_a_failover(
    sentinel: RedisServer, redis_server: RedisServer, replica: RedisServer
) -> None:
    async with sentinel.client() as client, replica.client() as copy:

        async def is_copied() -> bool:
            return bool((await copy.info("replication"))["master_link_status"] == "up")

        async def is_known() -> bool:
            return bool(await client.sentinel_slaves("service"))

        await until(is_copied)
        await until(is_known)
    urls = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/service"
    await both_work(urls)
    a, b = on_redis(A, urls), on_redis(B, urls)
    async with started(a, b):
        b.broker.subscribe(b"channel")
        b.broker.present(b"user", 1)
        await a.sees(b"channel", 1)
        redis_server.kill()
        await until(lambda: not (a.broker.ready or b.broker.ready))
        await until(lambda: a.broker.ready and b.broker.ready)
        assert await a.broker.publish(b"channel", b"") == 1
        assert await a.broker.whereabouts([b"user"]) == [{B: 1}]


async def test_where_no_sentinel_knows_the_service_the_start_fails(sentinel: RedisServer) -> None:
    """And says what each has said."""
    port = free_port()
    url = f"redis+sentinel://127.0.0.1:{sentinel.port},127.0.0.1:{port}/another"
    said = (
        r"no Sentinel knows a master of another "
        rf"\(127.0.0.1:{sentinel.port}: no such service; 127.0.0.1:{port}: .*refused.*\)$"
    )
    with pytest.raises(UnavailableError, match=said) as raised:
        await on_redis(A, url, times=QUICK._replace(join=0)).start()
    assert len(str(raised.value)) < 300


def test_a_redis_that_is_named_twice_is_refused() -> None:
    url = "redis://127.0.0.1:6379/1"
    with pytest.raises(ConfigError, match=r"redis://127\.0\.0\.1:6379/1 is named twice"):
        RedisBroker([url, "redis://127.0.0.1:6379/2", url])


async def test_a_sentinel_is_no_redis(sentinel: RedisServer) -> None:
    await refuses(sentinel.url, r"is a Sentinel: its URL is redis\+sentinel://")


async def test_a_copy_is_no_master(replica: RedisServer, redis_server: RedisServer) -> None:
    node = on_redis(A, replica.url, times=QUICK._replace(join=0))
    with pytest.raises(UnavailableError, match="only a copy"):
        await node.start()


async def test_a_master_that_becomes_a_copy_is_left(
    redis_server: RedisServer, shared_redis: RedisServer
) -> None:
    node = on_redis(A, redis_server.url)
    async with started(node), redis_server.client() as client:
        await client.replicaof("127.0.0.1", str(shared_redis.port))
        await until(lambda: not node.broker.ready)
        await client.replicaof("NO", "ONE")
        await until(lambda: node.broker.ready)


# --- those that cannot be used --------------------------------------------------------------------


async def test_a_redis_cluster_is_refused_with_the_reason(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--cluster-enabled", "yes") as server:
        await refuses(server.url, "part of a Redis Cluster: there every message goes to all")


@pytest.mark.parametrize(
    ("said", "error", "why"),
    [
        (b"-ERR unknown command 'HELLO'\r\n", ConfigError, "older than Redis 6.2"),
        (b"-NOPROTO unsupported protocol version\r\n", ConfigError, "older than Redis 6.2"),
        (
            b"%3\r\n+version\r\n+6.0.16\r\n+mode\r\n+standalone\r\n+id\r\n:1\r\n",
            ConfigError,
            "6.2",
        ),
        (b"-DENIED Redis is running in protected mode\r\n", ConfigError, "from other machines"),
        (b"-NOPERM this user has no permissions\r\n", ConfigError, "everything that is needed"),
        (b"-LOADING Redis is loading\r\n", UnavailableError, "not ready .LOADING"),
        (b"-ERR max number of clients reached\r\n", UnavailableError, "not ready .ERR max"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", UnavailableError, "what no Redis says"),
        (b":1\r\n:2\r\n", UnavailableError, "what no Redis says"),
        (
            b">3\r\n+message\r\n+a\r\n+b\r\n>2\r\n+subscribe\r\n+a\r\n",
            UnavailableError,
            "no Redis says",
        ),
        (b"", UnavailableError, "does not answer within"),
        (None, UnavailableError, "the connection was lost"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_the_reason(
    said: bytes | None, error: type[Exception], why: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if said is not None:
            writer.write(said)
            await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as stranger:
        port = stranger.sockets[0].getsockname()[1]
        node = on_redis(A, f"redis://127.0.0.1:{port}", times=QUICK._replace(join=0))
        with pytest.raises(error, match=why):
            await node.start()


async def test_messages_of_another_version_are_dropped(shared_redis: RedisServer) -> None:
    a, b = (on_redis(name, shared_redis.url, prefix="version:") for name in (A, B))
    async with started(a, b), shared_redis.client() as client:
        b.broker.subscribe(b"channel")
        await a.sees(b"channel", 1)
        for message in (b"", b"\x01\x00short", b"\x02\x00nnnnnnpayload", b"hello there"):
            await client.publish("version:0:channel", message)
        await a.broker.publish(b"channel", b"last")
        assert await b.got(1) == [(b"channel", b"last")]
        assert b.broker.counts.strange == 4

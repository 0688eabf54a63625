import ssl
from pathlib import Path

import pytest

from pushline.address import Address
from pushline.brokers.redis import RedisBroker
from pushline.brokers.redis.endpoint import Endpoint, Login, parse
from pushline.errors import ConfigError
from tests.certificates import Authority

LOCAL = Address("localhost", 6379)


@pytest.mark.parametrize(
    ("url", "address", "database", "text"),
    [
        ("redis://", LOCAL, 0, "redis://localhost:6379"),
        ("redis:///3", LOCAL, 3, "redis://localhost:6379/3"),
        ("redis://localhost/", LOCAL, 0, "redis://localhost:6379"),
        ("redis://10.0.0.1:7000/15", Address("10.0.0.1", 7000), 15, "redis://10.0.0.1:7000/15"),
        ("redis://[::1]", Address("::1", 6379), 0, "redis://[::1]:6379"),
        ("redis://[::1]:7000?db=2", Address("::1", 7000), 2, "redis://[::1]:7000/2"),
        ("unix:///run/redis.sock", Address(path="/run/redis.sock"), 0, "unix:///run/redis.sock"),
        ("unix:///a%20b?db=4", Address(path="/a b"), 4, "unix:///a b/4"),
    ],
)
def test_a_url_says_where_a_redis_is(url: str, address: Address, database: int, text: str) -> None:
    endpoint = parse(url)
    assert (endpoint.addresses, endpoint.service) == ((address,), "")
    assert (endpoint.database, endpoint.tls, endpoint.context) == (database, None, None)
    assert str(endpoint) == text


@pytest.mark.parametrize(
    ("url", "user", "password"),
    [
        ("redis://h", "", ""),
        ("redis://:pass@h", "", "pass"),
        ("redis://user:pass@h", "user", "pass"),
        ("redis://u%40:p%2F%3A%40ss@h/1", "u@", "p/:@ss"),
        ("redis://:#:@@h", "", "#:@"),
        ("redis://h?username=user&password=p%20", "user", "p "),
        ("unix://user:pass@/run/redis.sock", "user", "pass"),
        ("redis+sentinel://user:pass@h/service", "user", "pass"),
    ],
)
def test_a_url_says_who_we_are(url: str, user: str, password: str) -> None:
    endpoint = parse(url)
    assert endpoint.login == Login(user, password)
    if password:
        assert password not in str(endpoint) + repr(endpoint)


def test_a_url_of_sentinels_names_them_all_and_their_service() -> None:
    endpoint = parse(
        "redis+sentinel://one,10.0.0.2:5000,[::3]/my%20master/5"
        "?sentinel_username=s&sentinel_password=p"
    )
    assert endpoint.addresses == (
        Address("one", 26379),
        Address("10.0.0.2", 5000),
        Address("::3", 26379),
    )
    assert (endpoint.service, endpoint.database) == ("my master", 5)
    assert endpoint.sentinel_login == Login("s", "p")
    assert str(endpoint) == "redis+sentinel://one:26379,10.0.0.2:5000,[::3]:26379/my master/5"


def test_tls_is_checked_against_the_systems_authorities_or_a_file(tmp_path: Path) -> None:
    context = parse("rediss://h").context
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    authority = Authority(tmp_path)
    own = parse(
        f"rediss+sentinel://h/service?ssl_ca_certs={authority.certificate}"
        f"&ssl_certfile={authority.certificate}&ssl_keyfile={authority.key}&ssl_check_hostname=no"
    )
    assert own.context is not None
    assert not own.context.check_hostname
    assert own.tls == {
        "ssl_ca_certs": authority.certificate,
        "ssl_certfile": authority.certificate,
        "ssl_keyfile": authority.key,
        "ssl_check_hostname": False,
    }


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "does not begin with redis://"),
        ("localhost:6379", "does not begin with"),
        ("http://localhost", "does not begin with"),
        ("redis://h#1", "no HOST:PORT"),
        ("redis://h:0", "port 0"),
        ("redis://h:66666", "no HOST:PORT"),
        ("redis://h:x", "no HOST:PORT"),
        ("redis://a,b", "no HOST:PORT"),
        ("redis://[::1", ""),
        ("redis://h/x", "no number of a database"),
        ("redis://h/-1", "no number of a database"),
        ("redis://h/1/2", "no number of a database"),
        ("redis://h/9999999999", "no number of a database"),
        ("redis://h?protocol=3", "'protocol' is none of its options, db, username, password"),
        ("redis://h?ssl_ca_certs=x", "none of its options"),
        ("redis://h?db", ""),
        ("rediss://h?ssl_cert_reqs=none", "none of its options"),
        ("rediss://h?ssl_check_hostname=perhaps", "true or false"),
        ("rediss://h?ssl_ca_certs=/nowhere", "files cannot be used .*No such file"),
        ("unix://run/redis.sock", "three in all"),
        ("unix://", "three in all"),
        ("unix:///", "three in all"),
        ("redis://u:p/@h", "written %2F"),
        ("redis+sentinel://h", "no name of a Sentinels' service"),
        ("redis+sentinel://h/service/x", "no number of a database"),
    ],
)
def test_what_is_no_url_of_a_redis_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"URL of a Redis is not right.*{why}.*redis://"):
        parse(url)


@pytest.mark.parametrize(
    "url", ["http://u:secret@h", "redis://u:secret@h:x", "redis://u:secret@[h"]
)
def test_what_is_wrong_with_a_url_is_said_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(url)
    assert "secret" not in str(raised.value)


def test_equal_urls_are_equal_endpoints() -> None:
    assert parse("rediss://h") == parse("rediss://h:6379/0")
    assert parse("rediss://h") != parse("redis://h")
    assert isinstance(parse("redis://h"), Endpoint)


@pytest.mark.parametrize("prefix", ["", "a b", "ä", "\n", "p" * 65])
def test_a_prefix_is_some_ascii_without_blanks(prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"broker\.prefix"):
        RedisBroker(["redis://h"], prefix=prefix)


def test_a_broker_needs_a_url() -> None:
    with pytest.raises(ConfigError, match="no URL"):
        RedisBroker([])

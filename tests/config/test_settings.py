"""The settings: every kind of wrong value, which source wins, what is unsafe, what is shown."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import FrozenInstanceError, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.config import KEYS, Address, check, describe, load
from pushline.config.sections import Auth, Config
from pushline.config.settings import SECTIONS
from pushline.config.sources import Key, Name
from pushline.config.values import MASK, quoted
from pushline.errors import ConfigError

Case = tuple[Key, str]
HUGE = "0x" + "f" * 10_000
"""More digits in base 10 than str() of an integer takes."""
OF_NO_KIND = ["{}", "{ x = 1 }", "[[]]", "[{}]", "2020-01-01", "nan", "inf", "-inf", "-1", HUGE]
"""TOML that no key takes."""

TIMES = [
    *("auth.timeout", "auth.challenge", "heartbeat.ping", "heartbeat.pong", "heartbeat.timeout"),
    *("app.connect_time", "app.sync_timeout", "app.slow"),
    *("limits.head_time", "limits.tls_time", "limits.close_timeout", "shutdown.time"),
    *("gateway.worker_wait", "worker.start_time", "worker.stop_time"),
    *("worker.hang_time", "serve.start_time", "serve.hang_time", "broker.timeout"),
]
SIZES = [
    *("text.max_line", "limits.queue", "limits.message", "limits.request_line", "limits.head"),
    *("limits.socket_buffer", "gateway.max_frame"),
]
COUNTS = [
    *("text.pipeline", "text.connections", "limits.headers", "limits.backlog"),
    *("limits.connections", "app.queue", "app.threads", "gateway.worker_queue"),
    *("gateway.connections", "register.connections", "worker.processes"),
    "serve.workers",
]
BOOLEANS = [
    *("websocket.compression", "text.broadcast", "http.allow_public", "auth.allow_public_open"),
]
WORDS = ["websocket.demo", "auth.mode", "auth.sessions", "gateway.events", "log.level"]
PATHS = ["websocket.certificate", "websocket.key", "worker.control", "serve.control"]
SECRETS = ["text.secret", "auth.secret", "gateway.secret", "register.secret"]
ADDRESSES = ["websocket.listen", "text.listen", "http.listen", "register.listen"]
TCP_ADDRESSES = ["register.join"]
ONE_ADDRESS = ["gateway.listen", "gateway.advertise"]
NAMES = ["worker.name"]
PREFIXES = ["broker.prefix"]
URLS = ["broker.urls"]
NETWORKS = ["text.trusted_networks"]
ORIGINS = ["websocket.origins"]
TOKENS = ["websocket.subprotocols"]
APPLICATIONS = ["app.load"]
ZERO_HAS_A_MEANING = [
    *("heartbeat.ping", "heartbeat.timeout", "limits.socket_buffer", "limits.connections"),
    *("shutdown.time", "worker.hang_time", "serve.hang_time"),
]
NOT_IPV4 = (
    "is told to others, and is not one IPv4 address, which is all that the wire has: set "
    "gateway.advertise to the IPv4 address and port by which they reach this gateway"
)
NUMBERS = TIMES + SIZES + COUNTS

WRONG_IN_A_FILE = [
    (TIMES, ["true", '"10"', '""', '"nan"', "[10]", "1e9", "0.001", "-0.1"]),
    (SIZES, ["true", "1.5", "1e3", '""', '"1.5 MiB"', '"12 parsecs"', '"64 kb"', '"64 KB"']),
    (SIZES, ['"-1 KiB"', '"64  KiB"', '"٦٤ KiB"', '"999999999999999 GiB"', "1", "[65536]"]),
    (COUNTS, ["true", '"100"', "100.0", "1e2", "[100]", "10_000_001"]),
    (BOOLEANS, ["0", "1", '"true"', '"yes"', '""', "[true]"]),
    (WORDS, ["true", "0", '"Info"', '"all "', '"x"', '["all"]']),
    (PATHS, ["true", "0", '["a"]', '"a\\nb"', '"a\\u0000"', '"a\\u202eb"']),
    (
        SECRETS,
        ["true", "12345", '["a"]', '"a\\nb"', '" a"', '"a "', f'"{"x" * 513}"', '"********"'],
    ),
    (
        ADDRESSES + TCP_ADDRESSES,
        ["true", "1234", '""', '":1234"', '["127.0.0.1:1", "x"]', '["127.0.0.1:1", 5]'],
    ),
    (TCP_ADDRESSES, ['"unix:/run/p"', '["127.0.0.1:1", "unix:/run/p"]']),
    (
        ONE_ADDRESS,
        ["true", "1234", "[]", '["127.0.0.1:1"]', '":1234"', '"unix:/run/p"', '"a:1,b:2"'],
    ),
    (NAMES, ["true", "1", '"a b"', '"a\\nb"', '["a"]', '"ä"']),
    (PREFIXES, ["true", "1", '""', '"a b"', '"a\\nb"', '["a"]', '"ä"', f'"{"x" * 65}"']),
    (URLS, ["true", "1", '""', '"x"', '"http://a"', '"redis://"', '"redis://a b"']),
    (URLS, ['["redis://a", 1]', '["redis://a", "x"]']),
    (URLS, ['"redis://:********@a"', '"redis://u:*@a"', '"redis://a?password=***"']),
    (NETWORKS, ["true", "10", '""', '"10.0.0.1/8"', '"10.0.0.0/33"', '["::/0", "x"]']),
    (ORIGINS, ["true", "1", '""', '"*"', '"null"', '"example.com"', '"https://a.com/"']),
    (TOKENS, ["true", "1", '""', '"a b"', '"a,b"', '["a", 1]', '"ä"']),
    (APPLICATIONS, ["true", "1", '"chat"', '"chat:"', '":app"', '"a b:c"', '"a:b:c"', '"../a:b"']),
    (ORIGINS, ['"https://A.com"', '"https://a.com:443"', '"http://a.com:80"', '"https://a.com:0"']),
]
WRONG_IN_A_TEXT = [
    (TIMES, ["", "nan", "inf", "-1", "1e1", "1_0", " 10", "10s", "٣", "0.001", "9" * 5000]),
    (SIZES, ["", "nan", "-1", "1.5", "64 kb", "64_000_000", "1", "9" * 5000]),
    (COUNTS, ["", "nan", "-1", "100.0", "1e2", "1_000", "10000001", "9" * 5000]),
    (BOOLEANS, ["", "2", "on", "off", " true", "ja"]),
    (WORDS, [" ", "Info", "all,newest", '"all"']),
    (PATHS, ["a\nb", "a\0b", "\udcff"]),
    (SECRETS, ["a\nb", " a", "a\n", "\udcff", "x" * 513, "*", "********"]),
    (ADDRESSES + TCP_ADDRESSES, ["1234", ":1234", "127.0.0.1:1,", ",", "127.0.0.1:1;127.0.0.1:2"]),
    (TCP_ADDRESSES, ["unix:/run/p", "127.0.0.1:1,unix:/run/p"]),
    (ONE_ADDRESS, ["1234", ":1234", "127.0.0.1:1,127.0.0.1:2", "unix:/run/p", " "]),
    (NAMES, ["a b", " ", "a\n", "ä"]),
    (PREFIXES, ["", "a b", " ", "a\n", "ä", "x" * 65]),
    (URLS, ["x", "http://a", "redis://", "redis://a b", "redis://a,redis://"]),
    (NETWORKS, ["x", "10.0.0.1/8", "10.0.0.0/8,", "10.0.0.0/8 ::1"]),
    (TOKENS, ["a b", "a,", "ä"]),
    (APPLICATIONS, ["chat", "chat.py", "chat:", "a:b\n", "1:a", "a..b:c"]),
    (ORIGINS, ["*", "null", "https://a.com/", "https://a.com https://b.com"]),
]


def key_of(dotted: str) -> Key:
    section, _, name = dotted.partition(".")
    return KEYS[section, name]


def cases(wrong: Iterable[tuple[list[str], list[str]]]) -> list[Case]:
    return [(key_of(name), value) for names, values in wrong for name in names for value in values]


def refusal(path: Path | None, environ: Mapping[str, str], flags: Mapping[Name, str]) -> str:
    with pytest.raises(ConfigError) as refused:
        load(path, environ, flags)
    return str(refused.value)


def from_toml(path: Path, content: str) -> Config:
    path.write_text(content)
    return load(path, {}, {})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pushline.toml"


# --- the table --------------------------------------------------------------------------------


def test_the_cases_below_are_of_every_key() -> None:
    named = [*NUMBERS, *BOOLEANS, *WORDS, *PATHS, *SECRETS, *ADDRESSES, *NETWORKS]
    named += [*ORIGINS, *TOKENS, *APPLICATIONS, *TCP_ADDRESSES, *ONE_ADDRESS, *NAMES]
    named += [*PREFIXES, *URLS]
    assert sorted(named) == sorted(key.dotted for key in KEYS.values())


def test_the_defaults_are_those_of_the_protocol_and_safe() -> None:
    config = load(None, {}, {})
    assert config == Config()
    assert config.websocket.listen == (Address("127.0.0.1", 1234),)
    assert config.text.listen == (Address("127.0.0.1", 5678),)
    assert (config.http.listen, config.text.max_line, config.text.pipeline) == ((), 2**20, 10_000)
    assert (config.auth.timeout, config.auth.sessions, config.auth.challenge) == (10, "all", 3)
    assert (config.heartbeat.ping, config.heartbeat.pong, config.heartbeat.timeout) == (25, 8, 80)
    assert (config.limits.queue, config.limits.message) == (2**20, 64 * 2**10)
    assert (config.limits.head_time, config.limits.backlog) == (5, 4096)
    assert (config.text.secret, config.auth.secret) == ("", "")


def test_a_configuration_cannot_be_changed() -> None:
    config = Config()
    with pytest.raises(FrozenInstanceError):
        config.auth = Auth()  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        config.auth.secret = "x"  # type: ignore[misc]
    assert not hasattr(config.auth, "__dict__")


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.dotted)
def test_a_key_says_in_one_sentence_what_it_is(key: Key) -> None:
    assert key.doc[0].isupper()
    assert key.doc.endswith(".")
    assert ". " not in key.doc
    assert len(key.doc) <= 72


# --- wrong values -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    cases([*WRONG_IN_A_FILE, (NUMBERS + BOOLEANS + WORDS, ["[]"])])
    + [(key, value) for key in KEYS.values() for value in OF_NO_KIND],
    ids=lambda case: getattr(case, "dotted", None) or case[:30].encode("unicode_escape").decode(),
)
def test_a_wrong_value_in_a_file(path: Path, key: Key, value: str) -> None:
    path.write_text(f"[{key.section}]\n{key.name} = {value}\n")
    said = refusal(path, {}, {})
    assert said.startswith(f"{path}: {key.dotted} must be {key.kind.allowed}")
    assert said.isprintable()
    assert len(said) < 300 + len(str(path))


@pytest.mark.parametrize(
    ("key", "text"),
    cases(WRONG_IN_A_TEXT),
    ids=lambda case: getattr(case, "dotted", None) or case[:30].encode("unicode_escape").decode(),
)
def test_a_wrong_value_in_the_environment(key: Key, text: str) -> None:
    said = refusal(None, {key.variable: text}, {})
    where = f"environment variable {key.variable}"
    assert said.startswith(f"{where}: {key.dotted} must be {key.kind.allowed}")
    assert said.isprintable()


@pytest.mark.parametrize("name", NUMBERS)
def test_zero_is_taken_only_where_it_has_a_meaning(name: str) -> None:
    key = key_of(name)
    if name in ZERO_HAS_A_MEANING:
        config = load(None, {key.variable: "0"}, {})
        assert getattr(getattr(config, key.section), key.name) == 0
    else:
        assert refusal(None, {key.variable: "0"}, {}).endswith(", not 0")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[heartbeat]\nping = -1", "from 0.01 to 3600, or 0 (off), not -1"),
        ("[heartbeat]\npong = nan", "a number of seconds from 0.01 to 3600, not nan"),
        ("[limits]\nheaders = 5", "a whole number from 16 to 1000, not 5"),
        ("[limits]\nheaders = 1e400", "a whole number from 16 to 1000, not inf"),
        (f"[limits]\nheaders = {HUGE}", "from 16 to 1000, not a number beyond 64 bits"),
        ('[limits]\nqueue = "1 MB"', 'in bytes or as in "64 KiB", not "1 MB"'),
        ("[text]\nbroadcast = 0", "true or false, not 0"),
        ("[text]\nbroadcast = [true]", "true or false, not a list"),
        ("[log]\nlevel = {}", '"debug", "info", "warning" or "error", not a table'),
        ("[log]\nlevel = true", '"debug", "info", "warning" or "error", not true'),
        ("[websocket]\nlisten = []", 'or "unix:/PATH", not an empty list'),
        ('[text]\nlisten = ["127.0.0.1:1", ":2"]', '"[IPv6]:PORT" or "unix:/PATH", not ":2"'),
    ],
)
def test_the_line_says_what_is_allowed_and_what_there_was(
    path: Path, content: str, said: str
) -> None:
    path.write_text(content)
    assert refusal(path, {}, {}).endswith(said)


def test_a_private_key_pasted_in_the_place_of_its_path_is_not_shown(path: Path) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n"
    path.write_text(f'[websocket]\nkey = """{pem}"""\n')
    assert refusal(path, {}, {}) == f'{path}: websocket.key must be a path, or "" for none'


@given(st.sampled_from(list(KEYS.values())), st.text() | st.from_regex(r"[\d.,: KMGiB-]+"))
def test_any_text_is_taken_as_its_key_allows_or_refused_in_one_line(key: Key, text: str) -> None:
    try:
        toml = describe(load(None, {key.variable: text}, {}))
    except ConfigError as error:
        toml = f"# {error}"  # a comment ends with its line, and holds no control character
    assert isinstance(tomllib.loads(toml), dict)


# --- right values -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "toml", "text", "value"),
    [
        ("heartbeat.ping", "0.5", "0.5", 0.5),
        ("heartbeat.ping", "30", "30", 30.0),
        ("limits.message", "2048", "2048", 2048),
        ("limits.message", '"2 KiB"', "2 KiB", 2048),
        ("limits.message", '"2KiB"', "2KiB", 2048),
        ("limits.message", '"2048 B"', "2048 B", 2048),
        ("limits.queue", '"1 GiB"', "1 GiB", 2**30),
        ("limits.headers", "16", "16", 16),
        ("text.broadcast", "false", "no", False),
        ("text.broadcast", "false", "0", False),
        ("text.broadcast", "false", "False", False),
        ("websocket.compression", "true", "YES", True),
        ("websocket.compression", "true", "1", True),
        ("websocket.compression", "true", "true", True),
        ("auth.sessions", '"newest"', "newest", "newest"),
        ("auth.mode", '""', "", ""),
        ("auth.secret", '"pass, wörd"', "pass, wörd", "pass, wörd"),
        ("text.listen", "[]", " ", ()),
        ("text.listen", '"127.0.0.1:0"', "127.0.0.1:0", (Address("127.0.0.1", 0),)),
        (
            "text.listen",
            '["[::1]:5", "unix:/run/p"]',
            "[::1]:5 , unix:/run/p",
            (Address("::1", 5), Address(path="/run/p")),
        ),
        (
            "text.trusted_networks",
            '["10.0.0.0/8", "::1"]',
            "10.0.0.0/8,::1",
            (ip_network("10.0.0.0/8"), ip_network("::1/128")),
        ),
        (
            "websocket.origins",
            '["https://a.com", "http://[::1]:8080"]',
            "https://a.com,http://[::1]:8080",
            ("https://a.com", "http://[::1]:8080"),
        ),
        ("websocket.subprotocols", '["chat", "v1.json"]', "chat, v1.json", ("chat", "v1.json")),
        ("websocket.origins", '"capacitor://localhost"', "capacitor://localhost", None),
        ("gateway.listen", '""', "", ()),
        ("gateway.listen", '"127.0.0.1:0"', "127.0.0.1:0", (Address("127.0.0.1", 0),)),
        ("gateway.max_frame", '"64 KiB"', "65536", 65536),
        ("register.listen", '"[::1]:1"', "[::1]:1", (Address("::1", 1),)),
        ("worker.name", '"chat-1"', "chat-1", "chat-1"),
        ("broker.prefix", '"a:"', "a:", "a:"),
        ("broker.urls", '"redis://a"', "redis://a", ("redis://a",)),
        (
            "broker.urls",
            '["redis+sentinel://:p,q@a,b/s", "rediss://c"]',
            "redis+sentinel://:p,q@a,b/s, rediss://c",
            ("redis+sentinel://:p,q@a,b/s", "rediss://c"),
        ),
        ("worker.control", '"/run/p"', "/run/p", "/run/p"),
    ],
)
def test_a_value_is_the_same_from_everywhere(
    path: Path, name: str, toml: str, text: str, value: object
) -> None:
    key = key_of(name)
    config = from_toml(path, f"[{key.section}]\n{key.name} = {toml}\n")
    assert config == load(None, {key.variable: text}, {})
    assert config == load(None, {}, {(key.section, key.name): text})
    if value is not None:
        found = getattr(getattr(config, key.section), key.name)
        assert (found, type(found)) == (value, type(value))


def test_flags_win_over_the_environment_over_the_file_over_defaults(path: Path) -> None:
    path.write_text("[heartbeat]\nping = 1\npong = 1\ntimeout = 1\n")
    environ = {"PUSHLINE_HEARTBEAT_PONG": "2", "PUSHLINE_HEARTBEAT_TIMEOUT": "2"}
    config = load(path, environ, {("heartbeat", "timeout"): "3"})
    heartbeat = config.heartbeat
    assert (heartbeat.ping, heartbeat.pong, heartbeat.timeout) == (1, 2, 3)
    assert config.limits == Config().limits


def test_a_wrong_value_is_refused_even_where_another_wins(path: Path) -> None:
    path.write_text("[heartbeat]\nping = -1\n")
    assert str(path) in refusal(path, {}, {("heartbeat", "ping"): "3"})


# --- the login mode ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        ({}, "open"),
        ({"PUSHLINE_WEBSOCKET_LISTEN": "[::1]:1,unix:/run/p"}, "open"),
        ({"PUSHLINE_AUTH_SECRET": "s"}, "token"),
        ({"PUSHLINE_AUTH_SECRET": "s", "PUSHLINE_AUTH_MODE": "open"}, "open"),
        ({"PUSHLINE_AUTH_SECRET": "s", "PUSHLINE_AUTH_MODE": "token"}, "token"),
        ({"PUSHLINE_AUTH_SECRET": "s", "PUSHLINE_WEBSOCKET_LISTEN": "0.0.0.0:1"}, "token"),
    ],
)
def test_the_auth_mode(environ: dict[str, str], mode: str) -> None:
    assert load(None, environ, {}).auth_mode == mode


def test_a_public_port_asks_for_tokens_whichever_it_is() -> None:
    public = (Address("0.0.0.0", 1),)
    config = Config()
    assert replace(config, text=replace(config.text, listen=public)).auth_mode == "token"
    assert replace(config, websocket=replace(config.websocket, listen=public)).auth_mode == "token"
    assert replace(config, http=replace(config.http, listen=public)).auth_mode == "open"


@pytest.mark.parametrize(
    ("settings", "events"),
    [
        ({}, "nobody"),
        ({"APP_LOAD": "chat:app"}, "app"),
        ({"GATEWAY_LISTEN": "127.0.0.1:1"}, "workers"),
        ({"GATEWAY_LISTEN": "127.0.0.1:1", "APP_LOAD": "chat:app"}, "app"),
        (
            {
                "GATEWAY_LISTEN": "127.0.0.1:1",
                "APP_LOAD": "chat:app",
                "GATEWAY_EVENTS": "workers",
            },
            "workers",
        ),
    ],
)
def test_who_gets_what_browsers_do(settings: dict[str, str], events: str) -> None:
    environ = {f"PUSHLINE_{name}": value for name, value in settings.items()}
    assert load(None, environ, {}).events == events


def test_a_gateway_is_reached_where_it_is_advertised_or_else_where_it_listens() -> None:
    listening = {"PUSHLINE_GATEWAY_LISTEN": "127.0.0.1:2300"}
    advertised = listening | {"PUSHLINE_GATEWAY_ADVERTISE": "10.0.0.1:2301"}
    assert Config().gateway_address is None
    assert load(None, listening, {}).gateway_address == Address("127.0.0.1", 2300)
    assert load(None, advertised, {}).gateway_address == Address("10.0.0.1", 2301)


# --- settings that do not go together ---------------------------------------------------------

UNSAFE = [
    (
        '[text]\nlisten = ["127.0.0.1:1", "0.0.0.0:2"]\n[auth]\nsecret = "s"',
        "text.listen = 0.0.0.0:2 lets other machines push to every user: "
        "set text.secret, or name the back ends' networks in text.trusted_networks",
    ),
    (
        '[auth]\nmode = "token"',
        'auth.mode = "token" needs auth.secret: set it to what login tokens are made with',
    ),
    (
        '[websocket]\nlisten = "push.example.com:80"',
        "push.example.com:80 can be reached from other machines, so a login needs a token: "
        "set auth.secret to what tokens are made with, or let anyone log in as anyone with "
        'auth.mode = "open" and auth.allow_public_open = true',
    ),
    (
        '[text]\nlisten = "[::]:5678"\nsecret = "t"',
        "[::]:5678 can be reached from other machines, so a login needs a token: "
        "set auth.secret to what tokens are made with, or let anyone log in as anyone with "
        'auth.mode = "open" and auth.allow_public_open = true',
    ),
    (
        '[websocket]\nlisten = "0.0.0.0:1"\n[auth]\nmode = "open"\nsecret = "s"',
        'auth.mode = "open" on websocket.listen = 0.0.0.0:1 lets anyone on the network log in '
        "as anyone: set auth.secret and drop auth.mode, or set auth.allow_public_open = true",
    ),
    (
        '[http]\nlisten = "0.0.0.0:9090"',
        "http.listen = 0.0.0.0:9090 shows the server's metrics to other machines: "
        "listen on 127.0.0.1, or set http.allow_public = true",
    ),
    (
        '[websocket]\ncertificate = "c.pem"',
        "websocket.certificate and websocket.key belong together: set both for TLS, or neither",
    ),
    (
        '[websocket]\nkey = "k.pem"',
        "websocket.certificate and websocket.key belong together: set both for TLS, or neither",
    ),
    (
        '[websocket]\nlisten = "127.0.0.1:5678"',
        "the address 127.0.0.1:5678 is to be listened on twice",
    ),
    (
        '[http]\nlisten = ["unix:/run/p", "unix:/run/p"]',
        "the address unix:/run/p is to be listened on twice",
    ),
    (
        '[limits]\nqueue = "4 KiB"',
        "limits.queue (4 KiB) must not be less than text.max_line (1 MiB), "
        "or one long push is more than a queue may hold",
    ),
    (
        '[limits]\nhead = "4 KiB"',
        "limits.head (4 KiB) must not be less than limits.request_line (8 KiB), "
        "which is a part of it",
    ),
    (
        '[auth]\nsessions = "first"\nchallenge = 10',
        "auth.challenge must be less than auth.timeout, "
        "or a newer login runs out of time before the older one had its own",
    ),
    (
        '[gateway]\nlisten = "0.0.0.0:2300"\nadvertise = "10.0.0.1:2300"',
        "gateway.listen = 0.0.0.0:2300 lets other machines drive this server: "
        "set gateway.secret, which GatewayWorker calls secretKey",
    ),
    *(
        (
            f'[gateway]\nlisten = "{address}"\nsecret = "s"',
            f"gateway.listen = {address} {NOT_IPV4}",
        )
        for address in ("0.0.0.0:2300", "[::1]:2300", "localhost:2300", "gateway.example.com:1")
    ),
    *(
        (
            f'[gateway]\nlisten = "127.0.0.1:2300"\nadvertise = "{address}"',
            f"gateway.advertise = {address} {NOT_IPV4}",
        )
        for address in ("0.0.0.0:2300", "[2001:db8::1]:2300", "gateway.example.com:2300")
    ),
    *(
        (
            f"[gateway]\n{line}",
            "gateway.advertise and gateway.events are for a gateway: set gateway.listen",
        )
        for line in ('advertise = "10.0.0.1:2300"', 'events = "workers"')
    ),
    (
        '[gateway]\nlisten = "127.0.0.1:2300"\nevents = "app"',
        'gateway.events = "app" gives events to an application: name it, as in '
        "`pushline serve chat:app`",
    ),
    (
        '[register]\nlisten = "0.0.0.0:1236"',
        "register.listen = 0.0.0.0:1236 lets other machines name gateways: "
        "set register.secret, which GatewayWorker calls secretKey",
    ),
    (
        '[register]\njoin = "127.0.0.1:1236"',
        "register.join tells Registers of this gateway, and there is none: set gateway.listen",
    ),
    (
        '[auth]\nmode = "app"',
        'auth.mode = "app" leaves logins to an application: name it, as in '
        "`pushline serve chat:app`, or let workers have it, with gateway.listen",
    ),
    (
        '[gateway]\nlisten = "127.0.0.1:1236"\n[register]\nlisten = "127.0.0.1:1236"',
        "the address 127.0.0.1:1236 is to be listened on twice",
    ),
    (
        '[broker]\nurls = "redis://a"\n[gateway]\nlisten = "127.0.0.1:0"',
        "gateway.listen = 127.0.0.1:0 has no port yet, by which other nodes know this one: "
        "name one, or set gateway.advertise",
    ),
    (
        '[broker]\nurls = "redis://a"\n[text]\nmax_line = "9 MiB"\n[limits]\nqueue = "9 MiB"',
        "text.max_line (9 MiB) is more than the nodes of a cluster send each other: 8 MiB at most",
    ),
]
SAFE = [
    '[text]\nlisten = "0.0.0.0:2"\nsecret = "t"\n[auth]\nsecret = "s"',
    '[text]\nlisten = "0.0.0.0:2"\ntrusted_networks = "10.0.0.0/8"\n[auth]\nsecret = "s"',
    '[text]\nlisten = "0.0.0.0:2"\nsecret = "t"\n[auth]\nmode = "open"',
    '[websocket]\nlisten = "0.0.0.0:1"\n[auth]\nmode = "open"\nallow_public_open = true',
    '[websocket]\nlisten = "0.0.0.0:1"\n[auth]\nsecret = "s"',
    '[http]\nlisten = "127.0.0.1:9090"',
    '[http]\nlisten = "0.0.0.0:9090"\nallow_public = true',
    '[websocket]\ncertificate = "c.pem"\nkey = "k.pem"',
    '[websocket]\nlisten = ["127.0.0.1:0", "127.0.0.1:0"]\n[text]\nlisten = "127.0.0.1:0"',
    '[text]\nmax_line = "4 KiB"\n[limits]\nqueue = "4 KiB"',
    '[limits]\nhead = "8 KiB"',
    "[auth]\nchallenge = 10",
    '[auth]\nsessions = "first"\nchallenge = 9.9',
    '[gateway]\nlisten = "127.0.0.1:2300"',
    '[gateway]\nlisten = "0.0.0.0:2300"\nadvertise = "10.0.0.1:2300"\nsecret = "s"',
    '[gateway]\nlisten = "10.0.0.1:2300"\nsecret = "s"',
    '[gateway]\nlisten = "[::1]:2300"\nadvertise = "127.0.0.1:2300"',
    '[gateway]\nlisten = "127.0.0.1:0"\nevents = "workers"',
    '[gateway]\nlisten = "127.0.0.1:2300"\nevents = "app"\n[app]\nload = "chat:app"',
    '[gateway]\nlisten = "127.0.0.1:2300"\n[auth]\nmode = "app"',
    '[register]\nlisten = ["127.0.0.1:1236", "unix:/run/p"]',
    '[register]\nlisten = "0.0.0.0:1236"\nsecret = "s"',
    '[gateway]\nlisten = "127.0.0.1:1"\n[register]\njoin = ["127.0.0.1:1236", "r.example.com:1"]',
]


@pytest.mark.parametrize(("content", "why"), UNSAFE)
def test_settings_that_do_not_go_together_are_refused(path: Path, content: str, why: str) -> None:
    path.write_text(content)
    assert refusal(path, {}, {}) == f"{path}: {why}"


def test_without_a_file_none_is_named() -> None:
    assert refusal(None, {"PUSHLINE_AUTH_MODE": "token"}, {}).startswith('auth.mode = "token"')


@pytest.mark.parametrize("content", SAFE)
def test_settings_that_go_together(path: Path, content: str) -> None:
    check(from_toml(path, content))


# --- what is shown ----------------------------------------------------------------------------

SECRET = {
    "PUSHLINE_AUTH_SECRET": "hunter2",
    "PUSHLINE_TEXT_SECRET": "hunter3",
    "PUSHLINE_GATEWAY_SECRET": "hunter4",
    "PUSHLINE_REGISTER_SECRET": "hunter5",
}


def described(config: Config) -> dict[str, Any]:
    return tomllib.loads(describe(config))


def test_what_is_in_force_is_a_file_with_every_key_and_what_it_is_for() -> None:
    lines = [line for line in describe(Config()).splitlines() if line and line[0] != "["]
    assert [(line.split(" = ")[0], line.split("# ")[1]) for line in lines] == [
        (key.name, f"{key.kind.unit}: {key.doc}" if key.kind.unit else key.doc)
        for key in KEYS.values()
    ]
    assert {line.index("#") for line in lines} == {36}
    assert list(described(Config())) == list(SECTIONS)


def test_what_is_in_force_is_written_as_a_person_would() -> None:
    text = describe(load(None, {"PUSHLINE_HEARTBEAT_PONG": "0.5"}, {}))
    assert 'max_line = "1 MiB" ' in text
    assert 'listen = ["127.0.0.1:1234"] ' in text
    assert "ping = 25 " in text
    assert "pong = 0.5 " in text
    assert "broadcast = true " in text


def test_the_auth_mode_in_force_is_shown() -> None:
    assert described(Config())["auth"]["mode"] == "open"
    assert described(load(None, SECRET, {}))["auth"]["mode"] == "token"


@pytest.mark.parametrize("content", SAFE)
def test_what_is_shown_is_what_was_read(path: Path, content: str) -> None:
    config = from_toml(path, content)
    shown = from_toml(path, describe(config).replace(quoted(MASK), '"s"'))
    assert describe(shown) == describe(config)
    assert shown.limits == config.limits
    assert shown.websocket == config.websocket


def test_secrets_are_masked_and_an_unset_one_is_empty() -> None:
    shown = described(load(None, SECRET, {}))
    sections = ("auth", "text", "gateway", "register")
    assert {shown[section]["secret"] for section in sections} == {"********"}
    assert {described(Config())[section]["secret"] for section in sections} == {""}


def test_passwords_in_urls_are_masked_and_nothing_else_of_them() -> None:
    urls = "redis://user:p%40ss@a:1/2,redis+sentinel://:x@b,c/s?sentinel_password=y&password=z"
    shown = described(load(None, {"PUSHLINE_BROKER_URLS": urls}, {}))["broker"]["urls"]
    assert shown == [
        "redis://user:********@a:1/2",
        "redis+sentinel://:********@b,c/s?sentinel_password=********&password=********",
    ]
    assert "p%40ss" not in repr(load(None, {"PUSHLINE_BROKER_URLS": urls}, {}))


def test_what_masks_a_secret_is_none_itself(path: Path) -> None:
    path.write_text(describe(load(None, SECRET, {})))
    assert refusal(path, {}, {}).endswith("and not only asterisks, which mask one")


def test_a_secret_may_have_asterisks_in_it() -> None:
    assert load(None, {"PUSHLINE_AUTH_SECRET": "**a**"}, {}).auth.secret == "**a**"


def test_no_secret_is_in_a_representation() -> None:
    config = load(None, SECRET, {})
    assert (config.auth.secret, config.text.secret) == ("hunter2", "hunter3")
    assert (config.gateway.secret, config.register.secret) == ("hunter4", "hunter5")
    for text in (repr(config), str(config), repr(config.auth), describe(config)):
        assert "hunter" not in text


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    "value", ['["hunter2"]', '"hunter2 "', '"hunter2\\n"', "{ x = 'hunter2' }"]
)
def test_no_secret_is_in_an_error(path: Path, name: str, value: str) -> None:
    key = key_of(name)
    path.write_text(f"[{key.section}]\nsecret = {value}\n")
    assert "hunter" not in refusal(path, {}, {})
    assert "hunter" not in refusal(None, {key.variable: "hunter2 "}, {})
    assert "hunter" not in refusal(None, {}, {(key.section, key.name): "hunter2 "})


def test_no_secret_is_in_an_error_about_something_else() -> None:
    unsafe = {**SECRET, "PUSHLINE_HTTP_LISTEN": "0.0.0.0:1"}
    assert "hunter" not in refusal(None, unsafe, {})

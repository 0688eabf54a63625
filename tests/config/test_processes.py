"""What several processes of a server can share, and which addresses they have."""

import pytest

from pushline.config import Address, Config, load
from pushline.errors import ConfigError

TWO = {"SERVE_WORKERS": "2", "BROKER_URLS": "redis://127.0.0.1:6379"}


def of(**settings: str) -> Config:
    return load(None, {f"PUSHLINE_{name}": value for name, value in settings.items()}, {})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"BROKER_URLS": ""},
            "serve.workers = 2 are processes that reach each other's browsers by a broker: "
            "name it, as in `--broker redis://127.0.0.1:6379`",
        ),
        (
            {"GATEWAY_LISTEN": "127.0.0.1:2300"},
            "gateway.listen is for one process, and serve.workers = 2 would need as many: "
            "run servers with a gateway one by one, with a configuration each",
        ),
        (
            {"REGISTER_LISTEN": "127.0.0.1:1236"},
            "register.listen is for one process, and serve.workers = 2 would need as many: "
            "run servers with a register one by one, with a configuration each",
        ),
        (
            {"WEBSOCKET_LISTEN": "127.0.0.1:1234,unix:/run/p"},
            "websocket.listen = unix:/run/p, with serve.workers = 2: "
            "processes cannot share a Unix socket: use HOST:PORT",
        ),
        (
            {"TEXT_LISTEN": "unix:/run/p"},
            "text.listen = unix:/run/p, with serve.workers = 2: "
            "processes cannot share a Unix socket: use HOST:PORT",
        ),
        (
            {"HTTP_LISTEN": "unix:/run/p"},
            "http.listen = unix:/run/p, with serve.workers = 2: "
            "processes cannot share a Unix socket: use HOST:PORT",
        ),
        (
            {"TEXT_LISTEN": "127.0.0.1:0"},
            "text.listen = 127.0.0.1:0, with serve.workers = 2: "
            "each process would have another port: name one",
        ),
        (
            {"HTTP_LISTEN": "127.0.0.1:0"},
            "http.listen = 127.0.0.1:0, with serve.workers = 2: "
            "each process would have another port: name one",
        ),
        (
            {"HTTP_LISTEN": "127.0.0.1:65535"},
            "http.listen = 127.0.0.1:65535 is the first of 2 ports, one for each process: "
            "it can be 65534 at most",
        ),
        (
            {"HTTP_LISTEN": "127.0.0.1:1233"},
            "the address 127.0.0.1:1234 is to be listened on twice",
        ),
    ],
)
def test_what_processes_cannot_share_is_refused(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        of(**TWO | settings)
    assert str(refused.value) == said


def test_one_process_may_have_all_of_it() -> None:
    some = "127.0.0.1:0,unix:/run/p"
    config = of(SERVE_WORKERS="1", WEBSOCKET_LISTEN=some, GATEWAY_LISTEN="127.0.0.1:2300")
    assert config.operators == ()
    assert of(HTTP_LISTEN=some).operators == (Address("127.0.0.1", 0), Address(path="/run/p"))


def test_each_process_has_a_port_for_operators_of_its_own() -> None:
    config = of(**TWO | {"HTTP_LISTEN": "127.0.0.1:9000,[::1]:65534"})
    assert [*map(str, config.operators_of(0))] == ["127.0.0.1:9000", "[::1]:65534"]
    assert [*map(str, config.operators_of(1))] == ["127.0.0.1:9001", "[::1]:65535"]
    assert config.operators == (*config.operators_of(0), *config.operators_of(1))

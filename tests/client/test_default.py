from collections.abc import Iterator

import pytest

import pushline.client
from pushline.client import default
from pushline.client.sync import Client
from tests.client.peer import Peer, guard


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    clients: dict[str, Client] = {}
    monkeypatch.setattr(default, "_clients", clients)
    monkeypatch.delenv("PUSHLINE_TEXT_LISTEN", raising=False)
    monkeypatch.delenv("PUSHLINE_TEXT_SECRET", raising=False)
    yield
    for client in clients.values():
        client.close()


def test_one_line_pushes(peer: Peer) -> None:
    pushline.client.configure(peer.address)
    assert pushline.client.push("42", {"percent": "88%"})
    assert pushline.client.push("42", {}, utype=1)
    assert pushline.client.push_all({"a": 1})
    assert pushline.client.push_line('{"uid":"u"}')
    assert pushline.client.push_many([("u", {}), '{"uid":2}'], utype=3) == [True, True]
    assert peer.lines == [
        b'{"uid":"42","percent":"88%"}',
        b'{"uid":"42","utype":1}',
        b'{"uid":"","a":1}',
        b'{"uid":"u"}',
        b'{"uid":"u","utype":3}',
        b'{"uid":2}',
    ]
    assert peer.accepted == 1


def test_the_environment_says_where_the_server_is(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.answer = guard("s3cret")
    monkeypatch.setenv("PUSHLINE_TEXT_LISTEN", f" {peer.address}, [::1]:5678")
    monkeypatch.setenv("PUSHLINE_TEXT_SECRET", "s3cret")
    assert pushline.client.push("42", {})
    assert peer.lines == [b"auth s3cret", b'{"uid":"42"}']


def test_what_configure_leaves_out_comes_from_the_environment(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSHLINE_TEXT_LISTEN", "192.0.2.1:9")
    monkeypatch.setenv("PUSHLINE_TEXT_SECRET", "s3cret")
    pushline.client.configure(peer.address, timeout=20)
    pushline.client.push("42", {})
    pushline.client.configure(peer.address, secret="")
    pushline.client.push("42", {})
    assert peer.lines == [b"auth s3cret", b'{"uid":"42"}', b'{"uid":"42"}']


def test_configure_again_closes_the_connection_to_where_it_was(peer: Peer) -> None:
    pushline.client.configure(peer.address)
    pushline.client.push("42", {})
    pushline.client.configure("127.0.0.1:1")
    peer.wait(lambda peer: peer.ended == 1)


def test_a_wrong_address_is_told_by_configure() -> None:
    with pytest.raises(pushline.client.ConfigError, match="'localhost' is no address"):
        pushline.client.configure("localhost")


def test_a_wrong_configuration_leaves_the_one_before_it(peer: Peer) -> None:
    pushline.client.configure(peer.address)
    pushline.client.push("42", {})
    with pytest.raises(pushline.client.ConfigError):
        pushline.client.configure("localhost")
    assert pushline.client.push("42", {})
    assert peer.accepted == 1


def test_the_public_names_are_a_list() -> None:
    assert pushline.client.__all__ == sorted(pushline.client.__all__)
    assert all(hasattr(pushline.client, name) for name in pushline.client.__all__)

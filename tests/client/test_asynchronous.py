import asyncio
from typing import Any

import pytest

from pushline.client import AsyncClient
from pushline.client.wire import BATCH
from pushline.errors import BadNameError, ConfigError, InvalidPushError, UnavailableError
from tests.client.peer import Peer, guard, leaving_after


def ok_for_some(line: bytes) -> bytes:
    return b"fail\n" if b"nobody" in line else b"ok\n"


async def test_every_verb_sends_its_line_and_returns_its_answer(peer: Peer) -> None:
    peer.answer = ok_for_some
    async with AsyncClient(peer.address) as client:
        assert await client.push("u", {"a": 1}) is True
        assert await client.push(["nobody", 7], {"a": 1}, utype=2) is False
        assert await client.push_all({"a": 1}, utype="x") is True
        assert await client.push_line('{"uid":"nobody"}\n') is False
        assert await client.push_many([("nobody", {}), b'{"uid":1}'], utype=3) == [False, True]
        assert await client.push_many([]) == []
    assert peer.lines == [
        b'{"uid":"u","a":1}',
        b'{"uid":["nobody",7],"utype":2,"a":1}',
        b'{"uid":"","utype":"x","a":1}',
        b'{"uid":"nobody"}',
        b'{"uid":"nobody","utype":3}',
        b'{"uid":1}',
    ]
    assert peer.accepted == 1


async def test_pushes_of_many_tasks_go_out_together(peer: Peer) -> None:
    async with AsyncClient(peer.address) as client:
        await client.push("u", {})
        before = peer.chunks
        assert all(await asyncio.gather(*(client.push(n, {}) for n in range(1, 501))))
    assert peer.chunks - before <= 4
    assert peer.lines[1:] == [b'{"uid":%d}' % n for n in range(1, 501)]


async def test_many_pushes_keep_their_order_over_all_batches(peer: Peer) -> None:
    peer.answer = ok_for_some
    pushes: list[tuple[str, dict[str, object]]] = [
        ("nobody" if n % 3 else "u", {"n": n}) for n in range(2 * BATCH + 500)
    ]
    async with AsyncClient(peer.address) as client:
        answers = await client.push_many(iter(pushes))
    assert answers == [uid == "u" for uid, _ in pushes]
    assert [line.partition(b'"n":')[2] for line in peer.lines] == [
        b"%d}" % n for n in range(len(pushes))
    ]


@pytest.mark.parametrize("uid", ["", 0, [], None, "0"])
async def test_a_push_to_no_uid_is_refused_at_once(peer: Peer, uid: Any) -> None:
    async with AsyncClient(peer.address) as client:
        with pytest.raises((BadNameError, InvalidPushError)):
            await client.push(uid, {"a": 1})
    assert peer.accepted == 0


async def test_nothing_of_many_is_sent_if_one_of_them_is_wrong(peer: Peer) -> None:
    async with AsyncClient(peer.address) as client:
        with pytest.raises(InvalidPushError):
            await client.push_many([("u", {}), ("u", {"nan": float("nan")})])
    assert peer.accepted == 0


async def test_an_error_after_the_first_of_many_says_how_far_they_came(peer: Peer) -> None:
    peer.answer = leaving_after(peer, BATCH)
    async with AsyncClient(peer.address) as client:
        with pytest.raises(UnavailableError, match="; a push may have been delivered") as caught:
            await client.push_many([("u", {})] * 3 * BATCH)
    assert caught.value.answers == (True,) * BATCH
    assert caught.value.sent in range(BATCH, 2 * BATCH + 1)  # whether it has seen the end yet


async def test_a_client_that_is_dropped_open_warns_and_is_closed(peer: Peer) -> None:
    client = AsyncClient(peer.address)
    await client.push("u", {})
    with pytest.warns(ResourceWarning, match=f"unclosed AsyncClient of {peer.address}"):
        del client  # collected at once
    await asyncio.to_thread(peer.wait, lambda peer: peer.ended == 1)


async def test_the_secret_and_the_longest_line_are_settings(peer: Peer) -> None:
    peer.answer = guard("s3cret")
    async with AsyncClient(peer.address, secret="s3cret", max_line=30) as client:
        assert await client.push("u", {"a": "x" * 10})
        with pytest.raises(InvalidPushError, match="more than 30 bytes"):
            await client.push("u", {"a": "x" * 20})


async def test_a_client_shows_its_address_and_not_its_secret() -> None:
    assert repr(AsyncClient("[::1]:5678", secret="s3cret")) == "AsyncClient('[::1]:5678')"
    with pytest.raises(ConfigError):
        AsyncClient("nowhere")

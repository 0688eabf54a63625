import asyncio

import pytest

from pushline.address import Address
from pushline.client.exchange import Exchange
from pushline.client.link import Link
from pushline.errors import UnavailableError
from tests.client.peer import Peer


async def test_a_link_that_was_lost_while_it_connected_is_closed_when_it_has(peer: Peer) -> None:
    link = Link(Address.parse(peer.address), "", 10)
    link.lose(UnavailableError("enough"))
    await link.open(20)
    await asyncio.to_thread(peer.wait, lambda peer: peer.ended == 1)
    assert not link.opened
    with pytest.raises(UnavailableError, match="enough; nothing was pushed"):
        await link.ask(Exchange([b"{}"]))


async def test_a_call_that_ends_when_all_that_it_has_sent_was_answered_tells_of_it(
    peer: Peer,
) -> None:
    peer.hold()
    link = Link(Address.parse(peer.address), "", 1)
    await link.open(20)
    asked = asyncio.create_task(link.ask(Exchange([b"1", b"2"])))
    await asyncio.to_thread(peer.wait, lambda peer: len(peer.lines) == 1)
    link.data_received(b"ok\n")
    link.eof_received()  # before the second line could go out
    with pytest.raises(UnavailableError, match="was lost; a push may have been del") as caught:
        await asked
    assert (caught.value.answers, caught.value.sent) == ((True,), 1)
    peer.let(1)


async def test_a_link_is_lost_for_one_reason_only(peer: Peer) -> None:
    link = Link(Address.parse(peer.address), "", 10)
    await link.open(20)
    await link.close(UnavailableError("first"))
    await link.close(UnavailableError("second"))
    assert str(link.error) == "first"
    assert link.ready.is_set()

"""A back end's answers keep their order, over a transport that notes what is written."""

from collections.abc import Iterator

import pytest
import pytest_asyncio

from pushline.cluster.pushes import Pending
from pushline.commands import SendToUid, Sent
from pushline.errors import UnavailableError
from pushline.listeners.answers import Answers
from pushline.messages import Message
from tests.core import Transport
from tests.members import settle


class Told:
    """What a back end is told. Each push has a name, and its answer says how many nodes took it."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.room = 0
        self.answers = Answers(self._answer, self._settled)
        self.answers.transport = self.transport

    def _answer(self, pending: Pending) -> bytes:
        assert isinstance(pending.send, SendToUid)
        name = pending.send.uids[0].encode()
        return name + (b"?" if pending.exception() else b"%d" % (pending.result().delivered or 0))

    def _settled(self) -> None:
        self.room += 1

    @property
    def writes(self) -> list[bytes]:
        return self.transport.writes


@pytest_asyncio.fixture
async def told() -> Told:
    return Told()


def pending(name: str) -> Pending:
    return Pending(SendToUid((name,), "0", Message(b"")))


@pytest.fixture(autouse=True)
def nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert "never retrieved" not in caplog.text


async def test_what_is_known_is_written_at_once_and_together(told: Told) -> None:
    told.answers.give([b"1", b"2", b"3"])
    assert told.writes == [b"123"]
    assert (len(told.answers), told.room) == (0, 0)


async def test_nothing_is_nothing(told: Told) -> None:
    told.answers.give([])
    assert told.writes == []


async def test_what_is_known_waits_for_what_was_asked_before(told: Told) -> None:
    a, b = pending("a"), pending("b")
    told.answers.give([b"1", a, b"2", b, b"3"])
    assert told.writes == [b"1"]
    assert len(told.answers) == 4
    b.set_result(Sent(1))
    await settle()
    told.answers.give([b"4"])
    assert told.writes == [b"1"]
    a.set_result(Sent(0))
    await settle()
    assert told.writes == [b"1", b"a02b134"]
    assert len(told.answers) == 0


async def test_what_becomes_known_together_is_written_together(told: Told) -> None:
    several = [pending(name) for name in "abcd"]
    told.answers.give(several)
    for each in several[:3]:
        each.set_result(Sent(1))
    await settle()
    assert told.writes == [b"a1b1c1"]
    assert told.room == 1, "who waits for room is told once"
    several[3].set_result(Sent(1))
    await settle()
    assert told.writes == [b"a1b1c1", b"d1"]
    assert told.room == 2


async def test_what_is_not_known_has_an_answer_too(told: Told) -> None:
    a = pending("a")
    told.answers.give([a, b"1"])
    a.fail(UnavailableError("it does not answer"))
    await settle()
    assert told.writes == [b"a?1"]


async def test_what_is_known_already_does_not_wait(told: Told) -> None:
    a = pending("a")
    a.set_result(Sent(2))
    told.answers.give([a, b"1"])
    assert told.writes == [b"a21"]
    await settle()
    assert told.writes == [b"a21"]


async def test_who_has_gone_is_told_nothing(told: Told) -> None:
    a, b = pending("a"), pending("b")
    told.answers.give([a, b, b"1"])
    told.answers.clear()
    a.set_result(Sent(1))
    b.fail(UnavailableError("it does not answer"))
    await settle()
    assert (told.writes, told.room) == ([], 0)

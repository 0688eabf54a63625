"""One link, with a gateway that does what the test says."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pushline.codecs.gateway_frames import (
    OURS,
    PLAIN,
    Cmd,
    Frame,
    Place,
    encode,
    encode_answer,
    encode_event,
)
from pushline.codecs.php_serialize import dumps
from pushline.errors import RejectedError, UnavailableError
from pushline.gatewayworker.link import BUFFERED, Link
from pushline.gatewayworker.pipeline import FLUSH_AT, IN_FLIGHT, WAITING
from pushline.gatewayworker.role import KNOCK, Role, client_role, place_of, worker_greeting
from tests.gatewayworker.fakes import FakeGateway
from tests.gatewayworker.recorded import in_life
from tests.gatewayworker.registers import PATIENCE, until

SECRET = "s3cret"
WHERE = Place(0x7F000001, 2300, 0x7F000001, 41748, 7272)
CLIENT = Role()
COUNT = encode(Cmd.COUNT_OF_GROUP)
MEGABYTE = encode(Cmd.SEND_TO_ALL, body=b"x" * (1 << 20))


@pytest.fixture
async def fake() -> AsyncIterator[FakeGateway]:
    async with FakeGateway() as fake:
        yield fake


@contextlib.asynccontextmanager
async def linked(
    fake: FakeGateway, role: Role = CLIENT, *, opens: bool = True
) -> AsyncIterator[Link]:
    link = Link(fake.address, role)
    try:
        assert await link.open(PATIENCE) is opens
        yield link
    finally:
        await link.close()
        assert link.lost.done()


def numbered(frame: Frame) -> bytes | None:
    """The answer to a question with a number in it."""
    return b"i:%b;" % frame.ext if frame.cmd == Cmd.COUNT_OF_GROUP else None


def question(number: int) -> bytes:
    return encode(Cmd.COUNT_OF_GROUP, ext=b"%d" % number)


def send(number: int) -> bytes:
    return encode(Cmd.SEND_TO_ALL, body=b"%d" % number)


# --- opening ------------------------------------------------------------------------------------


async def test_a_client_greets_and_knocks_and_is_in_when_it_was_answered() -> None:
    recorded = in_life("client", "gateway")[0]
    async with FakeGateway(secret=SECRET) as fake, linked(fake, client_role(SECRET)) as link:
        assert (link.error, link.ours, link.place) == (None, False, place_of(fake.address))
        assert await link.ask(COUNT) == dumps(0)
        greeting = recorded.removesuffix(COUNT)
        assert fake.connection.data == greeting + KNOCK + COUNT


async def test_without_a_secret_there_is_no_greeting(fake: FakeGateway) -> None:
    async with linked(fake, client_role("")):
        assert fake.connection.data == KNOCK


async def test_a_gateway_of_ours_says_so() -> None:
    async with FakeGateway(ours=True) as fake, linked(fake) as link:
        assert link.ours


@pytest.mark.parametrize("secret", ["", "wrong"])
async def test_a_gateway_that_ends_the_connection_at_once_may_have_another_key(
    secret: str,
) -> None:
    async with (
        FakeGateway(secret=SECRET) as fake,
        linked(fake, client_role(secret), opens=False) as link,
    ):
        assert isinstance(link.error, RejectedError)
        assert str(link.error).startswith(f"gateway {fake.address} ended the connection")
        assert "gateway.secret" in str(link.error)
        assert "wrong" not in str(link.error)
        with pytest.raises(RejectedError):
            link.send(COUNT)
        with pytest.raises(RejectedError):
            await link.ask(COUNT)


async def test_where_nobody_listens_no_link_opens(fake: FakeGateway) -> None:
    await fake.stop()
    async with linked(fake, opens=False) as link:
        assert type(link.error) is UnavailableError
        assert "cannot be connected to (Connection refused)" in str(link.error)


async def test_a_gateway_that_does_not_answer_the_knock_is_given_up(fake: FakeGateway) -> None:
    fake.hold()
    link = Link(fake.address, Role())
    waiting = link.send(send(1))
    assert not await link.open(0.05)
    assert str(link.error) == f"gateway {fake.address} does not answer within 0.05 s"
    assert waiting is not None
    with pytest.raises(UnavailableError, match="it was sent nothing of this"):
        await waiting
    await link.lost
    await until(lambda: fake.connection.lost)
    assert fake.frames == []


async def test_what_is_no_gateway_is_found_out(fake: FakeGateway) -> None:
    fake.hold()
    link = Link(fake.address, Role())
    opening = asyncio.create_task(link.open(PATIENCE))
    await until(lambda: bool(fake.connections))
    fake.connection.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert not await opening
    assert "said what no gateway says" in str(link.error)
    assert "is it one?" in str(link.error)
    await link.lost


async def test_a_link_whose_opening_is_cancelled_is_lost(fake: FakeGateway) -> None:
    fake.hold()
    link = Link(fake.address, Role())
    opening = asyncio.create_task(link.open(PATIENCE))
    await until(lambda: bool(fake.connections))
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert isinstance(link.error, UnavailableError)
    await link.lost


# --- frames and answers -------------------------------------------------------------------------


async def test_each_question_has_its_own_answer_in_order(fake: FakeGateway) -> None:
    fake.answer = numbered
    async with linked(fake) as link:
        answers = [link.ask(question(number)) for number in range(1000)]
        assert await asyncio.gather(*answers) == [b"i:%d;" % number for number in range(1000)]


async def test_an_answer_that_nobody_waits_for_is_taken_for_no_other(fake: FakeGateway) -> None:
    fake.answer = numbered
    fake.hold()
    async with FakeGateway() as other:
        other.answer = numbered
        async with linked(other) as link:
            other.hold()
            first, second = link.ask(question(1)), link.ask(question(2))
            first.cancel()
            await other.got(2)
            other.let()
            assert await second == b"i:2;"


async def test_frames_of_one_pass_of_the_loop_go_out_in_one_write(fake: FakeGateway) -> None:
    async with linked(fake) as link:
        before = fake.connection.chunks
        for number in range(1000):
            assert link.send(send(number)) is None
        frames = await fake.got(1000)
        assert [frame.body for frame in frames] == [b"%d" % number for number in range(1000)]
        assert fake.connection.chunks - before <= 2


async def test_frames_that_come_before_the_link_is_open_are_sent_in_their_order(
    fake: FakeGateway,
) -> None:
    fake.answer = numbered
    link = Link(fake.address, Role())
    waiting: list[asyncio.Future[Any] | None]
    waiting = [link.send(send(1)), link.ask(question(2)), link.send(send(3))]
    taken_back = link.send(send(4))
    assert taken_back is not None
    taken_back.cancel()
    assert await link.open(PATIENCE)
    assert link.send(send(5)) is None
    assert [await done for done in waiting if done is not None] == [None, b"i:2;", None]
    frames = await fake.got(4)
    assert [frame.body or frame.ext for frame in frames] == [b"1", b"2", b"3", b"5"]
    await link.close()


async def test_while_the_gateway_does_not_read_frames_wait_and_the_buffer_is_bounded(
    fake: FakeGateway,
) -> None:
    async with linked(fake) as link:
        fake.stop_reading()
        waiting: list[asyncio.Future[None]] = []
        while len(waiting) < 10:
            if (future := link.send(MEGABYTE)) is not None:
                waiting.append(future)
            await asyncio.sleep(0)
        assert link._transport is not None
        assert link._transport.get_write_buffer_size() <= BUFFERED + len(MEGABYTE)
        waiting[3].cancel()
        sent = len(fake.frames)
        fake.go_on_reading()
        await asyncio.gather(*(future for future in waiting if not future.cancelled()))
        if (last := link.send(send(1))) is not None:
            await last
        await until(lambda: bool(fake.frames) and fake.frames[-1].body == b"1")
        assert sent == 0


async def test_more_than_so_many_frames_do_not_wait(fake: FakeGateway) -> None:
    link = Link(fake.address, Role())
    waiting = [link.send(send(number)) for number in range(WAITING)]
    with pytest.raises(UnavailableError, match=f"{WAITING} calls wait"):
        link.send(send(0))
    for future in waiting[:10]:
        assert future is not None
        future.cancel()
    assert link.send(send(1)) is not None
    await link.close()
    for future in waiting[10:]:
        assert future is not None
        assert isinstance(future.exception(), UnavailableError)


async def test_no_more_than_so_many_questions_are_in_flight(fake: FakeGateway) -> None:
    fake.answer = numbered
    async with linked(fake) as link:
        fake.hold()
        answers = [link.ask(question(number)) for number in range(IN_FLIGHT + 2)]
        behind = link.send(send(7))
        assert behind is not None
        await fake.got(IN_FLIGHT)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(fake.frames) == IN_FLIGHT
        fake.let()
        assert (await asyncio.gather(*answers))[-1] == b"i:%d;" % (IN_FLIGHT + 1)
        await behind
        assert (await fake.got(IN_FLIGHT + 3))[-1].body == b"7"


async def test_long_frames_do_not_wait_for_the_end_of_the_pass(fake: FakeGateway) -> None:
    async with linked(fake) as link:
        link.send(encode(Cmd.SEND_TO_ALL, body=b"x" * FLUSH_AT))
        assert link._pipeline._unwritten == []
        await fake.got(1)


# --- the end ------------------------------------------------------------------------------------


async def test_when_a_link_is_lost_questions_fail_at_once_and_name_the_gateway(
    fake: FakeGateway,
) -> None:
    async with linked(fake) as link:
        fake.hold()
        answers = [link.ask(COUNT), link.ask(COUNT)]
        await fake.got(2)
        await fake.hang_up()
        for answer in answers:
            with pytest.raises(UnavailableError, match=f"gateway {fake.address}"):
                await answer
        await link.lost
        with pytest.raises(UnavailableError, match=fake.address):
            link.send(COUNT)


async def test_a_gateway_that_ends_its_side_ends_a_client_s_link(fake: FakeGateway) -> None:
    async with linked(fake) as link:
        fake.connection.transport.write_eof()
        await link.lost
        assert str(link.error) == f"gateway {fake.address} has ended the connection"


async def test_an_answer_to_nothing_ends_the_link(fake: FakeGateway) -> None:
    async with linked(fake) as link:
        fake.connection.say(encode_answer(b"i:1;"))
        await link.lost
        assert "said what no gateway says (an answer to nothing)" in str(link.error)


async def test_a_link_is_closed_behind_all_that_was_written(fake: FakeGateway) -> None:
    link = Link(fake.address, Role())
    assert await link.open(PATIENCE)
    for number in range(100):
        link.send(send(number))
    await link.close()
    assert [frame.body for frame in fake.frames] == [b"%d" % number for number in range(100)]
    assert fake.connection.eof
    await link.close()


async def test_what_a_gateway_does_not_take_before_the_link_is_closed_is_logged(
    fake: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    link = Link(fake.address, Role())
    assert await link.open(PATIENCE)
    fake.stop_reading()
    await until(lambda: link.send(MEGABYTE) is not None)
    with caplog.at_level(logging.WARNING):
        await link.close(seconds=0.05)
    assert f"gateway {fake.address} has not taken the last" in caplog.text


async def test_a_client_s_link_that_is_silent_when_a_question_is_overdue_is_lost(
    fake: FakeGateway,
) -> None:
    async with linked(fake) as link:
        before = link.loop.time() - 1
        link.overdue(before)
        assert link.error is None
        link.overdue(link.loop.time() + 1)
        assert str(link.error) == f"gateway {fake.address} does not answer"


# --- a worker -----------------------------------------------------------------------------------


class Heard:
    """What a worker's link has called."""

    def __init__(self) -> None:
        self.events: list[Frame] = []
        self.ended = 0
        self.role = Role(
            worker_greeting("Python:0", SECRET),
            is_worker=True,
            on_event=lambda _, event: self.events.append(event),
            on_end=self._end,
        )

    def _end(self, _link: Link) -> None:
        self.ended += 1


@pytest.fixture
async def guarded() -> AsyncIterator[FakeGateway]:
    async with FakeGateway(secret=SECRET) as fake:
        yield fake


@pytest.fixture
def heard() -> Heard:
    return Heard()


async def test_a_worker_greets_and_has_events_and_answers_each_in_order(heard: Heard) -> None:
    async with FakeGateway(secret=SECRET) as fake:
        fake.answer = numbered
        async with linked(fake, heard.role) as link:
            await until(lambda: bool(fake.greetings))
            said = b'{"worker_key":"Python:0","secret_key":"s3cret","pushline":1}'
            assert fake.connection.data == encode(Cmd.WORKER_CONNECT, body=said)
            answer = link.ask(question(1))
            await fake.got(1)
            event = encode_event(Cmd.MESSAGE, WHERE, 1, flag=PLAIN, body=b"hi")
            fake.connection.say(event + event[:10])
            fake.connection.say(event[10:] + event)
            assert await answer == b"i:1;"
            await until(lambda: len(heard.events) == 3)
            assert [event.body for event in heard.events] == [b"hi", b"hi", b"hi"]


async def test_a_worker_with_another_key_finds_the_link_ended_and_then_lost(heard: Heard) -> None:
    async with FakeGateway(secret="another") as fake, linked(fake, heard.role) as link:
        await until(lambda: heard.ended == 1)

        def is_lost() -> bool:
            if link.error is None:
                link.send(send(1))
            return link.lost.done()

        await until(is_lost)
        assert isinstance(link.error, RejectedError)


async def test_behind_the_end_of_the_events_a_worker_still_sends_and_asks_nothing(
    guarded: FakeGateway, heard: Heard
) -> None:
    async with linked(guarded, heard.role) as link:
        guarded.hold()
        answer = link.ask(COUNT)
        await guarded.got(1)
        guarded.connection.say(encode_event(Cmd.MESSAGE, WHERE, 1, body=b"last"))
        guarded.connection.transport.write_eof()
        await until(lambda: heard.ended == 1)
        assert [event.body for event in heard.events] == [b"last"]
        with pytest.raises(UnavailableError, match="has ended its side"):
            await answer
        with pytest.raises(UnavailableError, match="has ended its side"):
            link.ask(COUNT)
        assert link.error is None
        link.send(send(1))
        link.write_eof()
        assert (await guarded.got(2))[-1].body == b"1"
        with pytest.raises(UnavailableError, match="our side of the link has ended"):
            link.send(send(2))


async def test_a_worker_that_has_ended_its_side_still_has_what_comes(
    guarded: FakeGateway, heard: Heard
) -> None:
    guarded.answer = numbered
    guarded.half_open = True
    async with linked(guarded, heard.role) as link:
        guarded.hold()
        answer = link.ask(question(1))
        link.write_eof()
        await guarded.got(1)
        guarded.let()
        assert await answer == b"i:1;"


async def test_a_worker_can_stop_reading_and_go_on(guarded: FakeGateway, heard: Heard) -> None:
    async with linked(guarded, heard.role) as link:
        await until(lambda: bool(guarded.connections))
        link.pause_reading()
        guarded.connection.say(encode_event(Cmd.MESSAGE, WHERE, 1, body=b"hi"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert heard.events == []
        link.resume_reading()
        await until(lambda: len(heard.events) == 1)


async def test_a_worker_s_link_is_kept_when_a_question_is_overdue(
    guarded: FakeGateway, heard: Heard
) -> None:
    async with linked(guarded, heard.role) as link:
        link.overdue(link.loop.time() + 1)
        assert link.error is None


async def test_a_gateway_of_ours_says_so_in_its_events(guarded: FakeGateway, heard: Heard) -> None:
    async with linked(guarded, heard.role) as link:
        await until(lambda: bool(guarded.connections))
        guarded.connection.say(encode_event(Cmd.CONNECT, WHERE, 1, flag=PLAIN))
        await until(lambda: len(heard.events) == 1)
        assert not link.ours
        guarded.connection.say(encode_event(Cmd.CONNECT, WHERE, 1, flag=PLAIN | OURS))
        await until(lambda: link.ours)

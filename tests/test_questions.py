"""Questions to nodes that answer, or do not, as a test has it."""

import asyncio
import gc
from collections.abc import Iterator

import pytest
import pytest_asyncio

from pushline.brokers.memory import Bus
from pushline.cluster.questions import LAST_NUMBER, OTHERS, SOMEBODY, Questions
from pushline.cluster.routes import Part
from pushline.codecs import cluster_wire as wire
from pushline.codecs.cluster_wire import (
    EVERYONE,
    Answer,
    channel_of_group,
    channel_of_node,
    channel_of_uid,
    user_of,
)
from pushline.commands import Clients, CountOfClients, IsAlive, SetSession
from pushline.errors import AppError, DeadlineError, SerializedError, UnavailableError
from pushline.gateway.partial import Missing
from tests.members import Member, Slow, member, settle

A, B, C, D = "0000000000aa", "0000000000bb", "0000000000cc", "0000000000dd"
SOON = 0.05
"""Seconds after which an answer that does not come is not waited for any more."""
LATE = f"no answer within {SOON:g} s"
COUNT = CountOfClients()
ALL = Part(EVERYONE, COUNT)


class Asker(Member):
    """The node A, whose `questions` are asked; a test may hold what its broker says of them."""

    broker: Slow

    def __init__(self, broker: Slow) -> None:
        super().__init__(broker, A)
        self.asked = Questions(broker, SOON)
        self.asked.name = A

    def _take(self, channel: bytes, payload: bytes) -> None:
        answer = wire.decode(payload)
        assert isinstance(answer, Answer)
        self.asked.take(answer)

    def ask_for(
        self, *parts: Part, missing: list[Missing] | None = None
    ) -> "asyncio.Task[list[int]]":
        """The results, later."""
        asked = self.asked.ask(parts)

        async def results() -> list[int]:
            return [result for _, result in await self.asked.gather(asked, missing)]

        return asyncio.create_task(results())


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest_asyncio.fixture
async def asker(bus: Bus) -> Asker:
    asker = Asker(Slow(bus))
    await asker.start()
    return asker


@pytest.fixture(autouse=True)
def nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_where_nobody_else_is_the_answer_is_there_at_once(asker: Asker) -> None:
    assert await asker.ask_for(ALL) == []
    assert await asker.ask_for(ALL, Part(channel_of_uid("u", "0"), COUNT)) == []


async def test_all_are_waited_for_who_have_been_asked(asker: Asker, bus: Bus) -> None:
    b, c = await member(bus, B), await member(bus, C)
    results = asker.ask_for(ALL)
    await settle()
    await b.answer(b.questions[0], 2)
    assert not results.done()
    await c.answer(c.questions[0], 3)
    assert await results == [2, 3]


async def test_each_question_has_its_own_answers(asker: Asker, bus: Bus) -> None:
    b = await member(bus, B, channel_of_group("g"))
    first, second = asker.ask_for(ALL, Part(channel_of_group("g"), Clients("g"))), None
    await settle()
    second = asker.ask_for(ALL)
    await settle()
    everyone, group, again = b.questions
    assert group.command == Clients("g")
    assert len({everyone.number, group.number, again.number}) == 3
    await b.answer(again, 3)
    assert await second == [3]
    await b.answer(group, ["b"])
    await b.answer(everyone, 1)
    assert await first == [1, ["b"]]


async def test_an_answer_may_come_before_it_is_known_how_many_there_will_be(
    asker: Asker, bus: Bus
) -> None:
    """As where answers come over another Redis."""
    b = await member(bus, B)
    asker.broker.is_silent = True
    results = asker.ask_for(ALL)
    await settle()
    await b.answer(b.questions[0], 2)
    assert not results.done()
    asker.broker.tell()
    assert await results == [2]


async def test_a_second_answer_of_the_same_node_changes_nothing(asker: Asker, bus: Bus) -> None:
    b, c = await member(bus, B), await member(bus, C)
    results = asker.ask_for(ALL)
    await settle()
    await b.answer(b.questions[0], 2)
    await b.answer(b.questions[0], 2)
    assert not results.done()
    await c.answer(c.questions[0], 3)
    assert await results == [2, 3]


async def test_an_answer_to_nothing_is_nothing(asker: Asker, bus: Bus) -> None:
    b = await member(bus, B)
    results = asker.ask_for(ALL)
    await settle()
    question = b.questions[0]
    await b.answer(question._replace(number=question.number + 1), 7)
    await b.answer(question, 2)
    await b.answer(question, 2)
    assert await results == [2]


# --- who is missing -------------------------------------------------------------------------------


async def test_who_does_not_answer_in_time_is_named(asker: Asker, bus: Bus) -> None:
    b, *_ = await member(bus, B), await member(bus, C), await member(bus, D)
    results = asker.ask_for(ALL)
    await settle()
    await b.answer(b.questions[0], 2)
    with pytest.raises(DeadlineError, match=f"^{C}, {D}: {LATE}$"):
        await results


async def test_an_answer_in_part_says_whose_parts_are_missing(asker: Asker, bus: Bus) -> None:
    b, c, _ = await member(bus, B), await member(bus, C), await member(bus, D)
    missing: list[Missing] = []
    results = asker.ask_for(ALL, missing=missing)
    await settle()
    await b.answer(b.questions[0], 2)
    await c.fail(c.questions[0], "oh no")
    assert await results == [2]
    assert missing == [Missing(C, "oh no"), Missing(D, LATE)]


async def test_the_node_of_a_client_is_named(asker: Asker, bus: Bus) -> None:
    await member(bus, B)
    await member(bus, C)
    with pytest.raises(DeadlineError, match=f"^{C}: {LATE}$"):
        await asker.ask_for(Part(channel_of_node(C), COUNT))


async def test_the_nodes_of_a_user_are_named(asker: Asker, bus: Bus) -> None:
    await member(bus, B)
    c = await member(bus, C, channel_of_uid("u", "7"))
    c.broker.present(user_of("u", "7"), 1)
    with pytest.raises(DeadlineError, match=f"^{C}: {LATE}$"):
        await asker.ask_for(Part(channel_of_uid("u", "7"), COUNT))


async def test_of_a_group_all_are_named_who_may_be_meant(asker: Asker, bus: Bus) -> None:
    channel = channel_of_group("g")
    b, *_ = await member(bus, B, channel), await member(bus, C, channel), await member(bus, D)
    missing: list[Missing] = []
    results = asker.ask_for(Part(channel, COUNT), missing=missing)
    await settle()
    await b.answer(b.questions[0], 2)
    assert await results == [2]
    assert missing == [Missing(f"{C} or {D}", LATE)]


async def test_where_nobody_knows_who_it_was_somebody_is_missing(asker: Asker, bus: Bus) -> None:
    b = await member(bus, B, channel_of_uid("u", "0"))
    missing: list[Missing] = []
    results = asker.ask_for(Part(channel_of_uid("u", "0"), COUNT), missing=missing)
    await settle()
    await b.broker.stop()
    assert await results == []
    assert missing == [Missing(SOMEBODY, LATE)]


async def test_one_who_is_missing_in_several_answers_is_named_once(asker: Asker, bus: Bus) -> None:
    await member(bus, B, channel_of_group("g"))
    parts = [ALL, Part(channel_of_group("g"), COUNT), Part(channel_of_node(B), COUNT)]
    with pytest.raises(DeadlineError, match=f"^{B}: {LATE}$"):
        await asker.ask_for(*parts)


async def test_a_node_that_cannot_answer_says_why(asker: Asker, bus: Bus) -> None:
    b = await member(bus, B)
    results = asker.ask_for(ALL)
    await settle()
    await b.fail(b.questions[0], "Encoding objects of type Lock is unsupported")
    with pytest.raises(SerializedError, match=f"^{B}: Encoding objects of type Lock"):
        await results


async def test_an_answer_that_is_none_is_as_if_there_were_none(asker: Asker, bus: Bus) -> None:
    b = await member(bus, B)
    results = asker.ask_for(ALL)
    await settle()
    await b.answer(b.questions[0], "many")
    with pytest.raises(SerializedError, match=f"{B}: not an answer to CountOfClients"):
        await results


async def test_of_different_reasons_all_are_given(asker: Asker, bus: Bus) -> None:
    b, _ = await member(bus, B), await member(bus, C)
    results = asker.ask_for(ALL)
    await settle()
    await b.fail(b.questions[0], "oh no")
    with pytest.raises(DeadlineError, match=f"^{B}: oh no; {C}: {LATE}$"):
        await results


async def test_a_question_that_cannot_be_sent_fails(asker: Asker, bus: Bus) -> None:
    await asker.broker.stop()
    with pytest.raises(UnavailableError, match=f"^{OTHERS}: this node is in no cluster$"):
        await asker.ask_for(ALL, Part(channel_of_node(B), COUNT))
    missing: list[Missing] = []
    assert await asker.ask_for(ALL, missing=missing) == []
    assert missing == [Missing(OTHERS, "this node is in no cluster")]


async def test_where_it_is_not_said_who_has_been_asked_all_are_missing(
    asker: Asker, bus: Bus
) -> None:
    asker.broker.is_silent = True
    b = await member(bus, B)
    missing: list[Missing] = []
    results = asker.ask_for(ALL, missing=missing)
    await settle()
    await b.answer(b.questions[0], 2)
    assert await results == [2]
    assert missing == [Missing(OTHERS, LATE)]


async def test_whether_a_client_lives_takes_as_long_as_it_may(asker: Asker, bus: Bus) -> None:
    b = await member(bus, B)
    question = Part(channel_of_node(B), IsAlive(B + "0" * 8, "u", "0", 4 * SOON))
    alive = asker.ask_for(question)
    await asyncio.sleep(2 * SOON)
    await b.answer(b.questions[0], True)
    assert await alive == [True]
    with pytest.raises(DeadlineError, match=f"no answer within {5 * SOON:g} s"):
        await asker.ask_for(question)


# --- nothing is kept ------------------------------------------------------------------------------


async def test_a_question_is_forgotten_however_it_ends(asker: Asker, bus: Bus) -> None:
    b = await member(bus, B)
    answered, late, given_up = (asker.ask_for(ALL) for _ in range(3))
    await settle()
    assert len(asker.asked) == 3
    await b.answer(b.questions[0], 1)
    given_up.cancel()
    await asyncio.wait((answered, late, given_up))
    assert len(asker.asked) == 0
    await b.answer(b.questions[1], 1)
    await b.answer(b.questions[2], 1)
    with pytest.raises(DeadlineError):
        await late


async def test_of_questions_one_of_which_cannot_travel_none_is_asked(
    asker: Asker, bus: Bus
) -> None:
    b = await member(bus, B)
    session = SetSession(B + "0" * 8, {"a": object()})
    with pytest.raises(AppError, match="cannot be sent to another node: Encoding objects"):
        asker.asked.ask([ALL, Part(channel_of_node(B), session)])
    await settle()
    assert b.came == []
    assert len(asker.asked) == 0


async def test_numbers_begin_again_and_are_never_those_of_open_questions(
    asker: Asker, bus: Bus
) -> None:
    b = await member(bus, B)
    first = asker.ask_for(ALL)
    asker.asked._last = LAST_NUMBER - 1
    others = [asker.ask_for(ALL) for _ in range(2)]
    await settle()
    assert [question.number for question in b.questions] == [1, LAST_NUMBER, 2]
    for number, question in enumerate(b.questions):
        await b.answer(question, number)
    assert await asyncio.gather(first, *others) == [[0], [1], [2]]

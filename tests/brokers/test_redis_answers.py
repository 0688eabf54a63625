import random

import pytest

from pushline.brokers.base import Counts
from pushline.brokers.redis.answers import ORDINARY, Answer, Answers, RefusedError
from pushline.brokers.redis.backoff import Backoff
from pushline.errors import UnavailableError

TIMEOUT, PATIENCE = 3, 6
"""Ticks."""


@pytest.fixture
async def answers() -> Answers:
    return Answers("redis://h", TIMEOUT, PATIENCE, Counts())


def failed(answer: Answer) -> bool:
    return answer.done() and isinstance(answer.exception(), UnavailableError)


async def test_answers_are_those_of_the_commands_in_their_order(answers: Answers) -> None:
    waiting = [answers.expect(ORDINARY) for _ in range(3)]
    for reply in (b"one", 2, None):
        answers.take(reply)
    assert [answer.result() for answer in waiting] == [b"one", 2, None]
    assert len(answers) == 0


async def test_of_a_publish_the_own_receiver_is_not_counted(answers: Answers) -> None:
    waiting = [answers.expect(own) for own in (0, 1)]
    answers.take(5)
    answers.take(5)
    assert [answer.result() for answer in waiting] == [5, 4]


async def test_a_subscription_is_done_when_its_last_channel_is_confirmed(answers: Answers) -> None:
    before, subscription, behind = (
        answers.expect(ORDINARY),
        answers.expect_confirmation(2),
        answers.expect(0),
    )
    answers.take(b"")
    answers.confirmed()
    assert (before.done(), subscription.done()) == (True, False)
    answers.confirmed()
    assert (subscription.done(), behind.done()) == (True, False)
    answers.take(3)
    assert behind.result() == 3


async def test_an_error_is_the_answer_to_the_first_though_it_is_a_subscription(
    answers: Answers,
) -> None:
    first, second = answers.expect_confirmation(2), answers.expect_confirmation(1)
    answers.take(RefusedError("redis://h", "NOPERM no permissions"))
    error = first.exception()
    assert isinstance(error, RefusedError)
    assert (error.code, str(error)) == ("NOPERM", "redis://h refuses it: NOPERM no permissions")
    answers.confirmed()
    assert second.result() is None


async def test_an_answer_to_nothing_is_none(answers: Answers) -> None:
    for said in (answers.confirmed, lambda: answers.take(b"")):
        with pytest.raises(IndexError):
            said()


async def test_who_waits_for_the_whole_time_out_fails_and_keeps_its_place(answers: Answers) -> None:
    early = answers.expect(ORDINARY)
    answers.tick()
    late = answers.expect(ORDINARY)
    answers.tick()
    assert (early.done(), answers.are_prompt) == (False, True)
    answers.tick()
    assert (failed(early), late.done(), answers.are_prompt) == (True, False, False)
    answers.take(b"the early one's")
    assert answers.are_prompt
    answers.take(b"the late one's")
    assert late.result() == b"the late one's"


async def test_each_fails_once(answers: Answers) -> None:
    waiting = []
    for _ in range(PATIENCE - 1):
        waiting.append(answers.expect(0))
        assert answers.tick()
    assert [failed(answer) for answer in waiting] == [True, True, True, False, False]


async def test_the_patience_ends_when_the_first_has_waited_for_all_of_it(answers: Answers) -> None:
    for _ in range(20):
        assert answers.tick(), "nobody waits"
    waiting = answers.expect(ORDINARY)
    assert [answers.tick() for _ in range(PATIENCE)] == [True] * (PATIENCE - 1) + [False]
    assert failed(waiting)


async def test_who_has_an_answer_in_time_is_no_reason_to_be_impatient(answers: Answers) -> None:
    for _ in range(20):
        answers.expect(ORDINARY)
        assert answers.tick()
        answers.take(b"")
    assert answers.are_prompt


async def test_who_does_not_wait_any_more_is_not_answered(answers: Answers) -> None:
    gone, there = answers.expect(ORDINARY), answers.expect(ORDINARY)
    gone.cancel()
    answers.take(b"one")
    answers.take(b"two")
    assert there.result() == b"two"


async def test_at_the_end_all_fail_each_with_an_error_of_its_own() -> None:
    counts = Counts()
    answers = Answers("redis://h", TIMEOUT, PATIENCE, counts)
    waiting = [answers.expect(own) for own in (ORDINARY, 0, 1)]
    answers.end(UnavailableError("lost"))
    errors = [answer.exception() for answer in waiting]
    assert [str(error) for error in errors] == ["lost"] * 3
    assert len(set(map(id, errors))) == 3
    assert (len(answers), counts.failed) == (0, 2)


def test_each_pause_may_be_twice_as_long_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
    backoff = Backoff(0.1, 5)
    for longest in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5):
        assert backoff.wait() == longest
    backoff.reset()
    assert backoff.wait() == 0.1


def test_pauses_differ() -> None:
    backoff = Backoff(0.1, 5)
    assert len({backoff.wait() for _ in range(10)}) == 10

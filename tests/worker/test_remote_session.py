"""The rule by which events and this worker's own changes make one session of a client."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pushline.codecs.gateway_call_answers import session_of
from pushline.codecs.php_serialize import dumps
from pushline.errors import AppError, SerializedError
from pushline.worker.remote_session import Question, RemoteSession

NEVER_SET = b""
ANN, BOB, CAT = (dumps({"name": name}) for name in ("Ann", "Bob", "Cat"))


def changed(session: RemoteSession, **values: object) -> bytes | None:
    """What goes to the gateway after a handler that sets these."""
    session.value().update(values)
    return session.changed()


def came(session: RemoteSession, received: bytes) -> bool:
    """An event came with this, and it is its turn; False where the gateway has to be asked."""
    number = session.arrived(received)
    return number is None or session.seen(number, received)


def asked(session: RemoteSession, answer: bytes) -> None:
    """The gateway has this, and is asked while nothing else happens."""
    session.answered(session.ask(), answer)


# --- what the application sees ------------------------------------------------------------------


def test_one_that_was_never_set_is_empty() -> None:
    assert RemoteSession(NEVER_SET).value() == {}


def test_it_is_what_the_event_brought() -> None:
    assert RemoteSession(dumps({"a": [1, {"b": None}], "7": 1.5})).value() == {
        "a": [1, {"b": None}],
        "7": 1.5,
    }


def test_it_is_one_object_as_long_as_nobody_else_changes_it() -> None:
    session = RemoteSession(ANN)
    held = session.value()
    held["age"] = 5
    session.changed()
    came(session, ANN)
    assert session.value() is held


@pytest.mark.parametrize("serialized", [b'O:3:"Foo":0:{}', b"a:1:{", b"i:5;"])
def test_what_cannot_be_read_is_an_error_and_is_never_overwritten(serialized: bytes) -> None:
    session = RemoteSession(serialized)
    with pytest.raises(AppError, match=r"gateway\.set_session"):
        session.value()
    assert session.changed() is None
    came(session, ANN)
    assert session.value() == {"name": "Ann"}


# --- what goes back -----------------------------------------------------------------------------


def test_what_was_changed_goes_back_once_and_whole() -> None:
    session = RemoteSession(ANN)
    assert changed(session, hits=1) == dumps({"name": "Ann", "hits": 1})
    assert session.changed() is None
    assert changed(session) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session["list"].append(2),
        lambda session: session["deep"]["er"].update(x=1),
        lambda session: session.pop("list"),
    ],
)
def test_a_change_deep_inside_goes_back(change: Callable[[dict[str, object]], object]) -> None:
    session = RemoteSession(dumps({"list": [1], "deep": {"er": {"y": 0}}}))
    value = session.value()
    change(value)
    assert session.changed() == dumps(value)


@pytest.mark.parametrize(
    "serialized",
    [
        b'a:1:{s:1:"f";d:0.10000000000000001;}',  # as PHP wrote floats until 7.1
        b"a:2:{i:0;i:1;i:1;i:2;}",
        b'a:1:{s:1:"a";a:0:{}}',
        NEVER_SET,
    ],
)
def test_what_was_only_read_does_not_go_back(serialized: bytes) -> None:
    session = RemoteSession(serialized)
    session.value()
    assert session.changed() is None


def test_what_was_not_asked_for_does_not_go_back() -> None:
    session = RemoteSession(ANN)
    came(session, BOB)
    assert session.changed() is None


def test_what_was_changed_and_changed_back_does_not_go_back() -> None:
    session = RemoteSession(ANN)
    session.value()["name"] = "Bob"
    session.value()["name"] = "Ann"
    assert session.changed() is None


def test_what_php_cannot_have_is_refused_and_the_next_good_one_goes() -> None:
    session = RemoteSession(ANN)
    with pytest.raises(SerializedError):
        changed(session, lock=object())
    assert changed(session, lock=None) == dumps({"name": "Ann", "lock": None})


# --- the rule -----------------------------------------------------------------------------------


def test_what_others_set_replaces_the_copy() -> None:
    session = RemoteSession(ANN)
    assert session.value() == {"name": "Ann"}
    assert came(session, BOB)
    assert session.value() == {"name": "Bob"}


def test_what_came_before_ours_was_set_does_not_undo_it() -> None:
    session = RemoteSession(ANN)
    number = session.arrived(BOB)
    assert number is not None
    assert changed(session, name="Cat") == CAT
    assert session.seen(number, BOB)
    assert session.value() == {"name": "Cat"}


def test_what_comes_while_ours_is_under_way_may_be_older_or_newer_so_the_gateway_is_asked() -> None:
    for answer, name in ((BOB, "Bob"), (NEVER_SET, None), (CAT, "Cat")):
        session = RemoteSession(NEVER_SET)
        assert changed(session, name="Bob") == BOB
        assert not came(session, NEVER_SET)
        asked(session, answer)
        assert session.value().get("name") == name
        assert session.changed() is None


def test_ours_that_comes_back_has_arrived_and_what_comes_then_is_by_others() -> None:
    session = RemoteSession(ANN)
    changed(session, name="Bob")
    assert came(session, BOB)
    assert came(session, ANN)
    assert session.value() == {"name": "Ann"}


def test_what_others_set_back_is_found_though_it_came_before() -> None:
    session = RemoteSession(ANN)
    changed(session, name="Bob")
    assert not came(session, ANN)
    asked(session, ANN)
    assert session.value() == {"name": "Ann"}
    assert came(session, ANN)


def test_behind_an_answer_the_last_that_came_may_come_anew() -> None:
    session = RemoteSession(ANN)
    changed(session, name="Bob")
    assert not came(session, ANN)
    asked(session, BOB)
    assert came(session, ANN)
    assert session.value() == {"name": "Ann"}


def test_ours_that_comes_back_may_be_one_before_the_last() -> None:
    """Ann, Bob and Ann were set: the last Ann may still be under way, and Bob come behind that."""
    session = RemoteSession(NEVER_SET)
    for name in ("Ann", "Bob", "Ann"):
        changed(session, name=name)
    assert not came(session, ANN)
    asked(session, ANN)
    assert came(session, ANN)
    assert session.value() == {"name": "Ann"}


def test_what_is_set_while_the_gateway_is_asked_is_not_undone_and_not_known_to_be_there() -> None:
    session = RemoteSession(ANN)
    changed(session, name="Bob")
    assert not came(session, ANN)
    question = session.ask()
    changed(session, name="Cat")
    session.answered(question, BOB)
    assert session.value() == {"name": "Cat"}
    assert not came(session, BOB)
    asked(session, CAT)
    assert session.value() == {"name": "Cat"}


def test_what_came_before_the_question_is_older_than_the_answer() -> None:
    session = RemoteSession(ANN)
    changed(session, hits=1)
    numbers = [session.arrived(ANN) for _ in range(3)]
    assert None not in numbers
    assert not session.seen(numbers[0] or 0, ANN)
    asked(session, dumps({"name": "Ann", "hits": 1}))
    assert all(session.seen(number or 0, ANN) for number in numbers[1:])
    assert session.value() == {"name": "Ann", "hits": 1}


def test_what_came_while_the_gateway_was_asked_may_be_older_than_the_answer() -> None:
    """It has been sent it before it got the question, or behind the answer: it is asked again."""
    for answer, name in ((CAT, "Cat"), (BOB, "Bob")):
        session = RemoteSession(ANN)
        changed(session, name="Cat")
        assert not came(session, ANN)
        question = session.ask()
        number = session.arrived(BOB)
        assert number is not None
        session.answered(question, CAT)
        assert not session.seen(number, BOB)
        asked(session, answer)
        assert session.value() == {"name": name}
        assert came(session, answer)


def test_an_answer_that_is_none_leaves_everything_as_it_was() -> None:
    session = RemoteSession(ANN)
    changed(session, name="Bob")
    assert not came(session, ANN)
    session.ask()
    assert session.value() == {"name": "Bob"}
    assert not came(session, ANN)


def test_a_change_by_others_while_a_handler_holds_the_old_one_is_overwritten_only_if_asked() -> (
    None
):
    session = RemoteSession(ANN)
    held = session.value()
    session.changed()
    came(session, BOB)
    held["name"] = "Cat"  # the old object: nobody's any more
    assert session.changed() is None
    assert session.value() == {"name": "Bob"}


# --- the rule, in any order of events -----------------------------------------------------------


class Told(NamedTuple):
    """The gateway's session, and how often it had been set until then."""

    session: bytes
    version: int


class Asked(NamedTuple):
    """By the worker, behind what it has set."""


class AnyOrder(RuleBasedStateMachine):
    """A gateway, what is under way from it (`down`) and to it (`up`), and a worker's copy.

    `queue` is what waits for its turn, `answer` what the worker has been told and not read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gateway = Told(NEVER_SET, 0)
        self.up: deque[bytes | Asked] = deque()
        self.down: deque[tuple[bool, Told]] = deque()
        self.copy = RemoteSession(NEVER_SET)
        self.queue: deque[tuple[int, Told]] = deque()
        self.question: Question | None = None
        self.answer: Told | None = None
        self.ours = 0
        """How often the worker has set it, and"""
        self.arrived = 0
        """the version that the gateway made of the last of these; none while it is under way."""
        self.known = [ANN, BOB]
        """What others may set: also what has been there before."""

    @rule(data=st.data())
    def others_set(self, data: st.DataObject) -> None:
        self._set(data.draw(st.sampled_from(self.known[-3:])))

    @rule()
    def the_worker_sets(self) -> None:
        self.ours += 1
        changed_ = changed(self.copy, ours=self.ours)
        assert changed_ is not None
        self.up.append(changed_)
        self.arrived = 0

    @rule()
    def an_event_is_sent(self) -> None:
        self.down.append((False, self.gateway))

    @precondition(lambda self: self.up)
    @rule()
    def the_gateway_takes(self) -> None:
        taken = self.up.popleft()
        if isinstance(taken, Asked):
            self.down.append((True, self.gateway))
        else:
            self.known.append(taken)
            self._set(taken)
            if not any(isinstance(frame, bytes) for frame in self.up):
                self.arrived = self.gateway.version

    @precondition(lambda self: self.down)
    @rule()
    def the_worker_receives(self) -> None:
        is_answer, told = self.down.popleft()
        if is_answer:
            self.answer = told
        elif (number := self.copy.arrived(told.session)) is not None:
            self.queue.append((number, told))

    @precondition(lambda self: self.answer)
    @rule()
    def the_worker_reads_the_answer(self) -> None:
        assert self.answer is not None
        assert self.question is not None
        with self._newer(self.answer):
            self.copy.answered(self.question, self.answer.session)
        self.answer = self.question = None

    @precondition(lambda self: self.queue and self.question is None)
    @rule()
    def it_is_its_turn(self) -> None:
        number, told = self.queue.popleft()
        with self._newer(told):
            clear = self.copy.seen(number, told.session)
        if not clear:
            self.question = self.copy.ask()
            self.up.append(Asked())

    @rule()
    def all_gets_quiet_and_one_more_event_is_handled(self) -> None:
        self._drain()
        self.an_event_is_sent()
        self._drain()
        assert self.copy.value() == session_of(self.gateway.session)

    def _drain(self) -> None:
        while self.up or self.down or self.queue or self.answer:
            if self.up:
                self.the_gateway_takes()
            if self.down:
                self.the_worker_receives()
            if self.answer:
                self.the_worker_reads_the_answer()
            if self.queue and self.question is None:
                self.it_is_its_turn()

    def _set(self, session: bytes) -> None:
        self.gateway = Told(session, self.gateway.version + 1)

    @contextmanager
    def _newer(self, told: Told) -> Iterator[None]:
        """What replaces the copy is newer than what the worker has set itself."""
        before = dict(self.copy.value())
        yield
        if self.copy.value() != before and self.ours:
            assert 0 < self.arrived < told.version


def test_whoever_set_last_is_right_in_any_order() -> None:
    run_state_machine_as_test(
        AnyOrder, settings=settings(max_examples=500, stateful_step_count=40, deadline=None)
    )


def test_while_nothing_is_set_here_nothing_is_asked() -> None:
    session = RemoteSession(NEVER_SET)
    for received in (ANN, BOB, BOB, ANN, dumps({})):
        assert came(session, received)
        assert session.value() == session_of(received)
        assert session.changed() is None

"""Back ends that take turns, over transports that the test holds, pass by pass."""

from collections.abc import Iterator

import pytest

from pushline.listeners.paced import Paced
from pushline.metrics import Metrics
from pushline.outbox import PASS_CREDIT, Outbox
from tests.core import Loop, Transport


class Wire(Transport):
    """Says whether it is read from."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = True
        self.closing = False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing


class Peer(Paced):
    """Each of its requests takes a part of the pass's credit."""

    wire: Wire

    def __init__(self, outbox: Outbox, cost: int) -> None:
        super().__init__(outbox)
        self.transport = self.wire = Wire()
        self.requests = 0
        self._cost = cost

    def ask(self, requests: int) -> None:
        self.requests += requests
        self.work()

    def take(self) -> bool:
        while self.requests and self._outbox.credit > 0:
            self._outbox.credit -= self._cost
            self.requests -= 1
        return self.requests > 0


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def outbox(loop: Loop) -> Outbox:
    return Outbox(loop, 1000, Metrics())


def test_what_is_too_much_for_a_pass_waits_for_the_next_and_nothing_is_read_meanwhile(
    loop: Loop, outbox: Outbox
) -> None:
    peer = Peer(outbox, PASS_CREDIT // 2)
    peer.ask(5)
    left = []
    while peer.requests:
        left.append((peer.requests, peer.wire.reading))
        loop.turn(2)
    assert left == [(3, False), (1, False)]
    assert peer.wire.reading


def test_who_comes_while_another_floods_has_its_turn_in_the_next_pass(
    loop: Loop, outbox: Outbox
) -> None:
    """However often that goes on: it is not always the same one that comes first."""
    flooding, others = Peer(outbox, PASS_CREDIT), [Peer(outbox, 1) for _ in range(3)]
    flooding.ask(1000)
    for _ in range(10):
        for other in others:
            other.ask(2)
        loop.turn(2)
        assert [other.requests for other in others] == [0, 0, 0]
    assert 0 < flooding.requests < 995


def test_who_does_not_read_its_answers_is_not_read_from_and_takes_no_turn(
    loop: Loop, outbox: Outbox
) -> None:
    peer = Peer(outbox, 1)
    peer.pause_writing()
    peer.ask(1)
    loop.turn(3)
    assert (peer.requests, peer.wire.reading) == (1, False)
    peer.resume_writing()
    assert (peer.requests, peer.wire.reading) == (0, True)


def test_one_that_ends_meanwhile_takes_no_turn_any_more(loop: Loop, outbox: Outbox) -> None:
    peer = Peer(outbox, PASS_CREDIT)
    peer.ask(3)
    peer.wire.closing = True
    loop.turn(5)
    assert (peer.requests, peer.wire.reading) == (2, False)

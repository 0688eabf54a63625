"""Both lanes, flow control and limits, over transports that the test holds, pass by pass.

A frame here is the message's own bytes.
"""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from pushline.messages import Message
from pushline.metrics import Metrics
from pushline.outbox import (
    ENQUEUE_COST,
    FEW,
    FRAME_COST,
    LANE_BYTES,
    NOTHING,
    PASS_CREDIT,
    PATIENCE,
    SINK,
    SLICE,
    SLICE_BYTES,
    Held,
    Outbox,
    Writer,
)
from tests.core import Loop, Transport

LIMIT = 1000


def as_it_is(message: Message) -> bytes:
    return message.data


class Peer(Writer):
    """A writer that, as a connection does, takes nothing more after an overflow."""

    def __init__(self, outbox: Outbox) -> None:
        self.wire = Transport()
        self.overflowed = 0
        super().__init__(self.wire, outbox, as_it_is)

    def overflow(self) -> None:
        self.overflowed += 1
        self.seal()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def outbox(loop: Loop) -> Outbox:
    return Outbox(loop, LIMIT, Metrics())


@pytest.fixture
def peer(outbox: Outbox) -> Peer:
    return Peer(outbox)


def peers(outbox: Outbox, size: int) -> list[Peer]:
    return [Peer(outbox) for _ in range(size)]


def send(outbox: Outbox, writers: Collection[Writer], data: bytes) -> int:
    return outbox.send(writers, Message(data))


def fan_out(outbox: Outbox, first: Peer, data: bytes) -> int:
    """To `first` and to others, so many that it is a fan-out; `first` is first in the lane."""
    return send(outbox, [first, *peers(outbox, FEW)], data)


def written(many: Collection[Peer]) -> list[bytes]:
    return [peer.wire.written for peer in many]


# --- one connection -----------------------------------------------------------------------------


def test_a_lone_message_goes_out_in_the_pass_in_which_it_was_sent(
    loop: Loop, outbox: Outbox, peer: Peer
) -> None:
    assert send(outbox, [peer], b"one") == 1
    assert peer.wire.writes == []
    loop.turn()
    assert peer.wire.writes == [b"one"]


def test_all_of_one_pass_goes_out_together_in_its_order(
    loop: Loop, outbox: Outbox, peer: Peer
) -> None:
    send(outbox, [peer], b"1")
    fan_out(outbox, peer, b"2")
    outbox.post(peer, b"3")
    fan_out(outbox, peer, b"4")
    loop.turn()
    assert peer.wire.writes == [b"1234"]
    loop.turn(5)
    assert peer.wire.writes == [b"1234"]


def test_what_is_sent_in_a_later_pass_goes_out_in_that_one(
    loop: Loop, outbox: Outbox, peer: Peer
) -> None:
    for number in range(3):
        send(outbox, [peer], b"%d" % number)
        loop.turn()
    assert peer.wire.writes == [b"0", b"1", b"2"]


def test_the_loop_is_woken_once_for_a_pass_and_not_again_when_all_is_out(
    loop: Loop, outbox: Outbox
) -> None:
    few, crowd = peers(outbox, 10), peers(outbox, SLICE)
    before = loop.wakes
    for peer in few:
        send(outbox, crowd, b"all")
        outbox.post(peer, b"one")
        send(outbox, few, b"few")
    assert loop.wakes == before + 1
    loop.turn(10)
    assert loop.wakes == before + 1


# --- two lanes ----------------------------------------------------------------------------------


def test_a_fan_out_goes_out_a_slice_at_a_time_in_its_order(loop: Loop, outbox: Outbox) -> None:
    many = peers(outbox, SLICE * 2 + 50)
    assert send(outbox, many, b"all") == len(many)
    for passes in range(1, 4):
        loop.turn()
        assert written(many[: SLICE * passes]) == [b"all"] * min(SLICE * passes, len(many))
        assert not any(written(many[SLICE * passes :]))
    before = loop.wakes
    loop.turn(3)
    assert loop.wakes == before, "it sleeps when the lane is empty"


def test_a_slice_ends_when_enough_bytes_were_written(loop: Loop, outbox: Outbox) -> None:
    """One more is begun while exactly `SLICE_BYTES` are out: a single frame can be more."""
    many = peers(outbox, SLICE)
    send(outbox, many, bytes(SLICE_BYTES // 2))
    for passes in range(1, 5):
        loop.turn()
        assert sum(map(bool, written(many))) == 3 * passes


def test_up_to_a_few_are_flushed_whole_in_one_pass(loop: Loop, outbox: Outbox) -> None:
    crowd, few = peers(outbox, SLICE * 2), peers(outbox, FEW)
    send(outbox, crowd, b"all")
    send(outbox, few, b"few")
    loop.turn()
    assert written(few) == [b"few"] * FEW
    assert sum(map(bool, written(crowd))) == SLICE


def test_in_each_pass_the_targeted_are_flushed_first(loop: Loop, outbox: Outbox) -> None:
    crowd, few = peers(outbox, SLICE), peers(outbox, 2)
    flushed: list[Peer] = []
    for peer in (*crowd, *few):
        peer.wire.when_written = partial(flushed.append, peer)
    send(outbox, crowd, b"all")
    send(outbox, few, b"few")
    loop.turn()
    assert flushed == [*few, *crowd]


def test_a_targeted_send_overtakes_a_fan_out_only_for_other_connections(
    loop: Loop, outbox: Outbox
) -> None:
    crowd, stranger = peers(outbox, 15_000), Peer(outbox)
    send(outbox, crowd, b"all ")
    last = crowd[-1]
    send(outbox, [last, stranger], b"you")
    loop.turn()
    assert (stranger.wire.written, last.wire.writes) == (b"you", [b"all you"])
    assert written(crowd[:SLICE]) == [b"all "] * SLICE
    assert not any(written(crowd[SLICE:-1]))
    loop.turn(len(crowd) // SLICE)
    assert written(crowd[:-1]) == [b"all "] * (len(crowd) - 1)
    assert last.wire.writes == [b"all you"]


def test_one_that_was_flushed_and_fanned_out_to_again_keeps_its_order(
    loop: Loop, outbox: Outbox
) -> None:
    crowd = peers(outbox, SLICE * 3)
    last = crowd[-1]
    send(outbox, crowd, b"1")
    send(outbox, [last], b"2")
    loop.turn()
    send(outbox, crowd, b"3")
    send(outbox, [last], b"4")
    send(outbox, crowd, b"5")
    loop.turn(10)
    assert last.wire.writes == [b"12", b"345"]
    assert {peer.wire.written for peer in crowd[:-1]} == {b"135"}


def test_several_fan_outs_go_out_together(loop: Loop, outbox: Outbox) -> None:
    crowd = peers(outbox, SLICE * 2)
    for number in range(5):
        send(outbox, crowd, b"%d" % number)
    loop.turn(2)
    assert [peer.wire.writes for peer in crowd] == [[b"01234"]] * len(crowd)


def test_each_gets_the_frame_of_its_own_encoding(loop: Loop, outbox: Outbox) -> None:
    crowd = peers(outbox, FEW * 2)
    for peer in crowd[1::2]:
        peer.encode = lambda message: message.data.upper()
    send(outbox, crowd, b"all")
    send(outbox, crowd[:4], b"few")
    loop.turn()
    assert written(crowd[:6]) == [b"allfew", b"ALLFEW", b"allfew", b"ALLFEW", b"all", b"ALL"]


# --- a peer that does not keep up ---------------------------------------------------------------

Enqueue = Callable[[Outbox, Peer, bytes], object]


def targeted(outbox: Outbox, peer: Peer, data: bytes) -> int:
    return send(outbox, [peer], data)


either_lane = pytest.mark.parametrize("enqueue", [targeted, fan_out])


@either_lane
def test_nothing_is_written_while_it_is_paused(
    loop: Loop, outbox: Outbox, peer: Peer, enqueue: Enqueue
) -> None:
    enqueue(outbox, peer, b"before ")
    peer.pause()
    enqueue(outbox, peer, b"after")
    loop.turn(3)
    assert peer.wire.writes == []
    peer.resume()
    assert peer.wire.writes == [b"before after"]
    loop.turn(3)
    assert peer.wire.writes == [b"before after"]


@either_lane
def test_what_is_sent_after_it_has_caught_up_goes_out_as_ever(
    loop: Loop, outbox: Outbox, peer: Peer, enqueue: Enqueue
) -> None:
    enqueue(outbox, peer, b"1")
    peer.pause()
    peer.resume()
    enqueue(outbox, peer, b"2")
    enqueue(outbox, peer, b"3")
    loop.turn()
    assert peer.wire.writes == [b"1", b"23"]


def test_a_transport_may_pause_while_it_is_written_to(
    loop: Loop, outbox: Outbox, peer: Peer
) -> None:
    peer.wire.when_written = peer.pause
    send(outbox, [peer], b"1")
    loop.turn()
    send(outbox, [peer], b"2")
    loop.turn()
    assert peer.wire.writes == [b"1"]
    peer.resume()
    send(outbox, [peer], b"3")
    loop.turn()
    assert peer.wire.writes == [b"1", b"2"]
    peer.resume()
    assert peer.wire.writes == [b"1", b"2", b"3"]


def test_one_that_is_paused_delays_nobody(loop: Loop, outbox: Outbox) -> None:
    few, crowd = peers(outbox, 2), peers(outbox, SLICE)
    few[0].pause()
    crowd[0].pause()
    send(outbox, few, b"few")
    send(outbox, crowd, b"all")
    loop.turn()
    assert written([few[1], *crowd[1:]]) == [b"few"] + [b"all"] * (SLICE - 1)


def test_what_a_paused_one_holds_are_references_to_the_shared_frames(outbox: Outbox) -> None:
    crowd = peers(outbox, FEW * 2)
    for peer in crowd:
        peer.pause()
    send(outbox, crowd, bytes(100))
    send(outbox, crowd, bytes(200))
    for number in range(2):
        assert len({id(peer.pending[number]) for peer in crowd}) == 1


# --- the limit ----------------------------------------------------------------------------------


@either_lane
@pytest.mark.parametrize("buffered", [0, 1, LIMIT - 2 * FRAME_COST - 2])
def test_the_limit_may_be_reached_but_not_exceeded(
    outbox: Outbox, peer: Peer, buffered: int, enqueue: Enqueue
) -> None:
    """Of frames with what each takes besides, and of what the transport has not sent yet."""
    peer.wire.buffered = buffered
    peer.pause()
    room = LIMIT - buffered - 2 * FRAME_COST
    enqueue(outbox, peer, b"x")
    enqueue(outbox, peer, bytes(room - 1))
    assert (peer.overflowed, outbox.overflows) == (0, 0)
    enqueue(outbox, peer, b"")
    assert (peer.overflowed, outbox.overflows) == (1, 1)


def test_one_byte_too_much_is_too_much(outbox: Outbox, peer: Peer) -> None:
    peer.pause()
    assert send(outbox, [peer], bytes(LIMIT - FRAME_COST + 1)) == 0
    assert peer.overflowed == 1


def test_what_waited_when_it_was_paused_counts(outbox: Outbox, peer: Peer) -> None:
    for _ in range(2):
        send(outbox, [peer], bytes(LIMIT // 2 - FRAME_COST))
    peer.pause()
    assert peer.overflowed == 0
    assert send(outbox, [peer], b"") == 0
    assert peer.overflowed == 1


@pytest.mark.parametrize("reads", [True, False])
def test_too_much_in_one_go_is_too_much_for_one_that_has_not_read_it_soon(
    loop: Loop, outbox: Outbox, peer: Peer, reads: bool
) -> None:
    peer.wire.buffered = LIMIT + 1
    peer.pause()
    loop.now += PATIENCE * 0.9
    loop.turn()
    assert peer.overflowed == 0
    if reads:
        peer.wire.buffered = LIMIT
    loop.now += PATIENCE
    loop.turn()
    assert (peer.overflowed, outbox.overflows) == ((0, 0) if reads else (1, 1))


def test_one_that_has_caught_up_and_stopped_again_has_its_time_anew(
    loop: Loop, outbox: Outbox, peer: Peer
) -> None:
    peer.wire.buffered = LIMIT + 1
    peer.pause()
    loop.now += PATIENCE * 0.9
    peer.resume()
    peer.pause()
    loop.now += PATIENCE * 0.2
    loop.turn()
    assert peer.overflowed == 0
    loop.now += PATIENCE
    loop.turn()
    assert peer.overflowed == 1


def test_what_has_gone_out_counts_no_more(outbox: Outbox, peer: Peer) -> None:
    for _ in range(10):
        peer.pause()
        assert send(outbox, [peer], bytes(LIMIT - FRAME_COST)) == 1
        peer.resume()
    assert peer.overflowed == 0
    assert len(peer.wire.writes) == 10


@either_lane
def test_it_overflows_once_and_takes_nothing_more(
    loop: Loop, outbox: Outbox, peer: Peer, enqueue: Enqueue
) -> None:
    peer.pause()
    for _ in range(3):
        enqueue(outbox, peer, bytes(LIMIT))
    peer.resume()
    loop.turn()
    assert (peer.overflowed, outbox.overflows) == (1, 1)
    assert peer.wire.writes == []


def test_a_reader_that_keeps_up_has_no_limit(loop: Loop, outbox: Outbox, peer: Peer) -> None:
    assert send(outbox, [peer], bytes(LIMIT * 10)) == 1
    loop.turn()
    assert len(peer.wire.written) == LIMIT * 10


def test_those_who_overflow_in_a_fan_out_are_not_counted(outbox: Outbox) -> None:
    crowd = peers(outbox, SLICE)
    for peer in crowd[:7]:
        peer.pause()
    assert send(outbox, crowd, bytes(LIMIT)) == SLICE - 7
    assert [peer.overflowed for peer in crowd[:8]] == [1] * 7 + [0]


class Leaving(Peer):
    """One that, as a connection does, leaves the index in which it stands."""

    def __init__(self, outbox: Outbox, index: dict[Writer, None]) -> None:
        super().__init__(outbox)
        self.index = index
        index[self] = None

    def overflow(self) -> None:
        super().overflow()
        del self.index[self]


@pytest.mark.parametrize("size", [3, SLICE])
def test_whoever_overflows_may_leave_the_index_that_is_sent_to(outbox: Outbox, size: int) -> None:
    index: dict[Writer, None] = {}
    crowd = [Leaving(outbox, index) for _ in range(size)]
    crowd[0].pause()
    crowd[-1].pause()
    assert send(outbox, index.keys(), bytes(LIMIT)) == size - 2
    assert list(index) == crowd[1:-1]


# --- one that has only just stopped ------------------------------------------------------------


def test_how_many_do_not_keep_up_is_known(outbox: Outbox) -> None:
    crowd = peers(outbox, 5)
    for peer in crowd:
        peer.pause()
    assert outbox.held == 5
    crowd[0].resume()
    crowd[0].resume()
    crowd[1].seal()
    crowd[1].resume()
    send(outbox, [crowd[2]], bytes(LIMIT))
    crowd[2].seal()
    assert outbox.held == 2


@pytest.mark.parametrize("buffered", [0, 100])
def test_one_that_has_just_stopped_is_strained_by_what_would_be_too_much(
    outbox: Outbox, peer: Peer, buffered: int
) -> None:
    peer.wire.buffered = buffered
    peer.pause()
    send(outbox, [peer], bytes(100))
    room = LIMIT - buffered - 100 - FRAME_COST
    assert not peer.strained(room)
    assert peer.strained(room + 1)


def test_one_that_has_stopped_for_long_is_waited_for_no_more(loop: Loop, peer: Peer) -> None:
    peer.pause()
    loop.now += PATIENCE * 0.99
    assert peer.strained(LIMIT + 1)
    loop.now += PATIENCE * 0.02
    assert not peer.strained(LIMIT + 1)


def test_one_that_keeps_up_or_is_closed_is_not_strained(peer: Peer) -> None:
    assert not peer.strained(LIMIT + 1)
    peer.pause()
    peer.resume()
    assert not peer.strained(LIMIT + 1)
    peer.pause()
    peer.seal()
    assert not peer.strained(LIMIT + 1)


# --- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("paused", [False, True])
def test_a_seal_gives_what_waits_and_drops_what_follows(
    loop: Loop, outbox: Outbox, peer: Peer, paused: bool
) -> None:
    send(outbox, [peer], b"1")
    if paused:
        peer.pause()
    fan_out(outbox, peer, b"2")
    assert not peer.sealed
    assert peer.seal() == b"12"
    assert peer.sealed
    assert send(outbox, [peer], b"3") == 0
    fan_out(outbox, peer, b"4")
    assert peer.seal() == b""
    loop.turn(3)
    assert peer.wire.writes == []


def test_a_sealed_one_can_neither_be_paused_nor_resumed(outbox: Outbox, peer: Peer) -> None:
    peer.seal()
    peer.pause()
    send(outbox, [peer], bytes(LIMIT))
    peer.resume()
    assert peer.sealed
    assert (peer.overflowed, len(peer.pending)) == (0, 0)


def test_one_that_is_sealed_in_a_pass_does_not_stop_it(loop: Loop, outbox: Outbox) -> None:
    """A write can find out that a peer is lost."""
    few, crowd = peers(outbox, 3), peers(outbox, SLICE)
    few[0].wire.when_written = few[1].seal
    crowd[0].wire.when_written = crowd[1].seal
    send(outbox, few, b"few")
    send(outbox, crowd, b"all")
    loop.turn()
    assert written(few) == [b"few", b"", b"few"]
    assert written(crowd) == [b"all", b""] + [b"all"] * (SLICE - 2)


# --- what back ends may send --------------------------------------------------------------------


def test_a_pass_has_credit_for_messages_and_for_each_connection_that_they_go_to(
    loop: Loop, outbox: Outbox
) -> None:
    many = peers(outbox, 3)
    assert outbox.credit == PASS_CREDIT
    send(outbox, many, bytes(100))
    assert outbox.credit == PASS_CREDIT - 100 - 3 * ENQUEUE_COST
    send(outbox, peers(outbox, FEW + 1), bytes(10))
    assert outbox.credit == PASS_CREDIT - 110 - (3 + FEW + 1) * ENQUEUE_COST
    loop.turn()
    assert outbox.credit == PASS_CREDIT


def test_the_credit_is_for_some_20_000_connections(outbox: Outbox) -> None:
    send(outbox, [Peer(outbox)] * 20_000, b"")
    assert outbox.credit > 0
    send(outbox, [Peer(outbox)] * 200, b"")
    assert outbox.credit <= 0


def test_what_the_server_itself_sends_takes_no_credit(outbox: Outbox, peer: Peer) -> None:
    outbox.post(peer, b"ping")
    assert outbox.credit == PASS_CREDIT


def test_whoever_waits_is_called_once_when_the_loop_has_seen_what_the_pass_has_done(
    loop: Loop, outbox: Outbox, peer: Peer
) -> None:
    """A transport may say meanwhile that its peer does not keep up, or does again."""
    seen: list[tuple[bytes, int]] = []
    outbox.after_pass(lambda: seen.append((peer.wire.written, outbox.credit)))
    send(outbox, [peer], b"one")
    loop.turn()
    assert seen == []
    loop.turn(3)
    assert seen == [(b"one", PASS_CREDIT)]


def test_pushes_to_nobody_take_credit_too_which_waiting_alone_renews(
    loop: Loop, outbox: Outbox
) -> None:
    send(outbox, [], bytes(PASS_CREDIT))
    assert outbox.credit == 0
    seen: list[int] = []
    outbox.after_pass(lambda: seen.append(outbox.credit))
    loop.turn(2)
    assert seen == [PASS_CREDIT]


def test_who_had_nothing_of_a_pass_comes_first_in_the_next(loop: Loop, outbox: Outbox) -> None:
    seen: list[str] = []
    for name, starved in (("a", False), ("b", True), ("c", False), ("d", True)):
        outbox.after_pass(partial(seen.append, name), starved=starved)
    loop.turn(2)
    assert seen == ["b", "d", "a", "c"]
    loop.turn(3)
    assert len(seen) == 4


def test_whoever_waits_again_is_called_again(loop: Loop, outbox: Outbox) -> None:
    turns = count()

    def wait_again() -> None:
        next(turns)
        outbox.after_pass(wait_again)

    outbox.after_pass(wait_again)
    loop.turn(10)
    assert next(turns) == 5


def test_fan_outs_have_to_wait_when_too_much_is_in_the_lane(loop: Loop, outbox: Outbox) -> None:
    crowd = peers(outbox, SLICE * 3)
    send(outbox, crowd, bytes(LANE_BYTES - 1))
    send(outbox, crowd, b"1")
    assert not outbox.lane_full
    send(outbox, crowd, b"2")
    assert outbox.lane_full
    while crowd[-1].wire.writes == []:
        assert outbox.lane_full
        loop.turn()
    assert not outbox.lane_full
    send(outbox, crowd, bytes(LANE_BYTES))
    assert not outbox.lane_full, "what went out counts no more"


def test_fan_outs_of_little_have_to_wait_when_there_are_too_many(
    loop: Loop, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushline.outbox.LANE_FRAMES", SLICE * 6)
    crowd = peers(outbox, SLICE * 3)
    for _ in range(2):
        send(outbox, crowd, b"")
        assert not outbox.lane_full
    send(outbox, crowd, b"")
    assert outbox.lane_full
    loop.turn(4)
    assert not outbox.lane_full


def test_targeted_sends_do_not_fill_the_lane(outbox: Outbox) -> None:
    send(outbox, peers(outbox, FEW), bytes(LANE_BYTES * 2))
    assert not outbox.lane_full


def test_a_lane_of_nobody_who_reads_is_soon_empty(loop: Loop, outbox: Outbox) -> None:
    crowd = peers(outbox, SLICE)
    for peer in crowd:
        peer.pause()
    send(outbox, crowd, bytes(LANE_BYTES + 1))
    assert outbox.lane_full
    loop.turn()
    assert not outbox.lane_full


# --- any use ------------------------------------------------------------------------------------

CROWD = SLICE + 20
SOME = st.lists(st.integers(0, CROWD - 1), max_size=5, unique=True)
ONE = st.integers(0, CROWD - 1)


class AnyUse(RuleBasedStateMachine):
    """`sent` is what each was sent and had to take; what is written is that, in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.outbox = Outbox(self.loop, LIMIT, Metrics())
        self.peers = peers(self.outbox, CROWD)
        self.sent: dict[Peer, list[bytes]] = {peer: [] for peer in self.peers}
        self.numbers = count()

    @rule(chosen=SOME, size=st.sampled_from([0, 0, 200]))
    def send_to_some(self, chosen: list[int], size: int) -> None:
        self._send([self.peers[number] for number in chosen], size)

    @rule(size=st.sampled_from([0, 0, 200]))
    def send_to_all(self, size: int) -> None:
        self._send(self.peers, size)

    @rule(number=ONE)
    def send_to_a_part(self, number: int) -> None:
        self._send(self.peers[number:], 0)

    @rule(chosen=SOME)
    def pause(self, chosen: list[int]) -> None:
        for number in chosen:
            _pause(self.peers[number])

    @rule(chosen=SOME)
    def pause_when_written_to(self, chosen: list[int]) -> None:
        for number in chosen:
            peer = self.peers[number]
            peer.wire.when_written = partial(_pause, peer)

    @rule(chosen=SOME)
    def resume(self, chosen: list[int]) -> None:
        for number in chosen:
            _resume(self.peers[number])

    @rule()
    def resume_all(self) -> None:
        for peer in self.peers:
            _resume(peer)

    @rule(number=ONE)
    def close(self, number: int) -> None:
        peer = self.peers[number]
        peer.wire.when_written = None
        peer.wire.write(peer.seal())
        if not peer.overflowed:
            assert peer.wire.written == b"".join(self.sent[peer])

    @rule()
    def run_pass(self) -> None:
        self.loop.turn()
        for peer, frames in self.sent.items():
            assert b"".join(frames).startswith(peer.wire.written)
        assert self.outbox.held == sum(isinstance(peer.pending, Held) for peer in self.peers)

    def teardown(self) -> None:
        self.resume_all()
        self.loop.turn(CROWD // SLICE + 1)
        for peer, frames in self.sent.items():
            if not peer.overflowed:
                assert peer.wire.written == b"".join(frames)
        assert not self.outbox.lane_full
        assert self.outbox.held == 0
        assert NOTHING == SINK == []
        assert self.outbox.overflows == sum(peer.overflowed for peer in self.peers)
        self.loop.close()

    def _send(self, chosen: list[Peer], size: int) -> None:
        frame = b"<%d>" % next(self.numbers) + bytes(size)
        open_ones = [peer for peer in chosen if not peer.sealed]
        count = send(self.outbox, open_ones, frame)
        took = [peer for peer in open_ones if not peer.sealed]
        assert count == len(took)
        for peer in took:
            self.sent[peer].append(frame)


def _pause(peer: Peer) -> None:
    """Once, as a transport does."""
    if not isinstance(peer.pending, Held):
        peer.pause()


def _resume(peer: Peer) -> None:
    peer.wire.when_written = None
    peer.resume()


def test_whatever_happens_each_gets_what_it_was_sent_in_that_order() -> None:
    run_state_machine_as_test(AnyUse, settings=settings(max_examples=40, deadline=None))

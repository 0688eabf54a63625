"""The wire against a peer that does what servers do at their worst. No test sleeps: the peer says
what has come, and is told what to answer."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pushline.address import Address
from pushline.client.link import DOUBT
from pushline.client.wire import BACKOFF, BATCH, IN_FLIGHT, Wire, batches
from pushline.errors import (
    ClientError,
    ConfigError,
    DeadlineError,
    RejectedError,
    UnavailableError,
)
from tests.client.peer import PATIENCE, HangUpError, Peer, guard, ok_if_even

SECRET = "tr0ub4dor&3"
SHORT = 0.2
"""A timeout that is meant to pass."""


@asynccontextmanager
async def wire_to(
    peer: Peer, *, secret: str = "", seconds: float = PATIENCE, in_flight: int = IN_FLIGHT
) -> AsyncIterator[Wire]:
    address = Address.parse(peer.address)
    wire = Wire(address, secret=secret, timeout=seconds, in_flight=in_flight)
    try:
        yield wire
    finally:
        await wire.close()


async def until(peer: Peer, condition: Callable[[Peer], bool]) -> None:
    await asyncio.to_thread(peer.wait, condition)


def numbers(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(start, start + count)]


# --- lines and answers ------------------------------------------------------------------------


async def test_each_line_has_its_own_answer_in_order(peer: Peer) -> None:
    peer.answer = ok_if_even
    async with wire_to(peer) as wire:
        assert await wire.ask(numbers(7)) == [True, False, True, False, True, False, True]
        assert await wire.ask([]) == []
    assert peer.lines == numbers(7)


async def test_many_tasks_share_one_connection_and_each_has_its_own_answers(peer: Peer) -> None:
    peer.answer = ok_if_even
    async with wire_to(peer) as wire:
        calls = [wire.ask(numbers(2, start)) for start in range(300)]
        answers = await asyncio.gather(*calls)
    assert answers == [[start % 2 == 0, start % 2 == 1] for start in range(300)]
    assert peer.accepted == 1


async def test_what_is_asked_in_one_pass_of_the_loop_goes_out_in_one_write(peer: Peer) -> None:
    async with wire_to(peer) as wire:
        await wire.ask([b"0"])
        before = peer.chunks
        await asyncio.gather(*(wire.ask([line]) for line in numbers(1000)))
    assert peer.chunks - before <= 4  # the kernel may split what was written at once


async def test_no_more_lines_are_in_flight_than_the_server_is_to_hold(peer: Peer) -> None:
    peer.answer = ok_if_even
    peer.hold()
    async with wire_to(peer, in_flight=10) as wire:
        asked = asyncio.gather(*(wire.ask([line]) for line in numbers(100)))
        await until(peer, lambda peer: len(peer.lines) == 10)
        peer.let(100)
        assert await asked == [[number % 2 == 0] for number in range(100)]
    assert peer.in_flight <= 10
    assert peer.lines == numbers(100)


async def test_lines_wait_while_the_server_does_not_read(peer: Peer) -> None:
    megabyte = b"x" * (1 << 20)
    async with wire_to(peer) as wire:
        await wire.ask([b"{}"])
        peer.reading.clear()
        asked = asyncio.gather(*(wire.ask([megabyte]) for _ in range(32)))
        await until(peer, lambda peer: len(peer.lines) == 1)
        peer.reading.set()
        assert await asked == [[True]] * 32
    assert peer.lines == [b"{}"] + [megabyte] * 32


async def test_a_unix_socket_will_do(tmp_path: Path) -> None:
    with Peer(path=str(tmp_path / "text")) as peer:
        async with wire_to(peer) as wire:
            assert await wire.ask([b"{}"]) == [True]


def test_batches_are_all_of_the_lines_in_order() -> None:
    lines = numbers(2 * BATCH + 1)
    parts = list(batches(lines))
    assert [len(part) for part in parts] == [BATCH, BATCH, 1]
    assert [line for part in parts for line in part] == lines
    assert list(batches([])) == []


# --- deadlines --------------------------------------------------------------------------------


async def test_a_late_answer_is_never_taken_for_another_one(peer: Peer) -> None:
    peer.answer = ok_if_even
    peer.hold()
    async with wire_to(peer, seconds=SHORT) as wire:
        earlier = asyncio.create_task(wire.ask([b"2"]))
        await until(peer, lambda peer: len(peer.lines) == 1)
        late = asyncio.create_task(wire.ask([b"4"]))
        await until(peer, lambda peer: len(peer.lines) == 2)
        peer.let(1)
        assert await earlier == [True]
        with pytest.raises(DeadlineError, match="may have been delivered"):
            await late
        last = asyncio.create_task(wire.ask([b"5"]))
        await until(peer, lambda peer: len(peer.lines) == 3)
        peer.let(2)
        assert await last == [False]
    assert peer.accepted == 1  # the server had been heard of: its connection is kept


async def test_a_server_that_is_silent_for_a_whole_timeout_is_asked_on_a_new_connection(
    peer: Peer,
) -> None:
    peer.answer = ok_if_even
    peer.hold()
    async with wire_to(peer, seconds=SHORT) as wire:
        started = time.monotonic()
        with pytest.raises(DeadlineError, match=f"{peer.address} does not answer within 0.2 s"):
            await wire.ask([b"4"])
        assert 0.9 * SHORT < time.monotonic() - started < PATIENCE / 2
        last = asyncio.create_task(wire.ask([b"5"]))
        await until(peer, lambda peer: len(peer.lines) == 2)
        peer.let(2)
        assert await last == [False]
    assert peer.accepted == 2
    assert peer.lines == [b"4", b"5"]


async def test_waiting_for_a_turn_counts_for_the_deadline(peer: Peer) -> None:
    peer.hold()
    async with wire_to(peer, seconds=SHORT, in_flight=1) as wire:
        outcomes = await asyncio.gather(
            *(wire.ask([line]) for line in numbers(3)), return_exceptions=True
        )
        peer.let(1)
    assert {type(outcome) for outcome in outcomes} <= {DeadlineError, UnavailableError}
    assert peer.lines == [b"0"]


async def test_a_server_that_never_answers_the_secret_is_not_waited_for(peer: Peer) -> None:
    peer.answer = guard(SECRET)
    peer.hold()
    async with wire_to(peer, secret=SECRET, seconds=SHORT) as wire:
        with pytest.raises(UnavailableError, match=r"does not answer within .+; nothing was"):
            await wire.ask([b"{}"])
        peer.let(1)


async def test_a_later_caller_fails_with_the_connection_that_it_waits_for(peer: Peer) -> None:
    peer.hold()
    async with wire_to(peer, secret=SECRET, seconds=2 * SHORT) as wire:
        first = asyncio.create_task(wire.ask([b"0"]))
        await until(peer, lambda peer: len(peer.lines) == 1)
        await asyncio.wait([first], timeout=SHORT)
        second = asyncio.create_task(wire.ask([b"1"]))
        for asked in (first, second):
            with pytest.raises(UnavailableError, match=r"does not answer within .+; nothing was"):
                await asked


async def test_a_cancelled_caller_leaves_the_answers_of_the_others_in_order(peer: Peer) -> None:
    peer.answer = ok_if_even
    peer.hold()
    async with wire_to(peer) as wire:
        calls = [asyncio.create_task(wire.ask([line])) for line in numbers(3, 1)]
        await until(peer, lambda peer: len(peer.lines) == 3)
        calls[1].cancel()
        peer.let(3)
        assert tuple(await asyncio.gather(calls[0], calls[2])) == ([False], [False])
    assert calls[1].cancelled()


# --- lost connections -------------------------------------------------------------------------


async def test_what_was_in_flight_when_the_connection_was_lost_is_not_sent_again(
    peer: Peer,
) -> None:
    peer.hold()
    async with wire_to(peer) as wire:
        first, second = (asyncio.create_task(wire.ask(numbers(2, start))) for start in (0, 2))
        await until(peer, lambda peer: len(peer.lines) == 4)
        peer.let(3)
        assert await first == [True, True]
        peer.hang_up()
        with pytest.raises(UnavailableError) as caught:
            await second
        peer.let(2)
        assert await wire.ask([b"4"]) == [True]  # at once, on a new one
    lost = f"the connection to {peer.address} was lost; a push may have been delivered"
    assert str(caught.value) == lost
    assert peer.lines == numbers(5)
    assert peer.accepted == 2


async def test_the_rest_of_a_call_is_not_sent_on_a_new_connection(peer: Peer) -> None:
    peer.hold()
    async with wire_to(peer, in_flight=2) as wire:
        asked = asyncio.create_task(wire.ask(numbers(4)))
        waiting = asyncio.create_task(wire.ask([b"9"]))
        await until(peer, lambda peer: len(peer.lines) == 2)
        peer.hang_up()
        with pytest.raises(UnavailableError, match="may have been delivered"):
            await asked
        with pytest.raises(UnavailableError, match="nothing was pushed"):
            await waiting
        peer.let(2)
    assert peer.lines == numbers(2)


async def test_a_connection_that_was_lost_while_nothing_was_asked_is_nobodys_error(
    peer: Peer,
) -> None:
    async with wire_to(peer) as wire:
        await wire.ask([b"0"])
        peer.hang_up()
        await until(peer, lambda peer: peer.ended == 1)
        assert await wire.ask([b"1"]) == [True]
    assert peer.accepted == 2


async def test_while_the_server_is_down_each_call_fails_promptly_and_after_it_none(
    peer: Peer,
) -> None:
    async with wire_to(peer) as wire:
        await wire.ask([b"0"])
        peer.stop()
        with pytest.raises(UnavailableError):  # that it is gone may not have been seen yet
            await wire.ask([b"1"])
        started = time.monotonic()
        for _ in range(5):
            with pytest.raises(UnavailableError, match=r"\(Connection refused\).*nothing was push"):
                await wire.ask([b"1"])
        assert 3 * BACKOFF < time.monotonic() - started < PATIENCE / 2
        peer.start()
        assert await wire.ask([b"2"]) == [True]
    assert peer.lines[-1] == b"2"


async def test_a_thousand_callers_do_not_come_to_the_server_one_by_one(peer: Peer) -> None:
    peer.answer = guard("another")
    async with wire_to(peer, secret=SECRET) as wire:
        outcomes = await asyncio.gather(
            *(wire.ask([b"{}"]) for _ in range(1000)), return_exceptions=True
        )
    assert {type(outcome) for outcome in outcomes} == {RejectedError}
    assert peer.accepted == 1


async def test_a_server_that_hangs_up_at_once_is_an_error_and_no_endless_loop(peer: Peer) -> None:
    def hang_up(_line: bytes) -> bytes:
        raise HangUpError

    peer.answer = hang_up
    async with wire_to(peer) as wire:
        for _ in range(3):
            with pytest.raises(UnavailableError, match="was lost"):
                await wire.ask([b"{}"])
    assert peer.accepted == 3


@pytest.mark.parametrize("host", ["no-such-host.invalid", f"{'x' * 70}.invalid"])
async def test_a_host_that_is_not_found_is_unavailable(host: str) -> None:
    wire = Wire(Address(host, 1), timeout=PATIENCE)
    with pytest.raises(UnavailableError, match="cannot connect to"):
        await wire.ask([b"{}"])


# --- the secret -------------------------------------------------------------------------------


async def test_the_secret_goes_first_and_only_once(peer: Peer) -> None:
    peer.answer = guard(SECRET)
    async with wire_to(peer, secret=SECRET) as wire:
        assert tuple(await asyncio.gather(wire.ask([b"0"]), wire.ask([b"1"]))) == ([True], [True])
    assert peer.lines == [b"auth " + SECRET.encode(), b"0", b"1"]


async def test_a_wrong_secret_is_rejected_and_shown_to_nobody(peer: Peer) -> None:
    peer.answer = guard("another")
    async with wire_to(peer, secret=SECRET) as wire:
        with pytest.raises(RejectedError, match="nothing was pushed") as caught:
            await wire.ask([b"{}"])
    assert str(caught.value).startswith(
        f"{peer.address} does not take the secret: set the client's"
    )
    assert SECRET not in repr(caught.value) + repr(wire) + repr(vars(wire)["_link"])
    assert peer.lines == [b"auth " + SECRET.encode()]


@pytest.mark.parametrize("count", [1, 2000])
async def test_a_server_that_asks_for_a_secret_is_told_from_one_where_nobody_is(
    peer: Peer, count: int
) -> None:
    peer.answer = guard(SECRET)
    async with wire_to(peer) as wire:
        for _ in range(2):
            with pytest.raises(RejectedError, match=r"asks for a secret, text\.secret"):
                await wire.ask(numbers(count))


async def test_a_first_fail_is_an_answer_if_the_connection_stays(peer: Peer) -> None:
    peer.answer = ok_if_even
    async with wire_to(peer) as wire:
        assert await wire.ask([b"1"]) == [False]
        peer.hang_up()
        await until(peer, lambda peer: peer.ended == 1)
        assert await wire.ask([b"3"]) == [False]
        started = time.monotonic()
        for _ in range(20):
            assert await wire.ask([b"5"]) == [False]
        assert time.monotonic() - started < 20 * DOUBT  # only the first one is in doubt


# --- strangers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"OK\n", b"\n", b"okok\n", b"x" * 100, b"ok\nok\n"],
)
async def test_what_is_not_an_answer_ends_the_connection(peer: Peer, answer: bytes) -> None:
    peer.answer = lambda _: answer
    async with wire_to(peer) as wire:
        asked = asyncio.gather(*(wire.ask([line]) for line in numbers(2)), return_exceptions=True)
        await until(peer, lambda peer: len(peer.lines) >= 1)
        outcomes = await asked
        last = outcomes[-1]
        assert answer == b"ok\nok\n" or isinstance(last, UnavailableError), outcomes
        await until(peer, lambda peer: peer.ended == 1)
        peer.answer = ok_if_even
        assert await wire.ask([b"4"]) == [True]
    assert peer.accepted == 2


async def test_an_answer_to_nothing_ends_the_connection(peer: Peer) -> None:
    async with wire_to(peer) as wire:
        await wire.ask([b"0"])
        peer.say(b"fail\n")
        await until(peer, lambda peer: peer.ended == 1)
        assert await wire.ask([b"1"]) == [True]
    assert peer.accepted == 2


async def test_an_echo_is_not_repeated_in_an_error(peer: Peer) -> None:
    peer.answer = lambda line: line + b"\n"
    async with wire_to(peer, secret=SECRET) as wire:
        with pytest.raises(UnavailableError, match="is it a text port") as caught:
            await wire.ask([b"{}"])
    assert SECRET not in str(caught.value)


# --- ends and loops ---------------------------------------------------------------------------


async def test_close_ends_what_is_in_flight_and_the_next_line_connects_again(peer: Peer) -> None:
    peer.hold()
    async with wire_to(peer) as wire:
        asked = asyncio.create_task(wire.ask([b"0"]))
        await until(peer, lambda peer: len(peer.lines) == 1)
        await wire.close()
        with pytest.raises(UnavailableError, match="was closed; a push may have been delivered"):
            await asked
        peer.let(2)
        await until(peer, lambda peer: peer.ended == 1)
        await wire.close()
        assert await wire.ask([b"1"]) == [True]


async def test_close_ends_who_waits_for_the_connection(peer: Peer) -> None:
    peer.answer = guard(SECRET)
    peer.hold()
    async with wire_to(peer, secret=SECRET) as wire:
        asked = asyncio.create_task(wire.ask([b"0"]))
        await until(peer, lambda peer: len(peer.lines) == 1)
        await wire.close()
        with pytest.raises(UnavailableError, match="was closed; nothing was pushed"):
            await asked
        peer.let(1)


def test_a_wire_goes_on_in_a_new_event_loop_when_the_old_one_is_closed(peer: Peer) -> None:
    wire = Wire(Address.parse(peer.address))

    async def ask() -> list[bool]:
        answers = await wire.ask([b"0"])
        await wire.close()
        return answers

    assert [asyncio.run(ask()) for _ in range(2)] == [[True], [True]]


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_wire_goes_on_where_the_old_loop_was_closed_without_it(peer: Peer) -> None:
    wire = Wire(Address.parse(peer.address))
    assert [asyncio.run(wire.ask([b"0"])) for _ in range(2)] == [[True], [True]]
    del wire
    gc.collect()  # what asyncio has to say about the connections that nobody closed


def test_a_wire_cannot_serve_two_event_loops_at_a_time(peer: Peer) -> None:
    wire = Wire(Address.parse(peer.address))
    with asyncio.Runner() as one:
        one.run(wire.ask([b"0"]))
        for work in (wire.ask([b"1"]), wire.close()):
            with pytest.raises(RuntimeError, match="one event loop"):
                asyncio.run(work)
        one.run(wire.close())


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "2", None])
def test_a_timeout_that_is_none_is_refused(timeout: Any) -> None:
    with pytest.raises(ConfigError, match="timeout"):
        Wire(Address.parse("h:1"), timeout=timeout)


@pytest.mark.parametrize("secret", ["a\nb", "a\r", "\x00", "\ud800"])
def test_a_secret_that_cannot_be_sent_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ConfigError, match="the client's secret is printable") as caught:
        Wire(Address.parse("h:1"), secret=secret)
    assert secret not in str(caught.value)


@pytest.mark.parametrize("secret", [None, b"s3cret", 42])
def test_a_secret_that_is_no_text_is_refused(secret: Any) -> None:
    with pytest.raises(ConfigError, match="empty, if there is none"):
        Wire(Address.parse("h:1"), secret=secret)


def test_errors_are_client_errors() -> None:
    assert all(issubclass(e, ClientError) for e in (DeadlineError, RejectedError, UnavailableError))

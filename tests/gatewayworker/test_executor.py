"""The executor and its links: real connections to a Register of ours, and to gateways that do
what the test says."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, cast

import pytest

from pushline.address import Address
from pushline.codecs import register_lines
from pushline.codecs.gateway_frames import Cmd, Frame
from pushline.codecs.php_serialize import dumps
from pushline.codecs.register_lines import Addresses
from pushline.commands import Sent
from pushline.errors import (
    ClientError,
    DeadlineError,
    RejectedError,
    SerializedError,
    UnavailableError,
    UnsupportedError,
)
from pushline.gateway import Gateway
from pushline.gateway.executor import NotRunning
from pushline.gateway.partial import Missing
from pushline.gatewayworker.executor import WireExecutor
from pushline.gatewayworker.links import Links
from pushline.gatewayworker.role import client_role
from pushline.names import client_id_of
from tests.gatewayworker.fakes import Answer, FakeGateway, always, listed
from tests.gatewayworker.recorded_calls import CALLS, ROOMS, Ids
from tests.gatewayworker.registers import PATIENCE, SECRET, Register, gateway, until, worker

SHORT = 0.1
"""A deadline that is meant to pass."""
RETRY = 0.01
UNKNOWN = Sent(None, None)


class Wire:
    """The verbs, and what they go through."""

    def __init__(self, links: Links, executor: WireExecutor) -> None:
        self.links = links
        self.executor = executor
        self.gateway = Gateway()
        self.gateway.attach(executor, NotRunning())


@contextlib.asynccontextmanager
async def wire_to(
    *registers: Register, secret: str = "", seconds: float = PATIENCE
) -> AsyncIterator[Wire]:
    addresses = [register.address for register in registers]
    links = Links(addresses, secret, client_role(secret), timeout=PATIENCE, retry=RETRY)
    links.start()
    try:
        yield Wire(links, WireExecutor(links, seconds))
    finally:
        await links.stop()
        assert links.known == {}


@contextlib.asynccontextmanager
async def cluster(
    *answers: Answer, secret: str = "", seconds: float = PATIENCE, ours: bool = False
) -> AsyncIterator[tuple[Wire, list[FakeGateway]]]:
    """A gateway for each of the answers, all of them connected to."""
    async with AsyncExitStack() as stack:
        register = await stack.enter_async_context(Register(secret))
        fakes = []
        for answer in answers:
            fake = await stack.enter_async_context(listed(register, secret=secret, ours=ours))
            fake.answer = answer
            fakes.append(fake)
        wire = await stack.enter_async_context(wire_to(register, secret=secret, seconds=seconds))
        await until(lambda: len(wire.links.known) == len(fakes))
        await wire.links.tried()
        yield wire, fakes


def bodies(fake: FakeGateway) -> list[bytes]:
    return [frame.body for frame in fake.frames]


def client(fake: FakeGateway, number: int) -> str:
    return client_id_of(fake.place, number)


async def sent_to_each(fakes: list[FakeGateway], *expected: bytes) -> None:
    await until(lambda: all(len(fake.frames) >= len(expected) for fake in fakes))
    assert [bodies(fake) for fake in fakes] == [list(expected)] * len(fakes)


# --- the recording ------------------------------------------------------------------------------


async def test_the_recorded_calls_send_what_php_has_sent_and_return_what_it_has_returned() -> None:
    replies = [call.reply[4:] or None for call in CALLS]
    async with cluster(lambda _: replies.pop(0), ours=True) as (wire, [fake]):
        ids = Ids(fake.place)
        for call in CALLS:
            before = len(fake.connection.data)
            assert await call.verb(wire.gateway, ids) == ids.of(call.returned)
            await until(partial(_has, fake, before + len(call.request)))
            assert fake.connection.data[before:] == call.request, call.name
        assert replies == []
        assert len(fake.connections) == 1


def _has(fake: FakeGateway, size: int) -> bool:
    return len(fake.connection.data) >= size


async def test_a_connection_in_several_groups_gets_one_copy_from_php_s_gateways_too() -> None:
    def answer(frame: Frame) -> bytes | None:
        return dumps({1: {}, 3: {}}) if frame.cmd == Cmd.SELECT else None

    verb = next(call.verb for call in CALLS if call.name == ROOMS)
    async with cluster(answer) as (wire, [fake]):
        assert await verb(wire.gateway, Ids(fake.place)) == UNKNOWN
        question, to = await fake.got(2)
        assert question.ext == b'{"fields":[],"where":{"groups":["room1","room2"]}}'
        assert (to.cmd, to.ext) == (Cmd.SEND_TO_ALL, b'{"connections":{"3":3}}')
        assert to.body == b"hello rooms"


# --- scatter and merge --------------------------------------------------------------------------


async def test_sends_go_to_every_gateway_and_answers_are_merged() -> None:
    async with cluster(always(3), always(4), always(0), secret=SECRET) as (wire, fakes):
        assert await wire.gateway.send_to_all("one") == UNKNOWN
        assert await wire.gateway.send_to_uid("u1", "two") == UNKNOWN
        assert await wire.gateway.get_all_client_id_count() == 7
        await sent_to_each(fakes, b"one", b"two", b"")


async def test_what_is_for_a_client_goes_to_its_gateway_only() -> None:
    async with cluster(always(1), always(0)) as (wire, [here, there]):
        both = [client(here, 1), client(there, 2), client(here, 3)]
        assert await wire.gateway.send_to_client(both, "hello") == UNKNOWN
        assert await wire.gateway.is_online(client(here, 1))
        assert not await wire.gateway.is_online(client(there, 1))
        assert await wire.gateway.close_client(client(there, 2)) is None
        await there.got(3)
        assert [frame.cmd for frame in here.frames] == [Cmd.SEND_TO_ALL, Cmd.IS_ONLINE]
        assert here.frames[0].ext == b'{"connections":{"1":1,"3":3}}'
        assert [frame.cmd for frame in there.frames] == [6, Cmd.IS_ONLINE, Cmd.KICK]


async def test_a_client_of_a_gateway_that_is_not_known_is_not_there() -> None:
    async with cluster(always(1)) as (wire, [fake]):
        away = client_id_of(fake.place + 1, 1)
        assert await wire.gateway.send_to_client(away, "hello") == UNKNOWN
        assert await wire.gateway.bind_uid(away, "u1") is None
        assert not await wire.gateway.is_online(away)
        assert await wire.gateway.get_session(away) is None
        assert await wire.gateway.get_uid_by_client_id(away) is None
        assert await wire.gateway.groups_of_client(away) == []
        assert fake.frames == []


async def test_questions_are_pipelined_and_each_call_has_its_own_answer() -> None:
    def answer(frame: Frame) -> bytes:
        return b"i:%b;" % frame.ext

    async with cluster(answer, answer) as (wire, fakes):
        for fake in fakes:
            fake.hold()
        count = wire.gateway.get_client_id_count_by_group
        counts = asyncio.gather(*(count(number) for number in range(500)))
        for fake in fakes:
            await fake.got(500)
            fake.let()
        assert await counts == [2 * number for number in range(500)]
        assert [len(fake.connections) for fake in fakes] == [1, 1]


async def test_frames_are_written_in_the_order_of_the_calls() -> None:
    async with cluster(always(0)) as (wire, [fake]):
        here = client(fake, 1)
        calls: list[Awaitable[Any]] = []
        for number in range(100):
            calls.append(wire.gateway.send_to_client(here, str(number)))
            calls.append(wire.gateway.join_group(here, number + 1))
            calls.append(wire.gateway.get_client_id_count_by_group(number + 1))
        await asyncio.gather(*calls)
        said = [frame.body or frame.ext for frame in await fake.got(300)]
        expected = [(b"%d" % n, b"%d" % (n + 1), b"%d" % (n + 1)) for n in range(100)]
        assert said == [each for three in expected for each in three]


class SlowRegister(asyncio.Protocol):
    """Says which gateways there are when it is told to."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def tell(self, *addresses: str) -> None:
        self.transport.write(register_lines.encode(Addresses(addresses)))


@contextlib.asynccontextmanager
async def slowly(seconds: float = PATIENCE) -> AsyncIterator[tuple[Wire, SlowRegister]]:
    register = SlowRegister()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: register, "127.0.0.1", 0)
    address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
    links = Links([address], "", client_role(""), timeout=PATIENCE, retry=RETRY)
    links.start()
    await until(lambda: hasattr(register, "transport"))
    yield Wire(links, WireExecutor(links, seconds)), register
    await links.stop()
    server.close()


async def test_calls_that_wait_for_the_register_keep_their_order() -> None:
    async with FakeGateway() as fake, slowly() as (wire, register):
        fake.answer = always(3)
        early = asyncio.gather(*(wire.gateway.send_to_all(str(n)) for n in range(50)))
        asked = asyncio.create_task(wire.gateway.get_all_client_id_count())
        cancelled = asyncio.create_task(wire.gateway.send_to_all("cancelled"))
        await asyncio.sleep(0)
        cancelled.cancel()
        register.tell(fake.address)
        await until(lambda: wire.links.told)
        late = asyncio.gather(*(wire.gateway.send_to_all(str(n)) for n in range(50, 60)))
        assert await early + await late == [UNKNOWN] * 60
        assert await asked == 3
        await fake.got(61)
        assert [body for body in bodies(fake) if body] == [b"%d" % n for n in range(60)]


async def test_what_is_allowed_to_be_missing_is_the_caller_s_though_others_begin_the_call() -> None:
    async with FakeGateway() as fake, slowly() as (wire, register):
        await fake.stop()
        strict = asyncio.create_task(wire.gateway.send_to_all("strict"))
        with wire.executor.partial.allowed() as missing:
            lenient = asyncio.create_task(wire.gateway.send_to_all("lenient"))
        await asyncio.sleep(0)
        register.tell(fake.address)
        assert await lenient == UNKNOWN
        assert [each.address for each in missing] == [fake.address]
        with pytest.raises(UnavailableError, match=fake.address):
            await strict
        await fake.start()


async def test_a_register_that_says_nothing_has_the_deadline_of_a_call() -> None:
    async with slowly(SHORT) as (wire, register):
        with pytest.raises(UnavailableError, match="has sent no list within"):
            await wire.gateway.send_to_all("hello")
        register.transport.abort()


# --- what is refused ----------------------------------------------------------------------------


async def test_what_the_wire_cannot_carry_is_refused_before_anything_is_sent() -> None:
    async with cluster(always(0)) as (wire, [fake]):
        here = client(fake, 1)
        for call in (
            wire.gateway.send_to_uid("u1", "hello", utype=1),
            wire.gateway.send_to_all("hello", utype="x"),
            wire.gateway.close_uid("u1", utype=1),
            wire.gateway.bind_uid(here, 0),
            wire.gateway.join_group(here, "0"),
            wire.gateway.set_session(here, {"when": object()}),
        ):
            with pytest.raises(UnsupportedError):
                await call
        assert fake.frames == []


async def test_sends_to_nobody_need_no_gateway() -> None:
    async with Register("") as register, wire_to(register) as wire:
        assert await wire.gateway.send_to_client([], "hello") == UNKNOWN
        assert await wire.gateway.is_uids_online([]) == {}


# --- gateways that fail -------------------------------------------------------------------------


def addresses(missing: list[Missing]) -> list[str]:
    return [each.address for each in missing]


async def test_a_gateway_that_does_not_answer_in_time_is_named() -> None:
    async with cluster(always(3), always(4), seconds=SHORT) as (wire, [here, there]):
        there.hold()
        with pytest.raises(DeadlineError) as error:
            await wire.gateway.get_all_client_id_count()
        assert str(error.value) == f"gateway {there.address} does not answer within {SHORT} s"
        assert here.address not in str(error.value)


async def test_there_is_one_deadline_for_all_gateways_of_a_call() -> None:
    async with cluster(*[always(1)] * 5, seconds=SHORT) as (wire, fakes):
        for fake in fakes:
            fake.hold()
        loop = asyncio.get_running_loop()
        before = loop.time()
        with pytest.raises(DeadlineError) as error:
            await wire.gateway.get_all_client_id_count()
        assert loop.time() - before < 3 * SHORT
        assert all(fake.address in str(error.value) for fake in fakes)


async def test_who_asks_for_it_has_the_answers_of_the_others_and_the_names_of_those_missing() -> (
    None
):
    async with cluster(always(3), always(4), always(5), seconds=SHORT) as (wire, fakes):
        late, lost, here = fakes
        late.hold()
        await lost.stop()
        with wire.executor.partial.allowed() as missing:
            assert await wire.gateway.get_all_client_id_count() == 5
            assert sorted(addresses(missing)) == sorted([late.address, lost.address])
            assert f"gateway {late.address} does not answer within {SHORT} s" in {
                each.why for each in missing
            }
            missing.clear()
            assert await wire.gateway.send_to_all("hello") == UNKNOWN
            assert lost.address in addresses(missing)
        await until(lambda: here.frames[-1].body == b"hello")
        with pytest.raises(ClientError):
            await wire.gateway.get_all_client_id_count()


async def test_a_gateway_that_is_lost_fails_what_it_was_asked_at_once() -> None:
    async with cluster(always(3), always(4)) as (wire, [here, there]):
        there.hold()
        asked = asyncio.create_task(wire.gateway.get_all_client_id_count())
        await there.got(1)
        await there.stop()
        with pytest.raises(UnavailableError, match=there.address) as error:
            await asked
        assert here.address not in str(error.value)


async def test_a_send_reaches_the_others_and_the_gateway_that_is_down_is_named() -> None:
    async with cluster(always(0), always(0)) as (wire, [here, there]):
        await there.stop()
        await until(lambda: wire.links.known[there.place].link is None)
        with pytest.raises(UnavailableError) as error:
            await wire.gateway.send_to_all("hello")
        assert there.address in str(error.value)
        assert "; the others (1) have been sent it" in str(error.value)
        await here.got(1)
        assert bodies(here) == [b"hello"]
        with pytest.raises(UnavailableError, match=there.address):
            await wire.gateway.close_client(client(there, 1))


async def test_a_send_to_a_gateway_that_does_not_read_waits_and_then_fails() -> None:
    async with cluster(always(0), seconds=SHORT) as (wire, [fake]):
        fake.stop_reading()
        sends = [wire.gateway.send_to_all("x" * (1 << 23)) for _ in range(4)]
        results = await asyncio.gather(*sends, return_exceptions=True)
        late = f"gateway {fake.address} has not taken it within {SHORT} s"
        assert results[0] == UNKNOWN
        assert str(results[-1]) == late
        assert isinstance(results[-1], DeadlineError)
        fake.go_on_reading()
        await until(lambda: bool(fake.frames))
        assert await wire.gateway.send_to_all("at last") == UNKNOWN
        await until(lambda: bodies(fake)[-1] == b"at last")
        assert len(fake.frames) == results.count(UNKNOWN) + 1


async def test_a_late_answer_is_taken_for_no_other() -> None:
    def answer(frame: Frame) -> bytes:
        return b"i:%b;" % frame.ext

    async with cluster(answer, seconds=SHORT) as (wire, [fake]):
        fake.hold()
        count = wire.gateway.get_client_id_count_by_group
        with pytest.raises(DeadlineError):
            await count(1)
        fake.let()
        await until(lambda: len(fake.connections) == 2)
        await until(lambda: wire.links.known[fake.place].link is not None)
        assert await count(2) == 2


async def test_an_answer_to_another_question_ends_the_link_and_names_the_gateway() -> None:
    async with cluster(always("what?")) as (wire, [fake]):
        with pytest.raises(UnavailableError, match="an answer to another question") as error:
            await wire.gateway.get_all_client_id_count()
        assert f"gateway {fake.address}" in str(error.value)
        await until(lambda: fake.connections[0].lost)


async def test_a_session_of_objects_is_no_fault_of_the_link() -> None:
    def answer(frame: Frame) -> bytes:
        sessions = {1: dumps({"n": 1}), 2: b'O:8:"stdClass":0:{}'}
        return sessions[frame.connection_id] if frame.connection_id else dumps(sessions)

    async with cluster(answer) as (wire, [fake]):
        with pytest.raises(SerializedError, match=f"{client(fake, 2)}.*an object"):
            await wire.gateway.get_all_client_sessions()
        with pytest.raises(SerializedError, match="an object"):
            await wire.gateway.get_session(client(fake, 2))
        assert await wire.gateway.get_session(client(fake, 1)) == {"n": 1}
        assert len(fake.connections) == 1


async def test_one_who_is_cancelled_leaves_nothing_behind() -> None:
    async with cluster(always(3)) as (wire, [fake]):
        fake.hold()
        asked = asyncio.create_task(wire.gateway.get_all_client_id_count())
        rooms = asyncio.create_task(wire.gateway.send_to_group(["a", "b"], "hello"))
        await fake.got(2)
        asked.cancel()
        rooms.cancel()
        await asyncio.wait([asked, rooms])
        fake.let()
        assert await wire.gateway.get_all_client_id_count() == 3
        assert [frame.cmd for frame in fake.frames] == [24, Cmd.SELECT, 24]


# --- built from questions -----------------------------------------------------------------------


async def test_a_send_that_is_built_from_a_question_names_who_fails_in_either_half() -> None:
    def answer(frame: Frame) -> bytes | None:
        return dumps({1: {"uid": "u1"}, 2: {"uid": None}}) if frame.cmd == Cmd.SELECT else None

    async with cluster(answer, always(0), seconds=SHORT) as (wire, [here, there]):
        there.hold()
        with pytest.raises(DeadlineError, match=there.address) as error:
            await wire.gateway.send_to_all("hello", utype=0)
        assert "; the others (1) have been sent it" in str(error.value)
        await here.got(2)
        assert here.frames[1].ext == b'{"connections":{"1":1}}'


async def test_a_send_that_is_built_from_a_question_waits_while_the_gateway_does_not_read() -> None:
    async with cluster(always({1: {}})) as (wire, [fake]):
        fake.hold()
        rooms = asyncio.create_task(wire.gateway.send_to_group(["a", "b"], "rooms"))
        await fake.got(1)
        fake.stop_reading()
        large = [wire.gateway.send_to_all("x" * (1 << 23)) for _ in range(4)]
        sends = asyncio.gather(*large)
        await asyncio.sleep(0)
        fake.let()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not rooms.done()
        fake.go_on_reading()
        assert await sends == [UNKNOWN] * 4
        assert await rooms == UNKNOWN
        await until(lambda: bodies(fake)[-1] == b"rooms")


async def test_gateways_that_fail_in_different_ways_are_all_named() -> None:
    async with cluster(always(1), always(1), seconds=SHORT) as (wire, [late, down]):
        late.hold()
        await down.stop()
        await until(lambda: wire.links.known[down.place].link is None)
        with pytest.raises(DeadlineError) as error:
            await wire.gateway.get_all_client_id_count()
        assert late.address in str(error.value)
        assert down.address in str(error.value)
        with pytest.raises(UnavailableError) as unavailable:
            await wire.gateway.send_to_all("hello")
        assert down.address in str(unavailable.value)


async def test_users_and_groups_are_closed_by_a_question_and_kicks() -> None:
    def answer(frame: Frame) -> bytes | None:
        answers = {Cmd.CLIENTS_OF_UID: dumps([5, 6]), Cmd.SELECT: dumps({6: {"uid": None}})}
        return answers.get(Cmd(frame.cmd))

    async with cluster(answer, answer) as (wire, fakes):
        assert await wire.gateway.close_uid("u1", "bye") is None
        assert await wire.gateway.close_group("a", code=3011, reason="moved") is None
        for fake in fakes:
            kicks = [frame for frame in await fake.got(5) if frame.cmd == Cmd.KICK]
            assert [kick.connection_id for kick in kicks] == [5, 6, 6]
            assert [kick.body for kick in kicks] == [b"bye", b"bye", b"N;"]
            assert kicks[2].ext == b'{"code":3011,"reason":"moved"}'


# --- the Register, and gateways that come and go ------------------------------------------------


async def test_where_no_register_answers_that_is_said_at_once_to_all_who_wait() -> None:
    register = Register("")
    await register.start()
    await register.stop()
    async with wire_to(register) as wire:
        calls = [wire.gateway.send_to_all("hello") for _ in range(100)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in errors} == {UnavailableError}
        cannot = f"register {register.address} cannot be connected to"
        assert all(str(error).startswith(cannot) for error in errors)


async def test_where_no_gateway_is_listed_that_is_said_even_where_parts_will_do() -> None:
    async with Register("") as register, wire_to(register) as wire:
        for call in (wire.gateway.send_to_all, wire.gateway.get_client_id_count_by_group):
            with (
                wire.executor.partial.allowed() as missing,
                pytest.raises(UnavailableError, match="no gateway is known to register"),
            ):
                await call("hello")
            assert missing == []


async def test_a_wrong_key_is_said_by_the_register_and_by_gateways() -> None:
    async with Register("another") as register, wire_to(register, secret=SECRET) as wire:
        with pytest.raises(RejectedError, match=f"register {register.address}"):
            await wire.gateway.send_to_all("hello")
    async with (
        Register(SECRET) as register,
        listed(register, secret="another") as fake,
        wire_to(register, secret=SECRET) as wire,
    ):
        for _ in range(2):
            with pytest.raises(RejectedError, match=fake.address):
                await wire.gateway.send_to_all("hello")
        assert fake.frames == []


async def test_a_register_that_is_lost_takes_no_link_with_it() -> None:
    async with Register("") as register, listed(register) as fake, wire_to(register) as wire:
        fake.answer = always(3)
        assert await wire.gateway.get_all_client_id_count() == 3
        await register.stop()
        assert await wire.gateway.get_all_client_id_count() == 3
        await register.start()
        async with worker(register):
            assert await wire.gateway.get_all_client_id_count() == 3
        assert len(fake.connections) == 1


async def test_a_gateway_that_is_not_listed_any_more_keeps_its_link_until_that_is_lost() -> None:
    async with (
        Register("") as register,
        FakeGateway() as fake,
        wire_to(register) as wire,
        listed(register) as other,
    ):
        fake.answer, other.answer = always(3), always(4)
        async with gateway(register, fake.address):
            await until(lambda: len(wire.links.known) == 2)
            assert await wire.gateway.get_all_client_id_count() == 7
        await until(lambda: register.listener.gateways == (other.address,))
        assert await wire.gateway.get_all_client_id_count() == 7
        await fake.hang_up()
        await until(lambda: len(wire.links.known) == 1)
        assert await wire.gateway.get_all_client_id_count() == 4
        assert len(fake.connections) == 1


async def test_a_gateway_that_is_gone_and_back_is_connected_to_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with cluster(always(3)) as (wire, [fake]):
        known = wire.links.known[fake.place]
        with caplog.at_level(logging.INFO):
            for _ in range(2):
                await fake.stop()
                await until(lambda: "cannot be connected to" in str(known.error))
                with pytest.raises(UnavailableError, match=fake.address):
                    await wire.gateway.get_all_client_id_count()
                await fake.start()
                await until(lambda: known.link is not None)
                assert await wire.gateway.get_all_client_id_count() == 3
        ended = [record.message for record in caplog.records if fake.address in record.message]
        assert len([line for line in ended if "cannot be connected to" in line]) == 2
        assert len([line for line in ended if line.endswith("connected")]) == 2


async def test_a_gateway_that_is_down_and_not_listed_any_more_is_forgotten() -> None:
    async with Register("") as register, wire_to(register) as wire, FakeGateway() as fake:
        async with gateway(register, fake.address):
            await until(lambda: bool(wire.links.known))
            await wire.links.tried()
            await fake.stop()
            await until(lambda: wire.links.known[fake.place].link is None)
        await until(lambda: wire.links.known == {})
        await fake.start()
        async with gateway(register, fake.address):
            await until(lambda: bool(wire.links.known))
            assert await wire.gateway.send_to_all("hello") == UNKNOWN


async def test_gateways_of_several_registers_are_reached_and_one_register_will_do() -> None:
    async with (
        Register("") as one,
        Register("") as two,
        listed(one) as here,
        listed(two) as there,
    ):
        here.answer, there.answer = always(3), always(4)
        async with wire_to(one, two) as wire:
            assert await wire.gateway.get_all_client_id_count() == 7
        await two.stop()
        async with wire_to(two, one) as wire:
            assert await wire.gateway.get_all_client_id_count() == 3
        await two.start()


async def test_links_that_are_finished_with_are_not_opened_again() -> None:
    async with cluster(always(3)) as (wire, [fake]):
        wire.links.finish()
        assert await wire.gateway.get_all_client_id_count() == 3
        await fake.hang_up()
        await until(lambda: wire.links.known == {})


async def test_roles_are_told_of_links_that_are_there_and_lost() -> None:
    told: list[str] = []
    role = client_role("")
    role = type(role)(
        on_open=lambda link: told.append(f"open {link.address}"),
        on_lost=lambda link: told.append(f"lost {link.address}"),
    )
    async with Register("") as register, listed(register) as fake:
        links = Links([register.address], "", role, timeout=PATIENCE, retry=RETRY)
        links.start()
        await until(lambda: bool(told))
        await fake.hang_up()
        await until(lambda: len(told) == 3)
        await links.stop()
        assert told == [f"{what} {fake.address}" for what in ("open", "lost", "open", "lost")]

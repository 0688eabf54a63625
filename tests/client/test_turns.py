import asyncio

from pushline.client.turns import Turns


async def let_others_run() -> None:
    await asyncio.sleep(0)


async def test_a_turn_is_had_at_once_while_there_are_any() -> None:
    turns = Turns(2)
    async with asyncio.timeout(0):
        await turns.take()
        await turns.take()


async def test_turns_go_to_those_who_wait_in_their_order() -> None:
    turns, order = Turns(1), list[int]()

    async def take(number: int) -> None:
        await turns.take()
        order.append(number)

    await turns.take()
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(take(number))
        await let_others_run()
        turns.give()
        group.create_task(take(3))  # must not slip in before those who wait
        for _ in range(3):
            await let_others_run()
            turns.give()
    assert order == [0, 1, 2, 3]


async def test_a_turn_is_not_lost_with_one_who_gave_up_waiting() -> None:
    turns = Turns(1)
    await turns.take()
    waiting = [asyncio.create_task(turns.take()) for _ in range(3)]
    await let_others_run()
    waiting[0].cancel()
    turns.give()  # to the second, for the first has left
    waiting[1].cancel()  # just when the turn has come
    await asyncio.wait_for(waiting[2], 5)
    await asyncio.wait(waiting)
    assert [task.cancelled() for task in waiting] == [True, True, False]
    turns.give()
    async with asyncio.timeout(0):
        await turns.take()

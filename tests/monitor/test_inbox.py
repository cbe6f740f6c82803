"""The inbox: order, bounds, and acknowledgement only after the ward."""

import asyncio
import random

import pytest

from monitor.inbox import Inbox, Presence


def message(number: int) -> Presence:
    return Presence(f"bed-{number}", online=True)


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_hold_returns_when_the_batch_is_acknowledged():
    inbox = Inbox()
    held = asyncio.create_task(inbox.hold(message(1)))
    await settle()
    batch = await inbox.take(0)
    assert batch.values == [message(1)]
    assert not held.done()
    assert inbox.withheld == 1
    batch.acknowledge()
    await held
    assert inbox.withheld == 0


async def test_acknowledgements_come_in_order_of_arrival_with_refused_messages_in_their_places():
    inbox, order = Inbox(), []

    async def receive(number):
        await inbox.hold(message(number) if number % 3 else None)
        order.append(number)

    for number in range(30):
        _ = asyncio.create_task(receive(number))  # noqa: RUF006  held by the inbox
    await settle()
    batch = await inbox.take(0)
    assert batch.values == [message(n) for n in range(30) if n % 3]
    assert batch.messages == 30
    batch.acknowledge()
    await settle()
    assert order == list(range(30))


async def test_take_waits_for_its_time_when_there_is_room():
    inbox = Inbox()
    _ = asyncio.create_task(inbox.hold(message(1)))  # noqa: RUF006
    taking = asyncio.create_task(inbox.take(3600))
    await settle()
    assert not taking.done()
    taking.cancel()
    await inbox.abandon()


async def test_take_does_not_wait_when_the_broker_can_send_no_more():
    inbox = Inbox()
    inbox.eager = 3
    taking = asyncio.create_task(inbox.take(3600))
    tasks = [asyncio.create_task(inbox.hold(message(n))) for n in range(2)]
    await settle()
    assert not taking.done()
    tasks.append(asyncio.create_task(inbox.hold(message(2))))
    async with asyncio.timeout(10):
        batch = await taking
    assert len(batch.values) == 3
    batch.acknowledge()
    await asyncio.gather(*tasks)


async def test_take_does_not_wait_when_it_is_full():
    inbox = Inbox(capacity=2)
    inbox.eager = 1000
    tasks = [asyncio.create_task(inbox.hold(message(n))) for n in range(3)]
    await settle()
    async with asyncio.timeout(10):
        batch = await inbox.take(3600)
    assert len(batch.values) == 2
    await inbox.abandon()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("seed", range(20))
async def test_order_survives_a_full_inbox_and_newcomers(seed):
    """Whoever waits for room goes before whoever comes later, however arrivals and ticks interleave."""
    rng = random.Random(seed)
    inbox, seen, acknowledged, tasks = Inbox(capacity=4), [], [], []

    async def receive(number):
        await inbox.hold(message(number))
        acknowledged.append(number)

    async def tick():
        batch = await inbox.take(0)
        assert len(batch.values) <= inbox.capacity
        seen.extend(batch.values)
        batch.acknowledge()

    for number in range(60):
        tasks.append(asyncio.create_task(receive(number)))
        for _ in range(rng.choice((0, 0, 0, 1, 2))):
            await asyncio.sleep(0)
        if rng.random() < 0.2:
            await tick()
    while len(seen) < 60:
        await tick()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert seen == [message(n) for n in range(60)]
    assert acknowledged == list(range(60))


async def test_offer_sheds_when_full_and_needs_no_acknowledgement():
    inbox = Inbox(capacity=2)
    assert await inbox.offer(message(1))
    assert await inbox.offer(message(2))
    assert not await inbox.offer(message(3))
    batch = await inbox.take(0)
    assert batch.values == [message(1), message(2)]
    assert await inbox.offer(message(4))
    assert inbox.withheld == 0


async def test_abandon_lets_everyone_go():
    inbox = Inbox(capacity=2)
    tasks = [asyncio.create_task(inbox.hold(message(n))) for n in range(7)]
    await settle()
    await inbox.take(0)  # taken and never acknowledged: the ward failed
    await settle()
    await inbox.abandon()
    await asyncio.gather(*tasks)
    assert inbox.withheld == 0

"""Publish, take, settle: what every queue promises while nothing goes wrong."""

import asyncio
import random
import threading
import time

import pytest

from gateway.model.problem import Unreadable
from gateway.model.verdict import Verdict
from gateway.queue import lanes, wire
from tests.strategies.submissions import deposit, outcome, patient

PLENTY = (1000, 1 << 30, 0.0)
#: Bytes that do not shrink.
NOISE = random.Random(1).randbytes(1_100_000)


async def fill(queue, count: int, start: int = 0):
    return [await queue.publish(deposit(number)) for number in range(start, start + count)]


def receipts(batch) -> list[str]:
    return [delivery.receipt for delivery in batch]


def settle(queue, batch, verdict: Verdict = Verdict.STORED) -> None:
    queue.settle([(delivery, outcome(delivery.deposit, verdict)) for delivery in batch])


def test_a_deposit_comes_out_as_it_went_in_and_its_outcome_goes_back(backend) -> None:
    queue = backend.open()
    made = deposit(7, contents=(b"<ClinicalDocument>" * 100, bytes(range(256)) * 9))

    async def walk():
        waiting = await queue.publish(made)
        (delivery,) = await asyncio.to_thread(queue.take, *PLENTY)
        assert delivery.deposit == made
        assert delivery.receipt == made.reception.receipt
        assert delivery.lane == lanes.DEPOSITS[lanes.partition(made.submission)]
        assert not waiting.done()
        await asyncio.to_thread(settle, queue, [delivery], Verdict.REFUSED)
        assert await asyncio.wait_for(waiting, 5) == outcome(made, Verdict.REFUSED)

    asyncio.run(walk())
    assert queue.take(*PLENTY) == []
    assert queue.problem() is None


def test_each_waits_for_its_own_outcome(backend) -> None:
    queue = backend.open()

    async def walk():
        first, second = await fill(queue, 2)
        one, other = await asyncio.to_thread(queue.take, *PLENTY)
        await asyncio.to_thread(settle, queue, [other], Verdict.DUPLICATE)
        assert (await asyncio.wait_for(second, 5)).verdict is Verdict.DUPLICATE
        assert not first.done()
        await asyncio.to_thread(settle, queue, [one])
        assert (await asyncio.wait_for(first, 5)).receipt == one.receipt

    asyncio.run(walk())


def test_an_outcome_that_nobody_waits_for_any_more(backend) -> None:
    queue = backend.open()

    async def walk():
        (waiting,) = await fill(queue, 1)
        waiting.cancel()

    asyncio.run(walk())
    asyncio.run(fill(queue, 1, start=1))
    batch = queue.take(*PLENTY)
    settle(queue, batch)
    assert len(batch) == 2


def test_they_come_out_in_order(backend) -> None:
    queue = backend.open()
    asyncio.run(fill(queue, 30))
    found = []
    while batch := queue.take(7, 1 << 30, 0.0):
        assert len(batch) <= 7
        assert [delivery.id for delivery in batch] == sorted(delivery.id for delivery in batch)
        found += receipts(batch)
        settle(queue, batch)
    assert found == [deposit(number).reception.receipt for number in range(30)]


def test_a_patient_keeps_its_order_among_many_sessions(backend) -> None:
    queue = backend.open()

    async def session(number: int) -> None:
        for step in range(10):
            await queue.publish(deposit(number * 10 + step, identity=patient(f"session {number}")))

    async def all_sessions() -> None:
        await asyncio.gather(*(session(number) for number in range(8)))

    asyncio.run(all_sessions())
    found = [int(receipt[-6:]) for receipt in receipts(queue.take(*PLENTY))]
    assert len(found) == 80
    for number in range(8):
        assert [each % 10 for each in found if each // 10 == number] == list(range(10))


def test_two_hundred_at_once(backend) -> None:
    queue = backend.open()

    async def publish_all():
        return await asyncio.gather(*(queue.publish(deposit(number)) for number in range(200)))

    async def walk():
        waiting = await publish_all()
        batch = await asyncio.to_thread(queue.take, *PLENTY)
        assert sorted(receipts(batch)) == [deposit(number).reception.receipt for number in range(200)]
        await asyncio.to_thread(settle, queue, batch)
        outcomes = await asyncio.wait_for(asyncio.gather(*waiting), 5)
        assert [each.receipt for each in outcomes] == [deposit(number).reception.receipt for number in range(200)]

    asyncio.run(walk())


def test_a_batch_has_a_byte_limit_that_one_deposit_may_pass(backend) -> None:
    queue = backend.open()
    asyncio.run(fill(queue, 3))
    (first,) = queue.take(10, 1, 0.0)
    settle(queue, [first])
    second = queue.take(10, first.size * 2, 0.0)
    assert len(second) == 2


def test_what_packs_well_is_not_unpacked_all_at_once_and_keeps_its_order(backend) -> None:
    """A file of one byte a million times over is small on its way: by their sealed bytes a hundred of them are one batch."""
    queue = backend.open()
    content, number = bytes(wire.TOGETHER_LIMIT_BYTES // 4), 12

    async def publish():
        for each in range(number):
            await queue.publish(deposit(each, contents=(content,), identity=patient()))

    asyncio.run(publish())
    found = []
    while batch := queue.take(*PLENTY):
        assert sum(len(part) for each in batch[:-1] for part in each.deposit.parts) <= wire.TOGETHER_LIMIT_BYTES
        found += receipts(batch)
        settle(queue, batch)
    assert found == [deposit(each).reception.receipt for each in range(number)]


def test_nobody_comes_and_somebody_comes(backend) -> None:
    queue = backend.open()
    began = time.monotonic()
    assert queue.take(1, 1, 0.2) == []
    assert 0.15 < time.monotonic() - began < 5
    found = []
    waiting = threading.Thread(target=lambda: found.extend(queue.take(1, 1, 30.0)))
    waiting.start()
    asyncio.run(fill(queue, 1))
    waiting.join(10)
    assert receipts(found) == [deposit(0).reception.receipt]


def test_one_batch_at_a_time(backend) -> None:
    queue = backend.open()
    asyncio.run(fill(queue, 3))
    first, second = queue.take(2, 1 << 30, 0.0)
    with pytest.raises(RuntimeError, match="not settled"):
        queue.take(*PLENTY)
    settle(queue, [second])
    with pytest.raises(RuntimeError, match="not settled"):
        queue.take(*PLENTY)
    settle(queue, [first])
    assert len(queue.take(*PLENTY)) == 1


def test_only_what_is_in_hand_is_settled(backend) -> None:
    queue = backend.open()
    asyncio.run(fill(queue, 2))
    batch = queue.take(1, 1, 0.0)
    settle(queue, batch)
    with pytest.raises(ValueError, match="not in hand"):
        settle(queue, batch)
    queue.settle([])
    assert len(queue.take(*PLENTY)) == 1


def test_the_depth_of_each_lane(backend) -> None:
    queue = backend.open()
    assert {depth.lane for depth in queue.depth()} == set(lanes.CARRYING)
    assert all(depth.waiting == 0 and depth.oldest is None for depth in queue.depth())
    small, feed = deposit(1), deposit(2, door="feed")
    large = deposit(3, payload=NOISE)

    async def walk():
        for made in (large, small, feed, deposit(4)):
            await queue.publish(made)

    asyncio.run(walk())
    depths = {depth.lane: depth for depth in queue.depth() if depth.waiting}
    assert {lane: depth.waiting for lane, depth in depths.items()} == {"large": 1, "bulk": 1, "deposits.3": 2}
    assert depths["deposits.3"].oldest == small.reception.received_at
    batch = queue.take(2, 1 << 30, 0.0)
    assert sum(depth.waiting for depth in queue.depth()) == 4, "what is in hand is not yet gone"
    settle(queue, batch)
    assert sum(depth.waiting for depth in queue.depth()) == 2


def test_too_large_is_the_senders_to_solve(backend) -> None:
    queue = backend.open(sealed_limit_bytes=5_000)
    asyncio.run(fill(queue, 1))
    with pytest.raises(Unreadable) as refused:
        asyncio.run(queue.publish(deposit(1, contents=(NOISE[:6_000],))))
    assert refused.value.problems[0].code == "TOO_LARGE"
    assert len(queue.take(*PLENTY)) == 1

"""The limits of the embedded file: a broker's are its own, per lane."""

import asyncio

import pytest

from gateway.model.ports import Unavailable
from tests.strategies.submissions import deposit, outcome

KINDS = ("embedded",)
PLENTY = (1000, 1 << 30, 0.0)


async def fill(queue, count: int, start: int = 0):
    return [await queue.publish(deposit(number)) for number in range(start, start + count)]


def receipts(batch) -> list[str]:
    return [delivery.receipt for delivery in batch]


def settle(queue, batch) -> None:
    queue.settle([(delivery, outcome(delivery.deposit)) for delivery in batch])


def test_a_full_queue_takes_nothing_until_something_is_settled(backend) -> None:
    queue = backend.open(limit_messages=3)
    asyncio.run(fill(queue, 3))
    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            asyncio.run(queue.publish(deposit(9)))
        assert refused.value.code == "QUEUE_UNAVAILABLE"
    assert "full" in queue.problem()
    settle(queue, queue.take(1, 1, 0.0))
    assert queue.problem() is None
    asyncio.run(queue.publish(deposit(9)))
    assert receipts(queue.take(*PLENTY)) == [deposit(number).reception.receipt for number in (1, 2, 9)]


@pytest.mark.parametrize(("more", "fits"), [(-1, False), (0, True), (1, True)])
def test_a_full_queue_by_bytes(backend, more: int, fits: bool) -> None:
    queue = backend.open()
    asyncio.run(fill(queue, 2))
    size = sum(delivery.size for delivery in queue.take(*PLENTY))
    queue.close()
    queue = backend.open(limit_bytes=size + size // 2 + more)
    if fits:
        asyncio.run(queue.publish(deposit(2)))
    else:
        with pytest.raises(Unavailable):
            asyncio.run(queue.publish(deposit(2)))


def test_the_limit_holds_against_many_at_once(backend) -> None:
    queue = backend.open(limit_messages=50)

    async def walk():
        return await asyncio.gather(*(queue.publish(deposit(number)) for number in range(80)), return_exceptions=True)

    ended = asyncio.run(walk())
    assert sum(isinstance(each, Unavailable) for each in ended) == 30
    assert len(queue.take(*PLENTY)) == 50

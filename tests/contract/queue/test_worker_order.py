"""The order of a lane outlives whatever becomes of a worker, and nothing is given up for it (D-8, D-9). On a real broker."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gateway.model.outcome import Outcome
from gateway.model.submission import Deposit
from gateway.queue.keys import Keys, initialise
from gateway.queue.rabbitmq.consumer import Share
from gateway.queue.rabbitmq.queue import RabbitQueue, Settings
from gateway.queue.rabbitmq.setup import lanes_of
from gateway.store.port import Transient
from gateway.worker.consume import BatchLimits, Worker
from tests.contract.queue.test_broker import Now, until
from tests.harness import rabbitmq
from tests.harness.breach import Breach
from tests.strategies.submissions import deposit, outcome
from tests.unit.worker.test_consume import Floor, deposits

COUNT = 24


@pytest.fixture
def broker() -> Iterator[rabbitmq.Broker]:
    made = rabbitmq.for_contracts()
    made.empty()
    yield made
    made.empty()


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    initialise(tmp_path / "flow", Now())
    return Keys.open(tmp_path / "flow", Now())


def publish(queue: RabbitQueue, made: Sequence[Deposit]) -> list[str]:
    async def walk() -> None:
        for each in made:
            await queue.publish(each, waits=False)

    asyncio.run(walk())
    return [each.reception.receipt for each in made]


def taken(queue: RabbitQueue, count: int) -> list[str]:
    """Take and settle until there are enough; in the order of their coming."""
    found: list[str] = []
    limit = time.monotonic() + 30
    while len(found) < count and time.monotonic() < limit:
        batch = queue.take(5, 1 << 30, 0.2)
        queue.settle([(delivery, outcome(delivery.deposit)) for delivery in batch])
        found += [delivery.receipt for delivery in batch]
    return found


def in_order(found: list[str], sent: list[str]) -> None:
    if found != sent:
        raise Breach(f"came as {[sent.index(each) for each in found]}")


def test_a_store_that_is_away_for_a_moment_changes_no_order(tmp_path: Path, broker: rabbitmq.Broker) -> None:
    floor = Floor(tmp_path)
    queue = RabbitQueue(broker.url, floor.keys, Settings(prefetch=12), share=Share())
    applied: list[str] = []
    failures = iter([False, True, False, True, True])

    class Kept:
        def apply(self, batch: Sequence[Deposit]) -> list[Outcome]:
            if next(failures, False):
                raise Transient("SQLITE_BUSY")
            outcomes = floor.store.apply(batch)
            applied.extend(each.reception.receipt for each in batch)
            return outcomes

        def __getattr__(self, name: str) -> object:
            return getattr(floor.store, name)

    limits = BatchLimits(submissions=4, bytes=8 << 20, wait_seconds=0.01)
    worker = Worker(queue, Kept(), floor.seal, limits, unseal=floor.unseal)  # type: ignore[arg-type]
    try:
        assert queue.connected(20), queue.problem()
        sent = publish(queue, deposits(floor, COUNT))
        worker.start()
        assert until(lambda: len(applied) >= COUNT, 30), applied
        assert worker.stop(30)
        in_order(applied, sent)
    finally:
        queue.close()
        floor.close()


def test_a_worker_that_ends_hands_its_lane_over_from_the_first_that_is_not_settled(keys: Keys, broker: rabbitmq.Broker) -> None:
    # Not all of them are handed out: what still waits must not come before what was.
    one = RabbitQueue(broker.url, keys, Settings(prefetch=6), share=Share())
    assert one.connected(20), one.problem()
    sent = publish(one, [deposit(number) for number in range(COUNT)])
    batch = one.take(5, 1 << 30, 10)
    assert batch
    one.settle([(delivery, outcome(delivery.deposit)) for delivery in batch])
    begun = len(batch)
    in_hand = one.take(5, 1 << 30, 10)
    assert in_hand, "the next ones"
    other = RabbitQueue(broker.url, keys, Settings(prefetch=6), share=Share())
    try:
        assert other.connected(20), other.problem()
        waiting = other._consumer
        assert waiting is not None
        # It stands behind the first: the broker has read its wish.
        assert until(lambda: in_hand[0].lane in waiting._taken_from, 30)
        assert waiting.flush(30)
        one.close()
        in_order(taken(other, COUNT - begun), sent[begun:])
    finally:
        one.close()
        other.close()


def test_workers_that_die_again_and_again_cost_no_deposit(keys: Keys, broker: rabbitmq.Broker) -> None:
    """Whatever was in hand counts as returned each time, the innocent with the culprit: a limit would give all of them up."""
    door = RabbitQueue(broker.url, keys)
    assert door.connected(20), door.problem()
    sent = publish(door, [deposit(number) for number in range(6)])
    door.close()
    for _ in range(5):
        worker = RabbitQueue(broker.url, keys, share=Share())
        assert worker.connected(20), worker.problem()
        assert worker.take(6, 1 << 30, 20) or dead(broker), "it comes again"
        worker.close()
        if dead(broker):
            raise Breach(f"the broker gave up {dead(broker)}")
    last = RabbitQueue(broker.url, keys, share=Share())
    try:
        assert last.connected(20), last.problem()
        in_order(taken(last, len(sent)), sent)
    finally:
        last.close()


def dead(broker: rabbitmq.Broker) -> int:
    return next(lane.ready or 0 for lane in lanes_of(broker.url) if lane.lane == "dead")

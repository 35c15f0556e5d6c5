"""A few deliveries of several senders wait a moment for more; a lone sender's wait for nobody."""

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from pika import BasicProperties

from gateway.queue.rabbitmq import consumer as consuming
from gateway.queue.rabbitmq.consumer import Consumer

LANE = "deposits.0"
MANY = 1 << 30


class Waiting:
    """Stands for the clock: what arrives while somebody waits, and how often anybody did."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = lambda: None
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.meanwhile()

    monotonic = staticmethod(time.monotonic)
    time_ns = staticmethod(time.time_ns)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    made = Waiting()
    monkeypatch.setattr(consuming, "time", made)
    monkeypatch.setattr(consuming, "Link", lambda *_, **__: SimpleNamespace())
    return made


@pytest.fixture
def consumer(waiting: Waiting) -> Consumer:
    made = Consumer(None, "amqp://nowhere", (LANE,), name="test", heartbeat=5)  # type: ignore[arg-type]
    made.tags = 0  # type: ignore[attr-defined]
    return made


def arrive(consumer: Consumer, count: int) -> None:
    for _ in range(count):
        consumer.tags += 1  # type: ignore[attr-defined]
        how = SimpleNamespace(delivery_tag=consumer.tags, redelivered=False)  # type: ignore[attr-defined]
        properties = BasicProperties(message_id=f"r{consumer.tags}")  # type: ignore[attr-defined]
        consumer._on_message(LANE, consumer.epoch, None, how, properties, b"sealed")  # type: ignore[arg-type]


def taken(consumer: Consumer, limit: int = 100) -> list[str]:
    return [each.receipt for each in consumer.next(limit, MANY, time.monotonic() + 30)]


def test_a_lone_senders_deposit_waits_for_nobody(consumer: Consumer, waiting: Waiting) -> None:
    for number in range(1, 4):
        arrive(consumer, 1)
        assert taken(consumer) == [f"r{number}"]
    assert waiting.waits == []


def test_a_few_of_several_senders_wait_once_and_keep_their_order(consumer: Consumer, waiting: Waiting) -> None:
    arrive(consumer, 2)
    assert taken(consumer) == ["r1", "r2"]
    waiting.meanwhile = lambda: arrive(consumer, 3)
    arrive(consumer, 1)
    assert taken(consumer) == ["r3", "r4", "r5", "r6"]
    assert waiting.waits == [consuming._GATHER_SECONDS]


def test_many_and_a_limit_that_is_reached_wait_for_nobody(consumer: Consumer, waiting: Waiting) -> None:
    arrive(consumer, 2)
    assert len(taken(consumer)) == 2
    arrive(consumer, consuming._FEW + 1)
    assert len(taken(consumer)) == consuming._FEW + 1
    arrive(consumer, 2)
    assert taken(consumer, limit=1) == [f"r{consuming._FEW + 4}"]
    assert waiting.waits == []


def test_what_is_lost_while_a_few_wait_is_not_handed_out(consumer: Consumer, waiting: Waiting) -> None:
    arrive(consumer, 2)
    assert len(taken(consumer)) == 2
    waiting.meanwhile = consumer.lost
    arrive(consumer, 1)
    assert taken(consumer) == []

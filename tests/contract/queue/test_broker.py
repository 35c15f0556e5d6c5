"""What only a broker has: requests and replies, reports, a node that dies and comes back, lanes shared by workers."""

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pika
import pytest

from gateway.model.event import RecordClosing
from gateway.model.outcome import Outcome, Rejection
from gateway.model.ports import Unavailable
from gateway.model.problem import Problem
from gateway.model.verdict import Verdict
from gateway.queue import lanes
from gateway.queue.keys import Keys, initialise
from gateway.queue.rabbitmq import topology, workers
from gateway.queue.rabbitmq.consumer import Consumer, Share
from gateway.queue.rabbitmq.link import LoopThread
from gateway.queue.rabbitmq.queue import RabbitQueue, Settings
from gateway.queue.rabbitmq.serving import ReportTaker, Requests
from gateway.queue.rabbitmq.setup import Step, counts, setup
from gateway.queue.rabbitmq.status import ask_workers
from gateway.queue.seal import SEALED_LIMIT_BYTES
from tests.harness import rabbitmq
from tests.strategies.submissions import deposit, outcome, patient

PLENTY = (1000, 1 << 30)


class Now:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Bench:
    """A door and a worker, each with connections of its own."""

    def __init__(self, folder: Path, broker: rabbitmq.Broker) -> None:
        self.broker = broker
        initialise(folder / "keys", Now())
        self.keys = Keys.open(folder / "keys", Now())
        self.door = RabbitQueue(broker.url, self.keys, Settings(confirm_timeout_seconds=3))
        assert self.door.connected(20), self.door.problem()
        self.unopened: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.noted: list[str] = []
        self.answer = lambda reception: Outcome(verdict=Verdict.APPLIED, receipt=reception.receipt)
        self.thread = LoopThread("worker")
        self.consumers = [
            Consumer(self.thread, broker.url, (lane,), name=lane, heartbeat=5, prefetch=1 if lane == lanes.REQUESTS else 100)
            for lane in (lanes.REQUESTS, lanes.REPORTS)
        ]
        self.requests = Requests(
            self.consumers[0], self.door.door.publisher, self.keys, clock=Now(), submit=self._submit, unopened=self._seen
        )
        self.reports = ReportTaker(
            self.consumers[1], self.keys, lambda reception, _: self.noted.append(reception.receipt), self._seen
        )

    def _submit(self, reception, _event, _deadline) -> Outcome:
        self.asked.append(reception.receipt)
        return self.answer(reception)

    def _seen(self, receipt: str, why: str) -> None:
        self.unopened.append((receipt, why))

    def submit(self, number: int = 1, seconds: float = 5.0) -> Outcome:
        reception = deposit(number).reception
        event = RecordClosing(identifiers=patient().identifiers, requested_by="patient")
        return asyncio.run(self.door.door.submit(reception, event, datetime.now(UTC) + timedelta(seconds=seconds), Now()))

    def close(self) -> None:
        self.requests.stop()
        self.reports.stop()
        for consumer in self.consumers:
            consumer.close()
            consumer.link.ended()
        self.thread.stop()
        self.door.close()


@pytest.fixture
def broker() -> Iterator[rabbitmq.Broker]:
    made = rabbitmq.for_contracts()
    made.empty()
    yield made
    made.empty()


@pytest.fixture
def bench(tmp_path: Path, broker: rabbitmq.Broker) -> Iterator[Bench]:
    made = Bench(tmp_path, broker)
    yield made
    made.close()


def until(condition, seconds: float = 10.0) -> bool:
    limit = time.monotonic() + seconds
    while not condition() and time.monotonic() < limit:
        time.sleep(0.01)
    return bool(condition())


def test_a_request_is_answered_with_its_outcome(bench: Bench) -> None:
    assert bench.submit(7) == Outcome(verdict=Verdict.APPLIED, receipt=deposit(7).reception.receipt)
    assert bench.asked == [deposit(7).reception.receipt]


def test_what_keeps_the_store_is_told_by_its_code(bench: Bench) -> None:
    def away(_: object) -> Outcome:
        raise Unavailable("STORE_UNAVAILABLE")

    bench.answer = away
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        bench.submit()


def test_a_request_whose_deadline_has_passed_is_not_begun(bench: Bench) -> None:
    held = threading.Event()
    first = bench.answer
    bench.answer = lambda reception: (held.wait(10), first(reception))[1]
    waiting = threading.Thread(target=lambda: bench.submit(1))
    waiting.start()
    assert until(lambda: bench.asked)
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        bench.submit(2, seconds=0.3)
    held.set()
    waiting.join(10)
    assert bench.submit(3).verdict is Verdict.APPLIED
    assert bench.asked == [deposit(1).reception.receipt, deposit(3).reception.receipt]


def test_a_request_that_no_door_sealed_is_never_applied(bench: Bench) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(bench.broker.url))
    connection.channel().basic_publish(
        topology.EXCHANGE, lanes.REQUESTS, b"\x01forged", pika.BasicProperties(message_id="forged", reply_to="nobody")
    )
    connection.close()
    assert until(lambda: bench.unopened)
    assert bench.unopened == [("forged", "Damaged")]
    assert bench.asked == []
    assert bench.submit().verdict is Verdict.APPLIED


def test_rejections_arrive_and_nobody_waits_for_them(bench: Bench) -> None:
    rejection = Rejection(verdict=Verdict.REJECTED, problems=(Problem(code="INS_KEY"),))
    for number in range(50):
        bench.door.door.reports.report(deposit(number).reception, rejection)
    assert until(lambda: len(bench.noted) == 50)
    assert sorted(bench.noted) == [deposit(number).reception.receipt for number in range(50)]
    assert bench.door.door.reports.dropped == 0


def test_the_declaration_is_repeated_without_a_change_and_tells_a_stranger(broker: rabbitmq.Broker) -> None:
    steps = {line.step for line in setup(broker.url, SEALED_LIMIT_BYTES)}
    assert steps == {Step.FOUND}
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    channel = connection.channel()
    name = topology.queue_of(lanes.BULK)
    channel.queue_delete(name)
    assert [line.what for line in setup(broker.url, 1000, change=False) if line.step is Step.MISSING] == [f"queue {name}"]
    channel.queue_declare(name, durable=True)
    (refused,) = [line for line in setup(broker.url, 1000) if line.step is Step.REFUSED]
    assert "406 PRECONDITION_FAILED - inequivalent arg" in refused.what
    assert "delete it" in refused.advice
    channel.queue_delete(name)
    connection.close()
    assert [line.what for line in setup(broker.url, 1000) if line.step is Step.MADE] == [f"queue {name}"]


def test_a_message_that_the_broker_would_not_take_is_told(broker: rabbitmq.Broker) -> None:
    (line,) = [line for line in setup(broker.url, 129 * 1024 * 1024) if line.step is Step.REFUSED]
    assert "larger" in line.what or "size" in line.what
    assert "sealed_limit_bytes" in line.advice


def test_two_workers_share_the_lanes_and_each_stands_by_for_the_other(tmp_path: Path, broker: rabbitmq.Broker) -> None:
    initialise(tmp_path / "keys", Now())
    keys = Keys.open(tmp_path / "keys", Now())
    one, other = (RabbitQueue(broker.url, keys, share=Share(number=number, of=2, standby_seconds=0.5)) for number in range(2))
    assert one.connected(20) and other.connected(20)
    time.sleep(1)

    async def fill(numbers: range) -> None:
        for number in numbers:
            await one.publish(deposit(number, identity=patient(f"p{number}")), waits=False)

    asyncio.run(fill(range(40)))
    taken = {queue: queue.take(*PLENTY, 3.0) for queue in (one, other)}
    for number, queue in enumerate((one, other)):
        places = {lanes.DEPOSITS.index(delivery.lane) % 2 for delivery in taken[queue] if delivery.lane in lanes.DEPOSITS}
        assert places == {number}
    other.close()
    # What it had in hand comes to the one that stands by, in order.
    left = {delivery.receipt for delivery in taken[other]}
    one.settle([(delivery, outcome(delivery.deposit)) for delivery in taken[one]])
    found = set()
    assert until(lambda: found.update(settled(one)) or left <= found)
    assert found >= left
    one.close()


def settled(queue: RabbitQueue) -> set[str]:
    batch = queue.take(*PLENTY, 0.1)
    queue.settle([(delivery, outcome(delivery.deposit)) for delivery in batch])
    return {delivery.receipt for delivery in batch}


def test_a_worker_whose_queue_of_questions_is_deleted_makes_another_and_leaves_no_channel(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection has 2 047 of them: one that was left each time would be the last that is asked."""
    monkeypatch.setattr(workers, "_AGAIN_SECONDS", 0.01)
    names: list[str] = []
    named = SimpleNamespace(token_hex=lambda _: names.append(f"test{len(names)}") or names[-1])
    monkeypatch.setattr(workers, "secrets", named)
    state = workers.this_worker("test", Share(), (), (), None)
    answering = workers.Answering(bench.thread, bench.broker.url, bench.keys, lambda: state, name="test", heartbeat=5)
    try:
        for made in range(1, 5):
            assert until(lambda made=made: len(names) == made, 30)
            assert until(lambda: ask_workers(bench.broker.url, bench.keys, 1, 0.5) == (state,), 30)
            # As an operator does with the management plug-in; by AMQP only its own connection may.
            queue = f"{topology.PREFIX}.workers.{names[-1]}"
            bench.thread.call(lambda queue=queue: answering._channel.queue_delete(queue))
        assert until(lambda: len(names) == 5, 30)
        assert until(lambda: len(answering.link._connection._channels) == 2, 30)
    finally:
        answering.close()


@pytest.mark.faults
def test_a_node_that_is_killed_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    node = rabbitmq.Node()
    initialise(tmp_path / "keys", Now())
    keys = Keys.open(tmp_path / "keys", Now())
    queue = RabbitQueue(node.url, keys, Settings(confirm_timeout_seconds=2, prefetch=1000), share=Share())
    try:
        assert queue.connected(20)

        async def publish(count: int) -> list[object]:
            return await asyncio.gather(
                *(queue.publish(deposit(number), waits=False) for number in range(count)), return_exceptions=True
            )

        assert not any(isinstance(each, Exception) for each in asyncio.run(publish(100)))
        node.kill()
        assert until(lambda: "broker away" in (queue.problem() or ""))
        begun = time.monotonic()
        assert {type(each) for each in asyncio.run(publish(3))} == {Unavailable}
        assert time.monotonic() - begun < 1, "nobody waits for a broker that is known to be away"
        node.start()
        assert queue.connected(30), queue.problem()
        found: list[str] = []
        assert until(lambda: found.extend(sorted(settled(queue))) or len(found) >= 100, 20)
        assert found == [deposit(number).reception.receipt for number in range(100)]
        assert sum(counts(node.url).values()) == 0
    finally:
        queue.close()
        node.close()

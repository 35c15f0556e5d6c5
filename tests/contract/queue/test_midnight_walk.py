"""Midnight on a real broker: two machines with doors, one with a worker and its store, days of the test's own (D-7)."""

import asyncio
import secrets
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pika
import pytest

from gateway.model.outcome import Rejection
from gateway.model.problem import Problem
from gateway.model.verdict import Verdict
from gateway.queue import key_files, lanes, markers
from gateway.queue.errors import KeyMissing, Unopened
from gateway.queue.key_copy import export, fingerprint, join
from gateway.queue.keys import Keys, Ring, initialise
from gateway.queue.markers import MARGIN, REST
from gateway.queue.rabbitmq.consumer import Share
from gateway.queue.rabbitmq.queue import RabbitQueue, Settings
from gateway.queue.rabbitmq.topology import EXCHANGE, declared, queue_of
from gateway.queue.seal import label, open_sealed
from gateway.store.sqlite.store import SqliteStore
from gateway.wiring.midnight import Midnight, erasable
from gateway.worker.consume import BatchLimits, Worker
from gateway.worker.passing import on_record, record, store_outage
from tests.harness import rabbitmq
from tests.strategies.submissions import deposit, patient

DAY = 20_778  # 2026-11-21
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
LIMITS = BatchLimits(submissions=100, bytes=1 << 30, wait_seconds=0.05)


class Moved:
    at = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


class House:
    """Three folders of keys over one broker."""

    def __init__(self, folder: Path, broker: rabbitmq.Broker) -> None:
        self.broker, self.clock = broker, Moved()
        self.folders = [folder / name for name in ("worker", "door0", "door1")]
        initialise(self.folders[0], self.clock)
        first = Keys.open(self.folders[0], self.clock)
        copied = export(first)
        assert {fingerprint(join(each, copied, self.clock)) for each in self.folders[1:]} == {fingerprint(first)}
        keys = [Keys.open(each, self.clock) for each in self.folders]
        self.noted: list[str] = []
        self.store = SqliteStore(folder / "store.db", self.clock)
        self.queue = RabbitQueue(broker.url, keys[0], Settings(), share=Share())
        self.doors = [RabbitQueue(broker.url, each, Settings()) for each in keys[1:]]
        assert all(each.connected(20) for each in (self.queue, *self.doors))
        self.serving = self.queue.serve(
            self.clock,
            self.store.submit,
            lambda reception, _: self.noted.append(reception.receipt),
            passing=lambda passed: on_record(self.store, passed, store_outage()),
            last=self._last,
        )
        self.worker = Worker(
            self.queue,
            self.store,
            lambda _: b"",
            LIMITS,
            unseal=lambda *_: None,
            passing=lambda: record(self.queue, self.store, store_outage()),
        )
        self.midnights = [
            Midnight(keys[0], self.clock, self.queue, self._last, passed=self.store.lanes_passed, given_up=self.queue.give_up),
            *(
                Midnight(held, self.clock, door, door.erasable, door=True)
                for held, door in zip(keys[1:], self.doors, strict=True)
            ),
        ]
        self.keys = keys
        self.captured: list[tuple[str, str, bytes]] = []
        self._seen = broker_copy(broker, self.captured)

    def _last(self):
        return erasable(self.store, self.queue, self.clock, 30)

    def publish(self, machine: int, number: int, **more: object) -> None:
        asyncio.run(self.doors[machine].publish(deposit(number, **more), waits=False))

    def look(self) -> None:
        for each in self.midnights:
            each.once()

    def work(self, until, seconds: float = 15.0) -> bool:
        limit = time.monotonic() + seconds
        while not until() and time.monotonic() < limit:
            self.worker.step()
        return bool(until())

    def days(self, ring: Ring = Ring.FLOW) -> list[list[int]]:
        return [key_files.days_in(each, ring) for each in self.folders]

    def passed(self) -> set[int]:
        rows = {row.lane: row.day for row in self.store.lanes_passed()}
        return {rows.get(lane, -1) for lane in self.queue.marked_lanes}

    def readable(self) -> set[str]:
        """What anybody opens with all that is left in the three folders."""
        found = set()
        for folder in self.folders:
            keys = Keys.open(folder, self.clock)
            for lane, receipt, body in self.captured:
                try:
                    open_sealed(body, keys=keys, lane=lane, receipt=receipt)
                except Unopened:
                    continue
                found.add(receipt)
        return found

    def close(self) -> None:
        self._seen.close()
        self.serving.stop()
        for each in (self.queue, *self.doors):
            each.close()
        self.store.close()


class broker_copy:  # noqa: N801 - used as a function
    """Somebody with rights on the broker, who gets a copy of all that is published."""

    def __init__(self, broker: rabbitmq.Broker, into: list[tuple[str, str, bytes]]) -> None:
        self._stop = threading.Event()
        ready = threading.Event()

        def listen() -> None:
            connection = pika.BlockingConnection(pika.URLParameters(broker.url))
            channel = connection.channel()
            name = channel.queue_declare("", exclusive=True).method.queue
            for lane in lanes.MARKED:
                channel.queue_bind(name, EXCHANGE, lane)
            ready.set()
            for how, properties, body in channel.consume(name, auto_ack=True, inactivity_timeout=0.05):
                if body is not None:
                    into.append((how.routing_key, properties.message_id, body))
                if self._stop.is_set():
                    break
            connection.close()

        self._thread = threading.Thread(target=listen, daemon=True)
        self._thread.start()
        assert ready.wait(20)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)


@pytest.fixture
def broker() -> Iterator[rabbitmq.Broker]:
    made = rabbitmq.for_contracts()
    made.empty()
    yield made
    made.empty()


@pytest.fixture
def house(tmp_path: Path, broker: rabbitmq.Broker) -> Iterator[House]:
    made = House(tmp_path, broker)
    yield made
    made.close()


def test_days_pass_over_two_doors_and_a_worker(house: House) -> None:
    # Day one: each kind of lane, drained.
    for number in range(12):
        house.publish(number % 2, number, identity=patient(ins=f"2750163012345{number:02}"))
    house.publish(0, 90, door="feed")
    house.publish(1, 91, contents=(secrets.token_bytes(1_500_000),))
    house.doors[0].door.reports.report(
        deposit(95).reception, Rejection(verdict=Verdict.REJECTED, problems=(Problem(code="INS_KEY"),))
    )
    settled = lambda: len([row for row in house.queue.depth() if row.waiting]) == 0  # noqa: E731 - a word of this test
    assert house.work(lambda: settled() and house.noted)
    assert {lane for lane, _, _ in house.captured} >= {lanes.BULK, lanes.LARGE, lanes.REPORTS}
    # Just before midnight, not drained when the markers come.
    house.clock.at = MIDNIGHT - timedelta(seconds=2)
    house.publish(0, 50), house.publish(1, 51, door="feed")
    house.clock.at = MIDNIGHT + MARGIN + timedelta(seconds=1)
    house.look()
    assert house.days() == [[DAY, DAY + 1]] * 3
    assert house.work(lambda: house.passed() == {DAY})
    assert house.work(settled)
    assert len(house.readable()) == 12 + 2 + 1 + 2 + 3 * 19, "with the keys that rest, and the markers of three machines"
    with pytest.raises(KeyMissing):
        house.keys[1].opening(DAY)
    house.clock.at += REST + timedelta(seconds=1)
    house.look()
    assert house.days() == [[DAY + 1]] * 3, "the doors asked the worker"
    assert {receipt[:6] for receipt in house.readable()} == {"marker"}
    # Day two is not drained: its lane keeps it, and says so.
    house.publish(0, 60, identity=patient(ins="275016301234511"))
    house.clock.at = MIDNIGHT + timedelta(days=1) + MARGIN + timedelta(seconds=1)
    house.look()
    house.clock.at = MIDNIGHT + timedelta(days=2, hours=3)
    house.look()
    assert house.days() == [[DAY + 1, DAY + 2, DAY + 3]] * 3
    (lane,) = {lane for lane, receipt, _ in house.captured if receipt == deposit(60).reception.receipt}
    found = markers.waits(house.keys[0].held(), house.store.lanes_passed(), house.queue.marked_lanes, house.clock.at)
    assert (DAY + 1, lane) in {(wait.day, wait.lane) for wait in found}
    assert markers.broken_since(house.keys[0].held(), house.clock.at) == MIDNIGHT + timedelta(days=2)
    assert house.work(lambda: house.passed() == {DAY + 2})
    house.clock.at += REST + timedelta(seconds=1)
    house.look()
    assert house.days() == [[DAY + 3]] * 3
    assert all(label(body).day == DAY + 3 for _, receipt, body in house.captured if receipt in house.readable())
    assert markers.broken_since(house.keys[0].held(), house.clock.at) is None
    assert house.queue.problem() is None


def take(channel, name: str):
    """What a consumer on a channel of its own is given, without acknowledging."""
    given: list[bytes] = []
    channel.basic_qos(prefetch_count=10)
    channel.basic_consume(name, lambda _c, _h, _p, body: given.append(body))
    return given


@pytest.mark.parametrize("single", [True, False])
def test_why_every_lane_has_one_consumer(broker: rabbitmq.Broker, single: bool) -> None:
    """With several, one takes the marker while another still holds a deposit that was before it: settled by nobody."""
    (large,) = [each for each in declared() if each.name == queue_of(lanes.LARGE)]
    arguments = dict(large.arguments)
    assert arguments.pop("x-single-active-consumer") is True
    if single:
        arguments["x-single-active-consumer"] = True
    name = f"dmpgw.test.{single}".lower()
    connections = [pika.BlockingConnection(pika.URLParameters(broker.url)) for _ in range(3)]
    try:
        publisher, *consumers = [each.channel() for each in connections]
        publisher.queue_delete(name)
        publisher.queue_declare(name, durable=True, arguments=arguments)
        given = [take(each, name) for each in consumers]
        publisher.confirm_delivery()
        for body in (b"deposit", b"marker"):
            publisher.basic_publish("", name, body)
        limit = time.monotonic() + 10
        while sum(map(len, given)) < 2 and time.monotonic() < limit:
            for each in connections[1:]:
                each.process_data_events(0.02)
        if single:
            assert sorted(given) == [[], [b"deposit", b"marker"]]
        else:
            assert sorted(given) == [[b"deposit"], [b"marker"]]
    finally:
        publisher.queue_delete(name)
        for each in connections:
            each.close()

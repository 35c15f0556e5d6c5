"""The worker: take, apply, settle; halve what cannot be applied, park the culprit, stay while the store is away."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from gateway.model.event import Position
from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable
from gateway.model.submission import Deposit
from gateway.model.verdict import Verdict
from gateway.queue.embedded import EmbeddedQueue, Settings
from gateway.queue.errors import Unopened
from gateway.queue.keys import Keys, Ring, initialise
from gateway.queue.port import Delivery
from gateway.queue.seal import open_sealed, seal
from gateway.queue.wire import decode, encode
from gateway.store.port import Parked, Transient
from gateway.telemetry import points
from gateway.worker import consume
from gateway.worker.consume import BatchLimits, Worker
from tests.contract.store.backends import Sqlite
from tests.strategies.records import adt, stated

SECONDS = 10
ALL_AT_ONCE = BatchLimits(submissions=100, bytes=8 << 20, wait_seconds=0.01)


class Away:
    """A store that fails when told, else the one behind it."""

    def __init__(self, behind: object) -> None:
        self._behind = behind
        self.fail_apply: Callable[[Sequence[Deposit]], Exception | None] = lambda _: None
        self.fail_park: Exception | None = None
        self.batches: list[int] = []

    def apply(self, batch: Sequence[Deposit]) -> list[Outcome]:
        self.batches.append(len(batch))
        failure = self.fail_apply(batch)
        if failure is not None:
            raise failure
        return self._behind.apply(batch)  # type: ignore[attr-defined]

    def park(self, parked: Parked) -> Outcome:
        if self.fail_park is not None:
            raise self.fail_park
        return self._behind.park(parked)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self._behind, name)


class Floor:
    """Queue, store and worker over files of the test."""

    def __init__(self, folder: Path) -> None:
        self.bench = Sqlite(folder)
        self.bench.open()
        initialise(folder / "keys", self.bench.clock)
        self.keys = Keys.open(folder / "keys", self.bench.clock)
        self.queue = EmbeddedQueue(folder / "queue.db", self.keys, Settings(), unopened=lambda *_: None)
        self.store = Away(self.bench.store)
        self.worker = Worker(self.queue, self.store, self.seal, ALL_AT_ONCE, unseal=self.unseal)  # type: ignore[arg-type]

    def seal(self, delivery: Delivery) -> bytes:
        return seal(encode(delivery.deposit), keys=self.keys, lane="parked", receipt=delivery.receipt, ring=Ring.PARKING)

    def unseal(self, receipt: str, sealed: bytes) -> Deposit:
        return decode(open_sealed(sealed, keys=self.keys, lane="parked", receipt=receipt, ring=Ring.PARKING))

    def publish(self, *made: Deposit) -> None:
        async def publish() -> None:
            for deposit in made:
                await self.queue.publish(deposit)

        asyncio.run(publish())

    def settled(self) -> None:
        """Wait until nothing is left in the queue."""
        for _ in range(int(SECONDS / 0.01)):
            if not any(lane.waiting for lane in self.queue.depth()):
                return
            time.sleep(0.01)
        pytest.fail("the queue was not drained")

    def verdicts(self) -> dict[str, str]:
        return {row["id"]: row["verdict"] for row in self.bench.rows("receipt") if row["act"] or row["verdict"] == "parked"}

    def close(self) -> None:
        self.worker.stop(SECONDS)
        self.queue.close()
        self.bench.store.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consume, "RETRY_SECONDS", (0.01, 0.02))


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    made = Floor(tmp_path)
    yield made
    points.hooks.clear()
    made.close()


def deposits(floor: Floor, count: int, **facts: object) -> list[Deposit]:
    return [floor.bench.deposit(documents=((f"1.2.{floor.bench.receipt()}", b"x"),), **facts) for _ in range(count)]


def test_what_is_published_is_applied_and_settled(floor: Floor) -> None:
    made = deposits(floor, 7)
    floor.publish(*made)
    floor.worker.start()
    floor.settled()
    assert floor.verdicts() == dict.fromkeys((each.reception.receipt for each in made), "stored")
    assert floor.store.batches == [7]


def test_whoever_waits_gets_the_outcome(floor: Floor) -> None:
    (made,) = deposits(floor, 1)

    async def walk() -> Outcome:
        waiting = await floor.queue.publish(made)
        floor.worker.start()
        return await asyncio.wait_for(waiting, SECONDS)

    assert asyncio.run(walk()).verdict is Verdict.STORED


def test_a_refusal_settles_too(floor: Floor) -> None:
    floor.bench.event(adt(stated(Position.OPPOSES, at=None)))
    floor.publish(*deposits(floor, 2))
    floor.worker.start()
    floor.settled()
    assert set(floor.verdicts().values()) == {"refused"}


@pytest.mark.parametrize("place", [0, 3, 6])
def test_the_culprit_is_parked_sealed_and_the_others_are_stored(floor: Floor, place: int) -> None:
    made = deposits(floor, 7)
    poison = floor.bench.deposit(documents=(("1.2.666", b"<doc>CANARI</doc>"),), version=2**63, title="CANARITITRE")
    made[place] = poison
    floor.publish(*made)
    floor.worker.start()
    floor.settled()
    receipt = poison.reception.receipt
    assert floor.verdicts() == {each.reception.receipt: "parked" if each is poison else "stored" for each in made}
    (row,) = floor.bench.rows("parked")
    assert (row["receipt"], row["code"], row["source"]) == (receipt, "INTERNAL", "ris-h1")
    assert row["place"].startswith("OverflowError at gateway.store.")
    assert b"CANARI" not in row["sealed"] and b"CANARI" not in floor.bench.raw()
    opened = open_sealed(row["sealed"], keys=floor.keys, lane="parked", receipt=receipt, ring=Ring.PARKING)
    assert decode(opened) == poison
    with pytest.raises(Unopened):
        open_sealed(row["sealed"], keys=floor.keys, lane="parked", receipt=receipt, ring=Ring.FLOW)


def test_several_culprits_among_many(floor: Floor) -> None:
    made = deposits(floor, 20)
    bad = {2, 3, 11, 19}
    for number in bad:
        made[number] = floor.bench.deposit(documents=((f"1.2.666.{number}", b"x"),), version=2**63)
    floor.publish(*made)
    floor.worker.start()
    floor.settled()
    verdicts = floor.verdicts()
    assert [verdicts[each.reception.receipt] for each in made] == ["parked" if n in bad else "stored" for n in range(20)]


def test_the_store_away_keeps_the_batch_in_order(floor: Floor) -> None:
    tries = iter(range(3))
    floor.store.fail_apply = lambda _: None if next(tries, None) is None else Transient("SQLITE_FULL")
    made = deposits(floor, 3)
    floor.publish(*made)
    floor.worker.start()
    floor.settled()
    assert floor.store.batches == [3, 3, 3, 3]
    assert set(floor.verdicts().values()) == {"stored"} and floor.bench.rows("parked") == []
    order = [row["id"] for row in floor.bench.rows("receipt") if row["act"]]
    assert order == sorted(order)


def test_stopped_in_the_first_half_of_a_batch_it_leaves_the_second_alone(floor: Floor) -> None:
    def fail(batch: Sequence[Deposit]) -> Exception | None:
        if len(batch) == 4:
            return ValueError("halve it")
        floor.worker._stopping.set()
        return Transient("SQLITE_FULL") if batch[0] == made[0] else None

    made = deposits(floor, 4)
    floor.store.fail_apply = fail
    floor.publish(*made)
    floor.worker.step()
    assert floor.store.batches == [4, 2]
    assert floor.verdicts() == {}
    assert sum(lane.waiting for lane in floor.queue.depth()) == 4


@pytest.mark.parametrize("failure", [Transient("SQLITE_FULL"), ValueError("no")])
def test_what_can_be_neither_applied_nor_parked_waits(floor: Floor, failure: Exception) -> None:
    floor.store.fail_apply = lambda _: ValueError("no")
    floor.store.fail_park = failure
    (made,) = deposits(floor, 1)
    floor.publish(made)
    floor.worker.start()
    time.sleep(0.2)
    assert floor.worker._thread.is_alive() and sum(lane.waiting for lane in floor.queue.depth()) == 1
    floor.store.fail_park = None
    floor.settled()
    assert floor.verdicts() == {made.reception.receipt: "parked"}


def test_a_worker_stops_while_the_store_is_away_and_the_batch_comes_again(floor: Floor, tmp_path: Path) -> None:
    floor.store.fail_apply = lambda _: Transient("SQLITE_BUSY")
    made = deposits(floor, 3)
    floor.publish(*made)
    floor.worker.start()
    while not floor.store.batches:
        time.sleep(0.01)
    assert floor.worker.stop(SECONDS)
    floor.queue.close()
    again = EmbeddedQueue(tmp_path / "queue.db", floor.keys, Settings(), unopened=lambda *_: None)
    assert [each.deposit for each in again.take(100, 1 << 30, 0)] == made
    again.close()


def test_what_was_committed_and_not_settled_gets_its_outcome_again(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    made = deposits(floor, 3)
    first = floor.bench.apply(*made)
    floor.publish(*made)
    batch = floor.queue.take(100, 1 << 30, 0)
    settled: list[Sequence[tuple[Delivery, Outcome]]] = []
    settle, fails = floor.queue.settle, iter(range(2))

    def settle_later(pairs: Sequence[tuple[Delivery, Outcome]]) -> None:
        if next(fails, None) is not None:
            code = "QUEUE_UNAVAILABLE"
            raise Unavailable(code)
        settled.append(pairs)
        settle(pairs)

    monkeypatch.setattr(floor.queue, "settle", settle_later)
    floor.worker.settle_batch(batch)
    assert [outcome for _, outcome in settled[0]] == first


def test_the_worker_outlives_what_nobody_foresaw(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    fails = iter(range(2))
    settle_batch = floor.worker.settle_batch

    def settle_at_last(batch: Sequence[Delivery]) -> None:
        if next(fails, None) is not None:
            raise ZeroDivisionError
        settle_batch(batch)

    monkeypatch.setattr(floor.worker, "settle_batch", settle_at_last)
    floor.publish(*deposits(floor, 1))
    floor.worker.start()
    floor.settled()
    assert set(floor.verdicts().values()) == {"stored"}


def test_an_opposition_overtakes_what_waits_in_the_queue(floor: Floor) -> None:
    """Published before the opposition, decided after it: refused (O-11)."""
    floor.publish(*deposits(floor, 3))
    floor.bench.event(adt(stated(Position.OPPOSES, at=None)))
    floor.worker.start()
    floor.settled()
    assert set(floor.verdicts().values()) == {"refused"}


def test_a_stop_finishes_the_batch_in_hand(floor: Floor) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        assert go_on.wait(SECONDS)

    points.hooks["store.written"] = hold
    floor.publish(*deposits(floor, 3))
    floor.worker.start()
    assert inside.wait(SECONDS)
    assert not floor.worker.stop(0.05)
    go_on.set()
    assert floor.worker.stop(SECONDS)
    assert set(floor.verdicts().values()) == {"stored"} and not any(lane.waiting for lane in floor.queue.depth())

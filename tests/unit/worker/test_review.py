"""The worker judges again what is parked after an opposition: before its next batch, soon where nothing arrives (D-7)."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.model.event import Position
from gateway.model.submission import Deposit
from gateway.store.port import Transient
from gateway.telemetry import points
from gateway.worker import consume
from tests.strategies.records import H2, adt, stated
from tests.unit.worker.test_consume import SECONDS, Floor


@pytest.fixture
def floor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Floor]:
    monkeypatch.setattr(consume, "RETRY_SECONDS", (0.01, 0.02))
    made = Floor(tmp_path)
    yield made
    points.hooks.clear()
    made.close()


def parked(floor: Floor) -> Deposit:
    """A deposit that could not be applied, parked by the worker itself, with nobody consuming afterwards."""
    made = floor.bench.deposit(documents=(("1.2.7", b"x"),))
    floor.store.fail_apply = lambda batch: ValueError() if made in batch else None
    floor.publish(made)
    floor.worker.step()
    floor.store.fail_apply = lambda _: None
    assert floor.verdicts() == {made.reception.receipt: "parked"}
    return made


def until(floor: Floor, receipt: str, verdict: str) -> float:
    begun = time.monotonic()
    while floor.verdicts().get(receipt) != verdict:
        assert time.monotonic() - begun < SECONDS
        time.sleep(0.01)
    return time.monotonic() - begun


def test_an_idle_worker_hears_of_an_opposition_within_a_second(floor: Floor) -> None:
    made = parked(floor)
    floor.worker.start()
    time.sleep(0.1)
    floor.bench.event(adt(stated(Position.OPPOSES)))
    assert until(floor, made.reception.receipt, "refused") < 1.0
    assert floor.bench.rows("parked") == []


def test_started_again_after_an_opposition_it_judges_before_the_next_batch(floor: Floor) -> None:
    """Killed between the commit of the opposition and the review: the row still says that it is to be judged."""
    made = parked(floor)
    floor.worker.step()  # looked at once, and it stays
    floor.bench.event(adt(stated(Position.OPPOSES)))
    floor.bench.restart()
    floor.store._behind = floor.bench.store
    later = floor.bench.deposit(documents=(("1.2.8", b"y"),), establishments=(H2,))
    floor.publish(later)
    floor.worker.step()
    order = [row["receipt"] for row in sorted(floor.bench.rows("trace"), key=lambda row: row["sequence"])]
    assert order[-2:] == [made.reception.receipt, later.reception.receipt]
    assert floor.verdicts() == {made.reception.receipt: "refused", later.reception.receipt: "stored"}


def test_without_its_key_it_stays_for_a_person(floor: Floor) -> None:
    made = parked(floor)
    floor.bench.execute("UPDATE parked SET sealed = ?", b"\x01damaged")
    floor.bench.event(adt(stated(Position.OPPOSES)))
    floor.publish(floor.bench.deposit(documents=(("1.2.8", b"y"),), establishments=(H2,)))
    floor.worker.step()
    assert [row["kind"] for row in floor.bench.rows("task")] == ["parked.unjudged"]
    assert [row["receipt"] for row in floor.bench.rows("parked")] == [made.reception.receipt]
    assert sorted(floor.verdicts().values()) == ["parked", "stored"]


def test_one_that_fails_again_keeps_nobody_waiting(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    made = parked(floor)
    floor.bench.event(adt(stated(Position.OPPOSES)))
    monkeypatch.setattr(floor.bench.store, "review", lambda _: (_ for _ in ()).throw(ValueError("value")))
    floor.publish(floor.bench.deposit(documents=(("1.2.8", b"y"),), establishments=(H2,)))
    floor.worker.step()
    assert sorted(floor.verdicts().values()) == ["parked", "stored"]
    assert [row["kind"] for row in floor.bench.rows("task", receipt=made.reception.receipt)] == ["parked.unjudged"]


def test_while_the_store_is_away_it_waits_with_the_review(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    made = parked(floor)
    floor.bench.event(adt(stated(Position.OPPOSES)))
    asked = floor.bench.store.awaiting_review
    away = iter([True, True, False])

    def awaiting(limit: int) -> list[tuple[str, bytes]]:
        if next(away, False):
            raise Transient("SQLITE_FULL")
        return asked(limit)

    monkeypatch.setattr(floor.bench.store, "awaiting_review", awaiting)
    floor.publish(floor.bench.deposit(documents=(("1.2.8", b"y"),), establishments=(H2,)))
    floor.worker.step()
    assert floor.verdicts()[made.reception.receipt] == "refused"

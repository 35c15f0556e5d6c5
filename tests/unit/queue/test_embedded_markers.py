"""The marker in an embedded queue: one file, one order, one lane of its own name (D-7)."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.model.lane_day import LanePassed
from gateway.model.ports import Unavailable
from gateway.queue.embedded import EmbeddedQueue, queue
from gateway.queue.embedded.listing import lane_of, waiting
from gateway.queue.keys import FENCE, Keys
from gateway.queue.markers import MARGIN
from gateway.queue.seal import seal
from tests.strategies.submissions import deposit, outcome

DAY = 20_778  # 2026-11-21
END = datetime(2026, 11, 22, tzinfo=UTC)
PLENTY = (1000, 1 << 30, 0.05)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
def opened(path: Path, keys: Keys):
    made = EmbeddedQueue(path, keys)
    yield made
    made.close()


def publish(opened: EmbeddedQueue, number: int) -> None:
    asyncio.run(opened.publish(deposit(number)))


def settle(opened: EmbeddedQueue) -> list[str]:
    batch = opened.take(*PLENTY)
    opened.settle([(each, outcome(each.deposit)) for each in batch])
    return [each.receipt for each in batch]


def test_the_file_passes_a_day_when_all_before_its_marker_is_settled(opened: EmbeddedQueue, path: Path, clock) -> None:
    publish(opened, 1)
    clock.at = END + MARGIN
    assert opened.mark(opened.marked_lanes, DAY) == opened.marked_lanes
    publish(opened, 2)
    assert opened.passed() == ()
    batch = opened.take(1, 1 << 30, 0.05)
    assert [each.receipt for each in batch] == ["receipt-000001"]
    assert opened.passed() == ()
    opened.settle([(each, outcome(each.deposit)) for each in batch])
    assert opened.passed() == (), "the marker itself was not taken yet"
    assert settle(opened) == ["receipt-000002"]
    passed = opened.passed()
    assert passed == (LanePassed(lane=lane_of(path), day=DAY),)
    assert opened.passed() == passed, "told until it is on record"
    opened.settle_passed(passed)
    assert opened.passed() == ()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM queued").fetchone() == (0,)


def test_a_marker_is_no_deposit_to_anybody(opened: EmbeddedQueue, path: Path, clock) -> None:
    publish(opened, 1)
    clock.at = END + MARGIN
    opened.mark(opened.marked_lanes, DAY)
    assert [each.receipt for each in waiting(path)] == ["receipt-000001"]
    assert sum(depth.waiting for depth in opened.depth()) == 1
    assert {depth.lane for depth in opened.depth()}.isdisjoint({"midnight"})
    settle(opened)
    assert opened.take(*PLENTY) == []
    assert opened.problem() is None


def test_after_a_restart_it_is_told_again(opened: EmbeddedQueue, path: Path, keys: Keys, clock) -> None:
    publish(opened, 1)
    clock.at = END + MARGIN
    opened.mark(opened.marked_lanes, DAY)
    settle(opened)
    opened.take(*PLENTY)
    told = opened.passed()
    opened.close()
    with closing(EmbeddedQueue(path, keys)) as again:
        assert again.marked_lanes == opened.marked_lanes, "the file keeps its number"
        assert again.take(*PLENTY) == []
        assert again.passed() == told == (LanePassed(lane=opened.marked_lanes[0], day=DAY),)
        again.settle_passed(told)
    with closing(EmbeddedQueue(path, keys)) as again:
        again.take(*PLENTY)
        assert again.passed() == ()


def test_what_cannot_be_opened_keeps_the_file_from_passing(opened: EmbeddedQueue, path: Path, keys: Keys, clock) -> None:
    opened.close()
    newer = seal(b"\x09of a version to come", keys=keys, lane="bulk", receipt="newer")
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute(
            "INSERT INTO queued (lane, receipt, received_at, size, sealed) VALUES ('bulk', 'newer', '', ?, ?)",
            (len(newer), newer),
        )
    clock.at = END + MARGIN
    with closing(EmbeddedQueue(path, keys)) as again:
        again.mark(again.marked_lanes, DAY)
        assert again.take(*PLENTY) == []
        assert again.passed() == ()
        assert "newer (NewerVersion)" in (again.problem() or "")


def test_nothing_of_a_day_that_is_over_comes_into_the_file(opened: EmbeddedQueue, clock, monkeypatch) -> None:
    """Packed and sealed before midnight, handed over by a process that was frozen."""
    clock.at = END - timedelta(seconds=1)
    real = queue.seal

    def frozen(*arguments, **more) -> bytes:
        made = real(*arguments, **more)
        clock.at = END + FENCE + timedelta(seconds=1)
        return made

    monkeypatch.setattr(queue, "seal", frozen)
    with pytest.raises(Unavailable, match="QUEUE_UNAVAILABLE"):
        publish(opened, 1)
    monkeypatch.undo()
    publish(opened, 2)
    assert settle(opened) == ["receipt-000002"]


def test_each_file_has_a_name_of_its_own(opened: EmbeddedQueue, path: Path, keys: Keys, tmp_path: Path) -> None:
    """Two gateways with files of their own may share one record store: neither ends a day of the other."""
    with closing(EmbeddedQueue(tmp_path / "other.db", keys)) as other:
        assert other.marked_lanes != opened.marked_lanes
        with pytest.raises(ValueError, match="another lane"):
            other.mark(opened.marked_lanes, DAY - 1)
    assert opened.marked_lanes == (lane_of(path),)


def test_a_full_queue_takes_no_marker_and_says_so(path: Path, keys: Keys, clock) -> None:
    with closing(EmbeddedQueue(path, keys, queue.Settings(limit_messages=1))) as full:
        publish(full, 1)
        clock.at = END + MARGIN
        assert full.mark(full.marked_lanes, DAY) == ()
        settle(full)
        assert full.mark(full.marked_lanes, DAY) == full.marked_lanes
        assert full.take(*PLENTY) == []
        assert [each.day for each in full.passed()] == [DAY]

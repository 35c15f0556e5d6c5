"""Two thousand histories against the adversary of `tests/simulation/queue.py`, and proof that it sees what it is there to see."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.model.outcome import Outcome
from gateway.model.verdict import Verdict
from gateway.store import deposits
from gateway.store.port import Transient
from gateway.store.sqlite import store
from gateway.store.sqlite.transaction import SqliteTransaction
from gateway.worker.consume import Worker
from tests.simulation.queue import POWERS
from tests.simulation.run import Report, play, shrunk, simulate
from tests.simulation.world import FAULTS

SEEDS, CHUNK = 2000, 100
KEPT = [
    int(line.split()[0])
    for line in Path(__file__).with_name("seeds.txt").read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.startswith("#")
]


def held(report: Report) -> None:
    if report.broken:
        seed = min(report.broken)
        pytest.fail(f"{report.told()}\n\nthe least history of seed {seed}:\n" + "\n".join(shrunk(seed)), pytrace=False)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_promise_holds(first: int) -> None:
    report = simulate(range(first, first + CHUNK))
    held(report)
    assert report.seeds == CHUNK
    # Seeds in which nothing goes wrong, or nothing is decided, would show nothing.
    assert len(report.faults) >= len((*POWERS, *FAULTS)) - 1
    assert sum(report.faults.values()) > 3 * CHUNK
    assert all(report.verdicts[known] > 5 for known in ("stored", "refused", "duplicate", "deleted", "parked", "applied"))


def test_every_seed_that_ever_failed_holds() -> None:
    held(simulate(KEPT))


def test_a_seed_decides_everything() -> None:
    for seed in range(20):
        one, other = play(seed)[0], play(seed)[0]
        assert one.store.log == other.store.log
        assert one.store.tables() == other.store.tables()
        assert one.faults == other.faults


# -- sabotages: each guard taken away must be seen


def _acknowledged_first(patch: pytest.MonkeyPatch) -> None:
    def settle_batch(self: Any, batch: Any) -> None:
        self._queue.settle([(each, Outcome(verdict=Verdict.STORED, receipt=each.receipt)) for each in batch])
        self._applied(batch)

    patch.setattr(Worker, "settle_batch", settle_batch)


def _receipt_apart(patch: pytest.MonkeyPatch) -> None:
    write, transact, late = SqliteTransaction.write_receipt, store.SqliteStore._transact, []

    def transacted(self: Any, *asked: Any) -> Any:
        late.clear()
        result, mine = transact(self, *asked), [*late]
        store.points.reach("store.commit.asked")
        for tx, row in mine:
            write(tx, row)
        return result

    patch.setattr(SqliteTransaction, "write_receipt", lambda self, row: late.append((self, row)))
    patch.setattr(store.SqliteStore, "_transact", transacted)


def _refusal_remembered(patch: pytest.MonkeyPatch) -> None:
    decide = deposits.rules.decide
    refused: dict[Any, Any] = {}

    def decided(facts: Any, rows: Any, now: Any) -> Any:
        key = tuple((each.unique_id, each.digest, each.owner) for each in facts.documents)
        found = refused.get(key) or decide(facts, rows, now)
        if found.decision.problem == "OPPOSED":
            refused[key] = found
        return found

    patch.setattr(deposits.rules, "decide", decided)


def _culprit_dropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Worker, "_parked", lambda _, each, *__: [(each, Outcome(verdict=Verdict.PARKED, receipt=each.receipt))])


def _given_back(patch: pytest.MonkeyPatch) -> None:
    """A batch that meets a store that is away goes to the tail of its lanes."""
    settle = Worker.settle_batch

    def settle_batch(self: Any, batch: Any) -> None:
        try:
            outcomes = self._store.apply([each.deposit for each in batch])
        except Transient:
            for each in batch:
                queued = self._queue._in_hand.pop(each.id)
                self._queue._broker.lanes[queued.lane].remove(queued)
                self._queue._broker.lanes[queued.lane].append(queued)
        except Exception:  # noqa: BLE001 - as it was
            settle(self, batch)
        else:
            self._queue.settle(list(zip(batch, outcomes, strict=True)))

    patch.setattr(Worker, "settle_batch", settle_batch)


def _receipts_ignored(patch: pytest.MonkeyPatch) -> None:
    write = SqliteTransaction.write_receipt

    def rewrite(self: Any, row: Any) -> None:
        self._do("DELETE FROM receipt WHERE id = ?", row.reception.receipt)
        write(self, row)

    patch.setattr(SqliteTransaction, "write_receipt", rewrite)
    patch.setattr(SqliteTransaction, "outcome_of", lambda *_: None)


def _checked_before_the_lock(patch: pytest.MonkeyPatch) -> None:
    held_by, perform, seen = SqliteTransaction.held_by, store.SqliteStore._perform, {}

    def performed(self: Any, job: Any) -> None:
        connection: sqlite3.Connection = self._connection
        tx = SqliteTransaction(connection, "")
        seen.update({key: held_by(tx, (key,)) for (key,) in connection.execute("SELECT id FROM patient").fetchall()})
        perform(self, job)

    patch.setattr(store.SqliteStore, "_perform", performed)
    patch.setattr(SqliteTransaction, "held_by", lambda _, known: tuple(each for key in known for each in seen.get(key, ())))


def _never_reviewed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Worker, "_review", lambda _: None)


SABOTAGES = {
    "acknowledged before the commit": _acknowledged_first,
    "the receipt in a transaction of its own": _receipt_apart,
    "a refusal remembered by content": _refusal_remembered,
    "a culprit dropped instead of parked": _culprit_dropped,
    "a batch given back to the queue": _given_back,
    "receipts ignored": _receipts_ignored,
    "what is parked never judged again": _never_reviewed,
    "oppositions read before the lock": _checked_before_the_lock,
}


@pytest.mark.parametrize("sabotage", SABOTAGES.values(), ids=SABOTAGES)
def test_a_guard_taken_away_is_seen(sabotage: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage(monkeypatch)
    for seed in range(0, SEEDS, 10):
        broken = simulate(range(seed, seed + 10)).broken
        # By a promise that was broken, not because the sabotage itself went wrong.
        if any(line.startswith(("L", "I8")) for lines in broken.values() for line in lines):
            return
    pytest.fail(f"not seen in {SEEDS} seeds")

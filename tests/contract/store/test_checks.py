"""What must always be so: a busy store breaks none of it, and each invariant finds the violation that is planted for it."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from gateway.model.document import Entry
from gateway.model.event import Position, Scope
from gateway.model.outcome import Rejection
from gateway.model.problem import Problem
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from gateway.store.checks import INVARIANTS, TOLD, Finding, check
from gateway.store.retention import Periods
from tests.contract.store.backends import BACKENDS, Bench, Sqlite
from tests.strategies.records import ALICE, BORIS, CARLA, H1, H2, adt, local, reception, stated

#: What a plant does, and the id that is told of it.
Plant = Callable[[Bench], str]


def plant(bench: Bench, text: str, *values: object) -> None:
    """Change rows behind the store's back, whatever the tables ask of one another."""
    if isinstance(bench, Sqlite):
        with closing(sqlite3.connect(bench.path, isolation_level=None)) as connection:
            connection.execute(text, values)
        return
    with psycopg.connect(bench.url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(text.replace("?", "%s"), values or None)


def busy(bench: Bench) -> None:
    """A day of everything: stored, replaced, deleted, refused, rejected, parked, linked, opposed and lifted."""
    bench.open(ALICE)
    bench.open(BORIS)
    bench.send(documents=(("1.1", b"a"), ("1.2", b"b")), set_id=None)
    bench.send(documents=(("2.1", b"a"),), set_id="9", version=1, entries=(Entry(kind="result", content="{}"),))
    bench.send(documents=(("2.2", b"b"),), set_id="9", version=2, act=Act.REPLACE, replaces=("2.1",))
    bench.send(documents=(("1.2", b"b"),), act=Act.DELETE)
    bench.send(documents=(("3.1", b"c"),), act=Act.DELETE)
    bench.send(documents=(("3.1", b"c"),))
    bench.event(adt(stated(Position.OPPOSES), patient=(local(H1, "7"),), links=False))
    bench.event(adt(patient=(ALICE, local(H1, "7"))))
    assert bench.send(documents=(("4.1", b"d"),)).codes == ("OPPOSED",)
    assert bench.send(documents=(("4.2", b"d"),), patient=(CARLA,)).codes == ("RECORD_ABSENT",)
    bench.event(adt(stated(Position.OPPOSES, None, scope=Scope.CLASS, value="60"), patient=(BORIS,)))
    bench.event(adt(stated(Position.ALLOWS, at="20260311"), patient=(ALICE,)))
    bench.clock.pass_by(days=2)
    assert bench.send(documents=(("4.1", b"d"),)).verdict is Verdict.STORED
    bench.park(bench.deposit(documents=(("5.1", b"e"),)))
    judged = bench.deposit(documents=(("5.2", b"e"),))
    bench.park(judged)
    bench.apply(judged)
    bench.close_record(BORIS)
    assert bench.send(documents=(("6.1", b"f"),), patient=(BORIS,), establishments=(H2,)).codes == ("RECORD_CLOSED",)
    taken = reception(bench.receipt(), bench.clock.now())
    bench.store.note(taken, Rejection(verdict=Verdict.REJECTED, problems=(Problem(code="INS_KEY"),)))
    bench.restart()


@pytest.fixture(params=BACKENDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A store after a busy day; violations are planted in it."""
    made = BACKENDS[request.param](tmp_path, lasting=True)
    busy(made)
    yield made
    made.close()


def findings(bench: Bench) -> list[Finding]:
    """What is found, in the order of the table."""
    with bench.read() as reader:
        return check(reader, bench.clock.now())


def receipt_of(bench: Bench, unique_id: str) -> str:
    (row,) = bench.rows("document", unique_id=unique_id)
    return row["receipt"]


def patient_of(bench: Bench, value: str = ALICE.value) -> int:
    (row,) = bench.rows("identifier", value=value)
    return row["patient"]


def refused(bench: Bench) -> str:
    return next(row["id"] for row in bench.rows("receipt", verdict="refused") if "OPPOSED" in row["codes"])


def _against(bench: Bench) -> str:
    """An opposition that was in force before everything."""
    row = bench.rows("statement", position="opposes")[0]
    first = bench.rows("trace", document="1.1")[0]
    plant(bench, "UPDATE binding SET from_at = '2026-01-01', receipt = 'none' WHERE statement = ?", row["id"])
    plant(bench, "DELETE FROM document WHERE unique_id <> '1.1'")
    plant(bench, "DELETE FROM source_form WHERE receipt <> ?", first["receipt"])
    plant(bench, "DELETE FROM source_part WHERE receipt <> ?", first["receipt"])
    plant(bench, "DELETE FROM entry")
    return f"{first['receipt']} ({row['id']})"


def _content(bench: Bench) -> str:
    receipt = refused(bench)
    plant(bench, "UPDATE document SET receipt = ? WHERE unique_id = '1.1'", receipt)
    plant(bench, "UPDATE document SET receipt = ? WHERE unique_id = '1.2'", receipt)
    for table in ("source_part", "source_form"):
        plant(bench, f"UPDATE {table} SET receipt = ? WHERE receipt IN ('r000003')", receipt)
    return receipt


def _unbound(bench: Bench) -> str:
    identifier = next(row["id"] for row in bench.rows("statement") if '"class"' in row["statement"])
    plant(bench, "DELETE FROM binding WHERE statement = ?", identifier)
    return identifier


def _merged(bench: Bench) -> str:
    alice = patient_of(bench)
    plant(bench, "UPDATE patient SET merged_into = ? WHERE id = ?", patient_of(bench, BORIS.value), alice)
    return f"patient {alice}"


def _unlinked(bench: Bench) -> str:
    plant(bench, "UPDATE link SET to_at = '2026-03-10' WHERE value = ?", ALICE.value)
    return f"patient {patient_of(bench)}"


def _untraced(bench: Bench) -> str:
    plant(
        bench,
        "INSERT INTO refusal (receipt, refused_at, source, establishment, patient, document_ids, code)"
        " VALUES ('untraced', ?, 's', 'h1', ?, '[]', 'OPPOSED')",
        bench.clock.now().isoformat(),
        patient_of(bench),
    )
    return "untraced"


def _shortened(bench: Bench) -> str:
    alice = patient_of(bench)
    plant(bench, "UPDATE patient SET trace_length = trace_length + 1 WHERE id = ?", alice)
    return f"patient {alice}"


def _unreceipted(bench: Bench) -> str:
    receipt = receipt_of(bench, "2.2")
    plant(bench, "DELETE FROM receipt WHERE id = ?", receipt)
    return receipt


def _emptied(bench: Bench) -> str:
    receipt = receipt_of(bench, "2.2")
    plant(bench, "DELETE FROM source_part WHERE receipt = ? AND part = 1", receipt)
    return receipt


def _left_over(bench: Bench) -> str:
    plant(bench, "INSERT INTO source_form VALUES ('orphan', '[]')")
    return "orphan"


def _entry(bench: Bench) -> str:
    (row,) = bench.rows("entry")
    plant(bench, "UPDATE entry SET unique_id = 'gone'")
    return str(row["id"])


def _two_current(bench: Bench) -> str:
    plant(bench, "UPDATE document SET state = 'current' WHERE unique_id = '2.1'")
    return receipt_of(bench, "2.2")


def _shown(bench: Bench) -> str:
    plant(bench, "UPDATE document SET state = 'replaced' WHERE unique_id = '3.1'")
    return receipt_of(bench, "3.1")


def _kept_long(bench: Bench) -> str:
    (row,) = bench.rows("parked")
    plant(bench, "UPDATE parked SET parked_at = '2026-01-01'")
    return row["receipt"]


def _undecided(bench: Bench) -> str:
    plant(
        bench,
        "INSERT INTO outbox (receipt, kind, source, created_at, due_at) VALUES ('none', 'acknowledgement', 's', ?, ?)",
        bench.clock.now().isoformat(),
        bench.clock.now().isoformat(),
    )
    return "none"


PLANTS: dict[str, Plant] = {
    "against_opposition": _against,
    "content_of_refused": _content,
    "statement_bound": _unbound,
    "identifier_merged": _merged,
    "identifier_linked": _unlinked,
    "refusal_traced": _untraced,
    "trace_whole": _shortened,
    "document_owned": _unreceipted,
    "document_bytes": _emptied,
    "bytes_owned": _left_over,
    "entry_owned": _entry,
    "one_current": _two_current,
    "deleted_hidden": _shown,
    "parked_owned": _kept_long,
    "outbox_decided": _undecided,
}


def test_every_invariant_has_its_plant_and_its_row_in_the_docs(root: Path) -> None:
    names = [invariant.name for invariant in INVARIANTS]
    assert list(PLANTS) == names
    page = (root / "docs" / "operations.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^\| `([a-z]+(?:_[a-z]+)*)` \|", page)[: len(names) + 1] == ["schema", *names]


def test_a_busy_store_breaks_nothing(bench: Bench) -> None:
    assert findings(bench) == []
    verdicts = {row["verdict"] for row in bench.rows("receipt")}
    assert verdicts >= {"stored", "deleted", "refused", "rejected", "parked", "applied"}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_violation_is_found_by_its_invariant_alone(bench: Bench, name: str) -> None:
    planted = PLANTS[name](bench)
    (found,) = findings(bench)
    assert (found.invariant.name, found.found, found.ids) == (name, 1, (planted,))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trace SET verdict = 'stored' WHERE receipt = ?",
        "DELETE FROM trace WHERE receipt = ?",
        "UPDATE trace SET rule = NULL, hash = 'x' WHERE receipt = ?",
    ],
)
def test_a_line_of_the_trace_that_was_changed_or_taken_away_is_found(bench: Bench, change: str) -> None:
    plant(bench, "DELETE FROM refusal")
    plant(bench, change, refused(bench))
    (found,) = findings(bench)
    assert (found.invariant.name, found.ids) == ("trace_whole", (f"patient {patient_of(bench)}",))


def test_of_many_some_are_told(bench: Bench) -> None:
    for number in range(7):
        plant(bench, "INSERT INTO source_form VALUES (?, '[]')", f"orphan{number}")
    (found,) = findings(bench)
    assert (found.found, found.ids) == (7, tuple(f"orphan{number}" for number in range(TOLD)))


def test_what_is_older_than_its_receipt_s_retention_needs_none(bench: Bench) -> None:
    _unreceipted(bench)
    bench.clock.pass_by(days=91)
    assert [found.invariant.name for found in findings(bench)] == ["parked_owned"]


def test_what_the_upkeep_leaves_breaks_nothing(bench: Bench) -> None:
    bench.event(adt(patient=(ALICE, local(H2, "8"))))
    bench.close_record(ALICE)
    bench.clock.pass_by(days=91)
    assert {done.job: done.rows for done in bench.store.retain(Periods()) if done.rows}["receipts"] > 5
    assert findings(bench) == []
    bench.clock.pass_by(days=366 * 10)
    assert {done.job: done.rows for done in bench.store.retain(Periods()) if done.rows}["records"] == 2
    assert findings(bench) == []

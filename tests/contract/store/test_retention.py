"""Nothing is kept longer than it must be, and nothing is taken away before (D-7, D-24, R-09, P16)."""

import json
from typing import Any

import pytest

from gateway.model.event import Position
from gateway.model.outcome import Rejection
from gateway.model.problem import Problem
from gateway.model.submission import Act, Flags
from gateway.model.verdict import Verdict
from gateway.store import chain, retention
from gateway.store.port import Transient
from gateway.store.retention import JOBS, Busy, Periods
from tests.contract.store.backends import Bench
from tests.strategies.records import ALICE, BORIS, H1, H2, START, adt, local, reception, stated

IPP = local(H1, "1")
LONG = b"CANARILONG" * 30


def kept(bench: Bench, **periods: Any) -> dict[str, int]:
    """Run every job; return what each took."""
    return {done.job: done.rows for done in bench.store.retain(Periods(**periods)) if done.rows}


def whole(bench: Bench) -> None:
    with bench.read() as reader:
        assert [fault for trace in reader.traces() for fault in chain.verify(trace)] == []


def test_receipts_go_after_ninety_days(opened: Bench) -> None:
    opened.send()
    opened.store.note(reception("rejected", START), Rejection(verdict=Verdict.REJECTED, problems=(Problem(code="INS_KEY"),)))
    opened.restart()
    opened.clock.pass_by(days=89)
    assert kept(opened) == {}
    assert len(opened.rows("receipt")) == 3
    opened.clock.pass_by(days=1, minutes=1)
    last = opened.send(documents=(("1.2.9", b"y"),))
    assert kept(opened) == {"receipts": 3}
    assert [row["id"] for row in opened.rows("receipt")] == [last.receipt]
    assert kept(opened) == {}
    whole(opened)


def test_by_content_a_document_is_recognised_without_its_receipt(opened: Bench) -> None:
    """D-6: what was stored once is stored once, however long ago."""
    first = opened.send()
    opened.clock.pass_by(days=91)
    assert kept(opened) == {"receipts": 2}
    again = opened.send()
    assert (again.verdict, again.first) == (Verdict.DUPLICATE, first.receipt)
    assert opened.send(documents=(("1.2.3", b"other"),)).codes == ("OTHER_CONTENT",)
    assert opened.send(act=Act.DELETE).verdict is Verdict.DELETED
    assert opened.send(act=Act.DELETE).verdict is Verdict.DUPLICATE


def test_the_receipt_of_what_waits_stays(opened: Bench) -> None:
    opened.send(flags=Flags(ack_reception=True))
    opened.clock.pass_by(days=91)
    assert kept(opened) == {"receipts": 1}  # of the opening
    opened.execute("UPDATE outbox SET delivered_at = ?", opened.clock.now().isoformat(timespec="microseconds"))
    assert kept(opened) == {"receipts": 1}
    assert opened.rows("receipt") == [] and len(opened.rows("outbox")) == 1
    opened.clock.pass_by(days=90, minutes=1)
    assert kept(opened) == {"outbox": 1}
    assert opened.rows("outbox") == []


def test_what_is_parked_is_erased_after_thirty_days(opened: Bench) -> None:
    made = opened.deposit(patient=(ALICE, IPP))
    opened.park(made, LONG)
    receipt = made.reception.receipt
    opened.clock.pass_by(days=29, hours=23)
    assert kept(opened) == {} and len(opened.rows("parked")) == 1
    opened.clock.pass_by(hours=2)
    assert kept(opened) == {"parked": 1}
    assert opened.rows("parked") == opened.rows("parked_identifier") == []
    (row,) = opened.rows("receipt", id=receipt)
    assert (row["verdict"], json.loads(row["codes"])) == ("parked", ["INTERNAL", "PARKED_EXPIRED"])
    assert [problem["code"] for problem in json.loads(row["outcome"])["problems"]] == ["INTERNAL", "PARKED_EXPIRED"]
    assert [line["action"] for line in opened.rows("trace", receipt=receipt)] == ["deposit.parked", "parked.expired"]
    assert opened.tasks() == ["parked.expired"]
    if "store.db" in {path.name for path in opened.folder.iterdir()}:
        assert b"CANARILONG" not in opened.raw()
    opened.clock.pass_by(days=61)
    assert kept(opened)["receipts"] == 2


def test_the_receipt_of_what_is_parked_stays_with_it(opened: Bench) -> None:
    opened.park(opened.deposit())
    opened.clock.pass_by(days=91)
    opened.execute("UPDATE parked SET parked_at = ?", opened.clock.now().isoformat(timespec="microseconds"))
    assert kept(opened) == {"receipts": 1}
    assert [row["verdict"] for row in opened.rows("receipt")] == ["parked"]


def test_the_bytes_of_a_deleted_document_go_after_thirty_days(opened: Bench) -> None:
    two = (("1.2.1", LONG), ("1.2.2", b"autre"))
    first = opened.send(documents=two)
    opened.clock.pass_by(days=20)
    opened.send(act=Act.DELETE, documents=two[:1])
    opened.clock.pass_by(days=29)
    assert kept(opened) == {}
    opened.clock.pass_by(days=1, minutes=1)
    assert kept(opened) == {"deleted": 1}
    # The neighbour lives: its bytes and the message around them stay.
    assert [row["part"] for row in opened.rows("source_part", receipt=first.receipt)] == [0, 2]
    (row,) = opened.rows("document", unique_id="1.2.1")
    assert (row["state"], row["part"]) == ("deleted", None)
    assert len(row["digest"]) == 64
    assert opened.rows("trace")[-1]["action"] == "document.erased"
    if "store.db" in {path.name for path in opened.folder.iterdir()}:
        assert b"CANARILONG" not in opened.raw()
    opened.send(act=Act.DELETE, documents=two[1:])
    opened.clock.pass_by(days=31)
    assert kept(opened)["deleted"] == 1
    assert opened.rows("source_part", receipt=first.receipt) == opened.rows("source_form", receipt=first.receipt) == []
    assert opened.send(documents=two[:1]).verdict is Verdict.DUPLICATE
    whole(opened)


def test_done_tasks_go_open_ones_stay(opened: Bench) -> None:
    opened.send(), opened.event(adt(stated(Position.OPPOSES)))
    opened.event(adt(stated(Position.OPPOSES), patient=(BORIS,)))
    assert opened.tasks() == ["document.withheld"]
    opened.clock.pass_by(days=400)
    assert "tasks" not in kept(opened)
    opened.execute("UPDATE task SET done_at = ?", opened.clock.now().isoformat(timespec="microseconds"))
    opened.clock.pass_by(days=90, minutes=1)
    assert kept(opened)["tasks"] == 1 and opened.tasks() == []


def closed(bench: Bench) -> None:
    """A record with everything that one can have, closed; and a neighbour's."""
    bench.open(BORIS)
    bench.event(adt(stated(Position.OPPOSES, H2), patient=(local(H2, "2"),), links=False), establishment=H2)
    bench.event(adt(patient=(ALICE, IPP)))
    bench.event(adt(patient=(ALICE, local(H2, "2"))), establishment=H2)
    bench.send(documents=(("1.2.1", LONG), ("1.2.2", b"y")), patient=(ALICE, IPP))
    bench.send(act=Act.DELETE, documents=(("1.2.1", LONG),))
    bench.send(act=Act.DELETE, documents=(("1.2.99", b""),))
    assert bench.send(establishments=(H2,), documents=(("1.2.5", b"z"),)).codes == ("OPPOSED",)
    bench.send(patient=(BORIS,), documents=(("1.2.7", b"boris"),))
    bench.close_record()


def test_a_record_is_destroyed_ten_years_after_its_closing(opened: Bench) -> None:
    closed(opened)
    at = START.replace(year=START.year + 10)
    opened.clock.set(at)
    assert "records" not in kept(opened)
    opened.clock.pass_by(days=1)
    assert kept(opened)["records"] == 1
    (row,) = opened.rows("record", patient=1)
    assert (row["state"], row["traits"], row["consent_by"], row["emergency_access"]) == ("destroyed", "{}", None, None)
    assert row["opened_at"] and row["closed_at"] and row["destroyed_at"]
    tables = opened.tables()
    for table, rows in tables.items():
        for each in rows:
            assert ALICE.value not in str(each), table
            assert table in {"record", "patient", "trace"} or each.get("patient") not in {1, 3}, table
    (line,) = [row for row in tables["trace"] if row["patient"] == 1]
    assert (line["action"], line["rule"], line["n"]) == ("record.destroyed", "R-09", 1)
    assert tables["statement"] == tables["binding"] == tables["refusal"] == tables["statement_identifier"] == []
    # The neighbour has everything.
    assert [row["unique_id"] for row in tables["document"]] == ["1.2.7"]
    assert {row["patient"] for row in tables["identifier"]} == {2}
    assert len({row["receipt"] for row in tables["source_part"]}) == len(tables["source_form"]) == 1
    if "store.db" in {path.name for path in opened.folder.iterdir()}:
        assert b"CANARILONG" not in opened.raw() and ALICE.value.encode() not in opened.raw()
    whole(opened)
    before = opened.tables()
    assert kept(opened) == {}
    assert {**opened.tables(), "upkeep": []} == {**before, "upkeep": []}


def test_a_new_opening_makes_a_new_patient(opened: Bench) -> None:
    closed(opened)
    opened.clock.pass_by(days=3_654)
    kept(opened)
    assert opened.send().codes == ("RECORD_ABSENT",)
    opened.open()
    (row,) = opened.rows("identifier", value=ALICE.value)
    assert row["patient"] > 3
    assert opened.send().verdict is Verdict.STORED
    assert opened.states() == {"1.2.3": "current"}


def test_a_statement_that_binds_another_stays_theirs(opened: Bench) -> None:
    opened.open(BORIS)
    opened.event(adt(stated(Position.OPPOSES), patient=(ALICE, BORIS), links=False))
    opened.close_record()
    opened.clock.pass_by(days=3_654)
    kept(opened)
    assert [row["patient"] for row in opened.rows("binding")] == [2]
    assert len(opened.rows("statement")) == 1
    assert opened.send(patient=(BORIS,)).codes == ("OPPOSED",)


def test_reopened_it_stays(opened: Bench) -> None:
    opened.close_record()
    opened.clock.pass_by(days=3_000)
    opened.open()
    opened.clock.pass_by(days=3_000)
    assert "records" not in kept(opened)
    opened.close_record()
    opened.clock.pass_by(days=3_000)
    assert "records" not in kept(opened)


def test_lines_of_nobody_go_with_the_years(opened: Bench) -> None:
    opened.close_record()
    opened.send(patient=(BORIS,))
    opened.clock.pass_by(days=3_600)
    assert "nobody" not in kept(opened)
    opened.clock.pass_by(days=60)
    assert kept(opened)["nobody"] == 2
    assert opened.rows("refusal") == []


@pytest.mark.parametrize("cut", range(1, 12))
def test_cut_off_anywhere_it_goes_on(opened: Bench, cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends after so many transactions leaves whole chains, and the next one finishes."""
    monkeypatch.setattr(retention, "_FEW", 1)
    monkeypatch.setattr(retention, "LIMIT", 4)
    closed(opened)
    opened.clock.pass_by(days=3_654)
    asked = iter(range(cut * 4))
    opened.store.retain(Periods(), stopping=lambda: next(asked, None) is None)
    whole(opened)
    kept(opened)
    assert [row["state"] for row in opened.rows("record", patient=1)] == ["destroyed"]
    assert [row["action"] for row in opened.rows("trace", patient=1)] == ["record.destroyed"]
    assert {row["unique_id"] for row in opened.rows("document")} == {"1.2.7"}
    whole(opened)


def test_a_dry_run_writes_nothing_and_says_what_is_due(opened: Bench) -> None:
    closed(opened)
    opened.park(opened.deposit(patient=(BORIS,)))
    opened.clock.pass_by(days=3_654)
    before = opened.tables()
    due = {done.job: done.rows for done in opened.store.retain(Periods(), dry_run=True)}
    assert opened.tables() == before
    assert list(due) == [job.name for job in JOBS]
    assert (due["parked"], due["records"], due["deleted"]) == (1, 1, 1)
    done = {done.job: done.rows for done in opened.store.retain(Periods())}
    # The receipt of what was parked waits for its bytes to be gone.
    assert done == {**due, "receipts": due["receipts"] + 1}


def test_each_run_is_noted(opened: Bench) -> None:
    opened.send()
    opened.clock.pass_by(days=91)
    kept(opened)
    rows = {row["job"]: row["rows"] for row in opened.rows("upkeep")}
    assert rows == {**dict.fromkeys((job.name for job in JOBS), 0), "receipts": 2}
    with opened.read() as reader:
        assert {run.job: run.rows for run in reader.upkeep_runs()} == rows
        assert {run.ran_at[:10] for run in reader.upkeep_runs()} == {"2026-06-09"}
    opened.clock.pass_by(days=1)
    kept(opened)
    assert {row["rows"] for row in opened.rows("upkeep")} == {0}


def test_never_two_at_once(opened: Bench) -> None:
    seen = []

    def again() -> bool:
        try:
            opened.store.retain(Periods(), dry_run=True)
        except Busy:
            seen.append(True)
        return False

    opened.store.retain(Periods(), stopping=again)
    assert seen and all(seen)
    assert len(opened.store.retain(Periods())) == len(JOBS)


def test_a_closed_store_keeps_no_more(opened: Bench) -> None:
    opened.store.close()
    with pytest.raises(Transient):
        opened.store.retain(Periods())


def test_a_period_ends_on_the_same_day_of_the_year() -> None:
    records = next(job for job in JOBS if job.name == "records")
    leap = START.replace(year=2028, month=2, day=29)
    assert retention.before(records, Periods(), leap)[:10] == "2018-02-28"
    assert retention.before(records, Periods(records_years=20), leap)[:10] == "2008-02-29"
    assert retention.before(JOBS[0], Periods(), START)[:10] == "2026-02-08"

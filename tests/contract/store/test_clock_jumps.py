"""
F13: whatever the clock does, the order of commits decides who was first (L3, L4).

Beside it: `test_stateful.py`, whose clock jumps too.
"""

import tempfile
from datetime import datetime
from pathlib import Path

import pytest

from gateway.model.event import FileMerge, Position
from gateway.model.verdict import Verdict
from gateway.telemetry import points
from tests.contract.store.backends import BACKENDS, EXAMPLES, SCRATCH, Bench
from tests.harness.clocks import clock_histories
from tests.harness.jumping import BEGINNINGS, Back, Jumping, Still, inside
from tests.strategies.records import ALICE, BORIS, H1, START, adt, local, stated

IO, INO = Position.OPPOSES, Position.ALLOWS
IPP = local(H1, "100")


@pytest.mark.parametrize("backend", BACKENDS)
def test_documents_and_rights_are_those_of_a_steady_clock(backend: str) -> None:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        found = clock_histories(backend, Path(folder), 20_261_121, most=EXAMPLES[backend] // 10)
    print(found.line())
    assert found.violations == []
    assert found.jumps > 20 * found.histories


@pytest.mark.parametrize("clock", [Back, Still])
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_an_opposition_counts_from_its_commit(bench: Bench, clock: type[Back | Still], beginning: str) -> None:
    """A clock that goes back or stands still puts the deposit before the opposition, or at the same instant."""
    bench.clock = clock(BEGINNINGS[beginning])
    bench.restart()
    bench.open()
    before = bench.send(documents=(("1.2.1", b"x"),))
    opposed = bench.event(adt(stated(IO, at=None)))
    after = bench.send(documents=(("1.2.2", b"x"),))
    assert (before.verdict, opposed.verdict, after.codes) == (Verdict.STORED, Verdict.APPLIED, ("OPPOSED",))
    assert after.committed_at <= opposed.committed_at <= before.committed_at
    assert bench.against() == []


def test_what_was_stored_after_an_opposition_is_withheld_whatever_the_clock_said(opened: Bench) -> None:
    """Opposed under the hospital's number, then the clock is set back an hour, a deposit under the INS, the link."""
    opened.clock.pass_by(hours=5)
    opened.event(adt(stated(IO, at=None), patient=(IPP,), links=False))
    opened.clock.pass_by(hours=-1)
    opened.send(documents=(("1.2.after", b"x"),))
    opened.event(adt(patient=(ALICE, IPP)))
    assert [row["unique_id"] for row in opened.rows("document") if row["withheld"]] == ["1.2.after"]
    assert opened.tasks() == ["document.withheld"]


def test_a_binding_that_ended_at_this_very_instant_begins_again(opened: Bench) -> None:
    """One key for one instant: a clock that stands still must not lose the second beginning."""
    opened.event(adt(stated(IO, at=None)))
    opened.planted = True
    (binding,) = opened.rows("binding")
    opened.execute("UPDATE binding SET to_at = ?", binding["from_at"])
    assert opened.send(documents=(("1.2.1", b"x"),)).verdict is Verdict.STORED
    rebind(opened, binding)
    assert [row["to_at"] for row in opened.rows("binding")] == [None]
    assert opened.send(documents=(("1.2.2", b"x"),)).codes == ("OPPOSED",)


def rebind(bench: Bench, binding: dict) -> None:
    """Bind a statement at the instant of a binding of it that is there: as a merge or its undoing does."""
    if hasattr(bench, "path"):
        from gateway.store.sqlite.transaction import SqliteTransaction

        SqliteTransaction(bench.store._connection, binding["from_at"]).bind(  # type: ignore[attr-defined]
            binding["statement"], binding["patient"], "merge", "merge"
        )
        return
    from gateway.store.postgres.connection import connected
    from gateway.store.postgres.transaction import PostgresTransaction

    with connected(bench.url, application="test") as session:  # type: ignore[attr-defined]
        session.run("begin")
        tx = PostgresTransaction(
            session, datetime.fromisoformat(binding["from_at"]), asked=[ALICE.key], patients={ALICE.key: binding["patient"]}
        )
        tx.bind(binding["statement"], binding["patient"], "merge", "merge")
        session.commit()


def test_an_allowance_that_ended_when_the_clock_was_back_counts_for_what_came_before(opened: Bench) -> None:
    """The merge ends what allowed Alice's document, at an instant before the one at which it was stored."""
    for position, at in ((IO, "20260101"), (INO, "20260201")):
        opened.event(adt(stated(position, None, at=at)))
    opened.open(BORIS)
    opened.event(adt(stated(IO, None, at="20260115"), patient=(BORIS,)))
    opened.clock.pass_by(hours=5)
    assert opened.send().verdict is Verdict.STORED
    opened.clock.pass_by(hours=-5)
    signed = ("A. Martin", "B. Durand")
    merged = opened.event(FileMerge(trigger="merge", identifiers=(ALICE,), absorbed=(BORIS,), signed_by=signed))
    assert merged.verdict is Verdict.APPLIED
    (ended,) = [row for row in opened.rows("binding") if row["to_at"] is not None]
    assert ended["to_at"] < opened.rows("document")[0]["committed_at"]
    assert opened.against() == []
    assert opened.send(documents=(("1.2.9", b"x"),)).codes == ("OPPOSED",)


def test_a_clock_that_jumps_inside_a_transaction_breaks_nothing(bench: Bench) -> None:
    bench.clock = Jumping(START, 13)
    bench.restart()
    inside(bench.clock)
    bench.open()
    bench.event(adt(patient=(ALICE, IPP)))
    assert bench.send(documents=(("1.2.1", b"x"),)).verdict is Verdict.STORED
    bench.event(adt(stated(IO, at=None), patient=(IPP,)))
    verdicts = {bench.send(documents=((f"1.3.{n}", b"x"),)).codes for n in range(10)}
    merged = FileMerge(trigger="A40", identifiers=(IPP,), absorbed=(local(H1, "200"),))
    bench.event(merged)
    verdicts |= {bench.send(documents=((f"1.4.{n}", b"x"),)).codes for n in range(10)}
    points.hooks.clear()
    assert verdicts == {("OPPOSED",)}
    assert bench.clock.jumps > 10
    assert bench.against() == []

"""What is parked when its patient opposes is judged again, and erased if the opposition refuses it (D-7, R-13)."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway.model.event import Position
from gateway.model.outcome import Outcome
from gateway.model.submission import Deposit, Flags
from gateway.model.verdict import Verdict
from gateway.telemetry import points
from tests.contract.store.backends import Bench, Sqlite
from tests.strategies.records import ALICE, BORIS, H1, H2, adt, local, stated

CANARY = b"CANARISCELLE" * 40
IPP = local(H1, "1")


def parked(bench: Bench, **facts: Any) -> Deposit:
    made = bench.deposit(**facts)
    assert bench.park(made, CANARY).verdict is Verdict.PARKED
    return made


def waiting(bench: Bench) -> list[str]:
    return [receipt for receipt, _ in bench.store.awaiting_review(10)]


def judged(bench: Bench, *made: Deposit) -> list[Outcome | None]:
    """What the worker does: everything that waits, each in its transaction."""
    known = {each.reception.receipt: each for each in made}
    return [bench.store.review(known[receipt]) for receipt in waiting(bench)]


def test_what_is_parked_is_looked_at_once_and_stays(opened: Bench) -> None:
    made = parked(opened)
    assert opened.store.awaiting_review(10) == [(made.reception.receipt, CANARY)]
    assert judged(opened, made) == [None]
    assert waiting(opened) == []
    (row,) = opened.rows("parked")
    assert (row["receipt"], bool(row["review"])) == (made.reception.receipt, False)
    assert [row["verdict"] for row in opened.rows("receipt", id=made.reception.receipt)] == ["parked"]
    assert opened.store.review(made) is None


def test_an_opposition_refuses_and_erases(opened: Bench) -> None:
    made = parked(opened, flags=Flags(ack_reception=True), documents=(("1.2.7", b"x"),))
    judged(opened, made)
    said = opened.event(adt(stated(Position.OPPOSES)))
    (outcome,) = judged(opened, made)
    assert outcome is not None
    assert (outcome.verdict, outcome.codes, outcome.rule, outcome.statement) == (
        Verdict.REFUSED, ("OPPOSED",), "O-2", f"{said.receipt}.1",
    )  # fmt: skip
    receipt = made.reception.receipt
    assert opened.rows("parked") == opened.rows("parked_identifier") == []
    (row,) = opened.rows("receipt", id=receipt)
    assert (row["verdict"], json.loads(row["codes"]), row["decided_at"]) == ("refused", ["OPPOSED"], outcome.committed_at)
    (refusal,) = opened.rows("refusal")
    assert (refusal["receipt"], refusal["code"], refusal["rule"], refusal["statement"], refusal["patient"]) == (
        receipt, "OPPOSED", "O-2", f"{said.receipt}.1", 1,
    )  # fmt: skip
    traced = [(line["action"], line["verdict"], line["patient"]) for line in opened.rows("trace", receipt=receipt)]
    assert traced == [("deposit.parked", "parked", None), ("document.add", "refused", 1)]
    assert [line["receipt"] for line in opened.rows("outbox")] == [receipt]
    assert opened.store.review(made) is None
    # A redelivery gets what was decided.
    assert opened.apply(made) == [outcome]


#: What a patient may do that concerns a deposit parked under the INS and an IPP of H1: its rights change or not.
TOUCHES: dict[str, tuple[Callable[[Bench], object], bool]] = {
    "opposition under the INS": (lambda bench: bench.event(adt(stated(Position.OPPOSES))), True),
    "opposition under the IPP alone": (
        lambda bench: bench.event(adt(stated(Position.OPPOSES), patient=(IPP,), links=False)),
        True,
    ),
    "link to an opposition under another IPP": (
        lambda bench: (
            bench.event(adt(stated(Position.OPPOSES), patient=(local(H1, "2"),), links=False)),
            bench.event(adt(patient=(ALICE, local(H1, "2")))),
        ),
        True,
    ),
    "the patient's own": (lambda bench: bench.event(adt(stated(Position.OPPOSES, None))), True),
    "another establishment's": (lambda bench: bench.event(adt(stated(Position.OPPOSES, H2) ), establishment=H2), False),
    "another patient's": (lambda bench: bench.event(adt(stated(Position.OPPOSES), patient=(BORIS,))), False),
    "an allowance": (lambda bench: bench.event(adt(stated(Position.ALLOWS))), False),
}  # fmt: skip


@pytest.mark.parametrize("touch", TOUCHES)
def test_what_concerns_it_is_found_by_every_identifier(opened: Bench, touch: str) -> None:
    act, refuses = TOUCHES[touch]
    made = parked(opened, patient=(ALICE, IPP))
    judged(opened, made)
    act(opened)
    outcomes = judged(opened, made)
    assert [outcome.verdict for outcome in outcomes if outcome] == ([Verdict.REFUSED] if refuses else [])
    assert len(opened.rows("parked")) == (not refuses)
    assert (touch == "another patient's") == (outcomes == [])
    assert waiting(opened) == []


def test_any_refusal_erases_what_is_parked(opened: Bench) -> None:
    """It is refused as it would have been had it not been parked: its content is kept for nobody."""
    made = parked(opened)
    opened.close_record()
    (outcome,) = judged(opened, made)
    assert outcome is not None and (outcome.verdict, outcome.codes) == (Verdict.REFUSED, ("RECORD_CLOSED",))
    assert opened.rows("parked") == []


def test_parked_just_after_the_opposition(opened: Bench) -> None:
    """The opposition did not see the row: it is looked at because it is new."""
    made = opened.deposit()
    opened.event(adt(stated(Position.OPPOSES)))
    opened.park(made, CANARY)
    (outcome,) = judged(opened, made)
    assert outcome is not None and outcome.codes == ("OPPOSED",)


def test_parked_while_the_opposition_commits(opened: Bench) -> None:
    """Between what the opposition marks and its commit; on one writer it comes before or after."""
    made = opened.deposit()
    points.hooks["sql.ask_reviews"] = lambda: opened.park(made, CANARY)
    opened.event(adt(stated(Position.OPPOSES)))
    points.hooks.clear()
    if not opened.rows("parked"):  # one writer only: there is no such instant
        opened.park(made, CANARY)
    (outcome,) = judged(opened, made)
    assert outcome is not None and outcome.codes == ("OPPOSED",)


def test_parked_again_is_looked_at_again(opened: Bench) -> None:
    made = parked(opened)
    judged(opened, made)
    opened.execute("DELETE FROM receipt WHERE id = ?", made.reception.receipt)
    opened.park(made, CANARY)
    assert waiting(opened) == [made.reception.receipt]


def test_one_that_cannot_be_opened_stays_with_one_task(opened: Bench) -> None:
    made = parked(opened)
    opened.store.set_aside(made.reception.receipt)
    assert waiting(opened) == []
    opened.event(adt(stated(Position.OPPOSES)))
    assert waiting(opened) == [made.reception.receipt]
    opened.store.set_aside(made.reception.receipt)
    opened.store.set_aside(made.reception.receipt)
    opened.store.set_aside("unknown")
    assert opened.tasks() == ["parked.unjudged"]
    assert len(opened.rows("parked")) == 1


@pytest.mark.parametrize("point", ["store.resolved", "store.decided"])
def test_killed_while_judging_it_is_judged_again(opened: Bench, point: str) -> None:
    made = parked(opened, flags=Flags(ack_reception=True))
    opened.event(adt(stated(Position.OPPOSES)))

    def die() -> None:
        raise KeyboardInterrupt

    points.hooks[point] = die
    with pytest.raises(KeyboardInterrupt):
        opened.store.review(made)
    points.hooks.clear()
    assert len(opened.rows("parked")) == 1 and opened.rows("refusal") == opened.rows("outbox") == []
    opened.restart()
    (outcome,) = judged(opened, made)
    assert outcome is not None and outcome.codes == ("OPPOSED",)
    assert len(opened.rows("refusal")) == len(opened.rows("outbox")) == 1


def test_killed_at_each_statement_of_the_review(opened: Bench) -> None:
    """Nothing or all: whatever statement the process dies at, the next one finds it as it was."""
    made = parked(opened, flags=Flags(ack_reception=True))
    opened.event(adt(stated(Position.OPPOSES)))
    before = opened.tables()
    died = []
    for name in ("claim_review", "forget_parked", "forget_parked_names", "forget_receipt", "copy_refusals", "copy_receipts",
                 "copy_outbox", "update_trace_heads"):  # fmt: skip

        def die(name: str = name) -> None:
            died.append(name)
            raise KeyboardInterrupt

        points.hooks[f"sql.{name}"] = die
        try:
            opened.store.review(made)
        except KeyboardInterrupt:
            assert opened.tables() == before
        else:  # one writer has no such points: it is the database that undoes
            break
        points.hooks.clear()
    points.hooks.clear()
    assert len(died) in {0, 8}
    opened.store.review(made)
    assert opened.rows("parked") == [] and len(opened.rows("refusal")) == 1


def test_many_judge_at_once_and_one_does(opened: Bench) -> None:
    made = parked(opened, patient=(ALICE, IPP))
    opened.event(adt(stated(Position.OPPOSES)))
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(opened.store.review, [made] * 8))
    assert len([outcome for outcome in outcomes if outcome is not None]) == 1
    assert len(opened.rows("refusal")) == 1


def test_nothing_of_it_stays_in_the_file(tmp_path: Path) -> None:
    """SQLite: neither the file nor its log hold the sealed bytes afterwards, while the store runs."""
    bench = Sqlite(tmp_path)
    bench.open()
    made = parked(bench)
    assert b"CANARISCELLE" in bench.raw()
    bench.event(adt(stated(Position.OPPOSES)))
    (outcome,) = judged(bench, made)
    assert outcome is not None
    assert b"CANARISCELLE" not in bench.raw()
    bench.close()


def test_a_reader_in_the_way_only_delays_it(tmp_path: Path) -> None:
    bench = Sqlite(tmp_path)
    bench.open()
    made = parked(bench)
    with bench.read() as reader:
        reader._connection.execute("BEGIN")
        reader._connection.execute("SELECT * FROM parked").fetchall()
        bench.event(adt(stated(Position.OPPOSES)))
        judged(bench, made)
        assert b"CANARISCELLE" in bench.raw()
        reader._connection.execute("COMMIT")
    bench.send(patient=(BORIS,))
    assert b"CANARISCELLE" not in bench.raw()
    bench.close()

"""Of a refused deposit: who, when, which document id, rule, statement; nothing of its content, in no table (D-7, R-13)."""

import json

import pytest

from gateway.model.event import Position
from gateway.model.outcome import Rejection
from gateway.model.problem import Problem, Severity
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from tests.contract.store.backends import Bench
from tests.strategies.records import ALICE, BORIS, H2, START, adt, reception, stated

CANARIES = ("CANARITITRE", "CANARIAUTEUR", "CANARICONTENU", "CANARITYPE", "CANARICLASSE", "CANARISET", "CANARIDETAIL")
FACTS = {
    "documents": (("1.2.77", b"<doc>CANARICONTENU</doc>"), ("1.2.78", b"<doc>CANARICONTENU deux</doc>")),
    "title": "CANARITITRE",
    "author": "CANARIAUTEUR",
    "type_code": "CANARITYPE",
    "class_code": "CANARICLASSE",
    "problems": (Problem(code="CDA_UNUSUAL", severity=Severity.WARNING, detail="CANARIDETAIL"),),
}
#: Why a deposit may be refused, and what leads to it.
REFUSALS = {
    "RECORD_ABSENT": lambda bench: {"patient": (BORIS,)},
    "RECORD_CLOSED": lambda bench: bench.close_record() and {},
    "OPPOSED": lambda bench: bench.event(adt(stated(Position.OPPOSES))) and {},
    "OTHER_CONTENT": lambda bench: bench.send(documents=(("1.2.78", b"autre"),)) and {},
    "NOT_AUTHOR": lambda bench: (
        bench.send(documents=(("1.2.4", b"q"),), establishments=(H2,)) and {"act": Act.REPLACE, "replaces": ("1.2.4",)}
    ),
    "VERSION_STALE": lambda bench: (
        bench.send(documents=(("1.2.4", b"q"),), set_id="CANARI", version=2) and {"set_id": "CANARI", "version": 2}
    ),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_nothing_of_a_refused_deposit_is_anywhere(opened: Bench, code: str) -> None:
    more = REFUSALS[code](opened)
    refused = opened.send(**{**FACTS, **more})
    assert refused.codes == (code,)
    for table, rows in opened.tables().items():
        for row in rows:
            for column, value in row.items():
                for canary in CANARIES:
                    assert canary not in str(value), (table, column)
    raw = opened.raw()
    assert not [canary for canary in CANARIES if canary.encode() in raw]
    for table in ("source_part", "source_form", "document"):
        assert opened.rows(table, receipt=refused.receipt) == []
    (row,) = opened.rows("refusal", receipt=refused.receipt)
    assert json.loads(row["document_ids"]) == ["1.2.77", "1.2.78"]
    assert (row["code"], row["source"], row["rule"], row["statement"]) == (code, "ris-h1", refused.rule, refused.statement)


def test_a_refusal_has_no_column_for_content(opened: Bench) -> None:
    opened.send(patient=(BORIS,))
    (row,) = opened.rows("refusal")
    assert set(row) == {
        "receipt", "refused_at", "source", "establishment", "patient", "document_ids", "code", "rule", "statement",
    }  # fmt: skip


def test_the_ins_stands_where_it_must_and_nowhere_else(opened: Bench) -> None:
    opened.event(adt(stated(Position.OPPOSES)))
    opened.send(**FACTS)
    opened.send(patient=(BORIS,))
    opened.event(adt(patient=(BORIS,)))
    opened.store.note(
        reception("rejected", START),
        Rejection(verdict=Verdict.REJECTED, patient=ALICE.value, problems=(Problem(code="INS_KEY"),)),
    )
    opened.restart()
    for table, rows in opened.tables().items():
        if table in {"identifier", "link", "statement_identifier", "receipt", "parked", "parked_identifier"}:
            continue
        for row in rows:
            for column, value in row.items():
                assert ALICE.value not in str(value) and BORIS.value not in str(value), (table, column)


def test_a_bytes_free_batch_around_a_refusal(opened: Bench) -> None:
    """A refused neighbour leaves nothing, and takes nothing away."""
    opened.event(adt(stated(Position.OPPOSES)))
    stored, refused = opened.apply(opened.deposit(establishments=(H2,)), opened.deposit(**FACTS))
    assert (stored.verdict, refused.verdict) == (Verdict.STORED, Verdict.REFUSED)
    assert not [canary for canary in CANARIES if canary.encode() in opened.raw()]


def test_every_outcome_has_its_trace_in_the_same_commit(opened: Bench) -> None:
    made = [opened.deposit(documents=((f"1.2.{n}", b"x"),)) for n in range(3)]
    opened.apply(*made)
    opened.event(adt(stated(Position.OPPOSES)))
    opened.send(documents=(("1.2.9", b"y"),))
    for row in opened.rows("receipt"):
        traces = opened.rows("trace", receipt=row["id"])
        assert traces and {trace["at"] for trace in traces} == {row["decided_at"]}


def test_the_rights_version_of_a_trace_tells_on_which_rights_it_was_decided(opened: Bench) -> None:
    before = opened.send(documents=(("1.2.1", b"x"),), establishments=(H2,))
    opened.event(adt(stated(Position.OPPOSES)))
    after = opened.send(documents=(("1.2.2", b"x"),), establishments=(H2,))
    versions = [opened.rows("trace", receipt=known.receipt)[0]["rights_version"] for known in (before, after)]
    assert versions[0] < versions[1]

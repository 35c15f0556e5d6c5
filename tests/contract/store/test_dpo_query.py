"""The DPO's query: empty whatever the store did, and not empty when a row is planted (L4)."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gateway.model.event import Position, Scope, Statement
from gateway.model.source import SourceKind
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from gateway.rules import deposit as rules
from tests.contract.store.backends import Bench
from tests.strategies.records import ALICE, H1, H2, START, adt, local, stated

IO, INO = Position.OPPOSES, Position.ALLOWS
ALL, EST, CLASS, TYPE, KIND, PRO = (
    Scope.ALL, Scope.ESTABLISHMENT, Scope.CLASS, Scope.TYPE, Scope.SOURCE_KIND, Scope.PROFESSIONAL
)  # fmt: skip
CARDIOLOGIST = "810001234567"
INSURER = (SourceKind.INSURER,)
#: What the patient wrote, sent by the patient's own door.
MINE = {"kinds": (SourceKind.PATIENT,), "authors": ((ALICE.value, ALICE.authority),)}
SITE, OTHER_SITE = f"{H1}/990000026", f"{H1}/990000034"


def p(position: Position, at: str, scope: Scope = ALL, value: str | None = None) -> Statement:
    """A statement of the patient."""
    return stated(position, None, at=at, scope=scope, value=value)


def of_site(position: Position, at: str) -> Statement:
    """What one site of an establishment states for itself (O-10)."""
    return msgspec.structs.replace(stated(position, at=at), scope_value=SITE)


#: In force, deposits (what each is and whether it is opposed): the worked cases, in the order in which they were committed.
WORKED = {
    "none": ([], [({}, False)]),
    "its own": ([stated(IO, at="20260310")], [({}, True), ({"establishments": (H2,)}, False)]),
    "late and older": ([stated(INO, at="20260311"), stated(IO, at="20260310")], [({}, False)]),
    "one day": ([stated(INO, at="20260310"), stated(IO, at="20260310")], [({}, True)]),
    "not the establishment's to lift": ([p(IO, "20260201"), stated(INO, at="20260310")], [({}, True)]),
    "the patient names it": (
        [p(IO, "20260201", EST, H1), stated(IO, at="20260215"), p(INO, "20260301", EST, H1)],
        [({}, False)],
    ),
    "another scope": ([p(IO, "20260201"), p(INO, "20260301", EST, H1)], [({}, True)]),
    "class": ([p(IO, "20260201", CLASS, "60")], [({"class_code": "60"}, True), ({"class_code": "11"}, False), ({}, False)]),
    "type": ([p(IO, "20260201", TYPE, "51969-4")], [({"type_code": "51969-4"}, True), ({"type_code": "11502-2"}, False)]),
    "kind of source": (
        [p(IO, "20260201", KIND, "insurer")],
        [({"kinds": INSURER}, True), ({"kinds": (SourceKind.LABORATORY, *INSURER)}, True), ({}, False), ({"kinds": ()}, False)],
    ),
    "kind of source, lifted": (
        [p(IO, "20260201", KIND, "insurer"), p(INO, "20260202", KIND, "insurer")],
        [({"kinds": INSURER}, False)],
    ),
    "professional": (
        [p(IO, "20260201", PRO, CARDIOLOGIST)],
        [
            ({"authors": (("801234567897", None), ("10001234567", None))}, True),
            ({"signed_by": CARDIOLOGIST}, True),
            ({"sent_by": (CARDIOLOGIST,)}, True),
            ({}, False),
        ],
    ),
    "professional, another one allowed": (
        [p(IO, "20260201", PRO, CARDIOLOGIST), p(INO, "20260202", PRO, "801234567897")],
        [({"signed_by": CARDIOLOGIST}, True)],
    ),
    "the patient's own": (
        [p(IO, "20260201"), stated(IO, at="20260310"), p(IO, "20260201", KIND, "patient")],
        [
            (MINE, False),
            (MINE | {"kinds": (SourceKind.PATIENT, SourceKind.HOSPITAL)}, True),
            ({"kinds": (SourceKind.PATIENT,)}, True),
            ({"authors": MINE["authors"]}, True),
        ],
    ),
    "a site": (
        [of_site(IO, "20260310")],
        [({"establishments": (H1, SITE)}, True), ({"establishments": (H1, OTHER_SITE)}, False), ({}, False)],
    ),
    "a site, its establishment allows": (
        [of_site(IO, "20260310"), stated(INO, at="20260311")],
        [({"establishments": (H1, SITE)}, True)],
    ),
    "a site, the patient allows it": (
        [of_site(IO, "20260310"), p(INO, "20260311", EST, SITE)],
        [({"establishments": (H1, SITE)}, False)],
    ),
    "a site, the patient allows its establishment": (
        [of_site(IO, "20260310"), p(INO, "20260311", EST, H1)],
        [({"establishments": (H1, SITE)}, False)],
    ),
    "a site, the patient allows another": (
        [of_site(IO, "20260310"), p(INO, "20260311", EST, OTHER_SITE)],
        [({"establishments": (H1, SITE)}, True)],
    ),
    "typed ahead, lifted": ([stated(IO, at="20620310"), stated(INO, at="20260320")], [({}, False)]),
    "lifting not yet": ([stated(IO, at="20260310"), stated(INO, at="20260601")], [({}, True)]),
    "another side": ([stated(IO, H2, at="20260310"), stated(INO, H1, at="20260311")], [({"establishments": (H1, H2)}, True)]),
    "stated anew": ([stated(IO, at="20260301"), stated(INO, at="20260302"), stated(IO, at="20260303")], [({}, True)]),
}


def after_all(bench: Bench) -> None:
    bench.clock.set(datetime(2026, 4, 1, tzinfo=UTC))


@pytest.mark.parametrize("case", WORKED)
def test_the_worked_cases(opened: Bench, case: str) -> None:
    """What the store refuses is what the query would have found: the same deposit, planted past the store, is in its answer."""
    said, deposits = WORKED[case]
    opened.planted = True
    for statement in said:
        opened.event(adt(statement))
    after_all(opened)
    for number, (facts, opposed) in enumerate(deposits):
        name = f"1.2.{number}"
        outcome = opened.send(documents=((name, b"x"),), **facts)
        assert outcome.verdict is (Verdict.REFUSED if opposed else Verdict.STORED)
        assert opened.against() == []
        if opposed:
            made = plant(opened, name, **facts)
            assert {receipt for receipt, _ in opened.against()} == {made}
            assert outcome.statement in {statement for _, statement in opened.against()}
            opened.execute("DELETE FROM document WHERE receipt = ?", made)


def plant(bench: Bench, name: str, trace: bool = False, **facts: object) -> str:
    """Write a document past every rule, with or without its trace; return its receipt."""
    made = bench.deposit(documents=((name, b"planted"),), **facts)
    entry, establishments = made.submission.documents[0].entry, made.submission.establishments
    facts_of = rules.facts(made.submission, made.reception)
    subject = rules.subject(facts_of, facts_of.documents[0])
    (row,) = bench.rows("patient", id=1)
    at = bench.clock.now().isoformat(timespec="microseconds")
    bench.execute(
        "INSERT INTO document (patient, unique_id, owner, state, act, digest, visibility, establishments, subject, entry_uuid,"
        " entry, source, receipt, committed_at) VALUES (?, ?, ?, 'current', 'add', '', 'NNN', ?, ?, '', ?, '', ?, ?)",
        row["id"], name, establishments[0], msgspec.json.encode(establishments).decode(), msgspec.json.encode(subject).decode(),
        msgspec.json.encode(entry).decode(), made.reception.receipt, at,
    )  # fmt: skip
    if trace:
        bench.execute(
            "INSERT INTO trace (at, actor, action, receipt, patient, document) VALUES (?, '', 'document.add', ?, ?, ?)",
            at, made.reception.receipt, row["id"], name,
        )  # fmt: skip
    return made.reception.receipt


def test_a_planted_row_is_found_after_the_clock_was_set_back(opened: Bench) -> None:
    """The trace tells what was committed first, whatever the clock did."""
    opened.planted = True
    outcome = opened.event(adt(stated(IO, at="20260310")))
    opened.clock.set(START - timedelta(days=30))
    made = plant(opened, "1.2.9", trace=True)
    assert opened.against() == [(made, outcome.statement)]


def test_what_was_stored_before_is_not_found_after_the_clock_was_set_back(opened: Bench) -> None:
    opened.clock.pass_by(days=30)
    opened.send()
    opened.clock.set(START)
    opened.event(adt(stated(IO, at="20260310")))
    assert opened.against() == []


def test_a_late_binding_is_no_breach(opened: Bench) -> None:
    ipp = local(H1, "100")
    opened.event(adt(stated(IO), patient=(ipp,), links=False))
    opened.send()
    opened.event(adt(patient=(*opened.deposit().submission.patient.identifiers, ipp)))
    assert opened.tasks() == ["document.withheld"] and opened.against() == []


def test_a_deletion_and_a_later_opposition_are_no_breach(opened: Bench) -> None:
    opened.send()
    opened.event(adt(stated(IO)))
    opened.send(act=Act.DELETE)
    assert opened.against() == []


def test_a_binding_that_had_ended_is_none(opened: Bench) -> None:
    opened.event(adt(stated(IO)))
    opened.execute("UPDATE binding SET to_at = ?", opened.clock.now().isoformat(timespec="microseconds"))
    assert opened.send().verdict is Verdict.STORED
    assert opened.against() == []

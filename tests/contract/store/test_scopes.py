"""What an opposition binds: every scope and side, the worked cases, the patient's own documents, what is withheld (O-1…O-14)."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import pytest

from gateway.model.event import Position, Right, Scope, Side, StatedBy, Statement
from gateway.model.outcome import Outcome
from gateway.model.source import SourceKind
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from gateway.model.when import When
from gateway.rules.opposition import Standing
from tests.contract.store.backends import Bench
from tests.strategies.records import ALICE, BORIS, H1, H2, START, adt, stated

IO, INO = Position.OPPOSES, Position.ALLOWS
STORED, OPPOSED, DONE = "stored", "OPPOSED", "deleted"
CARDIOLOGIST, SURGEON = "810001234567", "0751234567"
LAB, INSURER, PATIENT = (SourceKind.LABORATORY,), (SourceKind.INSURER,), (SourceKind.PATIENT,)
#: What the patient wrote, sent by the patient's own door.
OWN: dict[str, Any] = {
    "kinds": PATIENT, "establishments": ("mes-documents",), "authors": ((ALICE.value, ALICE.authority),), "class_code": "90",
}  # fmt: skip


def p(position: Position, at: str, scope: Scope = Scope.ALL, value: str | None = None) -> Statement:
    """A statement of the patient's side."""
    return stated(position, None, at=at, scope=scope, value=value)


class Case(NamedTuple):
    """A line of the table: what is stated, in the order of its arrival, and what becomes of deposits."""

    said: tuple[Statement, ...]
    deposits: tuple[tuple[dict[str, Any], str], ...]
    #: Of the first deposit that is opposed: the rule, and which of the statements.
    rule: str = "O-2"
    by: int = 0


#: The table of worked cases: in force (kind, scope, side, collected) | deposit | verdict.
WORKED = {
    "none, or NA": Case((), (({}, STORED),)),
    "IO H1 10/03": Case((stated(IO, at="20260310"),), (({}, OPPOSED), ({"establishments": (H2,)}, STORED))),
    "IO H1 10/03, INO H1 11/03 arrives first": Case((stated(INO, at="20260311"), stated(IO, at="20260310")), (({}, STORED),)),
    "INO and IO H1, both 10/03, no hour": Case(
        (stated(INO, at="20260310"), stated(IO, at="20260310")), (({}, OPPOSED),), "O-4", 1
    ),
    "P all 01/02, INO H1 10/03": Case((p(IO, "20260201"), stated(INO, at="20260310")), (({}, OPPOSED),)),
    "P source H1 01/02, IO H1 15/02, P allow H1 01/03": Case(
        (
            p(IO, "20260201", Scope.ESTABLISHMENT, H1),
            stated(IO, at="20260215"),
            p(INO, "20260301", Scope.ESTABLISHMENT, H1),
        ),
        (({}, STORED),),
    ),
    "P all 01/02, P allow H1 01/03": Case(
        (p(IO, "20260201"), p(INO, "20260301", Scope.ESTABLISHMENT, H1)), (({}, OPPOSED),)
    ),
    "P class 60 (insurer history)": Case(
        (p(IO, "20260201", Scope.CLASS, "60"),),
        (({"class_code": "60", "kinds": INSURER}, OPPOSED), ({"class_code": "11", "kinds": LAB}, STORED)),
    ),
    "P source kind insurer (insurer history)": Case(
        (p(IO, "20260201", Scope.SOURCE_KIND, "insurer"),),
        (({"kinds": INSURER}, OPPOSED), ({"kinds": LAB}, STORED), ({"kinds": ()}, STORED)),
    ),
    "P source kind laboratory: the hospital's own too": Case(
        (p(IO, "20260201", Scope.SOURCE_KIND, "laboratory"),),
        (({"kinds": (SourceKind.LABORATORY, SourceKind.HOSPITAL)}, OPPOSED), ({"kinds": LAB}, OPPOSED), ({}, STORED)),
    ),
    "P type 51969-4 (genetics)": Case(
        (p(IO, "20260201", Scope.TYPE, "51969-4"),), (({"type_code": "51969-4"}, OPPOSED), ({"type_code": "11502-2"}, STORED))
    ),
    "P professional": Case(
        (p(IO, "20260201", Scope.PROFESSIONAL, CARDIOLOGIST),),
        (
            ({"authors": (("10001234567", None),)}, OPPOSED),  # RPPS without the 8
            ({"authors": ((SURGEON, None), (CARDIOLOGIST, None))}, OPPOSED),
            ({"signed_by": CARDIOLOGIST}, OPPOSED),
            ({"sent_by": (CARDIOLOGIST,)}, OPPOSED),
            ({"authors": ((SURGEON, None),)}, STORED),
        ),
    ),
    "P professional, by ADELI": Case(
        (p(IO, "20260201", Scope.PROFESSIONAL, SURGEON),), (({"authors": (("751234567", None),)}, OPPOSED), ({}, STORED))
    ),
    "an establishment about one type binds its own": Case(
        (
            Statement(
                right=Right.FEEDING, position=IO, side=Side.ESTABLISHMENT, collected_by=H1, scope=Scope.TYPE,
                scope_value="51969-4", stated_by=StatedBy.ESTABLISHMENT, collected_at=When.read("20260310"),
            ),
        ),
        (
            ({"type_code": "51969-4"}, OPPOSED),
            ({"type_code": "51969-4", "establishments": (H2,)}, STORED),
            ({"type_code": "11502-2"}, STORED),
        ),
    ),
    "IO of a site (O-10)": Case(
        (Statement(
            right=Right.FEEDING, position=IO, side=Side.ESTABLISHMENT, collected_by=H1, scope=Scope.ESTABLISHMENT,
            scope_value=f"{H1}/990000026", stated_by=StatedBy.ESTABLISHMENT, collected_at=When.read("20260310"),
        ),),
        (({"establishments": (H1, f"{H1}/990000026")}, OPPOSED), ({"establishments": (H1, f"{H1}/990000034")}, STORED)),
    ),
    "P all: H1 delete of its own document, patient's photo": Case(
        (p(IO, "20260201"),), (({"act": Act.DELETE}, DONE), (OWN, STORED), ({}, OPPOSED))
    ),
    "P class 90: the patient's own passes": Case(
        (p(IO, "20260201", Scope.CLASS, "90"), p(IO, "20260201", Scope.SOURCE_KIND, "patient")),
        ((OWN, STORED), ({"class_code": "90"}, OPPOSED)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WORKED)
def test_the_worked_cases(opened: Bench, name: str) -> None:
    case = WORKED[name]
    named = [opened.event(adt(statement)).statement for statement in case.said]
    opened.clock.set(datetime(2026, 3, 25, tzinfo=UTC))
    first = True
    for number, (facts, expected) in enumerate(case.deposits):
        outcome = opened.send(documents=((f"1.2.{number}", str(number).encode()),), **facts)
        assert (outcome.codes[0] if expected == OPPOSED else outcome.verdict.value) == expected, facts
        if expected == OPPOSED and first:
            first = False
            (document,) = outcome.documents
            (trace,) = opened.rows("trace", receipt=outcome.receipt)
            assert (outcome.statement, outcome.rule, document.rule) == (named[case.by], case.rule, case.rule)
            assert (trace["statement"], trace["rule"], trace["verdict"]) == (named[case.by], case.rule, "refused")
    assert opened.against() == []


def test_a_deposit_taken_before_and_decided_after_is_opposed(opened: Bench) -> None:
    """IO H1 undated, EVN-2 10/03; deposit queued 09/03, taken 11/03 (O-11)."""
    queued = opened.deposit()
    opened.clock.set(START)
    opened.event(adt(stated(IO, at="202603100900")))
    opened.clock.pass_by(days=1)
    assert opened.apply(queued)[0].codes == ("OPPOSED",)


def test_a_refused_deposit_is_stored_when_it_comes_again_after_the_lifting(opened: Bench) -> None:
    """Deposit refused 11/03, INO 20/03, same message replayed 21/03 (O-12)."""
    opened.event(adt(stated(IO, at="20260310")))
    assert opened.send(message_id="m", digest="d").codes == ("OPPOSED",)
    opened.clock.set(datetime(2026, 3, 21, tzinfo=UTC))
    opened.event(adt(stated(INO, at="20260320")))
    assert opened.send(message_id="m", digest="d").verdict is Verdict.STORED


#: From the one that is named first to the one that is named last.
NAMED_FIRST = (
    p(IO, "20260201"),
    p(IO, "20260201", Scope.SOURCE_KIND, "hospital"),
    p(IO, "20260201", Scope.ESTABLISHMENT, H1),
    p(IO, "20260201", Scope.PROFESSIONAL, "801234567897"),
    p(IO, "20260201", Scope.CLASS, "11"),
    p(IO, "20260201", Scope.TYPE, "11502-2"),
    stated(IO, H2, at="20260303"),
    stated(IO, H1, at="20260302"),
)


def test_which_of_several_is_named(opened: Bench) -> None:
    """The patient's before an establishment's, the widest first, then the latest; whatever the order in which they came."""
    for number in range(len(NAMED_FIRST) - 1, -1, -1):
        made = opened.event(adt(NAMED_FIRST[number])).statement
        refused = opened.send(documents=((f"1.2.{number}", b"x"),), class_code="11", establishments=(H1, H2))
        assert refused.statement == made, NAMED_FIRST[number]


# -- the patient's own documents


#: What is not quite the patient's own.
NOT_QUITE: dict[str, dict[str, Any]] = {
    "a hospital": {"kinds": (SourceKind.HOSPITAL,)},
    "a hospital's portal": {"kinds": (SourceKind.PATIENT, SourceKind.HOSPITAL)},
    "unsaid": {"kinds": ()},
    "written by a professional": {"authors": (("801234567897", None),)},
    "written with a professional": {"authors": ((ALICE.value, ALICE.authority), ("801234567897", None))},
    "written by another patient": {"authors": ((BORIS.value, BORIS.authority),)},
    "the matricule under another root": {"authors": ((ALICE.value, "1.2.250.1.71.4.2.1"),)},
    "written by nobody": {"authors": ()},
}


def test_nobody_else_passes_as_the_patient(opened: Bench) -> None:
    opened.event(adt(p(IO, "20260201")))
    for name, facts in NOT_QUITE.items():
        assert opened.send(**OWN | facts).codes == ("OPPOSED",), name
    assert opened.send(**OWN).verdict is Verdict.STORED


def test_the_patients_own_passes_no_closed_record(opened: Bench) -> None:
    opened.close_record()
    assert opened.send(**OWN).codes == ("RECORD_CLOSED",)


# -- what was stored since it was stated


@pytest.mark.parametrize(
    ("said", "bound"),
    [
        (p(IO, "20260310"), {}),
        (p(IO, "20260310", Scope.SOURCE_KIND, "laboratory"), {"kinds": LAB}),
        (p(IO, "20260310", Scope.ESTABLISHMENT, H2), {"establishments": (H1, H2)}),
        (p(IO, "20260310", Scope.PROFESSIONAL, CARDIOLOGIST), {"authors": ((CARDIOLOGIST, None),)}),
        (p(IO, "20260310", Scope.PROFESSIONAL, CARDIOLOGIST), {"signed_by": CARDIOLOGIST}),
        (p(IO, "20260310", Scope.PROFESSIONAL, CARDIOLOGIST), {"sent_by": (CARDIOLOGIST,)}),
        (p(IO, "20260310", Scope.CLASS, "42"), {"class_code": "42"}),
        (p(IO, "20260310", Scope.TYPE, "51969-4"), {"type_code": "51969-4"}),
        (stated(IO, H2, at="20260310"), {"establishments": (H1, H2)}),
    ],
    ids=lambda value: value.scope.value if isinstance(value, Statement) else None,
)
def test_what_was_stored_since_is_withheld(opened: Bench, said: Statement, bound: dict[str, Any]) -> None:
    opened.send(documents=(("1.2.1", b"bound"),), **bound)
    if said.scope is not Scope.ALL:
        opened.send(documents=(("1.2.2", b"free"),))
    assert opened.send(documents=(("1.2.3", b"own"),), **OWN).verdict is Verdict.STORED
    outcome = opened.event(adt(said))
    page = opened.record()
    assert page is not None
    assert [line.unique_id for line in page.documents if line.withheld] == ["1.2.1"]
    (trace,) = opened.rows("trace", receipt=outcome.receipt, action="document.withheld")
    assert (trace["document"], trace["rule"], trace["statement"]) == ("1.2.1", "O-7", outcome.statement)
    assert opened.against() == []


# -- what oppositions name


def test_what_oppositions_name_is_listed_unless_their_own_side_lifted_it(opened: Bench) -> None:
    opened.open(BORIS)
    opened.event(adt(p(IO, "20260201", Scope.ESTABLISHMENT, "renamed"), p(IO, "20260201", Scope.SOURCE_KIND, "insurer")))
    opened.event(adt(p(IO, "20260202", Scope.SOURCE_KIND, "insurer"), p(IO, "20260202"), patient=(BORIS,)))
    opened.event(adt(stated(IO, H1, at="20260301"), stated(IO, H2, at="20260301"), p(IO, "20260201", Scope.TYPE, "51969-4")))
    opened.event(adt(stated(INO, H1, at="20260302"), p(INO, "20260302", Scope.ESTABLISHMENT, H2)))
    opened.event(adt(p(INO, "20260201", Scope.TYPE, "51969-4")))  # a tie keeps the opposition
    with opened.read() as reader:
        assert reader.opposed_scopes() == [
            ("establishment", H2, 1),
            ("establishment", "renamed", 1),
            ("source_kind", "insurer", 2),
            ("type", "51969-4", 1),
        ]


# -- history


def test_the_page_says_what_each_statement_counts_for_and_by_which(opened: Bench) -> None:
    def state(*said: Statement) -> list[str]:
        receipt = opened.event(adt(*said)).receipt
        return [f"{receipt}.{n}" for n in range(1, len(said) + 1)]

    io, ino = state(stated(IO, at="20260301"), stated(INO, at="20260302"))
    (lifted,) = state(stated(IO, H2, at="20260301"))
    (naming,) = state(p(INO, "20260305", Scope.ESTABLISHMENT, H2))
    every, waiting = state(p(IO, "20260306"), p(INO, "20260401", Scope.TYPE, "51969-4"))
    page = opened.record()
    assert page is not None
    assert {line.id: (line.standing, line.by) for line in page.statements} == {
        io: (Standing.SUPERSEDED, ino),
        ino: (Standing.ALLOWS, None),
        lifted: (Standing.LIFTED, naming),
        naming: (Standing.ALLOWS, None),
        every: (Standing.IN_FORCE, None),
        waiting: (Standing.WAITING, None),
    }
    assert [line.id for line in page.statements if line.in_force] == [every]
    assert {line.because for line in page.statements} == {"statement"}
    assert all(line.bound_from == line.committed_at.replace("Z", "+00:00") for line in page.statements)


@pytest.mark.parametrize("then", ["finess:990000018", "h1/990000026"])
def test_an_establishment_that_was_opposed_under_another_key_is_opposed(opened: Bench, then: str) -> None:
    """By a FINESS before it was configured, by a site while its sites were told apart; what it stored meanwhile is withheld."""

    def send(unique_id: str) -> Outcome:
        made = opened.deposit(documents=((unique_id, unique_id.encode()),))
        submission = msgspec.structs.replace(made.submission, formerly=(then,))
        return opened.apply(msgspec.structs.replace(made, submission=submission))[0]

    assert send("1.2.1").verdict is Verdict.STORED
    opened.event(adt(stated(Position.OPPOSES, None, at="20260309", scope=Scope.ESTABLISHMENT, value=then)))
    assert send("1.2.2").codes == ("OPPOSED",)
    assert [bool(row["withheld"]) for row in opened.rows("document")] == [True]


def test_what_lifts_one_of_two_oppositions_dated_ahead_leaves_the_other(opened: Bench) -> None:
    """Each must be answered: the allowance comes before the one of seven minutes past, whichever was received last."""
    opened.event(adt(p(INO, "20260310091500", Scope.ESTABLISHMENT, H1)))
    for at in ("20260310091700", "20260310091300"):
        opened.event(adt(stated(IO, H1, at=at)))
    opened.clock.pass_by(hours=1)
    assert opened.send().codes == ("OPPOSED",)

"""Two files of one person: what a merge redirects, moves and binds, and what no message may merge (D-1)."""

import msgspec
import pytest

from gateway.model.document import Entry
from gateway.model.event import DocumentRelease, Position, RecordClosing, Right, StayState
from gateway.model.patient import PatientId, PatientIdentity
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from tests.contract.store.backends import Bench
from tests.contract.store.files import IPP, OTHER, a40, bindings, names, places, signed
from tests.strategies.identities import changed
from tests.strategies.records import ALICE, BORIS, CARLA, H1, H2, adt, closing, local, opening, stated, visit

IO, INO = Position.OPPOSES, Position.ALLOWS
ONE, TWO, THREE = (("1.2.1", b"un"),), (("1.2.2", b"deux"),), (("1.2.3", b"trois"),)


# -- by a message: local files


def test_two_local_files_become_the_one_that_the_message_keeps(bench: Bench) -> None:
    bench.event(adt(stated(IO, H1), patient=(IPP,)))
    bench.event(adt(stated(IO, H2), patient=(OTHER,)))
    before = names(bench)
    outcome = bench.event(a40())
    assert (outcome.verdict, outcome.codes, outcome.rule) == (Verdict.APPLIED, (), "D-1")
    kept, gone = before[OTHER.key], before[IPP.key]
    assert names(bench) == {OTHER.key: kept, IPP.key: kept}
    (merge,) = bench.rows("merge")
    assert (merge["id"], merge["absorbed"], merge["survivor"], merge["signed_by"]) == (outcome.receipt, gone, kept, "[]")
    assert merge["merged_at"] == outcome.committed_at and merge["undone_at"] is None
    assert [row["merged_into"] for row in bench.rows("patient", id=gone)] == [kept]
    assert [(row["because"], row["receipt"]) for row in bench.rows("link", value="100", to_at=None)] == [
        ("merge", outcome.receipt)
    ]
    assert [row["ended_by"] for row in bench.rows("link", value="100", patient=gone)] == [outcome.receipt]
    assert [(row["patient"], row["action"]) for row in bench.rows("trace", receipt=outcome.receipt)] == [
        (kept, "patient.merged"),
        (gone, "patient.absorbed"),
    ]
    versions = {row["id"]: row["rights_version"] for row in bench.rows("patient")}
    assert {row["patient"]: row["rights_version"] for row in bench.rows("trace", receipt=outcome.receipt)} == versions


def test_the_file_with_the_ins_stays_whatever_side_it_is_on(opened: Bench) -> None:
    opened.event(adt(patient=(ALICE, IPP)))
    opened.event(adt(stated(IO, H2), patient=(OTHER,)))
    alice = names(opened)[ALICE.key]
    opened.event(a40(kept=(OTHER,), absorbed=(IPP,)))
    assert set(names(opened).values()) == {alice}
    assert opened.send(establishments=(H2,)).codes == ("OPPOSED",)


def test_an_opposition_of_the_absorbed_file_binds_from_the_merge_and_withholds_what_was_stored_since(opened: Bench) -> None:
    io = opened.event(adt(stated(IO, H1), patient=(IPP,))).statement
    opened.event(adt(patient=(ALICE, OTHER)))
    opened.send(documents=ONE)
    opened.send(documents=TWO, establishments=(H2,))
    merge = opened.event(a40())
    page = opened.record()
    assert page is not None
    assert {line.unique_id: line.withheld for line in page.documents} == {"1.2.1": True, "1.2.2": False}
    assert [(line.id, line.because, line.in_force) for line in page.statements] == [(io, "merge", True)]
    assert page.statements[0].bound_from == merge.committed_at
    assert opened.send(documents=THREE).codes == ("OPPOSED",)
    assert {patient for patient, statement in bindings(opened) if statement == io} == {
        row["id"] for row in opened.rows("patient")
    }


def test_an_identifier_that_nobody_knew_is_linked(opened: Bench) -> None:
    opened.event(adt(patient=(ALICE, OTHER)))
    outcome = opened.event(a40(absorbed=(IPP,)))
    assert (outcome.verdict, opened.rows("merge")) == (Verdict.APPLIED, [])
    assert set(names(opened).values()) == {1}
    assert [row["because"] for row in opened.rows("link", value="100")] == ["merge"]


def test_files_that_nobody_knew_are_one_patient_for_the_next_opposition(bench: Bench) -> None:
    assert bench.event(a40()).verdict is Verdict.APPLIED
    assert len(set(names(bench).values())) == len(bench.rows("patient")) == 1


def test_two_numbers_of_one_patient_change_nothing(opened: Bench) -> None:
    opened.event(adt(patient=(ALICE, IPP, OTHER)))
    before = opened.rows("identifier"), opened.rows("binding"), opened.rows("merge")
    outcome = opened.event(a40())
    assert (outcome.verdict, outcome.codes) == (Verdict.UNCHANGED, ())
    assert (opened.rows("identifier"), opened.rows("binding"), opened.rows("merge")) == before


def test_the_same_message_again_is_a_duplicate(bench: Bench) -> None:
    bench.event(adt(patient=(IPP,)))
    bench.event(adt(patient=(OTHER,)))
    first = bench.event(a40(), message_id="m", digest="d")
    again = bench.event(a40(), message_id="m", digest="d")
    assert (again.verdict, again.first) == (Verdict.DUPLICATE, first.receipt)
    assert len(bench.rows("merge")) == 1


def test_three_files_become_one(bench: Bench) -> None:
    third = local(H1, "300")
    for each in (IPP, OTHER, third):
        bench.event(adt(stated(IO, H1), patient=(each,)))
    outcome = bench.event(a40(kept=(OTHER,), absorbed=(IPP, third)))
    assert len(set(names(bench).values())) == 1
    assert sorted(row["id"] for row in bench.rows("merge")) == [outcome.receipt, f"{outcome.receipt}.2"]
    kept = names(bench)[OTHER.key]
    assert len([statement for patient, statement in bindings(bench) if patient == kept]) == 3


@pytest.mark.parametrize("named", [(OTHER,), (BORIS, OTHER)])
def test_a_message_never_merges_two_ins(two: Bench, named: tuple[PatientId, ...]) -> None:
    two.event(adt(stated(IO, H1), patient=(IPP,)))
    before = {name: two.rows(name) for name in ("identifier", "binding", "document", "merge", "link", "record")}
    outcome = two.event(a40(kept=named, absorbed=(IPP,)))
    assert (outcome.verdict, outcome.codes) == (Verdict.UNCHANGED, ("IDENTITY_CONFLICT",))
    assert {name: two.rows(name) for name in before} == before
    (task,) = two.rows("task")
    assert (task["kind"], task["receipt"], task["patient"]) == ("identity.conflict", outcome.receipt, names(two)[OTHER.key])
    two.event(a40(kept=named, absorbed=(IPP,)))
    assert two.tasks() == ["identity.conflict"]
    assert two.send(documents=ONE).codes == ("OPPOSED",)
    assert two.send(documents=ONE, patient=(BORIS,)).verdict is Verdict.STORED


def test_two_ins_that_nobody_knew_are_left_to_a_person(bench: Bench) -> None:
    outcome = bench.event(a40(kept=(ALICE,), absorbed=(BORIS,)))
    assert (outcome.verdict, outcome.codes) == (Verdict.UNCHANGED, ("IDENTITY_CONFLICT",))
    assert (bench.rows("patient"), bench.tasks()) == ([], ["identity.conflict"])


# -- signed by two


def test_two_records_are_merged_by_two_persons_only(two: Bench) -> None:
    for by in (("A. Martin",), ("A. Martin", " a.  MARTIN")):
        outcome = two.event(signed(ALICE, BORIS, by))
        assert (outcome.verdict, outcome.codes) == (Verdict.REFUSED, ("SIGNATURES_MISSING",))
    assert two.event(signed(ALICE, CARLA)).codes == ("IDENTIFIER_UNKNOWN",)
    assert two.rows("merge") == []
    outcome = two.event(signed(ALICE, BORIS))
    assert outcome.verdict is Verdict.APPLIED
    assert set(names(two).values()) == {names(two)[ALICE.key]}
    assert [row["signed_by"] for row in two.rows("merge")] == ['["A. Martin","B. Petit"]']
    assert two.tasks() == ["patient.tell"]
    assert {row["actor"] for row in two.rows("trace", receipt=outcome.receipt)} == {"A. Martin + B. Petit"}


def test_documents_move_with_their_history_and_the_old_ins_is_an_alias(two: Bench) -> None:
    two.send(documents=ONE, patient=(BORIS, OTHER), set_id="9", version=1)
    two.send(documents=TWO, patient=(BORIS, OTHER), set_id="9", version=2, entries=(Entry(kind="result", content="{}"),))
    two.send(documents=THREE)
    boris = names(two)[BORIS.key]
    alice = names(two)[ALICE.key]
    assert [(row["unique_id"], row["patient"]) for row in two.rows("entry")] == [("1.2.2", boris)]
    outcome = two.event(signed(ALICE, BORIS))
    assert two.states() == {"1.2.1": "replaced", "1.2.2": "current", "1.2.3": "current"}
    assert places(two) == {"1.2.1": [alice], "1.2.2": [alice], "1.2.3": [alice]}
    assert {row["unique_id"]: row["origin"] for row in two.rows("document")} == {"1.2.1": boris, "1.2.2": boris, "1.2.3": None}
    assert [(row["unique_id"], row["patient"]) for row in two.rows("entry")] == [("1.2.2", alice)]
    assert {(row["unique_id"], row["value"]) for row in two.rows("document_identifier", patient=alice)} == {
        ("1.2.1", "200"),
        ("1.2.2", "200"),
    }
    assert {(row["unique_id"], row["from_patient"]) for row in two.rows("document_move", receipt=outcome.receipt)} == {
        ("1.2.1", boris),
        ("1.2.2", boris),
    }
    assert two.send(documents=(("1.2.9", b"neuf"),), patient=(BORIS,)).verdict is Verdict.STORED
    assert places(two)["1.2.9"] == [alice]
    assert two.send(documents=TWO, patient=(ALICE,), set_id="9", version=2).verdict is Verdict.DUPLICATE


def test_of_one_id_on_both_sides_the_one_that_stays_is_shown(two: Bench) -> None:
    two.send(documents=ONE)
    two.send(documents=(("1.2.1", b"autre"),), patient=(BORIS,))
    alice, boris = names(two)[ALICE.key], names(two)[BORIS.key]
    two.event(signed(ALICE, BORIS))
    assert places(two) == {"1.2.1": sorted([alice, boris])}
    assert [(row["kind"], row["patient"], row["document"]) for row in two.rows("task")] == [
        ("document.twice", alice, "1.2.1"),
        ("patient.tell", alice, None),
    ]


def test_an_opposition_of_each_side_binds_and_withholds_what_the_other_stored(two: Bench) -> None:
    two.event(adt(stated(IO, H1), patient=(ALICE,)))
    two.event(adt(stated(IO, H2), patient=(BORIS,)))
    two.send(documents=ONE, establishments=(H2,))
    two.send(documents=TWO, patient=(BORIS,), establishments=(H1,))
    two.event(signed(ALICE, BORIS))
    page = two.record()
    assert page is not None
    assert {line.unique_id: line.withheld for line in page.documents} == {"1.2.1": True, "1.2.2": True}
    assert len([line for line in page.statements if line.in_force]) == 2
    for establishment in (H1, H2):
        assert two.send(documents=THREE, establishments=(establishment,)).codes == ("OPPOSED",)


@pytest.mark.parametrize("opposes", [ALICE, BORIS])
def test_an_opposition_in_force_outlasts_a_later_allowance_of_the_other_side(two: Bench, opposes: PatientId) -> None:
    allows = BORIS if opposes is ALICE else ALICE
    two.event(adt(stated(IO, H1, at="20260308"), patient=(opposes,)))
    ino = two.event(adt(stated(INO, H1, at="20260309"), patient=(allows,))).statement
    two.event(adt(stated(INO, H1, at="20260310"), patient=(allows,)))
    two.event(signed(ALICE, BORIS))
    assert two.send(documents=ONE).codes == ("OPPOSED",)
    asked = two.rows("task", kind="rights.ask_again")
    assert len(asked) == 2 and ino in {row["detail"] for row in asked}
    two.event(adt(stated(INO, H1, at="20260311"), patient=(ALICE,)))
    two.clock.pass_by(days=2)
    assert two.send(documents=ONE).verdict is Verdict.STORED


@pytest.mark.parametrize("opposes", [ALICE, BORIS])
def test_nor_does_an_allowance_of_the_other_side_lift_it_when_its_date_comes(two: Bench, opposes: PatientId) -> None:
    two.event(adt(stated(IO, H1, at="20260308"), patient=(opposes,)))
    two.event(adt(stated(INO, H1, at="20260320"), patient=(BORIS if opposes is ALICE else ALICE,)))
    two.event(signed(ALICE, BORIS))
    two.clock.pass_by(days=20)
    assert two.send(documents=ONE).codes == ("OPPOSED",)


def test_the_own_allowance_of_a_side_waits_for_its_date(two: Bench) -> None:
    two.event(adt(stated(IO, H1, at="20260308"), patient=(BORIS,)))
    two.event(adt(stated(INO, H1, at="20260320"), patient=(BORIS,)))
    two.event(signed(ALICE, BORIS))
    assert two.send(documents=ONE).codes == ("OPPOSED",)
    two.clock.pass_by(days=20)
    assert two.send(documents=ONE).verdict is Verdict.STORED


def test_of_two_local_files_the_later_word_counts(opened: Bench) -> None:
    opened.event(adt(stated(IO, H1, at="20260308"), patient=(IPP,)))
    opened.event(adt(stated(INO, H1, at="20260309"), patient=(ALICE, OTHER)))
    opened.send(documents=ONE)
    opened.event(a40())
    assert opened.send(documents=TWO).verdict is Verdict.STORED
    assert opened.rows("document", withheld=True) == [] and "document.withheld" not in opened.tasks()


def test_what_the_patient_released_is_not_withheld_again(two: Bench) -> None:
    """Its own side's oppositions were weighed before."""
    two.send(documents=ONE)
    two.event(adt(stated(IO, H1, at="20260309"), patient=(ALICE,)))
    assert two.event(DocumentRelease(identifiers=(ALICE,), unique_id="1.2.1", released_by="desk")).verdict is Verdict.APPLIED
    two.event(signed(ALICE, BORIS))
    assert [row["withheld"] for row in two.rows("document")] in ([0], [False])


def test_a_refusal_of_consultation_binds_and_withholds_nothing(two: Bench) -> None:
    two.send(documents=ONE)
    two.event(adt(stated(IO, H1, right=Right.CONSULTATION), patient=(BORIS,)))
    two.event(signed(ALICE, BORIS))
    page = two.record()
    assert page is not None and [line.in_force for line in page.statements] == [True]
    assert [line.withheld for line in page.documents] == [False]


@pytest.mark.parametrize("closed", [ALICE, BORIS])
def test_the_record_is_open_only_if_both_were(two: Bench, closed: PatientId) -> None:
    two.close_record(closed)
    merge = two.event(signed(ALICE, BORIS))
    page = two.record()
    assert page is not None and page.state == "closed"
    if closed is BORIS:
        assert page.closed_at == merge.committed_at
    assert two.send(documents=ONE).codes == ("RECORD_CLOSED",)


@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [(True, True, 1), (True, False, 0), (False, True, 0), (True, None, None), (None, True, None), (None, False, 0)],
)
def test_an_emergency_may_read_only_if_both_said_so(
    bench: Bench, ours: bool | None, theirs: bool | None, both: int | None
) -> None:
    for who, answer in ((ALICE, ours), (BORIS, theirs)):
        bench.event(msgspec.structs.replace(opening(who), emergency_access=answer))
    bench.event(signed(ALICE, BORIS))
    alice = names(bench)[ALICE.key]
    assert [row["emergency_access"] for row in bench.rows("record", patient=alice)] == [both]


def test_the_side_with_the_record_stays(bench: Bench) -> None:
    bench.event(adt(stated(IO, H1), patient=(ALICE,)))
    bench.event(opening(OTHER))
    bench.event(adt(patient=(BORIS, OTHER)))
    boris = names(bench)[BORIS.key]
    bench.event(signed(ALICE, BORIS))
    assert set(names(bench).values()) == {boris}
    assert bench.send(documents=ONE).codes == ("OPPOSED",)


def test_what_a_person_must_look_at_goes_along(two: Bench) -> None:
    two.event(adt(stated(IO, H1), patient=(BORIS,)))
    two.execute("INSERT INTO task (raised_at, kind, receipt, patient) VALUES ('', 'x', 'r', ?)", names(two)[BORIS.key])
    two.event(signed(ALICE, BORIS))
    page = two.record()
    assert page is not None and page.tasks == ("x", "patient.tell")


def test_a_visit_that_ended_ends_its_refusal_after_the_merge_too(two: Bench) -> None:
    """The refusal was said under one number, the discharge under the other."""
    two.event(adt(stated(IO, H1, right=Right.CONSULTATION, visit="V1"), patient=(ALICE,)))
    two.event(adt(patient=(BORIS,), stay=visit(StayState.ENDED)))
    page = two.record()
    assert page is not None and [line.in_force for line in page.statements] == [True]
    two.event(signed(ALICE, BORIS))
    page = two.record()
    assert page is not None and [line.in_force for line in page.statements] == [False]
    assert sorted(row["patient"] for row in two.rows("stay")) == sorted([names(two)[ALICE.key], 2])


def test_an_establishment_that_took_its_word_back_is_held_back_after_the_merge_too(two: Bench) -> None:
    two.event(changed(PatientIdentity(identifiers=(OTHER,)), BORIS, withdrawn=True))
    assert two.send(documents=ONE, patient=(BORIS,)).verdict is Verdict.REFUSED
    two.event(signed(ALICE, BORIS))
    assert two.send(documents=ONE).verdict is Verdict.REFUSED
    assert two.send(documents=ONE, establishments=(H2,)).verdict is Verdict.STORED


def test_a_deletion_that_came_before_its_document_counts_after_the_merge(two: Bench) -> None:
    two.send(documents=ONE, patient=(BORIS,), act=Act.DELETE)
    two.event(signed(ALICE, BORIS))
    assert two.send(documents=ONE, patient=(BORIS,)).verdict is Verdict.DELETED


@pytest.mark.parametrize("kept", [ALICE, BORIS])
def test_a_deletion_that_one_side_took_counts_for_the_document_of_the_other(two: Bench, kept: PatientId) -> None:
    two.send(documents=ONE, entries=(Entry(kind="result", content="{}"),))
    deletion = two.send(documents=ONE, patient=(BORIS,), act=Act.DELETE)
    two.event(signed(kept, BORIS if kept is ALICE else ALICE))
    assert two.states() == {"1.2.1": "deleted"}
    assert [row["deletion"] for row in two.rows("document")] == [deletion.receipt] and two.rows("entry") == []


@pytest.mark.parametrize("kept", [ALICE, BORIS])
@pytest.mark.parametrize("names_it", [True, False])
def test_a_later_version_on_one_side_replaces_the_document_of_the_other(two: Bench, kept: PatientId, *, names_it: bool) -> None:
    two.send(documents=ONE, set_id="9", version=1)
    replaces = {"act": Act.REPLACE, "replaces": ("1.2.1",)} if names_it else {}
    two.send(documents=TWO, patient=(BORIS,), set_id="9", version=2, **replaces)
    two.event(signed(kept, BORIS if kept is ALICE else ALICE))
    assert two.states() == {"1.2.1": "replaced", "1.2.2": "current"}
    assert two.send(documents=ONE, act=Act.DELETE).codes == (("VERSION_STALE",) if names_it else ())


def test_a_closing_under_the_old_ins_closes_the_one_record(two: Bench) -> None:
    two.event(signed(ALICE, BORIS))
    assert two.event(RecordClosing(identifiers=(BORIS,), requested_by="patient")).verdict is Verdict.APPLIED
    assert two.event(closing(ALICE)).verdict is Verdict.UNCHANGED

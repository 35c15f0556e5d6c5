"""Documents stored under a wrong link: found, moved, released; and the list of what a person must look at (D-1, O-7)."""

import pytest

from gateway.model.document import Entry
from gateway.model.event import DocumentMove, DocumentRelease, IdentifierChange, Position, Scope, TaskEnding
from gateway.model.outcome import Outcome
from gateway.model.patient import PatientId, PatientIdentity
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from gateway.store.tasks import TO_DO
from tests.contract.store.backends import Bench
from tests.contract.store.files import BOTH, IPP, OTHER, a40, names, places, signed
from tests.strategies.records import ALICE, BORIS, CARLA, H1, H2, adt, local, stated

IO, INO = Position.OPPOSES, Position.ALLOWS
ONE, TWO = (("1.2.1", b"un"),), (("1.2.2", b"deux"),)


def move(
    bench: Bench, unique_id: str = "1.2.1", source: PatientId = ALICE, to: PatientId = BORIS, by: tuple[str, ...] = BOTH
) -> Outcome:
    """Move a document from one record to another."""
    return bench.event(DocumentMove(identifiers=(source,), to=(to,), unique_id=unique_id, signed_by=by))


def release(bench: Bench, unique_id: str = "1.2.1") -> Outcome:
    """Show a withheld document again."""
    return bench.event(DocumentRelease(identifiers=(ALICE,), unique_id=unique_id, released_by="Mme Petit"))


# -- moving


def test_a_document_goes_to_the_record_it_belongs_to(two: Bench) -> None:
    stored = two.send(documents=ONE, patient=(ALICE, IPP))
    alice, boris = names(two)[ALICE.key], names(two)[BORIS.key]
    parts = two.rows("source_part")
    outcome = move(two)
    assert (outcome.verdict, outcome.rule) == (Verdict.APPLIED, "D-1")
    assert [(each.unique_id, each.verdict) for each in outcome.documents] == [("1.2.1", Verdict.APPLIED)]
    assert (two.states(ALICE), two.states(BORIS)) == ({}, {"1.2.1": "current"})
    (row,) = two.rows("document")
    assert (row["patient"], row["origin"], row["receipt"]) == (boris, alice, stored.receipt)
    assert two.rows("source_part") == parts
    assert {row["patient"] for row in two.rows("document_identifier")} == {boris}
    assert sorted(
        (line["patient"], line["action"], line["document"]) for line in two.rows("trace", receipt=outcome.receipt)
    ) == sorted([(alice, "document.moved_away", "1.2.1"), (boris, "document.moved_here", "1.2.1")])
    assert [(task["kind"], task["patient"], task["document"]) for task in two.rows("task")] == [("patient.tell", boris, "1.2.1")]
    page = two.read().deposit(outcome.receipt)
    assert page is not None and page.deposit.document_ids == ("1.2.1",)


def test_it_takes_two_persons_two_known_records_and_a_document(two: Bench) -> None:
    two.send(documents=ONE)
    assert move(two, by=("A. Martin",)).codes == ("SIGNATURES_MISSING",)
    assert move(two, to=CARLA).codes == ("IDENTIFIER_UNKNOWN",)
    assert move(two, "1.2.9").codes == ("DOCUMENT_UNKNOWN",)
    assert move(two, source=BORIS, to=ALICE).codes == ("DOCUMENT_UNKNOWN",)
    assert move(two, to=IPP).verdict is Verdict.UNCHANGED
    assert two.states() == {"1.2.1": "current"}


def test_every_version_goes_along(two: Bench) -> None:
    two.send(documents=ONE, set_id="9", version=1)
    two.send(documents=TWO, act=Act.REPLACE, set_id="9", version=2, replaces=("1.2.1",))
    two.send(documents=(("1.2.3", b"x"),))
    two.send(documents=TWO, act=Act.DELETE)
    assert [each.unique_id for each in move(two, "1.2.2").documents] == ["1.2.1", "1.2.2"]
    assert (two.states(ALICE), two.states(BORIS)) == ({"1.2.3": "current"}, {"1.2.1": "replaced", "1.2.2": "deleted"})
    newer = two.send(documents=(("1.2.4", b"y"),), patient=(BORIS,), act=Act.REPLACE, set_id="9", version=3, replaces=("1.2.2",))
    assert newer.verdict is Verdict.STORED


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        (stated(IO, H1), True),
        (stated(IO, None), True),
        (stated(IO, None, scope=Scope.TYPE, value="11502-2"), True),
        (stated(IO, H2), False),
        (stated(IO, None, scope=Scope.TYPE, value="51969-4"), False),
    ],
)
def test_an_opposition_of_the_record_it_goes_to_refuses_it(two: Bench, said: object, *, refused: bool) -> None:
    two.send(documents=ONE, set_id="9", version=1)
    two.send(documents=TWO, set_id="9", version=2)
    statement = two.event(adt(said, patient=(BORIS,))).statement  # type: ignore[arg-type]
    before = places(two)
    outcome = move(two)
    assert outcome.codes == (("OPPOSED",) if refused else ())
    if refused:
        assert (outcome.statement, places(two), two.rows("document_move")) == (statement, before, [])


def test_the_record_it_goes_to_must_be_open(two: Bench) -> None:
    two.send(documents=ONE)
    two.close_record(BORIS)
    assert move(two).codes == ("RECORD_CLOSED",)
    two.event(adt(patient=(CARLA,)))
    assert move(two, to=CARLA).codes == ("RECORD_ABSENT",)
    assert two.states() == {"1.2.1": "current"}


def test_an_id_that_is_there_already_is_not_written_over(two: Bench) -> None:
    two.send(documents=ONE)
    two.send(documents=(("1.2.1", b"autre"),), patient=(BORIS,))
    assert move(two).codes == ("OTHER_CONTENT",)
    assert places(two) == {"1.2.1": sorted([names(two)[ALICE.key], names(two)[BORIS.key]])}


@pytest.mark.parametrize("deletes", [True, False])
def test_what_was_left_for_it_there_takes_effect(two: Bench, *, deletes: bool) -> None:
    """Its owner deleted or replaced it under the other patient: that was acknowledged before the document came."""
    two.send(documents=ONE, entries=(Entry(kind="result", content="{}"),))
    named = {"documents": ONE, "act": Act.DELETE} if deletes else {"documents": TWO, "act": Act.REPLACE, "replaces": ("1.2.1",)}
    left = two.send(patient=(BORIS,), **named)
    outcome = move(two)
    (row,) = two.rows("document", unique_id="1.2.1")
    expected = ("deleted", None, left.receipt) if deletes else ("replaced", "1.2.2", None)
    assert (row["state"], row["replaced_by"], row["deletion"]) == expected
    assert len(two.rows("entry", unique_id="1.2.1")) == (0 if deletes else 1)
    (line,) = two.rows("trace", receipt=outcome.receipt, action="document.settled")
    assert (line["patient"], line["document"], line["verdict"]) == (names(two)[BORIS.key], "1.2.1", row["state"])


def test_a_deletion_by_another_establishment_takes_no_effect_on_it(two: Bench) -> None:
    two.send(documents=ONE)
    two.send(documents=ONE, patient=(BORIS,), act=Act.DELETE, establishments=(H2,))
    move(two)
    assert two.states(BORIS) == {"1.2.1": "current"}


@pytest.mark.parametrize("deletes", [True, False])
def test_a_document_that_its_owner_looks_for_where_it_was_is_listed(two: Bench, *, deletes: bool) -> None:
    """The sender does not know of the move: what it asks for is acknowledged, and must not be forgotten."""
    two.send(documents=ONE, patient=(ALICE, IPP))
    move(two)
    named = {"documents": ONE, "act": Act.DELETE} if deletes else {"documents": TWO, "act": Act.REPLACE, "replaces": ("1.2.1",)}
    asked = two.send(patient=(ALICE, IPP), **named)
    assert asked.verdict is (Verdict.DELETED if deletes else Verdict.STORED)
    (task,) = two.rows("task", kind="document.moved")
    assert (task["receipt"], task["patient"], task["document"]) == (asked.receipt, names(two)[ALICE.key], "1.2.1")
    assert two.states(BORIS) == {"1.2.1": "current"}
    two.send(documents=(("1.2.9", b"x"),), act=Act.DELETE)
    assert len(two.rows("task", kind="document.moved")) == 1


def test_what_was_withheld_stays_withheld(two: Bench) -> None:
    two.send(documents=ONE)
    two.event(adt(stated(IO, H1, at="20260309"), patient=(ALICE,)))
    move(two)
    page = two.record(BORIS)
    assert page is not None and [line.withheld for line in page.documents] == [True]
    assert "document.withheld" in page.tasks


# -- releasing


def test_the_patient_releases_what_was_withheld(two: Bench) -> None:
    two.send(documents=ONE)
    assert release(two).verdict is Verdict.UNCHANGED
    two.event(adt(stated(IO, H1, at="20260309"), patient=(ALICE,)))
    outcome = release(two)
    assert (outcome.verdict, outcome.rule) == (Verdict.APPLIED, "O-7")
    page = two.record()
    assert page is not None and [line.withheld for line in page.documents] == [False] and page.tasks == ()
    assert [row["done_by"] for row in two.rows("task", kind="document.withheld")] == ["Mme Petit"]
    (line,) = two.rows("trace", receipt=outcome.receipt)
    assert (line["actor"], line["action"], line["document"]) == ("Mme Petit", "document.released", "1.2.1")
    assert release(two, "1.2.9").codes == ("DOCUMENT_UNKNOWN",)


# -- what was stored under a link that has ended


def test_what_was_stored_under_a_link_that_ended_is_found(two: Bench) -> None:
    two.send(documents=ONE, patient=(ALICE, IPP))
    two.send(documents=TWO, patient=(ALICE,))
    with two.read() as reader:
        assert reader.misfiled(*IPP.key) == []
    ended = two.event(
        IdentifierChange(
            trigger="A47", identifiers=(IPP,), former=(ALICE,), withdrawn=True, identity=PatientIdentity(identifiers=(IPP,))
        )
    )
    assert names(two)[IPP.key] != names(two)[ALICE.key]
    two.send(documents=(("1.2.3", b"neuf"),), patient=(ALICE, IPP), establishments=(H2,))
    with two.read() as reader:
        (line,) = reader.misfiled(*IPP.key)
        assert (line.unique_id, line.title, line.owner, line.linked_until) == (
            "1.2.1",
            "CR d'examens biologiques",
            H1,
            ended.committed_at,
        )
        assert line.patient == ALICE.value and line.ended_by == ended.receipt
        assert reader.misfiled(*IPP.key, record=ALICE.key) == [line]
        assert reader.misfiled(*IPP.key, record=BORIS.key) == reader.misfiled(*OTHER.key) == []
    move(two)
    with two.read() as reader:
        assert reader.misfiled(*IPP.key) == []


def test_what_a_merge_took_along_is_not_misfiled(two: Bench) -> None:
    two.send(documents=ONE, patient=(BORIS, OTHER))
    two.event(signed(ALICE, BORIS))
    with two.read() as reader:
        assert reader.misfiled(*OTHER.key) == []


# -- the list


def test_the_list_shows_what_is_open_and_what_to_do(two: Bench) -> None:
    two.event(a40())
    two.send(documents=ONE)
    withheld = two.event(adt(stated(IO, H1, at="20260309"), patient=(ALICE,)))
    with two.read() as reader:
        conflict, kept_back = reader.tasks()
        assert (conflict.kind, conflict.patient, conflict.detail, conflict.document) == (
            "identity.conflict",
            BORIS.value,
            "merge",
            None,
        )
        assert (kept_back.kind, kept_back.patient, kept_back.document, kept_back.receipt) == (
            "document.withheld",
            ALICE.value,
            "1.2.1",
            withheld.receipt,
        )
        assert conflict.to_do == TO_DO["identity.conflict"] and kept_back.since == withheld.committed_at
        assert reader.tasks({"kind": "document.withheld"}) == reader.tasks({"document": "1.2.1"}) == [kept_back]
        assert reader.tasks({"patient": ALICE.value}) == [kept_back]
        assert reader.tasks({"since": kept_back.since}) == [kept_back]
        assert reader.tasks(done=True) == [] and reader.tasks(limit=1) == [conflict]


def test_a_task_is_ended_by_somebody_and_traced(two: Bench) -> None:
    two.event(a40())
    with two.read() as reader:
        (task,) = reader.tasks()
    outcome = two.event(TaskEnding(task=task.id, done_by="A. Martin"))
    assert (outcome.verdict, outcome.rule) == (Verdict.APPLIED, "R-35")
    (line,) = two.rows("trace", receipt=outcome.receipt)
    assert (line["actor"], line["action"], line["patient"]) == ("A. Martin", "task.done", names(two)[BORIS.key])
    assert two.event(TaskEnding(task=task.id, done_by="B. Petit")).verdict is Verdict.UNCHANGED
    assert two.event(TaskEnding(task=999, done_by="B. Petit")).codes == ("TASK_UNKNOWN",)
    with two.read() as reader:
        assert reader.tasks() == []
        (done,) = reader.tasks(done=True)
    assert (done.done_by, done.done_at) == ("A. Martin", outcome.committed_at)


def test_a_task_without_patient_can_be_ended(bench: Bench) -> None:
    bench.event(a40(kept=(ALICE,), absorbed=(BORIS,)))
    with bench.read() as reader:
        (task,) = reader.tasks()
    assert (task.kind, task.patient) == ("identity.conflict", None)
    assert bench.event(TaskEnding(task=task.id, done_by="A. Martin")).verdict is Verdict.APPLIED


def test_of_a_patient_without_ins_a_local_number_is_shown(bench: Bench) -> None:
    bench.event(adt(stated(IO, H1), patient=(local(H1, "7"),)))
    bench.execute("INSERT INTO task (raised_at, kind, receipt, patient) VALUES ('', 'opposition.null', 'r', 1)")
    with bench.read() as reader:
        assert [task.patient for task in reader.tasks()] == ["7"]

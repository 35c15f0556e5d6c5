"""Files merged by the admissions system or by identity watch: over the real door and the real verbs."""

import pytest

from tests.harness.day import (
    GAM_A,
    GAM_V,
    SIL_V,
    VALMONT,
    Patient,
    biology,
    control_id,
    ins_cx,
    ipp,
    local_cx,
    oru,
    says,
    someone,
    stamp,
)
from tests.harness.door import Door, errors_of, stored_documents

pytestmark = pytest.mark.door

APPLIED = ("AA", "applied", ())
STORED = ("AA", "stored", ())
REFUSED = ("AA", "refused", ("OPPOSED",))
YESTERDAY = stamp(days=-1)
SIGNED = ("--signed-by", "A. Martin", "--signed-by", "B. Petit")


def a40(patient: Patient, gone: str, *, source: object = GAM_V, kept: tuple[str, ...] | None = None) -> bytes:
    """Return an A40: the file with the number `gone` disappears into the patient's."""
    message = says(patient, None, event="A40", source=source, ids=kept)  # type: ignore[arg-type]
    return message + f"MRG|{local_cx(gone, VALMONT)}\r".encode()


def another(patient: Patient) -> str:
    """A second number of the hospital for the same person."""
    return f"9{patient.local[VALMONT.id]}"


def alone(door: Door, number: str, patient: Patient, position: str | None = None) -> None:
    """Let the hospital speak of a patient under a number only."""
    message = says(patient, position, YESTERDAY, event="A01", status="PROV", ids=(local_cx(number, VALMONT),))
    assert door.send(message).facts == APPLIED


def test_a_merge_of_two_local_files_brings_the_opposition_along(door: Door) -> None:
    patient = someone(door)
    assert door.send(says(patient, None)).facts == APPLIED
    number = another(patient)
    alone(door, number, patient, "IO")
    stored = biology(patient)
    assert door.send(oru(stored)).facts == STORED
    merged = door.send(a40(patient, number))
    assert merged.facts == APPLIED and merged.rule == "D-1"
    page = door.record(patient.ins)
    assert (f"{VALMONT.id}/ipp", number) in page.identifiers
    assert [(line.because, line.in_force) for line in page.statements] == [("merge", True)]
    assert [(line.unique_id, line.withheld) for line in page.documents] == [(stored.id, True)]
    assert door.send(oru(biology(patient))).facts == REFUSED
    (task,) = door.verb("record", "tasks", "--patient", patient.ins)
    assert (task["kind"], task["document"]) == ("document.withheld", stored.id)


def test_a_merge_of_two_ins_is_left_to_identity_watch(door: Door) -> None:
    one, other = someone(door), someone(door)
    for patient in (one, other):
        assert door.send(says(patient, None)).facts == APPLIED
    ended = door.send(a40(one, other.local[VALMONT.id]))
    assert (ended.answer.code, ended.verdict, ended.codes) == ("AA", "unchanged", ("IDENTITY_CONFLICT",))
    assert [(code, severity) for code, _, severity in errors_of(ended.answer)] == [("IDENTITY_CONFLICT", "W")]
    assert (f"{VALMONT.id}/ipp", other.local[VALMONT.id]) in door.record(other.ins).identifiers
    (task,) = door.verb("record", "tasks", "--kind", "identity.conflict", "--patient", one.ins)
    assert task["receipt"] == ended.page.deposit.id

    # Two persons look, and merge.
    report = biology(other)
    assert door.send(oru(report)).facts == STORED
    (merged,) = door.verb("record", "merge", "--ins", one.ins, "--absorbed-ins", other.ins, *SIGNED)
    assert merged["verdict"] == "applied"
    assert door.record(one.ins).identifiers == door.record(other.ins).identifiers
    assert stored_documents(door.record(one.ins)) == [report.id]
    door.verb("record", "task-done", str(task["id"]), "--by", "A. Martin")
    (told,) = door.verb("record", "tasks", "--patient", one.ins)
    assert told["kind"] == "patient.tell"
    (done,) = door.verb("record", "tasks", "--patient", one.ins, "--done")
    assert (done["id"], done["done_by"]) == (task["id"], "A. Martin")

    # It was wrong.
    (undone,) = door.verb("record", "unmerge", merged["receipt"], *SIGNED)
    assert undone["verdict"] == "applied"
    assert stored_documents(door.record(one.ins)) == [] and stored_documents(door.record(other.ins)) == [report.id]
    assert door.send(oru(biology(other))).facts == STORED


def test_only_a_source_with_the_grant_merges(door: Door) -> None:
    patient = someone(door)
    number = another(patient)
    alone(door, number, patient)
    answer = door.ask(a40(patient, number, source=SIL_V))
    assert (answer.code, errors_of(answer)[0][0]) == ("AE", "SOURCE_NOT_ALLOWED")
    answer = door.ask(a40(patient, number, source=GAM_A))
    assert answer.code == "AE", "the number is another establishment's"
    assert door.rows("SELECT count(*) FROM identifier WHERE value = ?", number) == [(1,)]
    assert (f"{VALMONT.id}/ipp", number) not in door.record(patient.ins).identifiers


def test_a_document_stored_under_a_wrong_link_is_found_and_moved(door: Door) -> None:
    """The hospital gave Alice's number to Boris by mistake, and says so (A47)."""
    wrong, right = someone(door), someone(door)
    number = wrong.local[VALMONT.id]
    assert door.send(says(wrong, None)).facts == APPLIED
    report = biology(wrong)
    assert door.send(oru(report)).facts == STORED
    withdrawn = says(wrong, None, event="A47", status="PROV", ids=(local_cx(number, VALMONT),), message_id=control_id())
    assert door.send(withdrawn + f"MRG|{ins_cx(wrong.ins)}\r".encode()).answer.code == "AA"
    (line,) = door.verb("record", "misfiled", "--local", ipp(wrong))
    assert (line["unique_id"], line["patient"], line["title"]) == (report.id, wrong.ins, report.title)
    assert door.verb("record", "misfiled", "--local", ipp(wrong), "--ins", right.ins) == []

    (refused,) = door.verb(
        "record", "move", report.id, "--from-ins", wrong.ins, "--to-ins", right.ins, "--signed-by", "A. Martin", status=1
    )
    assert refused["problems"][0]["code"] == "SIGNATURES_MISSING"
    (moved,) = door.verb("record", "move", report.id, "--from-ins", wrong.ins, "--to-ins", right.ins, *SIGNED)
    assert moved["verdict"] == "applied"
    assert stored_documents(door.record(wrong.ins)) == [] and stored_documents(door.record(right.ins)) == [report.id]
    assert door.verb("record", "misfiled", "--local", ipp(wrong)) == []


def test_the_patient_releases_what_a_late_opposition_withheld(door: Door) -> None:
    patient = someone(door)
    report = biology(patient)
    assert door.send(oru(report)).facts == STORED
    assert door.send(says(patient, "IO", YESTERDAY)).facts == APPLIED
    assert [line.withheld for line in door.record(patient.ins).documents] == [True]
    (released,) = door.verb("record", "release", report.id, "--ins", patient.ins, "--by", "Mme Martin")
    assert released["verdict"] == "applied"
    assert [line.withheld for line in door.record(patient.ins).documents] == [False]
    assert door.verb("record", "tasks", "--patient", patient.ins) == []

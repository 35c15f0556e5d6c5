"""The life of a record as an operator leads it, and what its state does to deposits."""

import pytest

from tests.harness.day import biology, clinic_letter, mdm, opened, oru, radiology, someone
from tests.harness.door import Door, stored_documents

pytestmark = pytest.mark.door

CLOSED = ("AA", "refused", ("RECORD_CLOSED",))
STORED = ("AA", "stored", ())


def test_a_deposit_never_opens_a_record(door: Door) -> None:
    patient = someone()
    assert door.send(oru(biology(patient))).facts == ("AA", "refused", ("RECORD_ABSENT",))
    assert door.rows("SELECT 1 FROM record JOIN identifier USING (patient) WHERE value = ?", patient.ins) == []
    opened(door, patient)
    assert door.send(oru(biology(patient))).facts == STORED


def test_a_closed_record_takes_no_content_but_a_deletion(door: Door) -> None:
    patient = someone(door)
    report, image = biology(patient), radiology(patient)
    assert door.send(oru(report)).facts == STORED
    assert door.send(mdm(image)).facts == STORED
    door.verb("record", "close", "--ins", patient.ins)
    assert door.record(patient.ins).state == "closed"
    assert door.send(oru(biology(patient))).facts == CLOSED
    assert door.send(clinic_letter(patient)).facts == CLOSED
    assert door.send(mdm(radiology(patient, replaces=image), act="replace")).facts == CLOSED
    assert door.send(oru(report, act="delete")).facts == ("AA", "deleted", ())
    assert stored_documents(door.record(patient.ins)) == [image.id]
    assert stored_documents(door.record(patient.ins), "deleted") == [report.id]


def test_a_record_is_opened_again(door: Door) -> None:
    patient = someone(door)
    for _ in range(2):
        door.verb("record", "close", "--ins", patient.ins)
        assert door.record(patient.ins).state == "closed"
        opened(door, patient)
        assert door.record(patient.ins).state == "open"
        assert door.send(oru(biology(patient))).facts == STORED


def test_what_is_so_already_is_unchanged(door: Door) -> None:
    patient = someone(door)
    (again,) = door.verb("record", "open", "--ins", patient.ins, "--collected-by", "admissions desk")
    assert again["verdict"] == "unchanged"
    door.verb("record", "close", "--ins", patient.ins)
    (again,) = door.verb("record", "close", "--ins", patient.ins)
    assert again["verdict"] == "unchanged"

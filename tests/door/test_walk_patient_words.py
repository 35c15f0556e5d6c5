"""What the patient says for themselves, taken down at a desk, against what establishments were told (O-2)."""

import pytest

from tests.harness.day import GAM_A, VALMONT, biology, clinic_letter, mdm, oru, radiology, says, someone, stamp
from tests.harness.door import Door

pytestmark = pytest.mark.door

REFUSED = ("AA", "refused", ("OPPOSED",))
STORED = ("AA", "stored", ())
APPLIED = ("AA", "applied", ())
YESTERDAY = stamp(days=-1)


def test_the_patient_opposes_everything_and_lifts_it(door: Door) -> None:
    patient = someone(door)
    door.verb("record", "oppose", "--ins", patient.ins)
    assert door.send(oru(biology(patient))).facts == REFUSED
    assert door.send(clinic_letter(patient)).facts == REFUSED
    assert door.send(says(patient, "INO", stamp())).facts == APPLIED
    assert door.send(oru(biology(patient))).facts == REFUSED, "an establishment lifted the patient's own opposition"
    door.verb("record", "lift", "--ins", patient.ins)
    assert door.send(oru(biology(patient))).facts == STORED
    assert door.send(clinic_letter(patient)).facts == STORED


def test_the_patient_opposes_one_establishment(door: Door) -> None:
    patient = someone(door)
    door.verb("record", "oppose", "--ins", patient.ins, "--establishment", VALMONT.id)
    assert door.send(mdm(radiology(patient))).facts == REFUSED
    assert door.send(clinic_letter(patient)).facts == STORED
    door.verb("record", "lift", "--ins", patient.ins, "--establishment", VALMONT.id)
    assert door.send(mdm(radiology(patient))).facts == STORED


def test_the_patient_opposes_one_class_of_documents(door: Door) -> None:
    patient = someone(door)
    door.verb("record", "oppose", "--ins", patient.ins, "--class", "31")
    assert door.send(mdm(radiology(patient))).facts == REFUSED
    assert door.send(oru(biology(patient))).facts == STORED
    door.verb("record", "lift", "--ins", patient.ins, "--class", "31")
    assert door.send(mdm(radiology(patient))).facts == STORED


def test_the_patient_opposes_one_type_of_documents(door: Door) -> None:
    patient = someone(door)
    door.verb("record", "oppose", "--ins", patient.ins, "--type", "11502-2")
    assert door.send(oru(biology(patient))).facts == REFUSED
    assert door.send(mdm(radiology(patient))).facts == STORED


def test_the_patient_lifts_what_was_told_to_an_establishment_by_naming_it(door: Door) -> None:
    patient = someone(door)
    door.send(says(patient, "IO", YESTERDAY))
    door.send(says(patient, "IO", YESTERDAY, source=GAM_A))
    door.verb("record", "lift", "--ins", patient.ins)
    assert door.send(oru(biology(patient))).facts == REFUSED, "lifting `all` must not lift what was told to an establishment"
    door.verb("record", "lift", "--ins", patient.ins, "--establishment", VALMONT.id)
    assert door.send(oru(biology(patient))).facts == STORED
    assert door.send(clinic_letter(patient)).facts == REFUSED


def test_lifting_one_establishment_leaves_the_opposition_to_everything(door: Door) -> None:
    patient = someone(door)
    door.verb("record", "oppose", "--ins", patient.ins)
    door.verb("record", "lift", "--ins", patient.ins, "--establishment", VALMONT.id)
    assert door.send(oru(biology(patient))).facts == REFUSED

"""Whose document it is, and what an admissions system says of that later: over the real door, into the real store."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.harness.day import (
    VALMONT,
    Patient,
    biology,
    clinic_letter,
    ins_cx,
    ipp,
    local_cx,
    oru,
    says,
    someone,
    stamp,
)
from tests.harness.door import Door, errors_of

pytestmark = pytest.mark.door

REFUSED = ("AA", "refused", ("OPPOSED",))
STORED = ("AA", "stored", ())
APPLIED = ("AA", "applied", ())
YESTERDAY = stamp(days=-1)


def changes(patient: Patient, ids: Sequence[str], *former: str, event: str = "A47", status: str = "VALI") -> bytes:
    """An A47 or A40: PID-3, and MRG-1."""
    return says(patient, None, event=event, ids=ids, status=status) + f"MRG|{'~'.join(former)}\r".encode()


def number(patient: Patient) -> str:
    """The IPP of a patient as PID-3 has it."""
    return local_cx(patient.local[VALMONT.id], VALMONT)


def test_a_document_of_somebody_else_is_refused_and_the_answer_does_not_say_why(door: Door) -> None:
    patient = someone(door)
    door.send(says(patient, None))
    impostor = replace(patient, family="ESSAI-AUTRE", given="ZOE", givens="ZOE")
    refused = door.send(oru(biology(impostor)))
    assert refused.facts == ("AA", "refused", ("TRAITS_DIFFER",))
    assert refused.rule == "D-19"
    assert refused.answer.errors == ()
    page = door.record(patient.ins)
    assert (page.documents, page.tasks) == ((), ("identity.traits",))
    assert door.rows("SELECT detail FROM task")[-1] == ("birth_name first_given_name given_names",)
    assert door.send(oru(biology(patient))).facts == STORED
    log = door.log.read_text(encoding="utf-8")
    assert "TRAITS_DIFFER" in log
    assert not any(value in log for value in (impostor.family, patient.family, patient.ins))


def test_a_new_ins_of_the_same_patient_reaches_the_record_and_what_was_said(door: Door) -> None:
    patient = someone(door)
    door.send(says(patient, "IO", YESTERDAY))
    assert door.send(oru(biology(patient))).facts == REFUSED
    newer = replace(patient, number=someone().number)
    assert door.send(changes(newer, [number(patient), ins_cx(newer.ins)], ins_cx(patient.ins))).facts == APPLIED
    assert set(door.record(newer.ins).identifiers) == set(door.record(patient.ins).identifiers)
    for known in (newer, patient):
        assert door.send(oru(biology(known))).facts == REFUSED
    assert door.send(says(newer, "INO", stamp())).facts == APPLIED
    assert door.send(oru(biology(newer))).facts == STORED
    assert door.send(clinic_letter(newer)).facts == STORED


def test_an_ins_that_has_a_record_of_its_own_is_not_merged(door: Door) -> None:
    one, other = someone(door), someone(door)
    door.send(says(one, "IO", YESTERDAY))
    door.send(oru(biology(other)))
    assert door.send(changes(other, [number(one), ins_cx(other.ins)], ins_cx(one.ins))).facts == APPLIED
    assert door.send(oru(biology(one))).facts == REFUSED
    assert door.send(oru(biology(other))).facts == REFUSED
    assert door.record(local=ipp(one)).identifiers == door.record(other.ins).identifiers != door.record(one.ins).identifiers
    assert "identity.misfiled" in door.record(one.ins).tasks


@pytest.mark.parametrize("status", ["VALI", "PROV"])
def test_an_ins_taken_back_stops_the_deposits_until_it_is_qualified_again(door: Door, status: str) -> None:
    patient = someone(door)
    door.send(says(patient, None))
    assert door.send(oru(biology(patient))).facts == STORED
    gone = ins_cx(patient.ins) if status == "PROV" else ins_cx(patient.ins).replace(patient.ins, '""')
    told = door.send(changes(patient, [number(patient), gone], ins_cx(patient.ins), status=status))
    assert told.facts == ("AA", "applied", ("INS_UNQUALIFIED_DROPPED",) if status == "PROV" else ())
    refused = door.send(oru(biology(patient)))
    assert (refused.facts, refused.rule) == (("AA", "refused", ("INS_UNQUALIFIED",)), "D-19")
    assert door.send(clinic_letter(patient)).facts == STORED, "the other establishment's word stands"
    assert door.send(says(patient, "IO", YESTERDAY, ids=[number(patient)])).facts == APPLIED
    assert door.send(says(patient, None)).facts == APPLIED
    assert door.send(oru(biology(patient))).facts == REFUSED


def test_a_new_number_leads_where_the_old_one_led(door: Door) -> None:
    patient = someone(door)
    door.send(says(patient, "IO", YESTERDAY, ids=[number(patient)]))
    newer = replace(patient, local=patient.local | {VALMONT.id: f"N{patient.local[VALMONT.id]}"})
    assert door.send(changes(newer, [number(newer)], number(patient))).facts == APPLIED
    assert door.send(oru(biology(newer))).facts == REFUSED
    assert door.record(local=ipp(newer)).identifiers == door.record(local=ipp(patient)).identifiers


def test_what_says_nothing_that_can_be_used_is_told_with_its_place(door: Door) -> None:
    patient = someone(door)
    foreign = "77-204^^^CH-LOINTAIN&990000075&M^PI"
    refused = door.ask(changes(patient, [number(patient)], foreign))
    assert (refused.code, errors_of(refused)[0]) == ("AE", ("EVENT_UNUSABLE", "MRG^1^1", "E"))
    missing = door.ask(says(patient, None, event="A47", ids=[number(patient)]))
    assert (missing.code, errors_of(missing)) == ("AE", [("SEGMENT_MISSING", "MRG^1", "E")])
    both = door.ask(says(patient, "IO", YESTERDAY, event="A40") + f"MRG|{number(someone())}\r".encode())
    assert (both.code, errors_of(both)[0]) == ("AR", ("NOT_HANDLED", "MSH^1^9", "E"))
    assert door.send(oru(biology(patient))).facts == STORED

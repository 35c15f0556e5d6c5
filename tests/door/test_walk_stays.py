"""Admissions, discharges and what cancels them; oppositions of every scope: over the real door (O-16, R-14)."""

import pytest

from tests.harness.day import (
    GAM_A,
    GAM_V,
    VALMONT,
    Patient,
    biology,
    clinic_letter,
    ins_cx,
    local_cx,
    mdm,
    oru,
    radiology,
    says,
    someone,
    stamp,
)
from tests.harness.door import Door, errors_of

pytestmark = pytest.mark.door

APPLIED = ("AA", "applied", ())
REFUSED = ("AA", "refused", ("OPPOSED",))
STORED = ("AA", "stored", ())


def told(door: Door, patient: Patient, event: str, days: int, **how: str) -> None:
    """Send an event of so many days ago."""
    assert door.send(says(patient, None, event=event, sent=stamp(days=-days), **how)).facts == APPLIED


def standings(door: Door, patient: Patient) -> list[str]:
    return [line.standing.value for line in door.record(patient.ins).statements]


@pytest.mark.parametrize(
    ("admission", "events"),
    [
        ("A01", [("A03", "visit_ended"), ("A13", "in_force"), ("A03", "visit_ended")]),
        ("A01", [("A02", "in_force"), ("A11", "visit_ended")]),
        ("A04", [("A11", "visit_ended")]),
        ("A05", [("A38", "visit_ended"), ("A01", "in_force")]),
        ("A14", [("A27", "visit_ended")]),
        ("A01", [("A31", "in_force"), ("A60", "in_force"), ("A54", "in_force")]),
    ],
)
def test_a_refusal_to_be_read_lasts_as_long_as_the_visit(door: Door, admission: str, events: list[tuple[str, str]]) -> None:
    patient = someone(door)
    told(door, patient, admission, 20, consulted="INC")
    assert standings(door, patient) == ["in_force"]
    for number, (event, expected) in enumerate(events):
        answer = door.ask(says(patient, None, event=event, sent=stamp(days=number - 10)))
        assert answer.code == "AA"
        assert [code for code, _, _ in errors_of(answer)] == (["EVENT_UNKNOWN"] if event == "A60" else [])
        assert standings(door, patient) == [expected]
    assert door.send(oru(biology(patient))).facts == STORED  # consulting is not feeding


def test_a_discharge_that_overtakes_its_admission_ends_the_visit_all_the_same(door: Door) -> None:
    patient = someone(door)
    told(door, patient, "A13", 3)
    told(door, patient, "A03", 2)
    told(door, patient, "A03", 4)
    told(door, patient, "A01", 5, consulted="INC")
    assert standings(door, patient) == ["visit_ended"]


def test_another_establishments_discharge_ends_nothing(door: Door) -> None:
    patient = someone(door)
    told(door, patient, "A01", 5, consulted="INC")
    assert door.send(says(patient, None, event="A03", sent=stamp(days=-4), source=GAM_A)).facts == APPLIED
    assert standings(door, patient) == ["in_force"]


@pytest.mark.parametrize("event", ["A03", "A11", "A13", "A27", "A38"])
def test_a_movement_links_the_identifiers_of_a_qualified_identity(door: Door, event: str) -> None:
    patient = someone(door)
    alone = (local_cx(patient.local[VALMONT.id], VALMONT),)
    assert door.send(says(patient, "IO", stamp(days=-5), ids=alone, status="PROV")).facts == APPLIED
    assert door.record(patient.ins).statements == ()
    both = (*alone, ins_cx(patient.ins))
    assert door.send(says(patient, None, event=event, ids=both)).facts == APPLIED
    (line,) = door.record(patient.ins).statements
    assert (line.because, line.in_force) == ("link", True)
    assert door.send(oru(biology(patient), ids=(ins_cx(patient.ins),))).facts == REFUSED


@pytest.mark.parametrize("event", ["A03", "A11"])
def test_an_opposition_where_there_should_be_none_is_not_lost(door: Door, event: str) -> None:
    patient = someone(door)
    ended = door.send(says(patient, "IO", stamp(days=-1), event=event))
    assert ended.facts == ("AA", "applied", ("ZFA_UNEXPECTED",))
    assert errors_of(ended.answer) == [("ZFA_UNEXPECTED", "ZFA^1", "W")]
    assert door.send(oru(biology(patient))).facts == REFUSED


def test_oppositions_taken_down_at_the_desk_bind_what_they_name(door: Door) -> None:
    patient = someone(door)

    def desk(verb: str, *words: str) -> None:
        door.verb("record", verb, "--ins", patient.ins, *words)

    for words, bound, free in (
        (("--source-kind", "hospital"), clinic_letter(patient), None),
        (("--establishment", "990000042"), clinic_letter(patient), oru(biology(patient))),
        (("--professional", "899900000029"), mdm(radiology(patient)), oru(biology(patient))),
        (("--type", "11502-2"), oru(biology(patient)), mdm(radiology(patient))),
    ):
        desk("oppose", *words)
        refused = door.send(bound)
        assert (refused.facts, refused.rule) == (REFUSED, "O-2")
        (in_force,) = [line.id for line in door.record(patient.ins).statements if line.in_force]
        assert refused.page.outcome is not None and refused.page.outcome.statement == in_force
        if free is not None:
            assert door.send(free).facts == STORED
        desk("lift", *words)
        assert door.send(bound).facts == STORED
    door.send(says(patient, "IO", stamp(days=-1), source=GAM_V))
    desk("oppose")
    assert door.send(oru(biology(patient))).facts == REFUSED
    desk("lift", "--all")
    assert door.send(oru(biology(patient))).facts == STORED

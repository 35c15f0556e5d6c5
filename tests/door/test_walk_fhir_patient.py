"""The patient's own door beside a hospital's: what each states by a Consent, and what neither can do for the other (D-3, O-2)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.model.event import Side
from tests.harness.config import Admitted, Facility, write
from tests.harness.day import AUBIER, VALMONT, Document, Patient, letter, radiology, someone
from tests.harness.door import Door
from tests.harness.portal import Said, consent, post_cda, post_fhir, render

pytestmark = pytest.mark.door

PATIENTS = {"Authorization": "Bearer tok-patients-door"}
WHO = {place.id: {"Authorization": f"Bearer tok-{place.id}"} for place in (VALMONT, AUBIER)}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Two hospitals, and the patient's own door."""
    folder = tmp_path_factory.mktemp("patients-door")
    hospitals = [
        Facility(id=place.id, finess_ej=place.ej, finess_eg=(place.eg,), authorities={"ipp": (f"{place.oid}.1",)})
        for place in (VALMONT, AUBIER)
    ]
    sources = [
        Admitted(id=f"dpi-{place.id}", establishment=place.id, application="DPI", facility=place.id, token=f"tok-{place.id}")
        for place in (VALMONT, AUBIER)
    ]
    own = Admitted(id="espace", establishment="espace", application="ES", facility="ES", token="tok-patients-door")
    config = write(
        folder / "gateway.toml", [*hospitals, Facility(id="espace", finess_ej="990000075", kind="patient")], [*sources, own]
    )
    with Door(folder, config=config) as opened:
        yield opened


def stated(right: str, patient: Patient, **provision: Any) -> dict[str, Any]:
    made = consent(patient, right, datetime.now(UTC).isoformat(timespec="milliseconds"))
    del made["organization"]
    made["provision"] |= provision
    return made


def say(door: Door, who: dict[str, str], resource: dict[str, Any]) -> Said:
    said = post_fhir(door, resource, who, "/fhir/Consent")
    assert said.status == 201, said.body
    return said


def deposit(door: Door, document: Document, place: str) -> int:
    return post_cda(door, render(document), WHO[place]).status


def named(finess: str) -> list[dict[str, Any]]:
    identifier = {"system": "https://finess.esante.gouv.fr", "value": finess}
    return [{"role": {"text": "établissement"}, "reference": {"type": "Organization", "identifier": identifier}}]


def test_what_the_patient_opposes_for_every_source_no_hospital_lifts(door: Door) -> None:
    patient = someone(door)
    say(door, PATIENTS, stated("deny", patient))
    (line,) = door.record(patient.ins).statements
    assert (line.statement.side, line.statement.scope_value) == (Side.PATIENT, None)
    assert deposit(door, radiology(patient), VALMONT.id) == 403
    assert deposit(door, letter(patient), AUBIER.id) == 403
    say(door, WHO[VALMONT.id], stated("permit", patient) | {"performer": [{"type": "Patient", "display": "x"}]})
    assert deposit(door, radiology(patient), VALMONT.id) == 403
    say(door, PATIENTS, stated("permit", patient))
    assert deposit(door, radiology(patient), VALMONT.id) == 201
    assert deposit(door, letter(patient), AUBIER.id) == 201


def test_the_patient_opposes_one_hospital_and_lifts_what_was_told_to_another(door: Door) -> None:
    patient = someone(door)
    say(door, PATIENTS, stated("deny", patient, actor=named(VALMONT.eg)))
    assert deposit(door, radiology(patient), VALMONT.id) == 403
    assert deposit(door, letter(patient), AUBIER.id) == 201
    say(door, WHO[AUBIER.id], stated("deny", patient))
    assert deposit(door, letter(patient), AUBIER.id) == 403
    say(door, PATIENTS, stated("permit", patient, actor=named(AUBIER.ej)))
    assert deposit(door, letter(patient), AUBIER.id) == 201
    assert deposit(door, radiology(patient), VALMONT.id) == 403


def test_a_permission_with_an_exception_opposes_only_the_exception(door: Door) -> None:
    patient = someone(door)
    exception = {"type": "deny", "actor": named(VALMONT.ej)}
    say(door, PATIENTS, stated("permit", patient, provision=[exception]))
    assert deposit(door, radiology(patient), VALMONT.id) == 403
    assert deposit(door, letter(patient), AUBIER.id) == 201


def test_a_type_that_the_patient_opposes_is_refused_from_everyone_and_no_other_is(door: Door) -> None:
    patient = someone(door)
    imaging = radiology(patient)
    code = [{"coding": [{"system": "http://loinc.org", "code": imaging.type[0]}]}]
    say(door, PATIENTS, stated("deny", patient, code=code))
    assert deposit(door, imaging, VALMONT.id) == 403
    assert deposit(door, letter(patient, VALMONT), VALMONT.id) == 201

"""A gateway in production: test patients and test messages never reach the record (D-17)."""

from collections.abc import Iterator

import pytest

from tests.harness.config import Admitted, Facility, write
from tests.harness.day import VALMONT, biology, ins_cx, local_cx, oru, says, someone, stamp
from tests.harness.door import Door, errors_of

pytestmark = pytest.mark.door


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    place = tmp_path_factory.mktemp("production")
    hospital = Facility(
        id=VALMONT.id, finess_ej=VALMONT.ej, finess_eg=(VALMONT.eg,), authorities={"ipp": (VALMONT.namespace, VALMONT.ej)}
    )
    sources = [
        Admitted(id=name, establishment=VALMONT.id, application=application, facility=VALMONT.namespace)
        for name, application in (("gam", "GAM-V"), ("sil", "SIL-V"))
    ]
    with Door(place, config=write(place / "gateway.toml", [hospital], sources, environment="production")) as door:
        yield door


def test_a_test_patient_is_refused(production: Door) -> None:
    answer = production.ask(oru(biology(someone())))
    assert (answer.code, errors_of(answer)[0]) == ("AE", ("INS_ROOT", "PID^1^3^2", "E"))
    assert production.decided(answer.reference).deposit.state == "rejected"


@pytest.mark.parametrize("processing", [b"T", b"D"])
def test_a_message_marked_as_test_is_refused(production: Door, processing: bytes) -> None:
    answer = production.ask(oru(biology(someone())).replace(b"|P|2.5|", b"|" + processing + b"|2.5|", 1))
    assert (answer.code, errors_of(answer)) == ("AE", [("PROCESSING_ID", "MSH^1^11", "E")])


def test_an_opposition_beside_a_test_ins_is_kept_under_the_local_identifier(production: Door) -> None:
    patient = someone()
    told = production.send(
        says(patient, "IO", stamp(days=-1), ids=(local_cx(patient.local[VALMONT.id], VALMONT), ins_cx(patient.ins)))
    )
    assert told.facts == ("AA", "applied", ("INS_UNQUALIFIED_DROPPED",))
    page = production.record(local=f"{VALMONT.id}/ipp:{patient.local[VALMONT.id]}")
    assert page.identifiers == ((f"{VALMONT.id}/ipp", patient.local[VALMONT.id]),)
    assert [line.in_force for line in page.statements] == [True]

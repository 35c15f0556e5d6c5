"""What a portal sends as FHIR, and what becomes of it: over the real door, into the real store, beside HL7v2 and CDA."""

import copy
import json
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome

from gateway.model.event import Side
from tests.harness.day import (
    AUBIER,
    VALMONT,
    Document,
    Patient,
    biology,
    clinic_letter,
    mdm,
    oru,
    radiology,
    says,
    someone,
    stamp,
)
from tests.harness.door import Door, stored_documents
from tests.harness.portal import FHIR, Said, ask, bearer, consent, post_cda, post_fhir, render, simplified, transaction

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "samples"))

from recipe import fhir_statements

pytestmark = pytest.mark.door

PORTAL = bearer("portail")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def entries(said: Said) -> list[tuple[str, str]]:
    """Return status and location of each entry of a transaction-response."""
    assert said.status == 200, said.body
    bundle = Bundle.model_validate_json(said.body)
    assert bundle.type == "transaction-response"
    return [(entry.response.status, entry.response.location) for entry in bundle.entry]


def refused(said: Said) -> tuple[int, str]:
    """Return status and code of a refusal, which is one OperationOutcome."""
    assert said.headers["content-type"] == FHIR
    OperationOutcome.model_validate_json(said.body)
    return said.status, said.issues[0][1]


def entry_uuids(portal: Door, document: Document) -> list[str]:
    return [known for (known,) in portal.rows("SELECT entry_uuid FROM document WHERE unique_id = ?", document.id)]


def stored(portal: Door, patient: Patient) -> list[str]:
    return stored_documents(portal.record(patient.ins))


def leaves_nothing(portal: Door, document: Document) -> bool:
    """Whether neither the document's row nor its bytes are in the store."""
    sources = portal.rows(
        "SELECT 1 FROM source_part WHERE receipt IN (SELECT id FROM receipt WHERE document_ids LIKE ?)", f"%{document.id}%"
    )
    return entry_uuids(portal, document) == [] and sources == []


def bundle_of(document: Document) -> dict[str, Any]:
    """Return a FHIR document with an id of its own."""
    made = fhir_statements.document(document)
    return made | {"identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid.uuid4()}"}}


def test_metadata_is_answered_to_whoever_asks_first(portal: Door) -> None:
    for path in ("/fhir/metadata", "/fhir/metadata/"):
        said = ask(portal, "GET", path)
        assert said.status == 200
        assert CapabilityStatement.model_validate_json(said.body).fhirVersion == "4.0.1"
    assert ask(portal, "GET", "/fhir/metadata", headers={"Accept": "application/fhir+xml"}).status == 406


def test_a_submission_set_is_in_the_record_when_it_is_answered_and_keeps_its_address(portal: Door) -> None:
    patient = someone(portal)
    document = radiology(patient)
    first = entries(post_fhir(portal, transaction(document), PORTAL))
    assert stored(portal, patient) == [document.id]
    (known,) = entry_uuids(portal, document)
    assert first[1:] == [("201", f"DocumentReference/{known}/_history/1"), ("201", f"Binary/{known}/_history/1")]
    again = entries(post_fhir(portal, transaction(document), PORTAL, "/fhir/"))
    assert again == [("200", location) for _, location in first]
    assert stored(portal, patient) == [document.id]


def test_the_same_document_by_hl7v2_by_cda_and_by_fhir_is_stored_once(portal: Door) -> None:
    patient = someone(portal)
    document = radiology(patient)
    sent = portal.send(mdm(document))
    assert sent.verdict == "stored"
    (known,) = entry_uuids(portal, document)
    assert post_cda(portal, render(document), bearer("ris")).status == 200
    assert entries(post_fhir(portal, transaction(document), PORTAL))[1:] == [
        ("200", f"DocumentReference/{known}/_history/1"),
        ("200", f"Binary/{known}/_history/1"),
    ]
    simple = post_fhir(portal, simplified(document), PORTAL, "/fhir/DocumentReference")
    assert (simple.status, simple.headers["location"]) == (200, f"/fhir/DocumentReference/{known}/_history/1")
    assert simple.json["id"] == known
    assert stored(portal, patient) == [document.id]


def test_what_came_by_fhir_first_is_a_duplicate_by_hl7v2(portal: Door) -> None:
    patient = someone(portal)
    document = biology(patient)
    assert post_fhir(portal, simplified(document), PORTAL, "/fhir/DocumentReference").status == 201
    assert portal.send(oru(document)).verdict == "duplicate"
    assert stored(portal, patient) == [document.id]


def test_other_bytes_under_the_same_id_are_refused(portal: Door) -> None:
    patient = someone(portal)
    document = radiology(patient)
    entries(post_fhir(portal, transaction(document), PORTAL))
    other = copy.deepcopy(transaction(document))
    other["entry"][1]["resource"]["securityLabel"].append(
        {
            "coding": [
                {
                    "system": "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument",
                    "code": "MASQUE_PS",
                }
            ]
        }
    )
    assert refused(post_fhir(portal, other, PORTAL)) == (409, "OTHER_CONTENT")
    assert stored(portal, patient) == [document.id]


def test_a_replacement_supersedes_the_former_version(portal: Door) -> None:
    patient = someone(portal)
    first = radiology(patient)
    entries(post_fhir(portal, transaction(first), PORTAL))
    second = radiology(patient, replaces=first)
    answered = entries(post_fhir(portal, transaction(second), PORTAL))
    assert [status for status, _ in answered] == ["201", "201", "200", "201"]
    assert stored(portal, patient) == [second.id]
    assert refused(post_fhir(portal, transaction(radiology(patient, replaces=first)), PORTAL)) == (409, "VERSION_STALE")


def test_a_consent_refuses_what_comes_by_any_door_until_it_is_lifted(portal: Door) -> None:
    patient = someone(portal)
    deny = post_fhir(portal, consent(patient, "deny", now()), bearer("gam"), "/fhir/Consent")
    assert deny.status == 201, deny.body
    (line,) = portal.record(patient.ins).statements
    assert (line.in_force, line.statement.side, line.statement.scope_value) == (True, Side.ESTABLISHMENT, VALMONT.id)
    report = radiology(patient)
    assert portal.send(mdm(report)).codes == ("OPPOSED",)
    for said in (
        post_fhir(portal, transaction(report), PORTAL),
        post_fhir(portal, simplified(report), PORTAL, "/fhir/DocumentReference"),
        post_fhir(portal, bundle_of(report), PORTAL, "/fhir/Bundle"),
    ):
        assert refused(said) == (403, "OPPOSED")
    assert leaves_nothing(portal, report)
    assert stored(portal, patient) == []
    assert portal.send(clinic_letter(patient)).verdict == "stored"
    permit = post_fhir(portal, consent(patient, "permit", now()), bearer("gam"), "/fhir/Consent")
    assert permit.status == 201, permit.body
    assert portal.send(mdm(report)).verdict == "stored"
    assert report.id in stored(portal, patient)


def test_an_opposition_by_hl7v2_is_lifted_by_a_consent_of_the_same_establishment(portal: Door) -> None:
    patient = someone(portal)
    assert portal.send(says(patient, "IO", stamp(days=-1))).verdict == "applied"
    report = radiology(patient)
    assert refused(post_fhir(portal, transaction(report), PORTAL)) == (403, "OPPOSED")
    assert post_fhir(portal, consent(patient, "permit", now()), bearer("gam"), "/fhir/Consent").status == 201
    entries(post_fhir(portal, transaction(report), PORTAL))
    assert stored(portal, patient) == [report.id]


def test_no_source_states_or_lifts_for_another_establishment(portal: Door) -> None:
    patient = someone(portal)
    deny = consent(patient, "deny", now())
    assert post_fhir(portal, deny, bearer("gam"), "/fhir/Consent").status == 201
    for right in ("deny", "permit"):
        told = consent(patient, right, now(), where=VALMONT)
        assert refused(post_fhir(portal, told, bearer("gam", AUBIER), "/fhir/Consent")) == (403, "CONSENT_NOT_OWN")
        named = consent(patient, right, now(), where=AUBIER)
        named["provision"]["actor"] = [
            {
                "role": {"text": "établissement"},
                "reference": {"type": "Organization", "identifier": deny["organization"][0]["identifier"]},
            }
        ]
        assert refused(post_fhir(portal, named, bearer("gam", AUBIER), "/fhir/Consent")) == (403, "CONSENT_NOT_OWN")
    # Its own word lifts nothing of the other's either (O-2).
    assert (
        post_fhir(portal, consent(patient, "permit", now(), where=AUBIER), bearer("gam", AUBIER), "/fhir/Consent").status == 201
    )
    assert refused(post_fhir(portal, transaction(radiology(patient)), PORTAL)) == (403, "OPPOSED")


def test_a_consent_sent_again_is_recognised_and_keeps_its_address(portal: Door) -> None:
    patient = someone(portal)
    told = consent(patient, "deny", now()) | {"identifier": [{"system": "urn:oid:1.2.3", "value": f"c-{uuid.uuid4()}"}]}
    first = post_fhir(portal, told, bearer("gam"), "/fhir/Consent")
    again = post_fhir(portal, told, bearer("gam"), "/fhir/Consent")
    assert (first.status, again.status) == (201, 200)
    assert first.headers["location"] == again.headers["location"]
    assert len(portal.record(patient.ins).statements) == 1


def test_an_opposition_older_than_its_lifting_is_told_to_be_without_force(portal: Door) -> None:
    patient = someone(portal)
    assert post_fhir(portal, consent(patient, "permit", now()), bearer("gam"), "/fhir/Consent").status == 201
    old = post_fhir(portal, consent(patient, "deny", "2020-01-01"), bearer("gam"), "/fhir/Consent")
    assert old.status == 201
    assert "STATEMENT_SUPERSEDED" in [code for _, code, _ in old.issues]


def test_a_lifting_older_than_the_opposition_is_told_to_lift_nothing(portal: Door) -> None:
    patient = someone(portal)
    assert post_fhir(portal, consent(patient, "deny", now()), bearer("gam"), "/fhir/Consent").status == 201
    old = post_fhir(portal, consent(patient, "permit", "2020-01-01"), bearer("gam"), "/fhir/Consent")
    assert old.status == 201
    assert "ALLOWANCE_WITHOUT_EFFECT" in [code for _, code, _ in old.issues]


def test_a_restricted_consent_changes_nothing(portal: Door) -> None:
    patient = someone(portal)
    told = consent(patient, "deny", now())
    told["provision"]["period"] = {"end": "2030-01-01"}
    assert refused(post_fhir(portal, told, bearer("gam"), "/fhir/Consent")) == (422, "CONSENT_RESTRICTION")
    assert post_fhir(portal, transaction(radiology(patient)), PORTAL).status == 200


def test_a_closed_and_an_absent_record_take_nothing(portal: Door) -> None:
    patient = someone()
    report = radiology(patient)
    assert refused(post_fhir(portal, transaction(report), PORTAL)) == (404, "RECORD_ABSENT")
    portal.verb("record", "open", "--ins", patient.ins, "--collected-by", "desk")
    portal.verb("record", "close", "--ins", patient.ins, "--requested-by", "patient")
    assert refused(post_fhir(portal, transaction(report), PORTAL)) == (409, "RECORD_CLOSED")
    assert leaves_nothing(portal, report)


def test_who_does_not_wait_is_told_where_to_ask(portal: Door) -> None:
    patient = someone(portal)
    report = radiology(patient)
    said = post_fhir(portal, transaction(report), PORTAL | {"Prefer": "respond-async"})
    assert said.status == 202
    assert {issue.severity for issue in OperationOutcome.model_validate_json(said.body).issue} <= {"information", "warning"}
    place = said.headers["content-location"]
    page = portal.decided(place.rpartition("/")[2])
    assert page.deposit.state == "stored"
    assert ask(portal, "GET", place, headers=PORTAL).status == 200
    assert stored(portal, patient) == [report.id]


def test_a_fhir_document_is_stored_byte_for_byte_and_once(portal: Door) -> None:
    patient = someone(portal)
    body = json.dumps(bundle_of(biology(patient)), indent=3).encode()
    headers = {"Content-Type": "application/json", **PORTAL}
    first, again = (ask(portal, "POST", "/fhir/Bundle", body, headers) for _ in range(2))
    assert (first.status, again.status) == (201, 200), first.body
    assert first.headers["location"] == again.headers["location"]
    assert first.body == body
    (document,) = portal.record(patient.ins).documents
    assert document.unique_id == json.loads(body)["identifier"]["value"].removeprefix("urn:uuid:")
    changed = body.replace(b"5.6", b"5.7")
    assert changed != body
    assert refused(ask(portal, "POST", "/fhir/Bundle", changed, headers)) == (409, "OTHER_CONTENT")


def test_a_fhir_document_published_with_its_metadata_is_the_same_document_alone(portal: Door) -> None:
    patient = someone(portal)
    report = biology(patient)
    document = bundle_of(report)
    made = transaction(report)
    listed, reference, content = made["entry"]
    content |= {"resource": document, "request": {"method": "POST", "url": "Bundle"}}
    reference["resource"]["masterIdentifier"] = document["identifier"]
    attachment = reference["resource"]["content"][0]["attachment"]
    attachment["contentType"] = FHIR
    del attachment["size"], attachment["hash"]
    answered = entries(post_fhir(portal, made, PORTAL))
    assert [status for status, _ in answered] == ["201", "201", "201"]
    assert answered[2][1] == answered[1][1].replace("DocumentReference", "Bundle")
    # `post_fhir` writes the same resource with the same blanks, alone or inside.
    alone = post_fhir(portal, document, PORTAL, "/fhir/Bundle")
    assert (alone.status, alone.headers["location"]) == (200, f"/fhir/{answered[2][1]}")
    assert listed["resource"]["resourceType"] == "List"
    assert len(portal.record(patient.ins).documents) == 1


def test_nobody_with_a_wrong_token_deposits(portal: Door) -> None:
    patient = someone(portal)
    said = post_fhir(portal, transaction(radiology(patient)), {"Authorization": "Bearer nothing-of-ours"})
    assert refused(said) == (401, "NOT_AUTHENTICATED")
    assert stored(portal, patient) == []


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/fhir/Patient", 404), ("GET", "/fhir", 405), ("PUT", "/fhir/x", 404)]
)
def test_everything_else_is_an_outcome(portal: Door, method: str, path: str, status: int) -> None:
    assert refused(ask(portal, method, path))[0] == status

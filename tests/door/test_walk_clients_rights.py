"""Over HTTP, by token: one document through three doors, nobody for another establishment, no test patient in production."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.breach import Breach
from tests.harness.canaries import Canaries
from tests.harness.day import AUBIER, GAM_A, VALMONT, Patient, biology, moment, oru, radiology, says, someone, stamp
from tests.harness.door import Door
from tests.harness.portal import (
    Said,
    ask,
    bearer,
    consent,
    post_cda,
    post_fhir,
    post_hl7v2,
    render,
    simplified,
    token,
    transaction,
)
from tests.harness.portal import portal as gateway

pytestmark = pytest.mark.door

CLINIC = bearer("portail", AUBIER)
REFERENCE = "/fhir/DocumentReference"


def dated(days: float) -> str:
    """Return an instant so many days from now as a dateTime."""
    at = stamp(days=days)
    return f"{at[:4]}-{at[4:6]}-{at[6:8]}T{at[8:10]}:{at[10:12]}:{at[12:14]}Z"


# -- three doors, three sources, one establishment


@pytest.mark.parametrize("order", ["mllp cda fhir", "cda fhir mllp", "fhir mllp cda"])
def test_a_document_by_three_sources_is_stored_once_with_the_first_address(portal: Door, order: str) -> None:
    document = biology(someone(portal))

    def by_mllp() -> tuple[str, str]:
        sent = portal.send(oru(document))
        assert sent.page.outcome is not None
        return sent.verdict, sent.page.outcome.first or sent.page.deposit.id

    def by_cda() -> tuple[str, str]:
        said = post_cda(portal, render(document), bearer("labo")).json
        return said["state"], said.get("first") or said["receipt"]

    def by_fhir() -> tuple[str, str]:
        entries = post_fhir(portal, transaction(document), bearer("portail")).json["entry"]
        (status,) = {entry["response"]["status"] for entry in entries}
        return {"201": "stored", "200": "duplicate"}[status], entries[1]["response"]["location"]

    ways: dict[str, Callable[[], tuple[str, str]]] = {"mllp": by_mllp, "cda": by_cda, "fhir": by_fhir}
    found = {way: ways[way]() for way in order.split()}
    assert [verdict for verdict, _ in found.values()] == ["stored", "duplicate", "duplicate"]
    ((receipt, source),) = portal.rows("SELECT receipt, source FROM document WHERE unique_id = ?", document.id)
    assert source == {"mllp": "sil", "cda": "labo", "fhir": "portail"}[order.split(maxsplit=1)[0]] + f"-{VALMONT.id}"
    assert {first for way, (_, first) in found.items() if way != "fhir"} == {receipt}
    # By FHIR the address is of the document: the same whoever asks, by either transaction.
    simple = post_fhir(portal, simplified(document), bearer("labo"), REFERENCE)
    assert (simple.status, simple.headers["location"]) == (200, f"/fhir/{found['fhir'][1]}")


# -- nobody for another establishment


def test_no_way_leads_into_the_documents_of_another_establishment(portal: Door) -> None:
    patient = someone(portal)
    report = radiology(patient)
    assert post_cda(portal, render(report), bearer("labo")).status == 201
    deletion = oru(report, act="delete")
    borrowed = deletion.replace(b"|SIL-V|CHU-VALMONT|", b"|SIL-A|CLINIQUE-AUBIER|", 1)
    later = radiology(patient, AUBIER, replaces=report)
    attempts: dict[str, tuple[Said, str]] = {
        "delete, CDA": (post_cda(portal, render(report), CLINIC, DMP_Act="delete"), "NOT_AUTHOR"),
        "delete as the hospital, CDA": (
            post_cda(portal, render(report), CLINIC, DMP_Act="delete", DMP_Sender_Organization=f"1{VALMONT.ej}"),
            "NOT_AUTHOR",
        ),
        "replace, CDA": (post_cda(portal, render(later), CLINIC), "NOT_AUTHOR"),
        "replace, ITI-65": (post_fhir(portal, transaction(later), CLINIC), "NOT_AUTHOR"),
        "take, ITI-65": (post_fhir(portal, transaction(report), CLINIC), "NOT_AUTHOR"),
        "take, ITI-105": (post_fhir(portal, simplified(report), CLINIC, REFERENCE), "NOT_AUTHOR"),
    }
    for name, (said, code) in attempts.items():
        if (said.status, said.code) != (403, code):
            raise Breach(f"{name}: {said.status} {said.body[:200]!r}")
    # HL7v2: a token chooses one source; under its own name the record refuses.
    for who in (CLINIC, bearer("sil", AUBIER)):
        assert post_hl7v2(portal, deletion, who).status == 403
    assert post_hl7v2(portal, borrowed, bearer("sil", AUBIER)).status == 200
    portal.drained()
    assert [line.codes[0] for line in portal.deposits("--source", f"sil-{AUBIER.id}", "--state", "refused")] == ["NOT_AUTHOR"]
    assert [(one.unique_id, one.state) for one in portal.record(patient.ins).documents] == [(report.id, "current")]
    assert post_cda(portal, render(report), bearer("labo"), DMP_Act="delete").json["state"] == "deleted"


def opposed(door: Door, patient: Patient) -> bool:
    """Whether the hospital's deposits are refused, by the record's own word."""
    said = post_cda(door, render(biology(patient)), bearer("labo"))
    assert said.status in {201, 403}, said.body
    return said.status == 403


def test_no_way_states_or_lifts_for_another_establishment(portal: Door) -> None:
    patient = someone(portal)
    hospital, gam_a = bearer("portail"), bearer("gam", AUBIER)

    def tell(right: str, days: float, who: dict[str, str], where: object = VALMONT) -> Said:
        establishment = AUBIER if where is AUBIER else VALMONT
        return post_fhir(portal, consent(patient, right, dated(days), establishment), who, "/fhir/Consent")

    for said in (tell("deny", -3, CLINIC), tell("permit", -3, CLINIC)):
        assert (said.status, said.code) == (403, "CONSENT_NOT_OWN")
    # Its own opposition binds it alone.
    assert tell("deny", -3, CLINIC, AUBIER).status == 201
    assert not opposed(portal, patient)
    assert tell("deny", -2, hospital).status == 201
    assert opposed(portal, patient)
    # Nothing that the clinic says later lifts what was told to the hospital.
    assert tell("permit", -1, CLINIC).status == 403
    assert tell("permit", -1, CLINIC, AUBIER).status == 201
    assert post_hl7v2(portal, says(patient, "INO", moment()), gam_a).status == 403
    assert post_hl7v2(portal, says(patient, "INO", moment(), source=GAM_A), gam_a).status == 200
    if not opposed(portal, patient):
        raise Breach("another establishment lifted an opposition")
    assert tell("permit", 0, hospital).status == 201
    assert not opposed(portal, patient)


def test_without_a_right_nothing_is_stated_nor_deposited(portal: Door) -> None:
    """Nobody's requests leave nothing: neither a row nor a line of the list."""
    patient = someone(portal)
    before = len(portal.deposits())
    document = biology(patient)
    for who in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {token('portail')}"}, {"X-DMP-Source": "labo"}):
        for said in (
            post_cda(portal, render(document), who),
            post_fhir(portal, transaction(document), who),
            post_fhir(portal, simplified(document), who, REFERENCE),
            post_fhir(portal, consent(patient, "deny", dated(-1)), who, "/fhir/Consent"),
            post_hl7v2(portal, oru(document), who),
        ):
            assert (said.status, said.code) == (401, "NOT_AUTHENTICATED")
            assert said.headers["www-authenticate"].startswith("Bearer ")
    assert len(portal.deposits()) == before
    assert portal.record(patient.ins).documents == ()


# -- a token is told to nobody


def test_no_token_is_in_the_log_or_in_a_file(tmp_path: Path) -> None:
    kinds = [("gam", VALMONT), ("labo", VALMONT), ("portail", AUBIER)]
    wrong = "tok-of-nobody-that-was-guessed"
    secrets = [*(token(*each) for each in kinds), wrong]
    with gateway(tmp_path, log="debug") as door:
        patient = someone(door)
        for kind, where in kinds:
            key, who = token(kind, where), bearer(kind, where)
            document = render(biology(patient, where))
            # Rightly, wrongly, and where it does not belong.
            post_cda(door, document, who)
            ask(door, "POST", f"/cda?access_token={key}", document, {"Content-Type": "text/xml"})
            ask(door, "GET", f"/{key}", headers={"X-Api-Key": key, "Cookie": f"token={key}"})
            ask(door, "GET", f"/deposits/{key}", headers=who)
            ask(door, "GET", f"/fhir/{key}?_format={key}", headers={"Authorization": key})
            post_cda(door, document, {"Authorization": f"Basic {key}", "X-DMP-Source": key, "X-Request-Id": "r-1"})
            post_fhir(door, {"resourceType": "Bundle"}, {"Authorization": f"Bearer {key} {key}"})
        for path in ("/cda", "/fhir", "/hl7v2", "/deposits/x", "/metrics"):
            ask(door, "GET", f"{path}?token={wrong}", headers={"Authorization": f"Bearer {wrong}"})
        before = Canaries(secrets).search_files(door.data, door.log)
        metrics = ask(door, "GET", "/metrics")
        assert door.log.stat().st_size > 10_000
    if found := [*before, *Canaries(secrets).search_files(door.data, door.log)]:
        raise Breach(f"a token is in {found[0]}")
    assert metrics.status == 200
    assert not [secret for secret in secrets if secret.encode() in metrics.body]
    # What is sought would be found.
    planted = tmp_path / "planted.log"
    planted.write_text(json.dumps({"header": token("labo")}), encoding="utf-8")
    assert Canaries(secrets).search_files(planted)


# -- production


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with gateway(tmp_path_factory.mktemp("production"), environment="production") as door:
        yield door


def test_production_refuses_a_test_patient_by_every_route(production: Door) -> None:
    patient = someone()
    document = biology(patient)
    who = bearer("portail")
    said = {
        "cda": post_cda(production, render(document), bearer("labo")),
        "iti-65": post_fhir(production, transaction(document), who),
        "iti-105": post_fhir(production, simplified(document), who, REFERENCE),
    }
    assert {name: (one.status, one.code) for name, one in said.items()} == dict.fromkeys(said, (422, "INS_ROOT"))
    answer = post_hl7v2(production, oru(document), bearer("sil"))
    assert (answer.status, b"INS_ROOT" in answer.body) == (422, True)
    # An event is refused where nothing of it can be used (D-1): a Consent names the patient by the INS alone.
    stated = post_fhir(production, consent(patient, "deny", dated(-1)), who, "/fhir/Consent")
    assert (stated.status, stated.code) == (422, "EVENT_UNUSABLE")
    assert "INS_UNQUALIFIED_DROPPED" in {code for _, code, _ in stated.issues}
    assert production.rows("SELECT count(*) FROM patient") == [(0,)]
    log = production.log.read_text(encoding="utf-8")
    assert all(f'"type": "FHIR^{kind}"' in log for kind in ("Transaction", "DocumentReference", "Consent"))

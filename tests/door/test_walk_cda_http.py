"""CDA over HTTP: through the real door into the real store, beside MLLP, against oppositions, from two establishments."""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model.source import Grant
from tests.harness import posting
from tests.harness.breach import Breach
from tests.harness.canaries import Canaries
from tests.harness.config import Admitted, Facility, write
from tests.harness.day import AUBIER, VALMONT, Document, Patient, biology, letter, oru, render, says, someone, stamp
from tests.harness.door import Door, stored_documents
from tests.harness.posting import Answer

pytestmark = pytest.mark.door

HOSPITAL, CLINIC = "portal", "clinic-portal"
EVERY = tuple(grant.value for grant in Grant)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A gateway with the sample's establishments, and a portal of each that is trusted to send qualified identities."""
    folder = tmp_path_factory.mktemp("cda")
    facilities = [
        Facility(id=place.id, finess_ej=place.ej, finess_eg=(place.eg,), authorities={"ipp": (f"{place.oid}.1", place.namespace)})
        for place in (VALMONT, AUBIER)
    ]
    sources = [
        Admitted(id=name, establishment=place.id, application=application, facility=place.namespace)
        for name, place, application in (
            (HOSPITAL, VALMONT, "PORTAL"),
            (CLINIC, AUBIER, "PORTAL-A"),
            ("gam", VALMONT, "GAM-V"),
            ("sil", VALMONT, "SIL-V"),
        )
    ]
    plain = Admitted(id="untrusted", establishment=VALMONT.id, application="LPS", facility=VALMONT.namespace, grants=("deposit",))
    config = write(folder / "gateway.toml", facilities, [*sources, plain])
    with Door(folder, config=config) as opened:
        yield opened


def post(door: Door, document: Document | bytes, source: str = HOSPITAL, kind: str = "text/xml", **declared: str) -> Answer:
    headers = {"X-DMP-Source": source, "Content-Type": kind} | {name.replace("_", "-"): each for name, each in declared.items()}
    body = document if isinstance(document, bytes) else render(document)
    return posting.ask(door.process.http_port, "POST", "/cda", body, headers)


def page(door: Door, answer: Answer, source: str = HOSPITAL) -> Answer:
    where = answer.headers.get("location") or answer.headers["content-location"]
    return posting.ask(door.process.http_port, "GET", where, headers={"X-DMP-Source": source})


def states(door: Door, patient: Patient) -> dict[str, str]:
    return {document.unique_id: document.state for document in door.record(patient.ins).documents}


def test_a_document_is_added_replaced_deleted(door: Door) -> None:
    patient = someone(door)
    first = biology(patient)
    second = biology(patient, replaces=first)
    added = post(door, first)
    assert added.facts == (201, "stored")
    assert [(one["unique_id"], one["verdict"]) for one in added.json["documents"]] == [(first.id, "stored")]
    replaced = post(door, second)
    assert (replaced.facts, replaced.json["act"]) == ((201, "stored"), "replace")
    assert states(door, patient) == {first.id: "replaced", second.id: "current"}
    deleted = post(door, second, DMP_Act="delete")
    assert deleted.facts == (200, "deleted")
    assert states(door, patient) == {first.id: "replaced", second.id: "deleted"}
    assert page(door, deleted).json["deposit"]["act"] == "delete"


def test_the_bytes_in_the_record_are_those_that_were_posted(door: Door) -> None:
    patient = someone(door)
    document = b"\xef\xbb\xbf" + render(biology(patient)).replace(b"\n", b"\r\n")
    answer = post(door, base64.encodebytes(document), kind="application/base64")
    assert answer.facts == (201, "stored")
    assert door.show(answer.json["receipt"]).deposit.door == "http"
    ((digest, size),) = door.rows(
        "SELECT json_extract(entry, '$.digest'), json_extract(entry, '$.size') FROM document WHERE receipt = ?",
        answer.json["receipt"],
    )
    assert (digest, size) == (hashlib.sha256(document).hexdigest(), len(document))


@pytest.mark.parametrize("first", ["mllp", "cda"])
def test_the_same_document_through_two_doors_is_stored_once(door: Door, first: str) -> None:
    patient = someone(door)
    report = biology(patient)
    if first == "mllp":
        sent = door.send(oru(report))
        assert sent.verdict == "stored"
        again = post(door, report)
        assert again.facts == (200, "duplicate")
        assert (again.json["first"], again.headers["location"]) == (sent.page.deposit.id, f"/deposits/{sent.page.deposit.id}")
    else:
        answer = post(door, report)
        assert answer.facts == (201, "stored")
        sent = door.send(oru(report))
        assert sent.verdict == "duplicate"
        assert sent.page.outcome is not None
        assert sent.page.outcome.first == answer.json["receipt"]
    assert stored_documents(door.record(patient.ins)) == [report.id]
    assert door.rows("SELECT count(*) FROM document WHERE unique_id = ?", report.id) == [(1,)]


def test_other_flags_or_bytes_under_the_same_id_are_refused(door: Door) -> None:
    patient = someone(door)
    report = biology(patient)
    assert post(door, report).status == 201
    assert post(door, report, DMP_Flags="MASQUE_PS").facts == (409, "OTHER_CONTENT")
    assert post(door, render(report).replace(b"<title>", b"<title>X ")).facts == (409, "OTHER_CONTENT")
    assert post(door, report).facts == (200, "duplicate")


def test_another_establishment_can_neither_delete_nor_replace_nor_take_the_id(door: Door) -> None:
    patient = someone(door)
    report = biology(patient)
    later = biology(patient, AUBIER, replaces=report)
    assert post(door, report).status == 201
    for attempt in (
        post(door, report, CLINIC, DMP_Act="delete"),
        post(door, later, CLINIC),
        post(door, report, CLINIC),
        # Nor by saying that the hospital sends: who may is the source's establishment (D-4).
        post(door, report, CLINIC, DMP_Act="delete", DMP_Sender_Organization=f"1{VALMONT.ej}"),
    ):
        assert attempt.facts == (403, "NOT_AUTHOR")
    assert states(door, patient) == {report.id: "current"}
    assert post(door, report, DMP_Act="delete").facts == (200, "deleted")


def test_an_opposition_refuses_the_deposit_and_leaves_nothing_of_it(door: Door) -> None:
    patient = someone(door)
    assert door.send(says(patient, "IO", stamp(days=-1))).verdict == "applied"
    mark = "ZWQXOPPOSEDCANARYXQWZ"
    report = replace(biology(patient), title=f"Compte rendu {mark}", lines=(f"Texte {mark}.",))
    answer = post(door, report)
    assert answer.facts == (403, "OPPOSED")
    told = json.dumps(answer.json)
    assert mark not in told and patient.ins not in told and patient.family not in told
    mine = posting.ask(door.process.http_port, "GET", f"/deposits/{answer.json['receipt']}", headers={"X-DMP-Source": HOSPITAL})
    assert (mine.status, mine.json["deposit"]["state"], mine.json["outcome"]["rule"]) == (200, "refused", "O-2")
    door.drained()
    left = Canaries([mark]).search_files(door.data, door.log)
    if left:
        raise Breach(f"of a document that was refused there is {left[0]}")
    # What is sought would be found: the clinic is not bound, and its letter is there.
    other = replace(letter(patient), title=f"Lettre {mark}")
    assert post(door, other, CLINIC).facts == (201, "stored")
    assert Canaries([mark]).search_files(door.data)


def test_a_sender_that_is_named_is_bound_by_its_own_oppositions(door: Door) -> None:
    patient = someone(door)
    assert door.send(says(patient, "IO", stamp(days=-1))).verdict == "applied"
    assert post(door, letter(patient), CLINIC, DMP_Sender_Organization=f"1{VALMONT.ej}").facts == (403, "OPPOSED")


def test_without_the_grant_the_identity_is_not_qualified(door: Door) -> None:
    patient = someone(door)
    answer = post(door, biology(patient), "untrusted")
    assert answer.facts == (422, "INS_UNQUALIFIED")
    assert answer.json["problems"][0]["place"].startswith("/ClinicalDocument/recordTarget[1]/patientRole[1]/id[")
    assert states(door, patient) == {}


def test_whoever_does_not_wait_asks_later(door: Door) -> None:
    patient = someone(door)
    report = biology(patient)
    answer = post(door, report, Prefer="respond-async")
    assert (answer.status, answer.json["state"]) == (202, "queued")
    door.decided(answer.json["receipt"])
    decided = page(door, answer)
    assert (decided.status, decided.json["deposit"]["state"]) == (200, "stored")
    assert stored_documents(door.record(patient.ins)) == [report.id]


def test_a_multipart_with_what_is_declared(door: Door) -> None:
    patient = someone(door)
    report = biology(patient)
    declared = {"act": "add", "flags": ["INVISIBLE_PATIENT"], "sender": {"organization": f"1{VALMONT.ej}"}, "content_type": "03"}
    body = (
        b'--b\r\nContent-Disposition: form-data; name="submission"\r\nContent-Type: application/json\r\n\r\n'
        + json.dumps(declared).encode()
        + b'\r\n--b\r\nContent-Disposition: form-data; name="document"; filename="a.xml"\r\nContent-Type: text/xml\r\n\r\n'
        + render(report)
        + b"\r\n--b--\r\n"
    )
    assert post(door, body, kind="multipart/form-data; boundary=b").facts == (201, "stored")
    (document,) = door.record(patient.ins).documents
    assert document.hidden_from_patient


def test_a_patient_without_a_record_is_404(door: Door) -> None:
    assert post(door, biology(someone())).facts == (404, "RECORD_ABSENT")


@pytest.mark.corpus
def test_documents_of_the_corpus_through_the_door(door: Door, corpus: Path) -> None:
    """A slice: each patient, a level-1 document, a wrong key, foreign and hostile ones."""
    for ins, root in (("279035121518989", "test"), ("277076322082910", "nir")):
        door.verb("record", "open", "--ins", ins, "--root", root, "--collected-by", "desk")
    expected = {
        "cda/BIO-CR-BIO_2024.01_TSH_1.xml": (201, "stored"),
        "cda/DOC_NON_STRUCTURE_CDA-R2-N1.xml": (201, "stored"),
        "cda/IPS-FR_2024.01.xml": (201, "stored"),
        "cda/CNAM-HR_2021.01.xml": (201, "stored"),
        "cda/OBP-SAP_2024.01.xml": (201, "stored"),
        "cda/CSE-CS9_2025.01.xml": (422, "INS_KEY"),
        "cda/OBP-SNE_2024.01.xml": (422, "INS_KEY"),
        "cda/foreign/cataract.xml": (422, "INS_ABSENT"),
        "cda/foreign/Unstructured_Document_reference.xml": (400, "DOCUMENT_EMPTY"),
        "hostile/xmlbomb.xml": (422, "XML_FORBIDDEN"),
        "hostile/test-xxe-example.xml": (422, "XML_FORBIDDEN"),
        "hostile/CDADocumentWithXInclude.xml": (422, "CDA_REQUIRED"),
    }
    found = {name: post(door, (corpus / name).read_bytes()).facts for name in expected}
    assert found == expected
    ids = {document.unique_id for document in door.record("279035121518989").documents}
    assert len(ids) == 4
    (other,) = door.record("277076322082910", root="nir").documents
    assert other.type_code

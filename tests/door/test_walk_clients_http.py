"""FHIR clients that we did not write, against a real gateway: what they send, and what they make of our answers."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from fhirclient.models.bundle import Bundle
from fhirclient.models.documentreference import DocumentReference
from fhirclient.server import FHIRNotFoundException, FHIRPermissionDeniedException, FHIRServer, FHIRUnauthorizedException
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import AuthorizationError, ForbiddenError, OperationOutcome, ResourceNotFound

from tests.harness import node
from tests.harness.day import ADELE, Document, biology, opened, radiology, someone, stamp
from tests.harness.door import Door, stored_documents
from tests.harness.portal import bearer, consent, simplified, token, transaction

pytestmark = pytest.mark.door

COLLECTION = Path(__file__).resolve().parents[2] / "samples/postman/dmp-gateway.postman_collection.json"
OPPOSED = "Le patient s'oppose à l'alimentation de son dossier"
INS_KEY = "L'INS est erroné"


def base(door: Door) -> str:
    return f"http://127.0.0.1:{door.process.http_port}/fhir"


def with_wrong_key(document: Document) -> dict[str, Any]:
    """Return an ITI-65 whose INS has another key, everywhere."""
    ins = document.patient.ins
    wrong = f"{ins[:13]}{(int(ins[13:]) + 1) % 97:02}"
    return json.loads(json.dumps(transaction(document)).replace(ins, wrong))


def yesterday() -> str:
    at = stamp(days=-1)
    return f"{at[:4]}-{at[4:6]}-{at[6:8]}T{at[8:10]}:{at[10:12]}:{at[12:14]}Z"


def issues(outcome: Any) -> list[tuple[str, str]]:
    """Code and text of each issue of an OperationOutcome, whatever the client holds it as."""
    read = json.loads(outcome) if isinstance(outcome, str | bytes) else outcome
    assert read["resourceType"] == "OperationOutcome"
    return [(issue["details"]["coding"][0]["code"], issue["details"]["text"]) for issue in read["issue"]]


def locations(answer: Any) -> list[tuple[str, str]]:
    """Status and resource of each entry of a transaction-response."""
    assert (answer["resourceType"], answer["type"]) == ("Bundle", "transaction-response")
    return [(entry["response"]["status"], entry["response"]["location"]) for entry in answer["entry"]]


# -- fhirpy


def fhirpy(door: Door, kind: str = "portail") -> SyncFHIRClient:
    return SyncFHIRClient(base(door), authorization=bearer(kind)["Authorization"])


def test_fhirpy_reads_what_is_served(portal: Door) -> None:
    found = fhirpy(portal).execute("metadata", method="get")
    assert (found.resourceType, found.fhirVersion) == ("CapabilityStatement", "4.0.1")
    assert [each.type for each in found.rest[0].resource] == ["DocumentReference", "Bundle", "Consent"]
    assert [each.code for each in found.rest[0].interaction] == ["transaction"]


@pytest.mark.parametrize("path", ["", "/"])
def test_fhirpy_provides_documents_and_again(portal: Door, path: str) -> None:
    patient = someone(portal)
    bundle, client = transaction(biology(patient), radiology(patient)), fhirpy(portal)
    first, again = (locations(client.execute(path, data=bundle)) for _ in range(2))
    assert {status for status, _ in first} == {"201"}
    assert [where for _, where in again] == [where for _, where in first]
    assert {status for status, _ in again} == {"200"}
    assert [where.split("/")[0] for _, where in first] == ["List", *["DocumentReference", "Binary"] * 2]
    assert len(stored_documents(portal.record(patient.ins))) == 2


def test_fhirpy_saves_a_document_reference(portal: Door) -> None:
    patient = someone(portal)
    document = biology(patient)
    sent = {key: value for key, value in simplified(document).items() if key != "resourceType"}
    saved, again = (fhirpy(portal).resource("DocumentReference", **sent).save() for _ in range(2))
    assert saved.id
    assert (saved.id, saved["meta"]["versionId"]) == (again.id, "1")
    assert stored_documents(portal.record(patient.ins)) == [document.id]


def test_fhirpy_raises_our_refusals(portal: Door) -> None:
    patient = someone(portal)
    client = fhirpy(portal)
    with pytest.raises(OperationOutcome) as unprocessable:
        client.execute("", data=with_wrong_key(biology(patient)))
    code, text = issues(unprocessable.value.resource)[0]
    assert (code, INS_KEY in text) == ("INS_KEY", True)
    with pytest.raises(ResourceNotFound) as absent:
        client.execute("", data=transaction(biology(someone())))
    assert issues(str(absent.value))[0][0] == "RECORD_ABSENT"
    client.resource("Consent", **consent(patient, "deny", yesterday())).save()
    with pytest.raises(ForbiddenError) as opposed:
        client.execute("", data=transaction(biology(patient)))
    code, text = issues(str(opposed.value))[0]
    assert (code, OPPOSED in text) == ("OPPOSED", True)
    with pytest.raises(AuthorizationError) as unknown:
        SyncFHIRClient(base(portal), authorization="Bearer no").execute("", data=transaction(biology(patient)))
    assert issues(str(unknown.value))[0][0] == "NOT_AUTHENTICATED"
    assert portal.record(patient.ins).documents == ()


# -- fhirclient, of SMART


def smart(door: Door, kind: str = "portail") -> FHIRServer:
    server = FHIRServer(None, base_uri=base(door))
    server.session.headers.update(bearer(kind))
    return server


def test_fhirclient_reads_what_is_served_and_needs_no_authorisation_server(portal: Door) -> None:
    server = smart(portal)
    server.get_capability()
    assert server.ready
    assert server.capabilityStatement.fhirVersion == "4.0.1"


def test_fhirclient_provides_documents_and_creates_one(portal: Door) -> None:
    patient = someone(portal)
    server = smart(portal)
    bundle = Bundle(transaction(radiology(patient)))
    answers = [server.post_json("", bundle.as_json()).json() for _ in range(2)]
    assert [{status for status, _ in locations(answer)} for answer in answers] == [{"201"}, {"200"}]
    # Its own models read what we answer.
    assert [entry.response.status for entry in Bundle(answers[0]).entry] == ["201"] * 3
    made = DocumentReference(simplified(biology(patient)))
    made.create(server)
    answer = server.post_json("DocumentReference", DocumentReference(simplified(biology(patient))).as_json())
    assert (answer.status_code, answer.headers["ETag"]) == (201, 'W/"1"')
    assert DocumentReference(answer.json()).id == answer.headers["Location"].split("/")[3]
    assert len(stored_documents(portal.record(patient.ins))) == 3


def test_fhirclient_raises_our_refusals(portal: Door) -> None:
    patient = someone(portal)
    server = smart(portal)
    with pytest.raises(requests.HTTPError) as unprocessable:
        server.post_json("", with_wrong_key(biology(patient)))
    assert issues(unprocessable.value.response.json())[0][0] == "INS_KEY"
    with pytest.raises(FHIRNotFoundException) as absent:
        server.post_json("", transaction(biology(someone())))
    assert issues(absent.value.response.json())[0][0] == "RECORD_ABSENT"
    server.post_json("Consent", consent(patient, "deny", yesterday()))
    with pytest.raises(FHIRPermissionDeniedException) as opposed:
        server.post_json("DocumentReference", simplified(biology(patient)))
    code, text = issues(opposed.value.response.json())[0]
    assert (code, OPPOSED in text) == ("OPPOSED", True)
    with pytest.raises(FHIRUnauthorizedException):
        FHIRServer(None, base_uri=base(portal)).post_json("", transaction(biology(patient)))


# -- fhir-kit-client, from npm


def kit(door: Door, folder: Path, *steps: tuple[str, str, dict[str, Any]], key: str = "") -> list[Any]:
    """Let it do some steps: (verb, resource type, resource); return what it made of each answer."""
    file = folder / "steps.json"
    file.write_text(json.dumps([{"verb": verb, "type": kind, "body": body} for verb, kind, body in steps]), encoding="utf-8")
    return node.run("fhir-kit-client.mjs", base(door), str(file), environment={"TOKEN": key or token("portail")})


def test_fhir_kit_client_walks_in(portal: Door, tmp_path: Path) -> None:
    patient, nobody = someone(portal), someone()
    documents = biology(patient), radiology(patient)
    provided, created = transaction(documents[0]), simplified(documents[1])
    told = kit(
        portal,
        tmp_path,
        ("capability", "", {}),
        ("transaction", "", provided),
        ("transaction", "", provided),
        ("create", "DocumentReference", created),
        ("create", "DocumentReference", created),
        ("transaction", "", with_wrong_key(biology(patient))),
        ("create", "DocumentReference", simplified(biology(nobody))),
        ("create", "Consent", consent(patient, "deny", yesterday())),
        ("create", "DocumentReference", simplified(biology(patient))),
    )
    assert [one["status"] for one in told] == [200, 200, 200, 201, 200, 422, 404, 201, 403]
    capability, first, again, made, known, wrong, absent, stated, opposed = told
    assert capability["body"]["fhirVersion"] == "4.0.1"
    assert [{status for status, _ in locations(one["body"])} for one in (first, again)] == [{"201"}, {"200"}]
    assert made["location"] == known["location"] == f"/fhir/DocumentReference/{made['body']['id']}/_history/1"
    assert stated["location"].startswith("/fhir/Consent/")
    assert [issues(one["body"])[0][0] for one in (wrong, absent, opposed)] == ["INS_KEY", "RECORD_ABSENT", "OPPOSED"]
    assert OPPOSED in issues(opposed["body"])[0][1]
    assert stored_documents(portal.record(patient.ins)) == sorted(document.id for document in documents)


def test_fhir_kit_client_is_told_that_its_token_is_nobodys(portal: Door, tmp_path: Path) -> None:
    (told,) = kit(portal, tmp_path, ("transaction", "", transaction(biology(someone()))), key="tok-of-nobody")
    assert (told["status"], issues(told["body"])[0][0]) == (401, "NOT_AUTHENTICATED")


# -- the official examples of PDSm: their document is empty, their INS has a wrong key

#: Their patient has neither a right INS nor traits, their document no header.
EMPTY = {"INS_KEY", "TRAITS_MISSING", "CDA_REQUIRED"}
EXAMPLES = {
    "Bundle-example-td2-iti65-lot-soumission.json": ("", EMPTY),
    "Bundle-example-td2-1-remplacement.json": ("", EMPTY | {"FHIR_REFERENCE"}),
    "DocumentReference-example-td2-iti105-publication-simplifiee.json": ("DocumentReference", EMPTY),
    "DocumentReference-doc-x-id.json": ("DocumentReference", {"INS_KEY", "TRAITS_MISSING", "FHIR_INVARIANT", "FHIR_REQUIRED"}),
}


@pytest.mark.corpus
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_official_examples_are_refused_for_what_is_wrong_in_them(portal: Door, corpus: Path, name: str) -> None:
    path, codes = EXAMPLES[name]
    with pytest.raises(OperationOutcome) as refused:
        fhirpy(portal).execute(path, data=json.loads((corpus / "fhir" / name).read_bytes()))
    assert {code for code, _ in issues(refused.value.resource)} == codes


# -- newman: the collection that is shipped


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """What the collection asks for: the sample configuration, and the record of its patient open."""
    with Door(tmp_path_factory.mktemp("newman")) as door:
        opened(door, ADELE)
        yield door


def newman(door: Door, collection: Path, times: int) -> subprocess.CompletedProcess[str]:
    """Run newman as a CI job does."""
    where = f"baseUrl=http://127.0.0.1:{door.process.http_port}"
    program = node.installed() / "node_modules" / "newman" / "bin" / "newman.js"
    return subprocess.run(
        [node.need_node(), str(program), "run", str(collection), "-n", str(times), "--env-var", where, "--color", "off"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_newman_runs_the_shipped_collection_and_again(sample: Door) -> None:
    asked = 2 * len(json.loads(COLLECTION.read_bytes())["item"])
    done = newman(sample, COLLECTION, 2)
    assert done.returncode == 0, done.stdout
    assert re.search(rf"requests +│ +{asked} +│ +0 ", done.stdout), done.stdout


def test_newman_tells_of_an_expectation_that_is_not_met(sample: Door, tmp_path: Path) -> None:
    collection = json.loads(COLLECTION.read_bytes())
    (wrong,) = (item for item in collection["item"] if item["name"] == "A wrong control key of the INS")
    wrong["event"][0]["script"]["exec"] = ["pm.test('taken', function () { pm.expect(pm.response.code).to.eql(201); });"]
    file = tmp_path / "broken.json"
    file.write_text(json.dumps({**collection, "item": [wrong]}), encoding="utf-8")
    done = newman(sample, file, 1)
    assert (done.returncode, "expected 422 to deeply equal 201" in done.stdout) == (1, True), done.stdout

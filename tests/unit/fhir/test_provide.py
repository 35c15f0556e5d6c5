"""ITI-65 and ITI-105: every check before a deposit is taken, each with its code and its FHIRPath."""

import base64
import copy
import hashlib
from itertools import count
from typing import Any

import msgspec
import pytest

from gateway.mappers.common.carrier import restore
from gateway.mappers.fhir import simplified
from gateway.mappers.fhir.json import load
from gateway.model.code import Code
from gateway.model.source import Grant
from gateway.model.submission import Act
from tests.strategies import messages
from tests.strategies.resources import (
    MASKED,
    PORTAL,
    REPLACEMENT,
    SIMPLE,
    TD2,
    TWO,
    Body,
    codes,
    errors,
    read,
    rejection,
    submission,
)

#: Each sample, and the message that brings the same documents.
SAME = ((TD2, messages.MDM_ADD), (TWO, messages.ORU_TWO), (REPLACEMENT, messages.MDM_REPLACE), (MASKED, "oru/08-masked"))
DOCUMENT = "Bundle.entry[1].resource"
ATTACHMENT = f"{DOCUMENT}.content[0].attachment"
OTHER_URL = "urn:uuid:00000000-0000-4000-8000-000000000009"


@pytest.mark.parametrize(("sample", "message"), [*SAME, (SIMPLE, "oru/05-second-report")])
def test_the_same_document_is_the_same_deposit_through_another_door(sample: str, message: str) -> None:
    here, there = submission(Body(sample)), _by_hl7v2(message)
    assert here.act is there.act
    assert here.flags.visibility == there.flags.visibility
    assert here.establishments == there.establishments
    assert here.patient.identifiers[0].key == there.patient.identifiers[0].key
    for mine, theirs in zip(here.documents, there.documents, strict=True):
        assert _bare(mine.entry) == _bare(theirs.entry)
        assert [_keys(known) for known in mine.patients] == [_keys(known) for known in theirs.patients]


def _keys(known: Any) -> Any:
    return [one.key for one in known.identifiers], known.traits


def _by_hl7v2(message: str) -> Any:
    payload = (messages.SAMPLES / f"{message}.er7").read_bytes().replace(b"\n", b"\r")
    reading = messages.read_message(payload)
    return reading.content


def _bare(entry: Any) -> Any:
    return msgspec.structs.replace(entry, places={})


@pytest.mark.parametrize("sample", [TD2, TWO, REPLACEMENT, MASKED, SIMPLE])
def test_the_parts_give_the_body_back_and_each_document_its_bytes(sample: str) -> None:
    body = Body(sample)
    found = read(body)
    content = submission(body)
    assert restore(found.parts, content.carriers) == body.payload
    assert len(content.carriers) == len(content.documents)
    for document in content.documents:
        assert hashlib.sha256(found.parts[document.part]).hexdigest() == document.entry.digest
        assert content.places[f"documents[{document.part - 1}]"].path.endswith(".data")


def test_the_order_of_the_entries_says_nothing() -> None:
    body = Body(TWO)
    wanted = submission(body)
    body.tree["entry"].reverse()
    body.one("List")["entry"].reverse()
    found = read(body)
    turned = submission(body)
    assert {one.entry.unique_id for one in turned.documents} == {one.entry.unique_id for one in wanted.documents}
    assert restore(found.parts, turned.carriers) == body.payload
    for document in turned.documents:
        assert hashlib.sha256(found.parts[document.part]).hexdigest() == document.entry.digest


def test_a_document_with_escapes_stays_in_the_body() -> None:
    body = Body(TD2)
    data = body.one("Binary")["data"].encode()
    escaped = body.payload.replace(data, rb"\u0050" + data[1:])
    assert data.startswith(b"P")
    found = read(escaped)
    content = submission(escaped)
    assert content.carriers == ()
    assert found.parts[0] == escaped
    assert content.documents[0].entry.digest == hashlib.sha256(found.parts[1]).hexdigest()


def test_what_the_set_says() -> None:
    content = submission(Body(TD2))
    assert content.act is Act.ADD
    assert content.sender is not None
    assert content.sender.person is not None
    assert content.sender.person.id is not None
    assert (content.sender.person.id.value, content.sender.person.family) == ("899900000029", "MODELE-RADIO")
    assert content.sender.organisation is not None
    assert content.sender.organisation.id is not None
    assert content.sender.organisation.id.value == "1990000026"
    assert content.professionals == ("899900000029",)
    assert content.content_type is not None
    assert (content.content_type.code, content.content_type.system) == ("07", "1.2.250.1.213.2.2")
    assert content.flags.destdmp
    assert content.places["sender"].path == "Bundle.entry[0].resource.source"
    assert content.places["content_type"].path.endswith("valueCodeableConcept.coding[0].code")


def test_a_source_without_the_grant_deposits_nothing() -> None:
    for sample in (TD2, SIMPLE):
        assert [code for code, _ in errors(read(Body(sample), grants=frozenset({Grant.IDENTITY_ASSERTED})))] == [
            "SOURCE_NOT_ALLOWED"
        ]


def test_a_type_that_the_source_may_not_deposit() -> None:
    source = msgspec.structs.replace(PORTAL, document_types=("11502-2",))
    assert errors(read(Body(TD2), source=source)) == [("SOURCE_NOT_ALLOWED", f"{DOCUMENT}.type.coding[0].code")]
    assert submission(Body(SIMPLE), source=source)


def _attachment(**elements: Any) -> Any:
    return lambda body: body.attachment.update(elements)


def _reference(**elements: Any) -> Any:
    return lambda body: body.one("DocumentReference").update(elements)


def _set(**elements: Any) -> Any:
    return lambda body: body.one("List").update(elements)


def _without(kind: str, name: str) -> Any:
    return lambda body: body.one(kind).pop(name)


def _request(kind: str, **elements: Any) -> Any:
    return lambda body: body.entry(kind)["request"].update(elements)


def _add(resource: dict[str, Any], url: str = "") -> Any:
    def add(body: Body) -> None:
        request = {"method": "POST", "url": url or resource["resourceType"]}
        body.tree["entry"].append({"fullUrl": OTHER_URL, "resource": resource, "request": request})

    return add


def _label(system: str, code: str) -> Any:
    return lambda body: body.one("DocumentReference")["securityLabel"].append({"coding": [{"system": system, "code": code}]})


VISIBILITY = "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SHORT = base64.b64encode(b"Hello World").decode()


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        # the bundle
        (lambda body: body.tree.update(type="batch"), "FHIR_UNSUPPORTED", "Bundle.type"),
        (lambda body: body.tree.pop("entry"), "FHIR_INVARIANT", "Bundle.entry"),
        (lambda body: body.entry("List").pop("request"), "FHIR_REQUIRED", "Bundle.entry[0].request"),
        (lambda body: body.entry("List").pop("resource"), "FHIR_REQUIRED", "Bundle.entry[0].resource"),
        (
            _add({"resourceType": "Observation", "status": "final", "code": {"text": "x"}}),
            "FHIR_UNSUPPORTED",
            "Bundle.entry[3].resource.resourceType",
        ),
        (
            _add({"resourceType": "Binary", "contentType": "application/xml", "data": SHORT}),
            "FHIR_INVARIANT",
            "Bundle.entry[3].resource",
        ),
        (_request("Binary", method="PUT"), "FHIR_INVARIANT", "Bundle.entry[2].request.method"),
        (_request("List", url="DocumentReference"), "FHIR_INVARIANT", "Bundle.entry[0].request.url"),
        (_request("Binary", ifNoneExist="identifier=x"), "FHIR_UNSUPPORTED", "Bundle.entry[2].request.ifNoneExist"),
        # the set
        (lambda body: body.tree["entry"].pop(0), "FHIR_INVARIANT", "Bundle.entry"),
        (
            lambda body: body.tree["entry"].append({**copy.deepcopy(body.tree["entry"][0]), "fullUrl": OTHER_URL}),
            "FHIR_INVARIANT",
            "Bundle.entry[3].resource",
        ),
        (_set(code={"coding": [{"code": "else"}]}), "FHIR_CODE", "Bundle.entry[0].resource.code"),
        (_set(status="retired"), "FHIR_INVARIANT", "Bundle.entry[0].resource.status"),
        (_set(mode="snapshot"), "FHIR_INVARIANT", "Bundle.entry[0].resource.mode"),
        (_set(emptyReason={"text": "x"}), "FHIR_INVARIANT", "Bundle.entry[0].resource.emptyReason"),
        (_set(entry=[]), "FHIR_INVARIANT", DOCUMENT),
        (
            lambda body: body.one("List")["entry"][0]["item"].update(reference=OTHER_URL),
            "FHIR_REFERENCE",
            "Bundle.entry[0].resource.entry[0].item.reference",
        ),
        (
            lambda body: body.one("List")["entry"].append(body.one("List")["entry"][0]),
            "FHIR_INVARIANT",
            "Bundle.entry[0].resource.entry[1].item.reference",
        ),
        (
            lambda body: body.one("List")["entry"][0].update(deleted=True),
            "FHIR_INVARIANT",
            "Bundle.entry[0].resource.entry[0].deleted",
        ),
        (_without("List", "date"), "FHIR_REQUIRED", "Bundle.entry[0].resource.date"),
        (_without("List", "subject"), "FHIR_REQUIRED", "Bundle.entry[0].resource.subject"),
        (_without("List", "source"), "SENDER_MISSING", "Bundle.entry[0].resource.source"),
        (_set(source={"reference": "#nobody"}), "FHIR_REFERENCE", "Bundle.entry[0].resource.source.reference"),
        (lambda body: body.one("List")["extension"].pop(1), "FHIR_REQUIRED", "Bundle.entry[0].resource.extension"),
        # the document reference
        (_without("DocumentReference", "masterIdentifier"), "FHIR_REQUIRED", f"{DOCUMENT}.masterIdentifier"),
        (_without("DocumentReference", "type"), "FHIR_REQUIRED", f"{DOCUMENT}.type"),
        (_reference(status="superseded"), "FHIR_INVARIANT", f"{DOCUMENT}.status"),
        (_reference(docStatus="final"), "FHIR_INVARIANT", f"{DOCUMENT}.docStatus"),
        (_reference(author=[{"reference": "#nobody"}]), "FHIR_REFERENCE", f"{DOCUMENT}.author[0].reference"),
        (
            lambda body: body.one("DocumentReference")["content"].append(
                copy.deepcopy(body.one("DocumentReference")["content"][0])
            ),
            "FHIR_INVARIANT",
            f"{DOCUMENT}.content[1]",
        ),
        (
            lambda body: body.one("DocumentReference")["masterIdentifier"].update(value="urn:oid:1.2.3"),
            "DOCUMENT_ID_DIFFERS",
            f"{DOCUMENT}.masterIdentifier.value",
        ),
        (
            _reference(modifierExtension=[{"url": "http://x", "valueCode": "y"}]),
            "FHIR_MODIFIER",
            f"{DOCUMENT}.modifierExtension[0].url",
        ),
        # the bytes
        (_attachment(size=1), "ATTACHMENT_DIFFERS", f"{ATTACHMENT}.size"),
        (_attachment(hash="2jmj7l5rSw0yVb/vlWAYkK/YBwk="), "ATTACHMENT_DIFFERS", f"{ATTACHMENT}.hash"),
        (_attachment(contentType="text/xml"), "ATTACHMENT_DIFFERS", f"{ATTACHMENT}.contentType"),
        (_attachment(url=OTHER_URL), "FHIR_REFERENCE", f"{ATTACHMENT}.url"),
        (lambda body: body.attachment.pop("url"), "FHIR_REQUIRED", f"{ATTACHMENT}.url"),
        (lambda body: body.attachment.pop("contentType"), "FHIR_REQUIRED", f"{ATTACHMENT}.contentType"),
        (_attachment(data=SHORT), "FHIR_INVARIANT", f"{ATTACHMENT}.data"),
        (lambda body: body.attachment.update(url=body.entry("List")["fullUrl"]), "FHIR_REFERENCE", f"{ATTACHMENT}.url"),
        (_without("Binary", "data"), "FHIR_REQUIRED", "Bundle.entry[2].resource.data"),
        # who may see it
        (_label("http://x", "MASQUE_PS"), "FLAG_INVALID", f"{DOCUMENT}.securityLabel[1].coding[0].code"),
        (_label(VISIBILITY, "SECRET"), "FLAG_INVALID", f"{DOCUMENT}.securityLabel[1].coding[0].code"),
        (_label(CONFIDENTIALITY, "R"), "FLAGS_FORBIDDEN", f"{DOCUMENT}.securityLabel"),
        (_label(CONFIDENTIALITY, "V"), "FLAGS_FORBIDDEN", f"{DOCUMENT}.securityLabel"),
    ],
    ids=map(str, count()),
)
def test_what_refuses_a_transaction(change: Any, code: str, path: str) -> None:
    body = Body(TD2)
    change(body)
    assert (code, path) in errors(read(body)), codes(read(body))


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        (lambda body: body.attachment.pop("hash"), "FHIR_UNUSUAL", f"{ATTACHMENT}.hash"),
        (lambda body: body.attachment.pop("size"), "FHIR_UNUSUAL", f"{ATTACHMENT}.size"),
        (_without("DocumentReference", "author"), "FHIR_UNUSUAL", f"{DOCUMENT}.author"),
        (
            lambda body: body.entry("Binary").update(resource={**body.one("Binary"), "meta": None}),
            "FHIR_UNUSUAL",
            "Bundle.entry[2].resource.meta",
        ),
        (_reference(category=[{"coding": [{"code": "10"}]}]), "CATEGORY_DIFFERS", f"{DOCUMENT}.category[0].coding[0].code"),
        (
            _reference(type={"coding": [{"system": "http://loinc.org", "code": "11488-4"}]}),
            "TYPE_DIFFERS",
            f"{DOCUMENT}.type.coding[0].code",
        ),
        (
            _add({"resourceType": "List", "status": "current", "mode": "working", "code": {"coding": [{"code": "folder"}]}}),
            "FOLDER_IGNORED",
            "Bundle.entry[3].resource.code",
        ),
        (
            _reference(relatesTo=[{"code": "appends", "target": {"identifier": {"value": "1.2"}}}]),
            "FHIR_UNUSUAL",
            f"{DOCUMENT}.relatesTo[0].code",
        ),
    ],
    ids=map(str, count()),
)
def test_what_is_tolerated_is_told(change: Any, code: str, path: str) -> None:
    body = Body(TD2)
    change(body)
    assert submission(body).act is Act.ADD
    assert codes(read(body)) == [(code, "W", path)]


def test_the_hash_of_mhds_own_sample_is_base64_of_the_hex_letters() -> None:
    body = Body(TD2)
    digest = base64.b64decode(body.attachment["hash"]).hex()
    for spelling in (digest, digest.upper()):
        body.attachment["hash"] = base64.b64encode(spelling.encode()).decode()
        assert errors(read(body)) == []


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (b"Hello World", "application/xml", "XML_INVALID"),
        (b"Hello World", "text/plain", "NOT_CDA"),
        (b"<html/>", "application/xml", "NOT_CDA"),
        (b"%PDF-1.4", "application/pdf", "NOT_CDA"),
        (b'<!DOCTYPE x><ClinicalDocument xmlns="urn:hl7-org:v3"/>', "application/xml", "XML_FORBIDDEN"),
        (b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>', "application/xml", "CDA_REQUIRED"),
    ],
)
def test_a_document_that_is_no_cda(content: bytes, kind: str, code: str) -> None:
    body = Body(TD2)
    body.one("Binary").update(data=base64.b64encode(content).decode(), contentType=kind)
    body.attachment.update(contentType=kind)
    del body.attachment["size"], body.attachment["hash"]
    found = read(body)
    assert code in {each for each, _ in errors(found)}
    assert rejection(body).document_ids == ("1.2.250.1.999.1.2.101",)


def test_two_documents_with_one_id() -> None:
    body = Body(TWO)
    first, second = body.all("DocumentReference")
    mine, others = body.all("Binary")
    others["data"] = mine["data"]
    found = {code for code, _ in errors(read(body))}
    assert found >= {"CARDINALITY", "DOCUMENT_ID_DIFFERS", "ATTACHMENT_DIFFERS"}
    second["content"][0]["attachment"]["url"] = first["content"][0]["attachment"]["url"]
    assert ("FHIR_INVARIANT", "Bundle.entry[3].resource.content[0].attachment.url") in errors(read(body))


def test_labels_are_flags() -> None:
    for system in (
        VISIBILITY,
        "https://mos.esante.gouv.fr/NOS/TRE_A07-StatusVisibiliteDocument",
        "urn:oid:1.2.250.1.213.1.1.4.13",
    ):
        for code, wanted in (
            ("MASQUE_PS", (True, False, False)),
            ("INVISIBLE_PATIENT", (False, True, False)),
            ("INVISIBLE_REPRESENTANTS_LEGAUX", (False, False, True)),
        ):
            body = Body(TD2)
            _label(system, code)(body)
            content = submission(body)
            assert content.flags.visibility == wanted
            assert Code(code=code, system="1.2.250.1.213.1.1.4.13") in content.documents[0].entry.confidentiality_codes
    both = Body(MASKED)
    _label(VISIBILITY, "INVISIBLE_PATIENT")(both)
    assert errors(read(both)) == [("FLAGS_FORBIDDEN", f"{DOCUMENT}.securityLabel[2].coding[0].code")]


def test_documents_of_one_set_are_seen_alike() -> None:
    body = Body(TWO)
    body.all("DocumentReference")[1]["securityLabel"].append({"coding": [{"system": VISIBILITY, "code": "MASQUE_PS"}]})
    assert [code for code, _ in errors(read(body))] == ["FLAGS_FORBIDDEN"]


PARENT = "1.2.250.1.999.1.2.101"
RELATION = "Bundle.entry[1].resource.relatesTo[0].target"


@pytest.mark.parametrize(
    "target",
    [
        {"reference": f"DocumentReference?identifier=urn:ietf:rfc:3986|urn:oid:{PARENT}"},
        {"reference": f"DocumentReference/{PARENT}"},
        {"reference": f"https://gateway.example/fhir/DocumentReference/{PARENT}/_history/1"},
        {"reference": f"urn:oid:{PARENT}"},
        {"identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{PARENT}"}},
    ],
)
def test_the_forms_of_what_is_replaced(target: dict[str, Any]) -> None:
    body = Body(REPLACEMENT)
    body.one("DocumentReference")["relatesTo"][0]["target"] = target
    content = submission(body)
    assert (content.act, content.documents[0].entry.replaces) == (Act.REPLACE, (PARENT,))


def test_an_id_that_a_server_gave_is_the_document_that_the_cda_names() -> None:
    known = "DocumentReference/0f1e2d3c-0000-4000-8000-00000000000a"
    body = Body(REPLACEMENT)
    body.one("DocumentReference")["relatesTo"][0]["target"] = {"reference": known}
    body.entry("Parameters")["request"]["url"] = known
    assert submission(body).documents[0].entry.replaces == (PARENT,)
    assert codes(read(body)) == [("FHIR_UNUSUAL", "W", f"{RELATION}.reference")]
    silent = body.cda(f'<id root="{PARENT}"/>', '<id nullFlavor="UNK"/>')
    assert ("FHIR_REFERENCE", f"{RELATION}.reference") in errors(read(silent))


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        (
            lambda body: body.one("DocumentReference")["relatesTo"][0]["target"].update(reference="DocumentReference/doc-x-id"),
            "FHIR_REFERENCE",
            f"{RELATION}.reference",
        ),
        (
            lambda body: body.one("DocumentReference")["relatesTo"][0]["target"].update(reference="urn:oid:1.2.3"),
            "RELATION_DIFFERS",
            f"{RELATION}.reference",
        ),
        (_without("DocumentReference", "relatesTo"), "FHIR_INVARIANT", "Bundle.entry[2].request.url"),
        (_without("DocumentReference", "relatesTo"), "RELATION_DIFFERS", "Bundle.entry[3].resource.data"),
        (_request("Parameters", url="DocumentReference/doc-x-id"), "FHIR_REFERENCE", "Bundle.entry[2].request.url"),
        (_request("Parameters", url="DocumentReference?identifier=urn:oid:9|9"), "FHIR_INVARIANT", "Bundle.entry[2].request.url"),
        (_request("Parameters", method="POST"), "FHIR_INVARIANT", "Bundle.entry[2].request.method"),
        (
            lambda body: body.one("Parameters")["parameter"][0]["part"][2].update(valueCode="current"),
            "FHIR_INVARIANT",
            "Bundle.entry[2].resource.parameter[0].part",
        ),
        (
            lambda body: body.one("Parameters")["parameter"].append({"name": "x", "valueCode": "y"}),
            "FHIR_INVARIANT",
            "Bundle.entry[2].resource.parameter",
        ),
    ],
    ids=map(str, count()),
)
def test_what_refuses_a_replacement(change: Any, code: str, path: str) -> None:
    body = Body(REPLACEMENT)
    change(body)
    assert (code, path) in errors(read(body)), codes(read(body))


def test_a_replacement_without_patch_is_told_and_one_without_related_document_takes_relates_to() -> None:
    body = Body(REPLACEMENT)
    body.tree["entry"] = [entry for entry in body.tree["entry"] if entry["resource"]["resourceType"] != "Parameters"]
    assert submission(body).act is Act.REPLACE
    assert codes(read(body)) == [("FHIR_UNUSUAL", "W", f"{RELATION}.reference")]
    silent = Body(REPLACEMENT)
    content = base64.b64decode(silent.one("Binary")["data"]).decode()
    start, end = content.index("<relatedDocument"), content.index("</relatedDocument>") + len("</relatedDocument>")
    silent.cda(content[start:end], "")
    assert submission(silent).documents[0].entry.replaces == (PARENT,)
    assert [code for code, _, _ in codes(read(silent))] == ["CDA_UNUSUAL"]


def test_what_the_cda_does_not_say_is_what_the_document_reference_says() -> None:
    body = Body(TD2)
    content = base64.b64decode(body.one("Binary")["data"]).decode()
    start, end = content.index("<title>"), content.index("</title>") + len("</title>")
    body.cda(content[start:end], "")
    entry = submission(body).documents[0].entry
    assert entry.title == "Radiographie du thorax"
    assert entry.places["title"].path == f"{ATTACHMENT}.title"


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        (_attachment(url="urn:uuid:0"), "FHIR_INVARIANT", "DocumentReference.content[0].attachment.url"),
        (lambda body: body.attachment.pop("data"), "FHIR_REQUIRED", "DocumentReference.content[0].attachment.data"),
        (_attachment(size=3), "ATTACHMENT_DIFFERS", "DocumentReference.content[0].attachment.size"),
        (_without("DocumentReference", "author"), "FHIR_REQUIRED", "DocumentReference.author"),
        (_without("DocumentReference", "masterIdentifier"), "FHIR_REQUIRED", "DocumentReference.masterIdentifier"),
        (_reference(status="superseded"), "FHIR_INVARIANT", "DocumentReference.status"),
        (lambda body: body.tree.update(resourceType="Binary"), "FHIR_UNSUPPORTED", "Binary.resourceType"),
    ],
    ids=map(str, count()),
)
def test_what_refuses_a_simple_publication(change: Any, code: str, path: str) -> None:
    body = Body(SIMPLE)
    change(body)
    if code == "FHIR_UNSUPPORTED":
        body.tree = {"resourceType": "Binary", "contentType": "application/xml"}
    found = simplified.read(load(body.payload), PORTAL, messages.DIRECTORY, "test")
    assert (code, path) in errors(found), codes(found)


def test_a_simple_publication_takes_the_rest_from_cda_and_source() -> None:
    content = submission(Body(SIMPLE))
    assert content.content_type == Code(code="07", system="JDV_J59")
    assert content.sender is not None
    assert content.sender.organisation is not None
    assert content.documents[0].entry.language == "fr-FR"
    assert content.documents[0].part == 1


def test_a_simple_replacement_needs_no_patch() -> None:
    body = Body(REPLACEMENT)
    simple = Body(SIMPLE)
    reference = body.one("DocumentReference")
    attachment = reference["content"][0]["attachment"]
    del attachment["url"]
    attachment["data"] = body.one("Binary")["data"]
    simple.tree = reference
    content = submission(simple)
    assert (content.act, content.documents[0].entry.replaces) == (Act.REPLACE, (PARENT,))
    assert codes(read(simple)) == []

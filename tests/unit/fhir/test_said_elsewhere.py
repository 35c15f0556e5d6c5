"""What a request says in another place, or in another form, than the profile's own: it is heard, or the request is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

from gateway.mappers.fhir import document_bundle
from gateway.mappers.fhir.identity import of_patient
from gateway.mappers.fhir.json import load
from gateway.mappers.fhir.references import References
from gateway.mappers.fhir.relation import Patches, Target, of_url
from gateway.mappers.fhir.walk import Node
from gateway.model.patient import QUALIFIED
from gateway.model.place import Place
from tests.strategies.messages import DIRECTORY, SAMPLES
from tests.strategies.resources import PORTAL, SIMPLE, TD2, Body, errors, read, submission

VISIBILITY = "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
LEVELS = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
INS = "284103523811464"
ROOT = "urn:oid:1.2.250.1.213.1.4.10"
V2_0445 = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0445"
#: A clinic that is another establishment of the sample configuration.
OTHER = {"identifier": {"system": "https://finess.esante.gouv.fr", "value": "990000042"}}


def _codes(found: Any) -> list[str]:
    return [code for code, _ in errors(found)]


@pytest.mark.parametrize("sample", [TD2, SIMPLE])
@pytest.mark.parametrize(
    "label",
    [
        {"text": "MASQUE_PS"},
        {"coding": [{"system": VISIBILITY, "display": "Masqué aux professionnels de santé"}]},
        {"coding": [{"system": LEVELS, "code": "N"}, {"display": "Masqué aux professionnels de santé"}]},
    ],
    ids=["text", "display", "display beside a code"],
)
def test_a_label_in_words_alone_is_not_passed_over(sample: str, label: dict[str, Any]) -> None:
    body = Body(sample)
    body.one("DocumentReference")["securityLabel"] = [label]
    assert _codes(read(body)) == ["FLAG_INVALID"]


HOLDERS = ("DocumentReference", "List", "Binary", "Bundle")


def _secured(kind: str, label: dict[str, Any]) -> Body:
    body = Body(TD2)
    holder = body.tree if kind == "Bundle" else body.one(kind)
    holder.setdefault("meta", {})["security"] = [label]
    return body


@pytest.mark.parametrize("kind", HOLDERS)
def test_a_label_of_whatever_carries_a_document_is_its_own(kind: str) -> None:
    found = submission(_secured(kind, {"system": VISIBILITY, "code": "MASQUE_PS"}))
    assert found.flags.masque_ps
    assert "MASQUE_PS" in {code.code for code in found.documents[0].entry.confidentiality_codes}
    assert _codes(read(_secured(kind, {"system": LEVELS, "code": "R"}))) == ["FLAGS_FORBIDDEN"]
    assert _codes(read(_secured(kind, {"system": VISIBILITY, "display": "Masqué"}))) == ["FLAG_INVALID"]


def test_a_label_of_a_simple_publication_itself() -> None:
    body = Body(SIMPLE)
    body.tree.setdefault("meta", {})["security"] = [{"system": VISIBILITY, "code": "INVISIBLE_PATIENT"}]
    assert submission(body).flags.invisible_patient


def test_a_label_in_words_of_a_fhir_document() -> None:
    tree = Body("06-document-bundle")
    tree.tree.setdefault("meta", {})["security"] = [{"system": VISIBILITY, "display": "Masqué"}]
    assert _codes(document_bundle.read(load(tree.payload), PORTAL, DIRECTORY, "test")) == ["FLAG_INVALID"]


def _typed(*codes: str) -> dict[str, Any]:
    return {"coding": [{"system": V2_0203, "code": code} for code in codes]}


@pytest.mark.parametrize("codes", [("NH",), ("FOO", "NH"), ("INS-NIR", "NH")], ids="+".join)
def test_the_billing_number_is_no_ins_in_a_reference_either(codes: tuple[str, ...]) -> None:
    body = Body(TD2)
    subject = {"identifier": {"system": ROOT, "value": INS, "type": _typed(*codes)}}
    body.one("List")["subject"] = body.one("DocumentReference")["subject"] = subject
    assert "INS_ABSENT" in _codes(read(body))


def test_the_billing_number_by_a_later_coding_of_a_patient() -> None:
    patient = {"resourceType": "Patient", "identifier": [{"system": ROOT, "value": INS, "type": _typed("FOO", "NH")}]}
    claims = of_patient(Node(patient, "Patient"), PORTAL, DIRECTORY)
    assert not claims.ins
    assert not claims.local


def test_what_the_resource_says_of_an_identifier_holds_for_a_reference_to_it() -> None:
    patient = {"resourceType": "Patient", "identifier": [{"system": ROOT, "value": INS, "type": _typed("NH")}]}
    root = Node({"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:1", "resource": patient}]}, "Bundle")
    found = References(root).resolve(Node({"reference": f"Patient?identifier={ROOT}|{INS}"}, "List.subject"), root)
    assert found.kinds == ("NH",)


@pytest.mark.parametrize(
    "extension",
    [
        {"valueCode": "VALI"},
        {"valueString": "VALI"},
        {"valueCodeableConcept": {"coding": [{"system": V2_0445, "code": "VALI"}]}},
        {"valueCoding": {"system": V2_0445, "display": "Identité provisoire"}},
        {"valueCoding": {"system": "http://interopsante.org/fhir/CodeSystem/fr-v2-0445", "code": "DOUT"}},
    ],
    ids=["code", "string", "concept", "words", "former list"],
)
@pytest.mark.parametrize(
    "url",
    [
        "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability",
        "http://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability",
        "http://interopsante.org/fhir/StructureDefinition/FrPatientIdentityReliability",
    ],
)
def test_a_status_in_another_form_is_a_status_and_not_a_qualified_one(extension: dict[str, Any], url: str) -> None:
    body = Body(TD2)
    for patient in body.patients:
        patient["extension"] = [each for each in patient["extension"] if "reliability" not in each["url"]]
    qualified = submission(body.copy())
    assert not qualified.patient.reliability
    for patient in body.patients:
        patient["extension"].append({"url": url, "extension": [{"url": "identityStatus", **extension}]})
    assert _codes(read(body)) == ["INS_UNQUALIFIED"]


def test_a_qualified_status_under_the_same_url_without_its_s() -> None:
    body = Body(TD2).status("fr-core-cs-v2-0445", "VALI")
    for patient in body.patients:
        for extension in patient["extension"]:
            extension["url"] = extension["url"].replace("https://hl7.fr", "http://hl7.fr")
    assert submission(body).patient.reliability == (QUALIFIED,)


@pytest.mark.parametrize("sample", [TD2, SIMPLE])
def test_the_custodian_of_a_document_reference_is_tested_for_oppositions(sample: str) -> None:
    body = Body(sample)
    assert "clinique-aubier" not in submission(body).establishments
    body.one("DocumentReference")["custodian"] = OTHER
    assert "clinique-aubier" in submission(body).establishments


def test_the_organisation_beside_that_of_the_senders_role_is_tested_as_well() -> None:
    body = Body(TD2)
    own = submission(body).sender
    organisation = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-authorOrg"
    body.one("List")["source"]["extension"] = [{"url": organisation, "valueReference": OTHER}]
    found = submission(body)
    assert found.sender == own
    assert "clinique-aubier" in found.establishments


@pytest.mark.parametrize("sample", [TD2, SIMPLE])
def test_a_custodian_who_is_nowhere_is_told(sample: str) -> None:
    body = Body(sample)
    body.one("DocumentReference")["custodian"] = {"reference": "#nobody"}
    assert _codes(read(body)) == ["FHIR_REFERENCE"]


def test_a_binary_is_one_document_and_read_once() -> None:
    body = Body(TD2)
    for number in range(40):
        entry = {**body.entry("DocumentReference"), "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{number:012d}"}
        body.tree["entry"].append(entry)
        body.one("List")["entry"].append({"item": {"reference": entry["fullUrl"]}})
    with mock.patch("gateway.mappers.fhir.content.read", return_value=None) as reader:
        found = errors(read(body))
    assert reader.call_count == 1
    assert [code for code, _ in found] == ["FHIR_INVARIANT"] * 40
    assert found[0][1] == "Bundle.entry[3].resource.content[0].attachment.url"


@contextmanager
def _looks() -> Iterator[list[int]]:
    """Count how often a text of the tree is looked at."""
    looked = [0]
    plain = Node.text

    def text(self: Node, name: str) -> str | None:
        looked[0] += 1
        return plain(self, name)

    with mock.patch.object(Node, "text", text):
        yield looked


def _contained(count: int) -> Body:
    body = Body(TD2)
    document = body.one("DocumentReference")
    document["contained"] += [{"resourceType": "Practitioner", "id": f"p{number}"} for number in range(count)]
    document["author"] = [{"reference": f"#p{number}"} for number in range(count)]
    return body


def _entries(count: int, reference: str) -> Body:
    body = Body(TD2)
    for number in range(count):
        identifier = [{"system": "urn:oid:1.2.3", "value": str(number)}]
        patient = {"resourceType": "Patient", "id": f"p{number}", "identifier": identifier}
        url = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"
        body.tree["entry"].append({"fullUrl": url, "resource": patient, "request": {"method": "POST", "url": "Patient"}})
    body.one("DocumentReference")["author"] = [{"reference": reference.format(number)} for number in range(count)]
    return body


@pytest.mark.parametrize(
    "reference", ["#", "urn:uuid:00000000-0000-4000-8000-{:012d}", "Patient/p{}", "Patient?identifier=urn:oid:1.2.3|{}"]
)
def test_twice_the_references_are_twice_the_work(reference: str) -> None:
    counted = []
    for count in (100, 200, 400):
        body = _contained(count) if reference == "#" else _entries(count, reference)
        with _looks() as looked:
            submission(body)
        counted.append(looked[0])
    assert counted[2] - counted[1] == 2 * (counted[1] - counted[0])


def test_a_patch_and_its_relation_by_whatever_both_say() -> None:
    def target(url: str, unique_id: str | None = None) -> Target:
        read = of_url(url, Place(path="Bundle"))
        return Target(read.written, unique_id or read.unique_id, is_ours=read.is_ours, place=read.place)

    uuid = "00000000-0000-4000-8000-00000000000a"
    pairs = (
        (target("urn:oid:1.2.3"), target("DocumentReference?identifier=urn:ietf:rfc:3986|urn:oid:1.2.3"), True),
        (target("urn:oid:1.2.3"), target("urn:oid:1.2.4"), False),
        (target("x", uuid), target("y", uuid.upper()), True),
        (target(f"DocumentReference/{uuid}"), target(f"DocumentReference/{uuid}", "1.2.3"), True),
        (target(f"DocumentReference/{uuid}", "1.2.3"), target(f"DocumentReference/{uuid}"), True),
        (target(f"DocumentReference/{uuid}", "1.2.3"), target(f"DocumentReference/{uuid}", "1.2.4"), False),
    )
    for patch, named, is_same in pairs:
        findings = mock.Mock()
        patches = Patches(findings)
        patches._found.append(patch)
        patches.check([(0, named)])
        assert (not findings.add.called, not findings.warn.called) == (is_same, is_same)


def test_the_samples_say_nothing_elsewhere() -> None:
    for sample in sorted((SAMPLES / "fhir").glob("0[1-5]-*.json")):
        submission(sample.read_bytes())

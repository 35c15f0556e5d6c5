"""FHIR resources that nobody in this project wrote: each gets the verdict that its content asks for, with its place."""

import json
from pathlib import Path

import pytest

from gateway.mappers.common.reading import Read
from gateway.mappers.fhir import provide, simplified
from gateway.mappers.fhir.json import load
from gateway.model.outcome import Rejection
from gateway.model.problem import Unreadable
from gateway.model.problems import CODES
from tests.strategies.messages import DIRECTORY
from tests.strategies.resources import PORTAL, errors

pytestmark = pytest.mark.corpus

#: What the empty document of the official examples lacks.
EMPTY = {"CDA_REQUIRED", "INS_KEY", "TRAITS_MISSING"}
#: File: the codes of its errors, and a place that one of them names.
VERDICTS = {
    "Bundle-example-td2-iti65-lot-soumission.json": (EMPTY, "Bundle.entry[2].resource.data"),
    "Bundle-example-td2-1-remplacement.json": (EMPTY | {"FHIR_REFERENCE"}, "Bundle.entry[2].request.url"),
    "DocumentReference-doc-x-id.json": (
        {"FHIR_INVARIANT", "FHIR_REQUIRED", "INS_KEY", "TRAITS_MISSING"},
        "DocumentReference.content[0].attachment.data",
    ),
    "DocumentReference-example-td2-iti105-publication-simplifiee.json": (EMPTY, "DocumentReference.content[0].attachment.data"),
    "foreign/IPS_IG_bundle-no-known-required-sections.json": ({"FHIR_UNSUPPORTED"}, "Bundle.type"),
    "foreign/ObservationBundle.json": ({"FHIR_STRUCTURE"}, "Bundle.entry[1].resourceType"),
    "foreign/patient_bundle_w_labs.json": ({"FHIR_STRUCTURE"}, "Bundle.entry[1].resource.address[0].BuildingNumber"),
    "foreign/FHIR_bundle.hl7_ADT_A01.json": ({"FHIR_VALUE", "FHIR_REQUIRED"}, "Bundle.entry[12].resource.birthDate"),
    "foreign/test.json": (
        {"FHIR_REFERENCE", "NOT_CDA", "INS_ABSENT", "FLAG_INVALID"},
        "Bundle.entry[1].resource.content[0].attachment.contentType",
    ),
}
HOSTILE = {
    "bundle.json": "JSON_INVALID",
    "n_structure_array_trailing_garbage.json": "JSON_INVALID",
    "i_structure_500_nested_arrays.json": "JSON_INVALID",
}


def reading(path: Path) -> Read:
    loaded = load(path.read_bytes())
    reader = simplified if loaded.tree["resourceType"] == "DocumentReference" else provide
    return reader.read(loaded, PORTAL, DIRECTORY, "test")


@pytest.mark.parametrize("name", VERDICTS)
def test_each_resource_gets_its_verdict(corpus: Path, name: str) -> None:
    found = reading(corpus / "fhir" / name)
    wanted, place = VERDICTS[name]
    assert isinstance(found.content, Rejection)
    assert {code for code, _ in errors(found)} == wanted
    assert place in {path for _, path in errors(found)}
    assert {CODES[problem.code].http for problem in found.problems} <= {404, 422}


def test_every_resource_is_named(corpus: Path) -> None:
    assert {path.relative_to(corpus / "fhir").as_posix() for path in (corpus / "fhir").rglob("*.json")} == VERDICTS.keys()


def test_the_official_hashes_are_those_of_the_bytes(corpus: Path) -> None:
    for name in VERDICTS:
        found = reading(corpus / "fhir" / name)
        assert "ATTACHMENT_DIFFERS" not in {problem.code for problem in found.problems}, name


def test_a_full_official_bundle_differs_from_ours_only_in_its_document(corpus: Path) -> None:
    """With another patient and another document the official bundle is a deposit: its forms are those that we read."""
    text = (corpus / "fhir" / "Bundle-example-td2-iti65-lot-soumission.json").read_text(encoding="utf-8")
    ours = json.loads((Path(__file__).resolve().parents[2] / "samples/fhir/01-iti65-radiology.json").read_bytes())
    tree = json.loads(
        text.replace("1.2.250.1.213.1.4.8|123456789012345", "1.2.250.1.213.1.4.10|284103523811464")
        .replace('"urn:oid:1.2.250.1.213.1.4.8"', '"urn:oid:1.2.250.1.213.1.4.10"')
        .replace('"123456789012345"', '"284103523811464"')
        .replace("1.2.250.1.213.1.4.8.99999.2", "1.2.250.1.999.1.2.101")
    )
    by_type = {entry["resource"]["resourceType"]: entry["resource"] for entry in tree["entry"]}
    theirs = {entry["resource"]["resourceType"]: entry["resource"] for entry in ours["entry"]}
    by_type["Binary"]["data"] = theirs["Binary"]["data"]
    for name in ("size", "hash"):
        attachment = by_type["DocumentReference"]["content"][0]["attachment"]
        attachment[name] = theirs["DocumentReference"]["content"][0]["attachment"][name]
    found = provide.read(load(json.dumps(tree).encode()), PORTAL, DIRECTORY, "test")
    assert errors(found) == []
    assert {problem.code for problem in found.problems} == {"TYPE_DIFFERS", "CATEGORY_DIFFERS"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_is_refused_as_what_it_is(corpus: Path, name: str) -> None:
    with pytest.raises(Unreadable) as caught:
        load((corpus / "hostile" / name).read_bytes())
    assert {problem.code for problem in caught.value.problems} == {HOSTILE[name]}
    assert all(CODES[problem.code].http == 400 for problem in caught.value.problems)

"""The documents of samples/ are valid against the schema of the CI-SIS."""

from pathlib import Path

import pytest
from lxml import etree

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
DOCUMENTS = sorted(path.name for path in (SAMPLES / "cda").iterdir())
V3 = "urn:hl7-org:v3"

pytestmark = pytest.mark.corpus


@pytest.fixture(scope="module")
def schema(corpus: Path) -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True)
    return etree.XMLSchema(etree.parse(str(corpus / "xsd" / "CDA_extended.xsd"), parser))


def document(name: str) -> etree._ElementTree:
    parser = etree.XMLParser(no_network=True, resolve_entities=False)
    root = etree.fromstring((SAMPLES / "cda" / name).read_bytes(), parser)
    if root.tag != f"{{{V3}}}ClinicalDocument":
        (root,) = root.iter(f"{{{V3}}}ClinicalDocument")
    return etree.ElementTree(etree.fromstring(etree.tostring(root), parser))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_is_valid(schema: etree.XMLSchema, name: str) -> None:
    schema.validate(document(name))
    assert [f"{error.line}: {error.message}" for error in schema.error_log] == []


def test_the_schema_sees_a_missing_element(schema: etree.XMLSchema) -> None:
    tree = document(DOCUMENTS[0])
    tree.getroot().remove(tree.find(f"{{{V3}}}custodian"))
    assert not schema.validate(tree)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_minimal_header_is_complete(name: str) -> None:
    root = document(name).getroot()
    once = (
        "realmCode typeId id code title effectiveTime confidentialityCode languageCode setId versionNumber recordTarget "
        "custodian legalAuthenticator componentOf"
    )
    for element in once.split():
        assert len(root.findall(f"{{{V3}}}{element}")) == 1, element
    assert len(root.findall(f"{{{V3}}}templateId")) >= 3
    assert root.findall(f"{{{V3}}}author")
    assert root.findall(f"{{{V3}}}documentationOf//{{{V3}}}standardIndustryClassCode")
    assert root.findall(f"{{{V3}}}documentationOf//{{{V3}}}effectiveTime/{{{V3}}}low")
    assert root.findall(f"{{{V3}}}componentOf//{{{V3}}}healthCareFacility/{{{V3}}}code")
    assert root.find(f".//{{{V3}}}birthplace//{{{V3}}}county").text
    assert root.find(f".//{{{V3}}}patient/{{{V3}}}name/{{{V3}}}family[@qualifier='BR']").text

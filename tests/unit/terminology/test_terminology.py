"""The tables: whole, frozen, loaded when asked for; and what is derived from them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.model.code import Code
from gateway.terminology import NAMES, class_of, format_of, oid_of, system_name, table, uri_of

LOINC = "2.16.840.1.113883.6.1"
DATA = Path(__file__).resolve().parents[3] / "gateway" / "terminology" / "data"
#: Tables that are no value sets.
OTHERS = {"code_systems", "format_code", "type_to_class"}


@pytest.mark.parametrize("name", NAMES)
def test_a_value_set_is_whole(name: str) -> None:
    file = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    values = table(name)
    assert len(values) == len(file["codes"]) > 0, "a (system, code) occurs twice"
    assert values.name and values.source
    for code in values:
        assert code in values
        assert values.get(code.system or "", code.code) == code
        assert code.system and code.display
        assert (code.code, code.display) == (code.code.strip(), code.display.strip())


def test_every_file_is_a_table_that_is_known() -> None:
    assert {path.stem for path in DATA.glob("*.json")} == {*NAMES, *OTHERS}


@pytest.mark.parametrize("path", sorted(DATA.glob("*.json")), ids=lambda path: path.stem)
def test_a_table_says_where_it_is_from(path: Path) -> None:
    file = json.loads(path.read_text(encoding="utf-8"))
    assert file["name"]
    assert file["source"]
    assert set(file) <= {"name", "oid", "revision", "source", "codes", "map", "systems"}


def test_membership_is_by_system_and_code() -> None:
    types = table("type_code")
    assert Code(code="11502-2", system=LOINC) in types
    assert Code(code="11502-2", system=LOINC, display="written otherwise") in types
    assert Code(code="11502-2", system="1.2.250.1.213.1.1.4.12") not in types
    assert Code(code="11502-2") not in types
    assert "11502-2" not in types
    assert types.get(LOINC, "0") is None


def test_a_value_set_cannot_be_changed() -> None:
    values = table("gender")
    with pytest.raises(TypeError):
        values.codes["2.999", "X"] = Code(code="X")
    with pytest.raises(AttributeError):
        values.name = "other"
    assert table("gender") is values


@pytest.mark.parametrize("name", ["", "../gender", "code_systems", "nowhere"])
def test_an_unknown_value_set(name: str) -> None:
    with pytest.raises(LookupError):
        table(name)


@pytest.mark.parametrize(
    ("code", "system", "wanted"),
    [
        ("11502-2", LOINC, ("10", "Compte rendu")),
        ("REMB", "1.2.250.1.213.1.1.4.12", ("60", "Données de remboursement")),
        ("18748-4", LOINC, ("31", "Imagerie médicale")),
        ("57833-6", LOINC, ("42", "Prescription")),
        ("11369-6", LOINC, ("52", "Certificat, déclaration")),
        ("CERT_DECL", "1.2.250.1.213.1.1.4.12", ("52", "Certificat, déclaration")),
        ("SYNTH", "1.2.250.1.213.1.1.4.12", ("11", "Synthèse")),
    ],
)
def test_class_of_a_type(code: str, system: str, wanted: tuple[str, str]) -> None:
    found = class_of(Code(code=code, system=system, display="ignored"))
    assert found is not None
    assert (found.code, found.display) == wanted
    assert found.system == "1.2.250.1.213.1.1.4.1"


@pytest.mark.parametrize(
    ("code", "system"),
    [("FICHE-CONTACTS", "1.2.250.1.213.1.1.4.12"), ("11502-2", None), ("11502-2", "2.999"), ("34120-6", LOINC), ("", LOINC)],
)
def test_a_type_that_the_record_does_not_take(code: str, system: str | None) -> None:
    assert class_of(Code(code=code, system=system)) is None


def test_every_class_given_is_one_of_the_value_set() -> None:
    classes = {class_of(code) for code in table("type_code")} - {None}
    assert len(classes) >= 10
    assert all(found in table("class_code") for found in classes)


@pytest.mark.parametrize(
    ("templates", "media_type", "wanted"),
    [
        (["1.2.250.1.213.1.1.1.55", "1.3.6.1.4.1.19376.1.3.3"], None, "urn:ihe:lab:xd-lab:2008"),
        (["1.3.6.1.4.1.19376.1.3.3", "1.2.250.1.213.1.1.1.55"], None, "urn:ihe:lab:xd-lab:2008"),
        (["2.16.840.1.113883.2.8.2.1", "1.2.250.1.213.1.1.1.51"], None, "urn:ihe:pcc:ips:2020"),
        (["1.2.250.1.213.1.1.1.59"], None, "urn:asipSante:modelesHorsProfils:2011"),
        (["1.3.6.1.4.1.19376.1.2.20"], None, "urn:asipSante:modelesHorsProfils:2011"),
        ([], None, "urn:asipSante:modelesHorsProfils:2011"),
        (["1.3.6.1.4.1.19376.1.2.20"], "application/pdf", "urn:ihe:iti:xds-sd:pdf:2008"),
        (["1.2.250.1.213.1.1.1.55"], "application/pdf", "urn:ihe:iti:xds-sd:pdf:2008"),
        ([], "text/plain", "urn:ihe:iti:xds-sd:text:2008"),
        ([], "audio/mpeg", None),
    ],
)
def test_format_of_a_document(templates: list[str], media_type: str | None, wanted: str | None) -> None:
    found = format_of(templates, media_type)
    assert (found and found.code) == wanted


@pytest.mark.parametrize(
    ("uri", "oid"),
    [
        ("http://loinc.org", LOINC),
        ("https://loinc.org/", LOINC),
        ("http://snomed.info/sct", "2.16.840.1.113883.6.96"),
        ("http://hl7.org/fhir/sid/icd-10", "2.16.840.1.113883.6.3"),
        ("https://smt.esante.gouv.fr/terminologie-cim-10/", "2.16.840.1.113883.6.3"),
        ("urn:oid:2.999.1", "2.999.1"),
        ("urn:oid:", None),
        ("http://example.org/unknown", None),
        ("", None),
    ],
)
def test_oid_of_a_uri(uri: str, oid: str | None) -> None:
    assert oid_of(uri) == oid


def test_every_system_goes_to_its_uri_and_back() -> None:
    systems = json.loads((DATA / "code_systems.json").read_text(encoding="utf-8"))["systems"]
    assert len({system["oid"] for system in systems}) == len(systems)
    for system in systems:
        assert oid_of(uri_of(system["oid"])) == system["oid"]
        assert {oid_of(uri) for uri in system.get("uris", [])} <= {system["oid"]}


def test_names_of_systems() -> None:
    assert system_name(LOINC) == "LOINC"
    assert system_name("2.999") is None
    assert uri_of("2.999") == "urn:oid:2.999"


def test_importing_loads_no_table_and_is_quick() -> None:
    script = (
        "import time, gateway.model.code, msgspec.json, typing, dataclasses, pkgutil\n"
        "begun = time.process_time()\n"
        "import gateway.terminology\n"
        "spent = time.process_time() - begun\n"
        "from gateway.terminology.files import load\n"
        "print(spent, load.cache_info().currsize)\n"
    )
    runs = [
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
        for _ in range(3)
    ]
    assert {int(loaded) for _, loaded in runs} == {0}
    assert min(float(spent) for spent, _ in runs) < 0.020

"""Headers of documents that nobody in this project wrote, against the tables of the corpus's own README."""

import base64
import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from gateway.mappers.cda.read import CdaReading, read
from gateway.model.problem import Unreadable
from tests.strategies.cda import check_places

pytestmark = pytest.mark.corpus

ROOTS = {"INS-NIR": "1.2.250.1.213.1.4.8", "INS-NIR-TEST": "1.2.250.1.213.1.4.10"}
#: Foreign documents that lack what a header must have, or whose file is elsewhere.
REFUSED = {
    "Patient_and_Provider_Organization_Direct_Address_C-CDAR2.1_.xml": ["CDA_REQUIRED", "CDA_REQUIRED"],
    "Unstructured_Document_reference.xml": ["DOCUMENT_EMPTY"],
}
LEVEL_1 = re.compile(r"level 1: (\S+), (\d+) bytes, SHA-1 ([0-9a-f]+)")


@pytest.fixture(scope="module")
def tables(corpus: Path) -> list[list[str]]:
    """The rows of every table, as cells."""
    lines = (corpus / "README.md").read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]


@pytest.fixture(scope="module")
def described(tables: list[list[str]], corpus: Path) -> dict[str, list[str]]:
    """The row of each French document."""
    rows = {row[0].strip(): row for row in tables if len(row) == 6 and (corpus / "cda" / row[0].strip()).is_file()}
    assert set(rows) == {path.name for path in (corpus / "cda").glob("*.xml")}
    return rows


@pytest.fixture(scope="module")
def patients(tables: list[list[str]]) -> dict[str, tuple[str, str, str, str, str]]:
    """P1, P2… → INS, root, birth name and first given name, birth date, sex."""
    rows = [[cell.strip("| ") for cell in row] for row in tables]
    found = {}
    for row in rows:
        if re.fullmatch(r"P\d", row[0]) and len(row) == 6:
            name, birth, sex = row[4].split(", ")
            found[row[0]] = (row[1], ROOTS[row[2]], name, birth, sex)
    assert found.keys() == {f"P{number}" for number in range(1, 8)}
    return found


@pytest.fixture(scope="module")
def readings(corpus: Path) -> dict[str, CdaReading]:
    return {path.name: read(path.read_bytes()) for path in sorted((corpus / "cda").glob("*.xml"))}


def every(
    readings: dict[str, CdaReading], described: dict[str, list[str]], check: Callable[[CdaReading, list[str]], bool]
) -> None:
    assert [name for name, reading in readings.items() if not check(reading, described[name])] == []


def test_types(readings: dict[str, CdaReading], described: dict[str, list[str]]) -> None:
    every(readings, described, lambda reading, row: reading.entry.type_code.code == row[2])


def test_titles(readings: dict[str, CdaReading], described: dict[str, list[str]]) -> None:
    every(readings, described, lambda reading, row: row[1].endswith(f"“{reading.entry.title}”"))


def test_ids_sets_and_versions(readings: dict[str, CdaReading], described: dict[str, list[str]]) -> None:
    def same(reading: CdaReading, row: list[str]) -> bool:
        written = f"{reading.entry.unique_id} / {reading.entry.set_id} / {reading.entry.version}"
        return written + (" +RPLC" if reading.entry.replaces else "") == row[4]

    every(readings, described, same)


def test_patients(
    readings: dict[str, CdaReading], described: dict[str, list[str]], patients: dict[str, tuple[str, str, str, str, str]]
) -> None:
    def same(reading: CdaReading, row: list[str]) -> bool:
        ins, root, name, birth, sex = patients[row[3]]
        (patient,) = reading.patients
        (known,) = patient.ins
        traits = patient.traits
        assert traits.birth_date is not None
        return (known.value, known.authority, f"{traits.birth_name} {traits.first_given_name}".lower(), traits.sex) == (
            ins,
            root,
            name.lower(),
            sex,
        ) and traits.birth_date.written == birth

    every(readings, described, same)


def test_levels_and_enclosed_files(readings: dict[str, CdaReading], described: dict[str, list[str]]) -> None:
    def same(reading: CdaReading, row: list[str]) -> bool:
        enclosed = LEVEL_1.match(row[5])
        if enclosed is None:
            return reading.entry.level == 3 and reading.content is None
        media_type, size, digest = enclosed.groups()
        content = reading.content or b""
        return (
            reading.entry.level == 1
            and (reading.entry.content_media_type, len(content)) == (media_type, int(size))
            and hashlib.sha1(content).hexdigest().startswith(digest)
        )

    every(readings, described, same)
    assert {reading.entry.level for reading in readings.values()} == {1, 3}


def test_what_every_french_document_carries(readings: dict[str, CdaReading]) -> None:
    for name, reading in readings.items():
        entry = reading.entry
        assert [code.code for code in entry.confidentiality_codes] == ["N"], name
        assert entry.language == "fr-FR", name
        assert entry.class_code is not None, name
        assert entry.format_code is not None, name
        assert entry.practice_setting is not None, name
        assert entry.service_start is not None, name
        assert entry.healthcare_facility_type is not None, name
        assert entry.legal_authenticator is not None, name
        assert entry.custodian.id is not None, name
        assert entry.authors, name
        assert entry.source_patient_id is not None, name
        assert "1.2.250.1.213.1.1.1.1" in entry.template_ids, name
        assert entry.mime_type == "text/xml", name


def test_what_is_said_of_the_french_documents(readings: dict[str, CdaReading]) -> None:
    said = {name: [(p.place.path, p.detail) for p in reading.problems] for name, reading in readings.items() if reading.problems}
    zone = ("/ClinicalDocument/legalAuthenticator[1]/time[1]/@value", "a time in an odd form")
    assert said == {
        "01_Modeles_contenus_CDA.xml": [("/ClinicalDocument/effectiveTime[1]/@value", "precise to the minute only")],
        "BIO-TROD_2024.01_Angine.xml": [zone],
        "BIO-TROD_2024.01_COVID-19_Grippe-A_Grippe-B.xml": [zone],
    }


def test_orders_and_accession_numbers(readings: dict[str, CdaReading]) -> None:
    found = [
        (known.value, (known.type or "").rpartition(":")[2]) for known in readings["IMG_CR_IMG_2024.01.xml"].entry.reference_ids
    ]
    assert found == [("984375862", "order"), ("105234751", "accession"), ("984375863", "order"), ("105234752", "accession")]


def test_a_software_is_an_author(readings: dict[str, CdaReading]) -> None:
    (author,) = readings["CNAM-HR_2021.01.xml"].entry.authors
    assert author.person is not None
    assert author.person.device
    assert author.specialty is not None
    assert author.specialty.code == "ALIM_AM"


def test_each_place_leads_to_its_value(readings: dict[str, CdaReading], corpus: Path) -> None:
    counts = {name: check_places((corpus / "cda" / name).read_bytes(), reading) for name, reading in readings.items()}
    assert min(counts.values()) > 30


def test_foreign_documents_are_read(corpus: Path, tables: list[list[str]]) -> None:
    rows = {row[0].rpartition("/")[2]: row for row in tables if row[0].strip().startswith("cda/foreign/") and len(row) == 7}
    paths = sorted((corpus / "cda" / "foreign").glob("*.xml"))
    assert {path.name for path in paths} == set(rows)
    for path in paths:
        document = path.read_bytes()
        if path.name in REFUSED:
            with pytest.raises(Unreadable) as caught:
                read(document)
            assert [problem.code for problem in caught.value.problems] == REFUSED[path.name], path.name
            continue
        reading = read(document)
        row = rows[path.name]
        (patient,) = reading.patients
        keys = [f"{known.authority}^{known.value}" if known.authority else known.value for known in patient.identifiers]
        assert row[3] in keys, path.name
        assert not patient.ins, path.name
        assert f"CDA {reading.entry.type_code.code}" == row[4], path.name
        enclosed = LEVEL_1.match(row[5])
        assert (reading.entry.level == 1) == (enclosed is not None), path.name
        if enclosed is not None:
            assert hashlib.sha1(reading.content or b"").hexdigest().startswith(enclosed.group(3))
        assert check_places(document, reading) > 10, path.name


def test_documents_carried_by_messages_are_read(corpus: Path, tables: list[list[str]]) -> None:
    rows = {row[0].strip(): row for row in tables if row[0].strip().endswith((".hl7", ".er7"))}
    seen = 0
    for path in sorted((corpus / "hl7v2").glob("message_*")):
        told = re.search(r"CDA (\S+) v(\d), INS (\d+), (\d+) bytes", " ".join(rows[path.name]))
        carried = re.search(rb"\^Base64\^([A-Za-z0-9+/=]+)", path.read_bytes(), re.IGNORECASE)
        if told is None or carried is None:
            continue
        # Some end without their padding: what the door says of that is not this test's business.
        reading = read(base64.b64decode(carried.group(1) + b"=="))
        found = (reading.entry.unique_id.replace("^", "."), str(reading.entry.version), reading.patients[0].ins[0].value)
        assert (*found, str(reading.entry.size)) == told.groups(), path.name
        seen += 1
    assert seen == 6


def test_hostile_documents_are_refused_at_once(corpus: Path) -> None:
    codes = {}
    for path in sorted((corpus / "hostile").glob("*.xml")):
        before = time.perf_counter()
        with pytest.raises(Unreadable) as caught:
            read(path.read_bytes())
        assert time.perf_counter() - before < 1, path.name
        codes[path.name] = {problem.code for problem in caught.value.problems}
    assert codes.pop("CDADocumentWithXInclude.xml") == {"CDA_REQUIRED"}
    assert len(codes) == 5
    assert all(found == {"XML_FORBIDDEN"} for found in codes.values()), codes


def test_reading_a_header_costs_about_what_parsing_does(corpus: Path) -> None:
    """Hashing and decoding the enclosed file apart, at most twice the bare parse over all the documents."""
    documents = [path.read_bytes() for path in (corpus / "cda").glob("*.xml") if not path.name.startswith("DOC_")]

    def bare(document: bytes) -> object:
        return etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))

    def hashes(document: bytes) -> object:
        return hashlib.sha1(document).hexdigest(), hashlib.sha256(document).hexdigest()

    def spent(call: Callable[[bytes], object], document: bytes) -> float:
        before = time.thread_time()
        call(document)
        return time.thread_time() - before

    best = [
        [min(times) for times in zip(*rounds, strict=True)]
        for rounds in ([[spent(call, document) for call in (read, hashes, bare)] for _ in range(7)] for document in documents)
    ]
    header = sum(whole - hashed for whole, hashed, _ in best)
    assert header <= 2 * sum(parsed for _, _, parsed in best)

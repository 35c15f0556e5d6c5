"""Every document of the corpus through its HTTP door: the verdict that follows, and what is hostile within bounds."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.breach import Breach
from tests.harness.door import Door
from tests.harness.portal import FHIR, Said, ask, bearer
from tests.harness.portal import portal as gateway

pytestmark = [pytest.mark.door, pytest.mark.corpus]

#: French documents that are refused, and why; every other one is stored.
WRONG_KEY = {
    "CSE-CS24_2024.01.xml",
    "CSE-CS9_2025.01.xml",
    "CSE-MDE_2023.01.xml",
    "OBP-SNE_2024.01.xml",
    "SDM-MR_2024.01_nouveau-ne.xml",
}
#: Foreign ones that lack more than the INS.
FOREIGN = {
    "Unstructured_Document_reference.xml": (400, "DOCUMENT_EMPTY"),
    "Patient_and_Provider_Organization_Direct_Address_C-CDAR2.1_.xml": (422, "CDA_REQUIRED"),
}
#: By its path below `fhir/`: where it goes, and what it is refused for.
RESOURCES = {
    "Bundle-example-td2-iti65-lot-soumission.json": ("/fhir", "CDA_REQUIRED"),
    "Bundle-example-td2-1-remplacement.json": ("/fhir", "FHIR_REFERENCE"),
    "DocumentReference-doc-x-id.json": ("/fhir/DocumentReference", "FHIR_INVARIANT"),
    "DocumentReference-example-td2-iti105-publication-simplifiee.json": ("/fhir/DocumentReference", "CDA_REQUIRED"),
    "foreign/FHIR_bundle.hl7_ADT_A01.json": ("/fhir", "FHIR_VALUE"),
    "foreign/IPS_IG_bundle-no-known-required-sections.json": ("/fhir/Bundle", "INS_ABSENT"),
    "foreign/ObservationBundle.json": ("/fhir", "FHIR_STRUCTURE"),
    "foreign/patient_bundle_w_labs.json": ("/fhir", "FHIR_STRUCTURE"),
    "foreign/test.json": ("/fhir", "FHIR_REFERENCE"),
}
HOSTILE = {
    "CDADocumentWithXInclude.xml": (422, "CDA_REQUIRED"),
    "CDADocumentWithXXEInjection.xml": (422, "XML_FORBIDDEN"),
    "cyclic.xml": (422, "XML_FORBIDDEN"),
    "test-xxe-example.xml": (422, "XML_FORBIDDEN"),
    "xml-with-xxe.xml": (422, "XML_FORBIDDEN"),
    "xmlbomb.xml": (422, "XML_FORBIDDEN"),
    "bundle.json": (400, "JSON_INVALID"),
    "i_structure_500_nested_arrays.json": (400, "JSON_INVALID"),
    "n_structure_array_trailing_garbage.json": (400, "JSON_INVALID"),
}
FHIR_PATHS = ("/fhir", "/fhir/DocumentReference", "/fhir/Bundle", "/fhir/Consent")
#: Processor time of the whole process for one hostile file, and what the process may grow by for all of them.
SECONDS = 1.0
GROWTH_KB = 32 * 1024


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A gateway with the records of the corpus's patients."""
    with gateway(tmp_path_factory.mktemp("corpus")) as door:
        for ins, root in (("279035121518989", "test"), ("277076322082910", "nir")):
            door.verb("record", "open", "--ins", ins, "--root", root, "--collected-by", "desk")
        yield door


def post(door: Door, path: str, file: Path) -> Said:
    kind = "text/xml" if file.suffix == ".xml" else FHIR
    return ask(door, "POST", path, file.read_bytes(), {"Content-Type": kind, **bearer("portail")})


def verdict(said: Said) -> tuple[int, str]:
    return said.status, said.code if said.status >= 400 else said.json["state"]


def test_every_french_document_is_stored_once_unless_its_ins_is_wrong(here: Door, corpus: Path) -> None:
    files = sorted((corpus / "cda").glob("*.xml"))
    found = {file.name: verdict(post(here, "/cda", file)) for file in files}
    assert len(found) >= 40
    assert found == {name: (422, "INS_KEY") if name in WRONG_KEY else (201, "stored") for name in found}
    again = {file.name: verdict(post(here, "/cda", file)) for file in files}
    assert again == {name: (422, "INS_KEY") if name in WRONG_KEY else (200, "duplicate") for name in found}
    kept = sum(
        len(here.record(ins, root=root).documents) for ins, root in (("279035121518989", "test"), ("277076322082910", "nir"))
    )
    assert kept == len(files) - len(WRONG_KEY)


def test_foreign_documents_are_read_and_refused(here: Door, corpus: Path) -> None:
    found = {file.name: verdict(post(here, "/cda", file)) for file in (corpus / "cda/foreign").glob("*.xml")}
    assert len(found) >= 10
    assert found == {name: FOREIGN.get(name, (422, "INS_ABSENT")) for name in found}


def test_resources_are_refused_for_what_is_wrong_in_them(here: Door, corpus: Path) -> None:
    folder = corpus / "fhir"
    assert {str(file.relative_to(folder)) for file in folder.rglob("*.json")} == set(RESOURCES)
    found = {name: verdict(post(here, path, folder / name)) for name, (path, _) in RESOURCES.items()}
    assert found == {name: (422, code) for name, (_, code) in RESOURCES.items()}


def memory(door: Door) -> int:
    """The most that the process ever held, in kB."""
    lines = Path(f"/proc/{door.process.pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def spent(door: Door) -> float:
    """Processor time of all threads of the process, in seconds."""
    _, _, fields = Path(f"/proc/{door.process.pid}/stat").read_text(encoding="ascii").rpartition(") ")
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_hostile_files_are_refused_in_little_time_and_memory(here: Door, corpus: Path) -> None:
    folder = corpus / "hostile"
    assert {file.name for file in folder.iterdir()} == set(HOSTILE)
    post(here, "/fhir", folder / "bundle.json")  # what is loaded once is no one's fault
    held = memory(here)
    slowest, begun = ("", 0.0), time.monotonic()
    for name, expected in HOSTILE.items():
        for path in ("/cda",) if name.endswith(".xml") else FHIR_PATHS:
            before = spent(here)
            said = post(here, path, folder / name)
            slowest = max(slowest, (name, spent(here) - before), key=lambda each: each[1])
            assert (name, path, verdict(said)) == (name, path, expected)
            told = json.dumps(said.json)
            assert "root:" not in told and "/etc/passwd" not in told
    grown = memory(here) - held
    print(f"hostile: slowest {slowest[0]} {slowest[1]:.3f} s, grown by {grown} kB, {time.monotonic() - begun:.2f} s together")
    if slowest[1] > SECONDS or grown > GROWTH_KB:
        raise Breach(f"a hostile file took {slowest}, and the process grew by {grown} kB")

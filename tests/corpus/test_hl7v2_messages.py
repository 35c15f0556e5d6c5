"""Messages that nobody in this project wrote: each is read or refused in its own terms, the official ones as their flaws say."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

from gateway.mappers.common.carrier import restore
from gateway.mappers.hl7v2.header import read_header
from gateway.mappers.hl7v2.read import Reading, read
from gateway.model.event import PatientEvent, Position, Right
from gateway.model.outcome import Rejection
from gateway.model.problem import Answer, Problem, Severity, Unreadable
from gateway.model.source import Directory, Establishment, Grant, Source
from gateway.model.submission import Act, Submission

pytestmark = pytest.mark.corpus

HOSPITAL = Establishment(
    id="chu-x", name="CHU-X", finess_ej="000897406", authorities={"ipp": ("CHU-X", "000897406"), "other": ("AUT-AFFECTATION",)}
)
SOURCE = Source(id="any", establishment="chu-x", application="", facility="", grants=frozenset(Grant))
DIRECTORY = Directory(establishments=(HOSPITAL,), sources=(SOURCE,))

#: Act, and codes of the problems by severity, of each official message.
OFFICIAL = {
    "message_MDM_CR_Radio_INIT_N1_Base64.er7": (Act.ADD, set(), {"CDA_UNUSUAL", "FLAGS_UNUSUAL"}),
    "message_MDM_CR_Radio_RPLC_N1.er7": (Act.REPLACE, set(), {"CDA_UNUSUAL", "FLAGS_UNUSUAL"}),
    "message_MDM_CR_Radio_DEL_N1.er7": (Act.DELETE, set(), {"CDA_UNUSUAL", "FLAGS_UNUSUAL"}),
    "message_ORU_CR_Bio_INIT_N3_SEGUR.hl7": (Act.ADD, set(), set()),
    "message_ORU_CR_Bio_RPLC_N3_SEGUR.hl7": (Act.REPLACE, set(), set()),
    # Another patient's document.
    "message_ORU_CR_Bio_DEL_N3_SEGUR.hl7": (Act.DELETE, {"PID_CDA_DIFFER"}, set()),
    # A sentence instead of a document.
    "message_MDM_CR_Radio_INIT_N1.er7": (Act.ADD, {"XML_INVALID"}, {"FLAGS_UNUSUAL"}),
}
CHAIN = "1.2.250.1.71.4.2.2.120456789.7102400008"


def reading_of(payload: bytes, environment: str = "test") -> Reading:
    header, message = read_header(payload)
    return read(message, header, SOURCE, DIRECTORY, environment)


def read_or_refused(path: Path) -> Reading | tuple[Problem, ...]:
    try:
        return reading_of(path.read_bytes())
    except Unreadable as refused:
        return refused.problems


def submission_of(corpus: Path, name: str) -> Submission:
    content = reading_of((corpus / "hl7v2" / name).read_bytes()).content
    assert isinstance(content, Submission)
    return content


def files(corpus: Path) -> list[Path]:
    found = sorted(path for path in (corpus / "hl7v2").rglob("*") if path.is_file())
    assert len(found) > 20
    return found


def test_every_message_is_read_or_refused_and_never_in_another_way(corpus: Path) -> None:
    for path in files(corpus):
        reading = read_or_refused(path)
        if not isinstance(reading, Reading):
            assert reading
            continue
        has_errors = any(p.severity is Severity.ERROR for p in reading.problems)
        assert has_errors is (reading.answer is not Answer.AA)
        assert has_errors <= isinstance(reading.content, Rejection)
        assert bool(reading.parts) is isinstance(reading.content, Submission)


def test_nobody_in_another_country_deposits_here(corpus: Path) -> None:
    """They have no INS and no authority of ours: none is taken, whatever its dialect."""
    for path in files(corpus):
        if path.parent.name != "foreign":
            continue
        reading = read_or_refused(path)
        assert not isinstance(reading, Reading) or isinstance(reading.content, Rejection), path.name


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_the_official_messages(corpus: Path, name: str) -> None:
    act, errors, warnings = OFFICIAL[name]
    reading = reading_of((corpus / "hl7v2" / name).read_bytes())
    assert {p.code for p in reading.problems if p.severity is Severity.ERROR} == errors
    assert {p.code for p in reading.problems if p.severity is Severity.WARNING} == warnings
    content = reading.content
    assert isinstance(content, Rejection if errors else Submission)
    assert content.act == act


@pytest.mark.parametrize("name", sorted(name for name, (_, errors, _) in OFFICIAL.items() if not errors))
def test_the_payload_comes_back_and_the_document_is_the_one_described(corpus: Path, name: str) -> None:
    payload = (corpus / "hl7v2" / name).read_bytes()
    reading = reading_of(payload)
    assert isinstance(reading.content, Submission)
    assert restore(reading.parts, reading.content.carriers) == payload
    assert len(reading.content.carriers) == 1
    described = next(line for line in (corpus / "README.md").read_text(encoding="utf-8").splitlines() if f"| {name} |" in line)
    found = re.search(r"CDA (\S+) v(\d+), INS (\d+), (\d+) bytes", described)
    assert found is not None
    (document,) = reading.content.documents
    entry = document.entry
    version = str(entry.version) if entry.version is not None else ""
    assert (entry.unique_id, version, document.patients[0].ins[0].value, str(entry.size)) == found.groups()
    field = next(line for line in payload.splitlines() if line.startswith(b"OBX|1|")).split(b"|")[5].split(b"^")[4]
    content = base64.b64decode(field + b"=" * (-len(field) % 4))
    assert reading.parts[document.part] == content
    assert hashlib.sha256(content).hexdigest() == entry.digest


def test_the_one_coherent_chain(corpus: Path) -> None:
    first, second, deletion = (
        submission_of(corpus, f"message_MDM_CR_Radio_{step}.er7") for step in ("INIT_N1_Base64", "RPLC_N1", "DEL_N1")
    )
    ids = [one.documents[0].entry.unique_id for one in (first, second, deletion)]
    assert ids == [f"{CHAIN}1", f"{CHAIN}2", f"{CHAIN}2"]
    assert [one.documents[0].entry.replaces for one in (first, second, deletion)] == [(), (f"{CHAIN}1",), ()]
    for one in (first, second, deletion):
        assert one.patient.ins[0].value == "279035121518989"
        assert one.establishments == ("chu-x", "finess:300017985", "finess:120456789")
        assert one.sender is not None
        assert one.content_type is not None
        assert one.content_type.code == "03"
    codes = [code.code for code in first.documents[0].entry.confidentiality_codes]
    assert codes == ["N", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX"]


@pytest.mark.parametrize(
    ("name", "feeding", "consultation"),
    [
        ("ConsentementConsultation_NonOppositionAlimentation.er7", Position.ALLOWS, Position.ALLOWS),
        ("NonConsentementConsultation_OppositionAlimentation.er7", Position.OPPOSES, Position.OPPOSES),
    ],
)
def test_the_official_statements(corpus: Path, name: str, feeding: Position, consultation: Position) -> None:
    content = reading_of((corpus / "hl7v2" / name).read_bytes()).content
    assert isinstance(content, PatientEvent)
    assert {one.right: one.position for one in content.statements} == {
        Right.FEEDING: feeding,
        Right.CONSULTATION: consultation,
    }
    assert {known.key for known in content.identifiers} == {
        ("1.2.250.1.213.1.4.10", "279035121518989"),
        ("chu-x/ipp", "000003"),
    }
    assert content.links
    assert content.problems == ()


def test_production_refuses_the_test_identities(corpus: Path) -> None:
    for name, (act, _, _) in OFFICIAL.items():
        content = reading_of((corpus / "hl7v2" / name).read_bytes(), "production").content
        assert isinstance(content, Rejection), act
        assert "INS_ROOT" in {p.code for p in content.problems}
    for name in ("ConsentementConsultation_NonOppositionAlimentation.er7",):
        reading = reading_of((corpus / "hl7v2" / name).read_bytes(), "production")
        assert [p.code for p in reading.problems] == ["PROCESSING_ID"]

"""A CDA that comes alone: act, relation, sender, identity, flags, types; the same deposit as over HL7v2."""

import base64
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.load import load
from gateway.mappers.cda.read import read as read_cda
from gateway.mappers.cda.submission import decoded, read
from gateway.mappers.common.reading import Read
from gateway.mappers.hl7v2 import read as hl7v2
from gateway.mappers.hl7v2.header import read_header
from gateway.model.base import Model
from gateway.model.outcome import Rejection
from gateway.model.problem import Severity, Unreadable
from gateway.model.source import Directory, Grant, Source
from gateway.model.submission import Act, Submission
from gateway.model.verdict import Verdict
from tests.strategies.cda import damaged_trees

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
NEW, SECOND_VERSION = "cda/bio-adele-v1.xml", "cda/bio-adele-v2.xml"
ROLE = "/ClinicalDocument/recordTarget[1]/patientRole[1]"


@pytest.fixture(scope="module")
def directory() -> Directory:
    return load(None, {}, {}).settings.directory


def sample(file: str = NEW) -> bytes:
    return (SAMPLES / file).read_bytes()


def trusted(directory: Directory, name: str = "sil-valmont", **changes: object) -> Source:
    (source,) = (source for source in directory.sources if source.id == name)
    given: dict[str, object] = {"grants": source.grants | {Grant.IDENTITY_ASSERTED}, **changes}
    return msgspec.structs.replace(source, **given)


def reading(
    directory: Directory,
    document: bytes,
    *,
    part: bytes | None = None,
    source: Source | None = None,
    environment: str = "test",
    charset: str | None = None,
    **headers: str,
) -> Read:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read(document, named, part, source or trusted(directory), directory, environment=environment, charset=charset)


def submission(found: Read) -> Submission:
    assert isinstance(found.content, Submission), found.problems
    return found.content


def errors(found: Read) -> list[tuple[str, str]]:
    assert isinstance(found.content, Rejection)
    assert found.parts == ()
    assert found.content.verdict is Verdict.REJECTED
    return [(one.code, one.place.path if one.place else "") for one in found.problems if one.severity is Severity.ERROR]


def changed(pattern: str, to: str, file: str = NEW, count: int = 1) -> bytes:
    text, done = re.subn(pattern, to, sample(file).decode(), count=count, flags=re.DOTALL)
    assert done == count, pattern
    return text.encode()


# -- the act


@pytest.mark.parametrize(("file", "act"), [(NEW, Act.ADD), (SECOND_VERSION, Act.REPLACE)])
def test_the_document_shows_the_act(directory: Directory, file: str, act: Act) -> None:
    found = submission(reading(directory, sample(file)))
    assert found.act is act
    assert bool(found.documents[0].entry.replaces) == (act is Act.REPLACE)


@pytest.mark.parametrize(
    ("file", "act"), [(NEW, "add"), (SECOND_VERSION, "replace"), (NEW, "delete"), (SECOND_VERSION, "delete")]
)
def test_an_act_that_is_declared_and_fits(directory: Directory, file: str, act: str) -> None:
    found = submission(reading(directory, sample(file), dmp_act=act))
    assert found.act.value == act
    assert found.places["act"].path == "header:DMP-Act"
    # The document of a deletion is the last version as it was: its relatedDocument says nothing.
    assert bool(found.documents[0].entry.replaces) == (act == "replace")


def test_an_act_that_the_document_denies_is_refused(directory: Directory) -> None:
    related = "/ClinicalDocument/relatedDocument[1]"
    ((code, path),) = errors(reading(directory, sample(SECOND_VERSION), dmp_act="add"))
    assert (code, path.startswith(related)) == ("RELATION_DIFFERS", True)
    assert errors(reading(directory, sample(NEW), dmp_act="replace")) == [("RELATION_DIFFERS", related)]


def test_a_later_version_may_be_a_replacement_by_its_set(directory: Directory) -> None:
    document = changed(r'<versionNumber value="1"', '<versionNumber value="2"')
    found = reading(directory, document, dmp_act="replace")
    assert submission(found).act is Act.REPLACE
    assert [problem.code for problem in found.problems] == ["CDA_UNUSUAL"]


# -- identity


def test_a_source_without_the_grant_is_refused(directory: Directory) -> None:
    source = trusted(directory, grants=frozenset({Grant.DEPOSIT}))
    ((code, path),) = errors(reading(directory, sample(), source=source))
    assert (code, path.startswith(ROLE)) == ("INS_UNQUALIFIED", True)


def test_a_deletion_by_a_source_without_the_grant_is_warned(directory: Directory) -> None:
    found = reading(directory, sample(), source=trusted(directory, grants=frozenset({Grant.DEPOSIT})), dmp_act="delete")
    assert submission(found).act is Act.DELETE
    assert [(one.code, one.severity) for one in found.problems] == [("INS_UNQUALIFIED", Severity.WARNING)]


def test_a_source_that_may_not_deposit_is_refused_before_anything_is_read(directory: Directory) -> None:
    source = trusted(directory, grants=frozenset({Grant.IDENTITY_ASSERTED}))
    assert errors(reading(directory, b"<", source=source)) == [("SOURCE_NOT_ALLOWED", "")]


def test_a_wrong_key_is_told_once_with_its_place(directory: Directory) -> None:
    ((code, path),) = errors(reading(directory, sample("cda/bio-adele-cle-fausse.xml")))
    assert code == "INS_KEY"
    assert re.fullmatch(re.escape(ROLE) + r"/id\[\d\]/@extension", path)


def test_production_refuses_a_test_patient(directory: Directory) -> None:
    ((code, path),) = errors(reading(directory, sample(), environment="production"))
    assert (code, path.startswith(ROLE)) == ("INS_ROOT", True)


def test_no_ins_is_refused(directory: Directory) -> None:
    document = changed(r"1\.2\.250\.1\.213\.1\.4\.10", "1.2.250.1.999.7")
    assert [code for code, _ in errors(reading(directory, document))] == ["INS_ABSENT"]


@pytest.mark.parametrize(
    ("pattern", "below"),
    [
        (r'<family qualifier="BR">[^<]*</family>', "/patient[1]/name[1]/family[1]"),
        (r'<birthTime value="\d+"/>', "/patient[1]/birthTime[1]"),
        (r"<administrativeGenderCode [^>]*/>", "/patient[1]/administrativeGenderCode[1]"),
        (r"<county>[^<]*</county>", "/patient[1]/birthplace[1]/place[1]/addr[1]/county[1]"),
    ],
)
def test_each_strict_trait_must_be_there(directory: Directory, pattern: str, below: str) -> None:
    document = changed(pattern, "")
    assert errors(reading(directory, document)) == [("TRAITS_MISSING", ROLE + below)]


def test_two_patients_are_refused(directory: Directory) -> None:
    text = sample().decode()
    (target,) = re.findall(r"<recordTarget>.*?</recordTarget>", text, re.DOTALL)
    (other,) = re.findall(r"<recordTarget>.*?</recordTarget>", sample("cda/bio-bastien.xml").decode(), re.DOTALL)
    both = text.replace(target, target + other).encode()
    assert [code for code, _ in errors(reading(directory, both))] == ["PID_CDA_DIFFER"]
    assert submission(reading(directory, text.replace(target, target * 2).encode())).act is Act.ADD


def test_local_numbers_are_tested_in_their_canonical_form(directory: Directory) -> None:
    found = submission(reading(directory, sample()))
    assert found.patient.identifiers[0].is_ins
    assert any(known.authority == "chu-valmont/ipp" for known in found.identifiers)


# -- sender, establishments


def test_without_a_declared_sender_the_sources_own_application_sends(directory: Directory) -> None:
    found = submission(reading(directory, sample()))
    assert found.sender is not None
    assert found.sender.person is not None
    assert found.sender.organisation is not None
    assert found.sender.organisation.id is not None
    assert (found.sender.person.device, found.sender.organisation.id.value) == ("SIL-V", "1990000018")
    assert found.professionals == ()
    assert found.establishments[0] == "chu-valmont"


def test_a_declared_sender_counts_for_oppositions(directory: Directory) -> None:
    found = reading(directory, sample(), dmp_sender_organization="1990000042", dmp_sender_professional="99900000017")
    assert submission(found).establishments == ("chu-valmont", "clinique-aubier")
    assert submission(found).professionals == ("899900000017",)
    assert [(one.code, str(one.place)) for one in found.problems] == [("SENDER_DIFFERS", "header:DMP-Sender-Organization")]


def test_a_sender_that_is_no_finess_is_told(directory: Directory) -> None:
    found = reading(directory, sample(), dmp_sender_organization="12345")
    assert [(one.code, one.severity) for one in found.problems] == [("FIELD_INVALID", Severity.WARNING)]
    assert submission(found).establishments == ("chu-valmont",)


def test_the_custodian_counts_as_well(directory: Directory) -> None:
    found = submission(reading(directory, sample("cda/lettre-adele-aubier.xml")))
    assert set(found.establishments) == {"chu-valmont", "clinique-aubier"}


# -- types, flags, visit, content type


def test_a_type_that_the_record_does_not_take_is_refused(directory: Directory) -> None:
    found = reading(directory, sample("cda/bilan-adele-hors-liste.xml"))
    assert errors(found) == [("TYPE_NOT_DMP", "/ClinicalDocument/code[1]/@code")]


def test_a_type_that_the_source_may_not_send_is_refused(directory: Directory) -> None:
    source = trusted(directory, document_types=("18748-4",))
    assert errors(reading(directory, sample(), source=source)) == [("SOURCE_NOT_ALLOWED", "/ClinicalDocument/code[1]/@code")]
    assert submission(reading(directory, sample("cda/radio-adele-v1.xml"), source=source)).act is Act.ADD


def test_flags_mark_the_document(directory: Directory) -> None:
    found = submission(reading(directory, sample(), dmp_flags="INVISIBLE_PATIENT"))
    assert found.flags.visibility == (False, True, False)
    assert [code.code for code in found.documents[0].entry.confidentiality_codes] == ["N", "INVISIBLE_PATIENT"]
    assert found.places["flags.invisible_patient"].path == "header:DMP-Flags"


@pytest.mark.parametrize("flags", ["MASQUE_PS,INVISIBLE_PATIENT", "MODIF_CONF_CODE"])
def test_flags_that_contradict_are_refused_at_their_header(directory: Directory, flags: str) -> None:
    assert errors(reading(directory, sample(), dmp_flags=flags)) == [("FLAGS_FORBIDDEN", "header:DMP-Flags")]


def test_a_replacement_may_change_the_confidentiality(directory: Directory) -> None:
    assert submission(reading(directory, sample(SECOND_VERSION), dmp_flags="MODIF_CONF_CODE")).flags.modif_conf_code


def test_a_restricted_document_is_not_shared(directory: Directory) -> None:
    document = changed(r'<confidentialityCode code="N"', '<confidentialityCode code="R"')
    assert errors(reading(directory, document)) == [("FLAGS_FORBIDDEN", "/ClinicalDocument/confidentialityCode[1]/@code")]


def test_content_type_is_the_declared_one_else_the_sources(directory: Directory) -> None:
    source = trusted(directory, content_type="07")
    for headers, expected in (({}, "07"), ({"dmp_content_type_code": "03"}, "03")):
        content_type = submission(reading(directory, sample(), source=source, **headers)).content_type
        assert content_type is not None
        assert content_type.code == expected
    assert submission(reading(directory, sample())).content_type is None


def test_what_is_declared_wrongly_refuses_the_document(directory: Directory) -> None:
    assert errors(reading(directory, sample(), part=b"{")) == [("FIELD_INVALID", "submission")]
    assert errors(reading(directory, sample(), dmp_act="x")) == [("VALUE_UNKNOWN", "header:DMP-Act")]


@pytest.mark.parametrize(
    ("charset", "told"), [("utf-8", False), ("UTF8", False), ("us-ascii", False), ("iso-8859-1", True), ("x", True)]
)
def test_a_charset_of_the_transport_that_differs_is_told(directory: Directory, charset: str, told: bool) -> None:
    found = reading(directory, sample(), charset=charset)
    assert submission(found).act is Act.ADD
    assert [str(one.place) for one in found.problems] == ["header:Content-Type"] * told


# -- the same through another door


def test_the_same_document_over_hl7v2_is_the_same_deposit(directory: Directory) -> None:
    """What D-6 compares: patient, uniqueId, act, the hash of the document, the visibility."""
    payload = sample("oru/01-new-report.er7").replace(b"\n", b"\r")
    header, message = read_header(payload, None)
    source = directory.source(header.application, header.facility)
    assert source is not None
    over_mllp = hl7v2.read(message, header, source, directory, "test").content
    assert isinstance(over_mllp, Submission)
    carried = re.search(rb"\^Base64\^([A-Za-z0-9+/=]+)", payload)
    assert carried is not None
    alone = submission(reading(directory, base64.b64decode(carried.group(1)), source=trusted(directory, source.id)))
    assert len(over_mllp.documents) == 1
    for one in (
        lambda s: s.act,
        lambda s: s.flags.visibility,
        lambda s: s.patient.identifiers[0].key,
        lambda s: s.establishments,
    ):
        assert one(alone) == one(over_mllp)
    assert alone.documents[0].entry == over_mllp.documents[0].entry or _differ(alone, over_mllp) == {"places"}
    assert {known.key for known in alone.identifiers} == {known.key for known in over_mllp.identifiers}


def _differ(one: Submission, other: Submission) -> set[str]:
    left, right = one.documents[0].entry, other.documents[0].entry

    def bare(value: object) -> object:
        """Leave out where it stood."""
        if isinstance(value, Model):
            return {name: bare(getattr(value, name)) for name in value.__struct_fields__ if name not in {"place", "places"}}
        return tuple(bare(each) for each in value) if isinstance(value, tuple) else value

    return {
        name for name in left.__struct_fields__ if name == "places" or bare(getattr(left, name)) != bare(getattr(right, name))
    }


# -- bytes


def test_the_document_is_the_only_part_byte_for_byte(directory: Directory) -> None:
    found = reading(directory, sample())
    assert found.parts == (sample(),)
    assert submission(found).documents[0].part == 0


@given(content=st.binary(min_size=1, max_size=300), width=st.integers(1, 80), end=st.sampled_from([b"\n", b"\r\n", b" "]))
def test_base64_in_lines_is_what_it_stands_for(content: bytes, width: int, end: bytes) -> None:
    text = base64.b64encode(content)
    lines = end.join(text[at : at + width] for at in range(0, len(text), width))
    assert decoded(lines + end) == content


@pytest.mark.parametrize("text", [b"QUJD*", b"QUJ", b"QUJD=", b"QQ==QQ==", b"\xff\xfe", b"QUJD\0", b"=", b"Q\x0bUJD"])
def test_what_is_no_base64_is_refused(text: bytes) -> None:
    with pytest.raises(Unreadable, match="BASE64_INVALID"):
        decoded(text)


@pytest.mark.parametrize("text", [b"", b" \r\n"])
def test_nothing_is_an_empty_document(text: bytes) -> None:
    with pytest.raises(Unreadable, match="DOCUMENT_EMPTY"):
        decoded(text)


@given(document=damaged_trees())
def test_a_damaged_document_is_read_or_refused_with_a_place(document: bytes) -> None:
    found = reading(_DIRECTORY, document)
    if isinstance(found.content, Submission):
        assert not [problem for problem in found.problems if problem.severity is Severity.ERROR]
        assert read_cda(document).entry.unique_id == found.content.documents[0].entry.unique_id
    else:
        assert errors(found)
        assert all(problem.place is not None for problem in found.problems)


@given(document=st.binary(max_size=400))
def test_whatever_bytes_it_is_of_it_is_refused(document: bytes) -> None:
    assert errors(reading(_DIRECTORY, document))


_DIRECTORY = load(None, {}, {}).settings.directory


# -- the corpus


def _corpus(corpus: Path, *folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((corpus / folder).glob("*.xml"))


@pytest.mark.corpus
def test_every_document_of_the_corpus_has_the_verdict_that_its_key_says(corpus: Path, directory: Directory) -> None:
    readme = (corpus / "README.md").read_text(encoding="utf-8")
    wrong = set(re.findall(r"\| (P\d) \|[^|]*\|[^|]*\| \*\*wrong\*\*", readme))
    assert wrong == {f"P{number}" for number in (2, 3, 4, 6, 7)}
    patients = dict(re.findall(r"(?m)^\| ([^|]+\.xml) \|[^|]*(?:\|[^|]*?)?\| (P\d) \|", readme))
    paths = list(_corpus(corpus, "cda"))
    assert {path.name for path in paths} == patients.keys()
    for environment in ("test", "production"):
        for path in paths:
            found = reading(directory, path.read_bytes(), environment=environment)
            refusals = {problem.code for problem in found.problems if problem.severity is Severity.ERROR}
            is_test = b"1.2.250.1.213.1.4.10" in path.read_bytes()
            expected = {"INS_KEY"} if patients[path.name] in wrong else set()
            expected |= {"INS_ROOT"} if environment == "production" and is_test else set()
            assert refusals == expected, path.name
            assert isinstance(found.content, Rejection if expected else Submission), path.name


@pytest.mark.corpus
def test_every_foreign_and_hostile_document_is_refused_at_a_place(corpus: Path, directory: Directory) -> None:
    codes = {path.name: errors(reading(directory, path.read_bytes()))[0] for path in _corpus(corpus, "cda/foreign", "hostile")}
    for name, (code, place) in codes.items():
        assert place.startswith("/"), name
        known = {
            "Patient_and_Provider_Organization_Direct_Address_C-CDAR2.1_.xml": "CDA_REQUIRED",
            "Unstructured_Document_reference.xml": "DOCUMENT_EMPTY",
            "CDADocumentWithXInclude.xml": "CDA_REQUIRED",
        }
        expected = known.get(name, "XML_FORBIDDEN" if (corpus / "hostile" / name).exists() else "INS_ABSENT")
        assert code == expected, name
    assert len(codes) == 16


#: Reads each file under limits of the system: memory, and seconds of the processor.
_BOUNDED: str = """
import json, resource, sys, time
from pathlib import Path
from gateway.config.load import load
from gateway.mappers.cda.submission import read
directory = load(None, {}, {}).settings.directory
source = next(each for each in directory.sources if each.id == "portail-valmont")
pages = int(Path("/proc/self/statm").read_text().split()[0])
allowed = pages * resource.getpagesize() + 64 * 1024 * 1024
resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
slowest = 0.0
for name in sys.argv[1:]:
    begun = time.process_time()
    found = read(Path(name).read_bytes(), {}, None, source, directory, environment="test")
    slowest = max(slowest, time.process_time() - begun)
    assert found.parts == (), name
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"files": len(sys.argv) - 1, "slowest_seconds": round(slowest, 4), "grown_kib": after - before}))
"""


@pytest.mark.corpus
def test_foreign_and_hostile_documents_are_refused_within_64_mib(corpus: Path, tmp_path: Path) -> None:
    """The system ends the process that takes more; beside the corpus, what grows without a DOCTYPE."""
    wide = tmp_path / "wide.xml"
    wide.write_bytes(b"<ClinicalDocument xmlns='urn:hl7-org:v3'>" + b"<a/>" * 1_000_001 + b"</ClinicalDocument>")
    deep = tmp_path / "deep.xml"
    deep.write_bytes(b"<a>" * 200_000 + b"</a>" * 200_000)
    paths = [*_corpus(corpus, "cda/foreign", "hostile"), wide, deep]
    done = subprocess.run(
        [sys.executable, "-c", _BOUNDED, *map(str, paths)],
        cwd=SAMPLES.parent,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)

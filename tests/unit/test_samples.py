"""The samples are what their generator writes, and hold what their README says."""

import base64
import importlib.util
import json
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from gateway.model.problem import Answer
from gateway.model.problems import CODES
from gateway.model.verdict import Verdict

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
V3 = "{urn:hl7-org:v3}"
INS_ROOT = "1.2.250.1.213.1.4.10"
CHARSETS = {"UNICODE UTF-8": "utf-8", "8859/15": "iso-8859-15", "8859/1": "iso-8859-1", "ASCII": "ascii"}
#: The files that hold no message that can be read to its end.
UNREADABLE = {"bad/16-truncated.mllp", "bad/17-bytes-outside-charset.er7", "bad/20-no-msh.er7"}
#: The files whose PID-3 or document holds a wrong key on purpose.
WRONG_KEY = {
    "adt/07-a01-io-wrong-ins.er7",
    "bad/02-ins-key.er7",
    "cda/bio-adele-cle-fausse.xml",
}
FILES = sorted(path.relative_to(SAMPLES).as_posix() for path in SAMPLES.glob("*/*") if path.suffix in {".er7", ".mllp"})
DOCUMENTS = sorted(path.relative_to(SAMPLES).as_posix() for path in (SAMPLES / "cda").iterdir())
READABLE = [file for file in FILES if file not in UNREADABLE]
#: The messages whose OBX-5.5 is broken or no CDA, on purpose.
NO_DOCUMENT = {f"bad/{n}" for n in ("09-base64-invalid.er7", "10-not-xml.er7", "11-entity-bomb.er7")} | {
    f"bad/{n}" for n in ("12-external-entity.er7", "13-doctype.er7")
}


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("samples_build", SAMPLES / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def text_of(file: str) -> str:
    raw = (SAMPLES / file).read_bytes()
    msh = next(line for line in raw.split(b"\n") if line.startswith(b"MSH"))
    msh18 = msh.split(b"|")[17].decode("ascii")
    return raw.decode(CHARSETS[msh18])


def segments(file: str, name: str) -> list[list[str]]:
    return [line.split("|") for line in text_of(file).split("\n") if line.startswith(name + "|")]


def carried(file: str) -> list[bytes]:
    return [
        base64.b64decode(obx[5].split("^")[4], validate=True)
        for obx in segments(file, "OBX")
        if obx[2] == "ED" and obx[3].endswith("^LN")
    ]


def document(content: bytes) -> ET.Element:
    root = ET.fromstring(content)
    return root if root.tag == V3 + "ClinicalDocument" else root.find("{data:,contenu}Contenu")[0]


def key_is_right(matricule: str) -> bool:
    digits = matricule[:13].replace("2A", "19").replace("2B", "18")
    return len(matricule) == 15 and (int(digits) + int(matricule[13:])) % 97 == 0 and matricule[13:] != "00"


def ins_of(file: str) -> list[str]:
    if file.startswith("cda/"):
        ids = document((SAMPLES / file).read_bytes()).iter(V3 + "id")
        return [i.attrib["extension"] for i in ids if i.attrib["root"] == INS_ROOT]
    found = re.findall(rb"[|~]([^|~^]*)\^\^\^[^|~^]*&" + INS_ROOT.encode(), (SAMPLES / file).read_bytes())
    return [matricule.decode("ascii") for matricule in found]


def test_committed_files_are_what_the_generator_writes(build: ModuleType) -> None:
    assert build.differences() == {}


def test_the_generator_writes_the_same_bytes_twice(build: ModuleType) -> None:
    assert build.files() == build.files()


def test_a_changed_and_a_left_over_file_are_seen(build, tmp_path, monkeypatch) -> None:
    for path, content in build.files().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "README.md").write_bytes(b"")
    (tmp_path / "mdm/99-old.er7").write_bytes(b"")
    (tmp_path / "expected.json").unlink()
    monkeypatch.setattr(build, "HERE", tmp_path)
    assert build.differences() == {
        "README.md": "changed",
        "mdm/99-old.er7": "left over",
        "expected.json": "missing",
    }
    assert build.main(["--check"]) == 1
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0


def test_the_readme_lists_every_file() -> None:
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    for file in [*FILES, *DOCUMENTS]:
        assert readme.count(f"]({file})") == 1, file


@pytest.mark.parametrize("file", [*FILES, *DOCUMENTS])
def test_every_ins_has_its_key_save_those_meant_to_be_wrong(file: str) -> None:
    found = ins_of(file)
    assert all(key_is_right(matricule) for matricule in found) == (file not in WRONG_KEY)


def test_the_search_for_ins_finds_them() -> None:
    assert ins_of("oru/01-new-report.er7") == ["284103523811464"]
    assert ins_of("cda/bio-adele-v1.xml") == ["284103523811464"]
    assert len(ins_of("bad/05-ins-several.er7")) == 2
    assert ins_of("adt/05-a01-io-provisional.er7") == ins_of("bad/01-ins-absent.er7") == []


@pytest.mark.parametrize("file", [file for file in FILES if file.endswith(".er7")])
def test_lines_end_with_a_line_feed(file: str) -> None:
    raw = (SAMPLES / file).read_bytes()
    assert b"\r" not in raw
    assert raw.endswith(b"\n")
    assert b"\n\n" not in raw


@pytest.mark.parametrize("file", READABLE)
def test_bytes_are_in_the_charset_of_msh_18(file: str) -> None:
    assert text_of(file).startswith("FHS|^~\\&|" if file == "bad/21-batch-count.er7" else "MSH|^~\\&|")


def test_charsets_are_shown_and_not_only_named() -> None:
    charsets = {file: segments(file, "MSH")[0][17] for file in READABLE}
    named = {charset: [file for file in READABLE if charsets[file] == charset] for charset in CHARSETS}
    assert len(named["8859/15"]) == len(named["8859/1"]) == len(named["ASCII"]) == 1
    fifteen, one = (SAMPLES / named[charset][0] for charset in ("8859/15", "8859/1"))
    assert b"\xa4" in fifteen.read_bytes() and b"\xbd" in fifteen.read_bytes()
    assert "€" in text_of(named["8859/15"][0]) and "œ" in text_of(named["8859/15"][0])
    assert b"\xe9" in one.read_bytes()
    with pytest.raises(UnicodeDecodeError):
        (SAMPLES / "bad/17-bytes-outside-charset.er7").read_bytes().decode("utf-8")


def test_message_ids_are_used_once() -> None:
    ids = [msh[9] for file in READABLE for msh in segments(file, "MSH")]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("file", [file for file in READABLE if file.startswith(("mdm/", "oru/", "bad/"))])
def test_messages_carry_the_documents_in_clear(file: str) -> None:
    known = {(SAMPLES / path).read_bytes() for path in DOCUMENTS}
    if file in NO_DOCUMENT:
        assert segments(file, "OBX")[0][2] == "ED"
        return
    documents = carried(file)
    assert all(content in known for content in documents)
    assert len(documents) == {
        "oru/04-two-documents.er7": 2,
        "bad/21-batch-count.er7": 2,
        "oru/12-plain-results.er7": 0,
        "bad/19-message-type.er7": 0,
    }.get(file, 1)


@pytest.mark.parametrize("file", DOCUMENTS)
def test_every_document_is_carried(file: str) -> None:
    content = (SAMPLES / file).read_bytes()
    carriers = [other for other in READABLE if other not in NO_DOCUMENT and content in carried(other)]
    assert carriers


def test_document_ids_are_used_once() -> None:
    ids = [document((SAMPLES / file).read_bytes()).find(V3 + "id").attrib["root"] for file in DOCUMENTS]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("first", "second", "deletion"),
    [
        ("mdm/01-t02-radiology.er7", "mdm/02-t10-replacement.er7", "mdm/03-t04-deletion.er7"),
        ("oru/01-new-report.er7", "oru/02-replacement.er7", "oru/03-deletion.er7"),
    ],
)
def test_replacement_and_deletion_join_what_they_change(first: str, second: str, deletion: str) -> None:
    one, two, gone = (document(carried(file)[0]) for file in (first, second, deletion))

    def root(element: ET.Element, path: str) -> str:
        return element.find("/".join(V3 + part for part in path.split("/"))).attrib["root"]

    assert root(two, "relatedDocument/parentDocument/id") == root(one, "id") != root(two, "id")
    assert root(two, "setId") == root(one, "setId")
    assert two.find(V3 + "versionNumber").attrib["value"] == "2"
    assert root(gone, "id") == root(two, "id")
    if first.startswith("mdm/"):
        assert segments(second, "TXA")[0][12:14] == [root(two, "id"), root(one, "id")]
        assert segments(deletion, "TXA")[0][12] == root(two, "id")
    acts = [(segments(f, "ORC")[0][1], segments(f, "OBX")[0][11]) for f in (first, second, deletion)]
    assert acts == [("NW", "F"), ("RO", "C"), ("CA", "D")]


@pytest.mark.parametrize("file", [file for file in DOCUMENTS if file.endswith(".xml")])
def test_the_pdf_can_be_opened_by_its_cross_references(file: str) -> None:
    root = document((SAMPLES / file).read_bytes())
    held = [e for e in root.iter() if e.attrib.get("representation") == "B64"]
    assert len(held) == (0 if "59776-5" in (SAMPLES / file).read_text(encoding="utf-8") else 1)
    for element in held:
        assert element.attrib["mediaType"] == "application/pdf"
        content = base64.b64decode(element.text, validate=True)
        assert content.startswith(b"%PDF-1.4\n") and content.endswith(b"%%EOF\n")
        start = int(content.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
        count = int(re.match(rb"xref\n0 (\d+)\n", content[start:]).group(1))
        entries = re.findall(rb"(\d{10}) 00000 n \n", content[start:])
        assert len(entries) == count - 1
        for number, offset in enumerate(entries, start=1):
            assert content[int(offset) :].startswith(b"%d 0 obj\n" % number)
        length = int(re.search(rb"/Length (\d+)", content).group(1))
        stream = content.split(b"stream\n", 1)[1].split(b"\nendstream", 1)[0]
        assert len(stream) == length


def test_the_self_rendering_document_is_wrapped_and_prefixed() -> None:
    content = (SAMPLES / "cda/bio-dalila-auto.xsl").read_bytes()
    root = ET.fromstring(content)
    assert root.tag == "{http://www.w3.org/1999/XSL/Transform}stylesheet"
    assert document(content).tag == V3 + "ClinicalDocument"
    assert b'xsi:type="c:PQ"' in content
    assert b"<c:ClinicalDocument" in content and b"<ClinicalDocument" not in content


def test_the_truncated_frame_begins_and_does_not_end() -> None:
    raw = (SAMPLES / "bad/16-truncated.mllp").read_bytes()
    assert raw.startswith(b"\x0bMSH|") and b"\rPID|" in raw
    assert b"\x1c" not in raw


def test_expected_answers_are_those_of_the_table_of_problems() -> None:
    rows = json.loads((SAMPLES / "expected.json").read_bytes())
    assert sorted(row["file"] for row in rows) == FILES
    for row in rows:
        assert Answer(row["answer"])
        verdict = Verdict(row["verdict"])
        assert (row["answer"] == "AA") == (verdict is not Verdict.REJECTED), row
        if row["answer"] != "AA":
            assert row["severity"] == "E"
            assert row["answer"] == CODES[row["code"]].answer, row
        elif row["code"] is not None:
            assert row["code"] in CODES
            assert row["severity"] in {"W", "I"}


def test_places_exist_in_their_message() -> None:
    for row in json.loads((SAMPLES / "expected.json").read_bytes()):
        if row["place"] is None or row["file"] in UNREADABLE - {"bad/17-bytes-outside-charset.er7"}:
            continue
        name = row["place"].split("^")[0].encode()
        assert re.search(rb"(^|\n)" + name + rb"\|", (SAMPLES / row["file"]).read_bytes()), row


def test_the_configuration_holds_together_and_admits_every_sender_but_one() -> None:
    settings = tomllib.loads((SAMPLES / "dmp-gateway.toml").read_text(encoding="utf-8"))
    assert settings["environment"] == "test"
    assert {e["id"] for e in settings["establishments"]} == {"chu-valmont", "clinique-aubier"}
    sources = {source["id"]: source for source in settings["sources"]}
    assert {source["establishment"] for source in sources.values()} == {"chu-valmont", "clinique-aubier"}
    admitted = {id_ for connection in settings["connections"] for id_ in connection["sources"]}
    assert admitted == sources.keys() - {"ris-old-valmont"}
    senders = {(msh[2], msh[3]) for file in READABLE for msh in segments(file, "MSH")}
    known = {(source["application"], source["facility"]): id_ for id_, source in sources.items()}
    assert {known[sender] for sender in senders} == sources.keys() - {"portail-valmont"}  # it sends no HL7v2
    refused = {file for file in READABLE for m in segments(file, "MSH") if known[m[2], m[3]] == "ris-old-valmont"}
    assert refused == {"bad/22-source-not-admitted.er7"}


def test_local_identifiers_are_of_the_senders_own_authority() -> None:
    settings = tomllib.loads((SAMPLES / "dmp-gateway.toml").read_text(encoding="utf-8"))
    establishment = {(s["application"], s["facility"]): s["establishment"] for s in settings["sources"]}
    authority = {e["id"]: e["authorities"]["ipp"] for e in settings["establishments"]}
    for file in READABLE:
        if file == "adt/08-a01-foreign-authority.er7":
            continue
        msh, pid = segments(file, "MSH")[0], segments(file, "PID")[0]
        namespace, universal, _ = authority[establishment[msh[2], msh[3]]]
        for cx in pid[3].split("~"):
            if cx.endswith("^PI"):
                assert cx.split("^")[3] == f"{namespace}&{universal}&M", file

"""The header and body of a document: what is required, what is tolerated, and which file is enclosed."""

import base64
import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from gateway.mappers.cda.body import MAGIC
from gateway.mappers.cda.header import HEADER, Need, Row
from gateway.mappers.cda.read import read
from gateway.mappers.cda.xml import Limits
from gateway.model.code import Code, Identifier
from gateway.model.place import Place
from gateway.model.problem import Problem, Unreadable
from gateway.terminology import table
from tests.strategies.cda import V3, check_places, golden

SAMPLES = sorted((Path(__file__).resolve().parents[3] / "samples" / "cda").iterdir())

#: A file of each media type, as it begins.
FILES = {
    "application/pdf": b"%PDF-1.7\n",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/png": b"\x89PNG\r\n\x1a\n\0",
    "image/gif": b"GIF89a",
    "image/tiff": b"II*\0\x08",
    "text/rtf": b"{\\rtf1",
    "application/rtf": b"{\\rtf1",
    "application/msword": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "application/dicom": b"\0" * 128 + b"DICM",
    "text/plain": "Né à Évreux".encode(),
    "text/html": b"\n<html/>",
    "text/xml": b"\xef\xbb\xbf<?xml version='1.0'?><a/>",
}

#: Pairs of media types whose files have different forms.
SAME = ({"text/rtf", "application/rtf"}, {"text/html", "text/xml"})
OTHERS = [
    (announced, real)
    for announced, real in itertools.permutations(sorted(FILES), 2)
    if not any({announced, real} == same for same in SAME)
]


def changed(change: Callable[[etree._Element], object], name: str = "lab_report") -> bytes:
    root = etree.fromstring(golden(name))
    change(root)
    return etree.tostring(root)


def child(root: etree._Element, *names: str) -> etree._Element:
    for name in names:
        found = root.find(f"{{{V3}}}{name}")
        assert found is not None, name
        root = found
    return root


def without(name: str) -> bytes:
    def drop(root: etree._Element) -> None:
        for each in root.findall(f"{{{V3}}}{name}"):
            root.remove(each)

    return changed(drop)


def level_1(text: str) -> bytes:
    def swap(root: etree._Element) -> None:
        child(root, "component").getparent().remove(child(root, "component"))
        root.append(etree.fromstring(f'<component xmlns="{V3}"><nonXMLBody>{text}</nonXMLBody></component>'))

    return changed(swap)


def b64(media_type: str, content: bytes, *, width: int = 76) -> str:
    text = base64.b64encode(content).decode()
    lines = "\r\n".join(text[at : at + width] for at in range(0, len(text), width))
    return f'<text mediaType="{media_type}" representation="B64">\n{lines}\n</text>'


def errors(document: bytes) -> tuple[Problem, ...]:
    with pytest.raises(Unreadable) as caught:
        read(document)
    return caught.value.problems


@pytest.mark.parametrize("row", HEADER, ids=lambda row: row.name)
def test_an_absent_element(row: Row) -> None:
    document = without(row.name)
    if row.absent is Need.REQUIRED:
        (problem,) = errors(document)
        assert (problem.code, problem.detail) == ("CDA_REQUIRED", row.name)
    else:
        (problem,) = read(document).problems
        assert (problem.code, problem.detail) == ("CDA_UNUSUAL", f"{row.name}: absent")
    assert problem.place == Place(path=f"/ClinicalDocument/{row.name}[1]", line=problem.place.line)


@pytest.mark.parametrize("row", [row for row in HEADER if row.several is not Need.FREE], ids=lambda row: row.name)
def test_a_second_element(row: Row) -> None:
    def double(root: etree._Element) -> None:
        one = child(root, row.name)
        one.addnext(etree.fromstring(etree.tostring(one, with_tail=False)))

    document = changed(double)
    if row.several is Need.REQUIRED:
        (problem,) = errors(document)
        assert problem.code == "CDA_INVALID"
    else:
        (problem,) = read(document).problems
        assert problem.code == "CDA_UNUSUAL"
    assert problem.place.path == f"/ClinicalDocument/{row.name}[2]"


@pytest.mark.parametrize(
    ("path", "attribute"),
    [(("id",), "root"), (("code",), "code"), (("effectiveTime",), "value")],
)
def test_a_required_element_that_holds_nothing(path: tuple[str, ...], attribute: str) -> None:
    (problem,) = errors(changed(lambda root: child(root, *path).attrib.pop(attribute)))
    assert problem.code == "CDA_REQUIRED"
    assert problem.place.path == f"/ClinicalDocument/{path[0]}[1]/@{attribute}"


def test_problems_and_places_are_within_what_carried_the_document() -> None:
    obx = Place(path="OBX[2]-5[1].5", start=10, end=900)
    with pytest.raises(Unreadable) as caught:
        read(golden("nothing_right"), obx)
    assert {problem.place.within for problem in caught.value.problems} == {obx}
    reading = read(golden("odd_forms"), obx)
    assert {place.within for place in reading.entry.places.values()} == {obx}
    assert {known.place.within for patient in reading.patients for known in patient.identifiers} == {obx}
    assert {problem.place.within for problem in reading.problems} == {obx}
    with pytest.raises(Unreadable) as caught:
        read(b"<html/>", obx)
    assert caught.value.problems == (caught.value.problems[0],)
    assert caught.value.problems[0].code == "NOT_CDA"
    assert caught.value.problems[0].place == Place(path="/", line=1, within=obx)


@pytest.mark.parametrize(
    "document",
    [
        b"<ClinicalDocument/>",
        b'<ClinicalDocument xmlns="urn:hl7-org:v2"/>',
        b'<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform"/>',
        b'<Contenu><ClinicalDocument xmlns="urn:hl7-org:v3"/></Contenu>',
        (
            b'<s:stylesheet xmlns:s="http://www.w3.org/1999/XSL/Transform"><Contenu>'
            b'<ClinicalDocument xmlns="urn:hl7-org:v3"/><ClinicalDocument xmlns="urn:hl7-org:v3"/></Contenu></s:stylesheet>'
        ),
    ],
)
def test_what_is_no_cda_is_refused(document: bytes) -> None:
    assert [problem.code for problem in errors(document)] == ["NOT_CDA"]


def test_size_and_hashes_are_those_of_the_bytes_received() -> None:
    document = b"\xef\xbb\xbf" + golden("lab_report").replace(b"\n", b"\r\n")
    entry = read(document).entry
    assert (entry.size, entry.hash, entry.digest) == (
        len(document),
        hashlib.sha1(document).hexdigest(),
        hashlib.sha256(document).hexdigest(),
    )


def test_every_patient_is_read() -> None:
    def another(root: etree._Element) -> None:
        target = child(root, "recordTarget")
        target.addnext(etree.fromstring(etree.tostring(target, with_tail=False).replace(b"285047512345607", b"X")))

    reading = read(changed(another))
    assert [patient.identifiers[0].value for patient in reading.patients] == ["285047512345607", "X"]
    assert reading.patients[1].places["traits.birth_name"].path.startswith("/ClinicalDocument/recordTarget[2]/")


def test_the_local_id_is_the_source_patient_id_else_the_ins() -> None:
    assert read(golden("lab_report")).entry.source_patient_id == Identifier(value="IPP-4711", authority="1.2.250.1.999.9.3")

    def only_national(root: etree._Element) -> None:
        role = child(root, "recordTarget", "patientRole")
        role.remove(role.findall(f"{{{V3}}}id")[2])

    entry = read(changed(only_national)).entry
    assert entry.source_patient_id == Identifier(value="285047512345607", authority="1.2.250.1.213.1.4.10")


def test_a_specialty_without_code_is_its_first_translation() -> None:
    def translate(root: etree._Element) -> None:
        code = child(root, "author", "assignedAuthor", "code")
        code.addprevious(
            etree.fromstring(f'<code xmlns="{V3}" nullFlavor="OTH"><translation code="T" codeSystem="2.999"/></code>')
        )

    reading = read(changed(translate))
    assert reading.entry.authors[0].specialty == Code(code="T", system="2.999")
    assert reading.entry.places["authors[0].specialty"].path.endswith("/code[1]/translation[1]/@code")


@pytest.mark.parametrize("media_type", sorted(FILES))
def test_the_enclosed_file_is_read(media_type: str) -> None:
    reading = read(level_1(b64(media_type, FILES[media_type] * 40)))
    assert reading.content == FILES[media_type] * 40
    assert (reading.entry.level, reading.entry.content_media_type) == (1, media_type)
    assert reading.entry.places["content_media_type"].path.endswith("/text[1]/@mediaType")
    assert not reading.problems


def test_there_is_a_file_of_every_known_form() -> None:
    assert set(FILES) == set(MAGIC)
    unknown = {code.code for code in table("mime_type")} - set(MAGIC)
    assert all(media_type.startswith("audio/") for media_type in unknown)


@pytest.mark.parametrize(("announced", "real"), OTHERS)
def test_a_file_of_another_form_is_a_mismatch(announced: str, real: str) -> None:
    document = level_1(b64(announced, FILES[real]))
    if announced == "text/plain" and (real.startswith("text/") or real == "application/rtf"):
        assert not read(document).problems, "markup may be sent as plain text"
        return
    (problem,) = errors(document)
    assert problem.code == "CONTENT_MISMATCH"
    assert problem.place.path == "/ClinicalDocument/component[1]/nonXMLBody[1]/text[1]"


@pytest.mark.parametrize("announced", ["text/plain", "application/pdf"])
@pytest.mark.parametrize("head", [b"MZ\x90", b"\x7fELF", b"PK\x03\x04", b"abc\0def"])
def test_a_program_is_no_text(announced: str, head: bytes) -> None:
    assert [problem.code for problem in errors(level_1(b64(announced, head)))] == ["CONTENT_MISMATCH"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('<text mediaType="application/pdf" representation="B64">JVBERi0xLjc</text>', "BASE64_INVALID"),
        ('<text mediaType="application/pdf" representation="B64">JVBERi0x!jc=</text>', "BASE64_INVALID"),
        ('<text mediaType="application/pdf" representation="B64">JVBERi0xLjc==</text>', "BASE64_INVALID"),
        ('<text mediaType="application/pdf" representation="B64">JVBERi0xLjc=JVBE</text>', "BASE64_INVALID"),
        ('<text mediaType="application/pdf" representation="B64">é</text>', "BASE64_INVALID"),
        ('<text mediaType="application/pdf" representation="B64"> \n </text>', "DOCUMENT_EMPTY"),
        ('<text mediaType="application/pdf"><reference value="http://127.0.0.1:9/a.pdf"/></text>', "DOCUMENT_EMPTY"),
        ('<text nullFlavor="NI"/>', "DOCUMENT_EMPTY"),
        ("", "DOCUMENT_EMPTY"),
        ('<text mediaType="text/plain" compression="GZ" representation="B64">H4sI</text>', "CDA_INVALID"),
        ('<text mediaType="application/pdf">%PEF-1.7</text>', "CONTENT_MISMATCH"),
    ],
)
def test_a_file_that_cannot_be_read(text: str, code: str) -> None:
    assert [problem.code for problem in errors(level_1(text))] == [code]


def test_text_stands_as_it_is() -> None:
    reading = read(level_1("<text>Température 38 °C &lt; 39</text>"))
    assert reading.content == "Température 38 °C < 39".encode()
    assert reading.entry.content_media_type == "text/plain"
    assert "content_media_type" not in reading.entry.places


def test_parameters_of_a_media_type_are_left_out() -> None:
    assert read(level_1(b64("Text/Plain; charset=utf-8", b"abc"))).entry.content_media_type == "text/plain"


def test_an_unknown_media_type_is_said() -> None:
    reading = read(level_1(b64("audio/mpeg", b"ID3")))
    assert reading.entry.format_code is None
    assert [problem.code for problem in reading.problems] == ["CDA_UNUSUAL"]


def test_a_pdf_may_have_a_line_before_its_header() -> None:
    assert read(level_1(b64("application/pdf", b"\r\n" + FILES["application/pdf"]))).content is not None


def test_level_2_is_narrative_only() -> None:
    def narrative(root: etree._Element) -> None:
        section = child(root, "component", "structuredBody", "component", "section")
        section.remove(child(section, "entry"))

    assert read(golden("lab_report")).entry.level == 3
    assert read(changed(narrative)).entry.level == 2


def test_no_body_is_said() -> None:
    reading = read(without("component"))
    assert reading.entry.level == 2
    assert [problem.detail for problem in reading.problems] == ["no body"]


def test_a_title_may_hold_elements_as_deep_as_documents_go() -> None:
    deep = b"<b>" * 1500 + b"Titre" + b"</b>" * 1500
    document = golden("lab_report").replace(b"<title>", b"<title>" + deep)
    title = read(document, limits=Limits(depth_limit_elements=2000)).entry.title
    assert title == "TitreCompte rendu d'examens"


@pytest.mark.parametrize(("count", "told"), [(99, 99), (100, 100), (101, 101), (5000, 101)])
def test_problems_are_told_up_to_a_number(count: int, told: int) -> None:
    document = golden("lab_report").replace(
        b"<relatedDocument", b'<relatedDocument typeCode="APND"/>' * count + b"<relatedDocument"
    )
    problems = read(document).problems
    assert len(problems) == told
    assert (problems[-1].detail == "and more") == (count > 100)
    refused = errors(document.replace(b"<recordTarget>", b"<recordTarget/>" * count + b"<recordTarget>"))
    assert len(refused) == told
    assert (refused[-1].place.path == "/") == (count > 100)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_the_samples_are_read_without_a_word(path: Path) -> None:
    document = path.read_bytes()
    reading = read(document)
    assert reading.problems == ()
    assert check_places(document, reading) > 20
    assert reading.entry.mime_type == ("application/xslt+xml" if path.suffix == ".xsl" else "text/xml")
    assert len(reading.patients[0].ins) == 1

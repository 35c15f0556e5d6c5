"""The parser of the house: what it refuses, at which limit, and that nothing is fetched."""

import ast
import concurrent.futures
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.mappers.cda.read import read
from gateway.mappers.cda.xml import ENCODINGS, Limits, parse
from gateway.model.place import Place
from gateway.model.problem import Problem, Unreadable
from tests.strategies.cda import golden

BOMB = b'<!DOCTYPE a [<!ENTITY x "%s">]><a b="%s"/>' % (b"y" * 100_000, b"&x;" * 20_000)
NESTED = (
    b"<!DOCTYPE a [" + b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 12)) + b"]><a>&e11;</a>"
)


def refusal(document: bytes, limits: Limits | None = None) -> Problem:
    with pytest.raises(Unreadable) as caught:
        parse(document, limits=limits or Limits())
    (problem,) = caught.value.problems
    assert problem.place is not None
    return problem


@pytest.mark.parametrize(
    ("document", "line"),
    [
        (b"<!DOCTYPE a><a/>", 1),
        (b'<?xml version="1.0"?>\n<!-- > -->\n<?pi > ?>\n <!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>', 4),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>', 1),
        (b"\xef\xbb\xbf\n<!DOCTYPE a><a/>", 2),
        ("\n<!DOCTYPE a><a/>".encode("utf-16"), 2),
        ("<!DOCTYPE a><a/>".encode("utf-16-le"), 1),
        (BOMB, 1),
        (NESTED, 1),
        (b'<!DOCTYPE x [<!ENTITY a "&b;"><!ENTITY b "&a;">]><x>&a;</x>', 1),
    ],
)
def test_a_doctype_is_refused_with_its_line(document: bytes, line: int) -> None:
    before = time.perf_counter()
    problem = refusal(document)
    assert time.perf_counter() - before < 1
    assert problem.code == "XML_FORBIDDEN"
    assert problem.place.line == line
    assert problem.detail == f"DOCTYPE, line {line}"


@pytest.mark.parametrize("where", ["<!-- <!DOCTYPE a> -->", "<?pi <!DOCTYPE a> ?>"])
def test_a_doctype_that_is_only_spoken_of_is_none(where: str) -> None:
    document = f"{where}<a><![CDATA[<!DOCTYPE a>]]>{where}</a>".encode()
    assert parse(document).getroot().tag == "a"


@pytest.mark.parametrize(
    ("document", "detail", "line"),
    [
        (b"", "line 1, column 1", 1),
        (b"Une phrase.", "does not begin with <", 1),
        (b"<a>\n<b></a>", "line 2, column", 2),
        (b'\n<?xml version="1.0"?><a/>', "white space before the XML declaration", 1),
        (b'<?xml version="1.0" encoding="UTF-8"?>\n<a>\xe9</a>', "ERR_INVALID_ENCODING, line 2, column 4", 2),
        (b"<a>&dupont;</a>", "ERR_UNDECLARED_ENTITY", 1),
        (b"<a>\0</a>", "line 1", 1),
        (b"<a>&#xD800;</a>", "line 1", 1),
        (b"<a x:y=''/>", "NS_ERR_UNDEFINED_NAMESPACE", 1),
        (b'<?xml version="1.0" encoding="UTF-7"?><a/>', "encoding", 1),
        ("<a/>".encode("cp037"), "does not begin with <", 1),
        ('<?xml version="1.0"?><a/>'.encode("utf-32"), "encoding", 1),
        ("<a/>".encode("utf-32-le"), "encoding", 1),
        ("<!DOCTYPE a><a/>".encode("utf-32-le"), "encoding", 1),
        ("<a/>".encode("utf-32-be"), "does not begin with <", 1),
    ],
)
def test_what_is_not_xml_is_refused_with_its_line(document: bytes, detail: str, line: int) -> None:
    problem = refusal(document)
    assert problem.code == "XML_INVALID"
    assert detail in problem.detail
    assert problem.place == Place(path="/", line=line)


def test_a_refusal_repeats_nothing_of_the_document() -> None:
    for document in (b"<a>&dupont;</a>", b"<DUPONT></DURAND>", b"<a dupont='1' dupont='2'/>", b"<dupont:a/>"):
        assert "dup" not in refusal(document).detail.lower()


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_every_encoding_that_is_taken_is_read(encoding: str) -> None:
    text = "cafe" if "ASCII" in encoding else "café"
    written = {"UTF-16LE": "utf-16-le", "UTF-16BE": "utf-16-be"}.get(encoding, encoding)
    document = f'<?xml version="1.0" encoding="{encoding.lower()}"?><a>{text}</a>'.encode(written)
    assert parse(document).getroot().text == text


def test_a_byte_order_mark_changes_nothing() -> None:
    assert parse(b'\xef\xbb\xbf<?xml version="1.0"?><a>\xc3\xa9</a>').getroot().text == "é"


@pytest.mark.parametrize(("more", "taken"), [(-1, True), (0, True), (1, False)])
def test_the_byte_limit(more: int, taken: bool) -> None:
    document = b"<a>" + b"x" * (93 + more) + b"</a>"
    limits = Limits(document_limit_bytes=100)
    if taken:
        assert parse(document, limits=limits).getroot().tag == "a"
    else:
        assert refusal(document, limits).code == "XML_FORBIDDEN"


@pytest.mark.parametrize(("more", "taken"), [(-1, True), (0, True), (1, False)])
@pytest.mark.parametrize("depth", [2, 256, 1000])
def test_the_depth_limit(depth: int, more: int, taken: bool) -> None:
    elements = depth + more
    document = b"<a>\n" * elements + b"</a>" * elements
    limits = Limits(depth_limit_elements=depth)
    if taken:
        assert parse(document, limits=limits).getroot().tag == "a"
    else:
        problem = refusal(document, limits)
        assert problem.code == "XML_FORBIDDEN"
        assert problem.place.line == elements


@pytest.mark.parametrize(("more", "taken"), [(-1, True), (0, True), (1, False)])
def test_the_marks_limit(more: int, taken: bool) -> None:
    document = b'<a b=""></a>' + b"<!---->" * (7 + more)
    limits = Limits(marks_limit=10)
    if taken:
        assert parse(document, limits=limits).getroot().tag == "a"
    else:
        assert refusal(document, limits).code == "XML_FORBIDDEN"


@given(st.integers(0, 30), st.integers(0, 30), st.booleans())
def test_no_document_has_more_nodes_than_marks_allow(elements: int, attributes: int, wide: bool) -> None:
    names = " ".join(f'a{n}=""' for n in range(attributes))
    document = f"<r {names}>{'<e>t</e>' * elements}</r>".encode("utf-16" if wide else "utf-8")
    tree = parse(document)
    nodes = int(tree.xpath("count(//*) + count(//@*)"))
    assert nodes <= document.count(b"<") + document.count(b"=")


def test_deeper_than_the_library_goes_is_forbidden_too() -> None:
    document = b"<a>" * 5000 + b"</a>" * 5000
    assert refusal(document, Limits(depth_limit_elements=10_000)).code == "XML_FORBIDDEN"


def test_a_text_of_many_megabytes_is_read() -> None:
    document = b"<a>" + b"QUJD" * 3_000_000 + b"</a>"
    assert len(parse(document).getroot().text or "") == 12_000_000


@pytest.mark.door
def test_nothing_that_a_document_names_is_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("fetched-from-a-file", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        document = golden("lab_report").decode().replace("http://127.0.0.1:9/", address)
        document = document.replace(
            "<title>",
            '<title xmlns:xi="http://www.w3.org/2001/XInclude">'
            f'<xi:include parse="text" href="{address}"/><xi:include parse="text" href="{secret.as_uri()}"/>',
        )
        document = document.replace(
            "<ClinicalDocument ",
            '<ClinicalDocument xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            f'xsi:schemaLocation="urn:hl7-org:v3 {address}cda.xsd" ',
        )
        reading = read(document.encode())
        with pytest.raises(Unreadable):
            read(document.replace("<Clinical", f'<!DOCTYPE a SYSTEM "{address}"><Clinical', 1).encode())
        shown = golden("self_rendering").decode().replace("http://127.0.0.1:9/", address)
        assert read(shown.encode()).entry.mime_type == "application/xslt+xml"
        listener.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert reading.entry.title == "Compte rendu d'examens"
    assert "fetched" not in repr(reading)


def test_threads_read_at_once() -> None:
    names = ["lab_report", "odd_forms", "self_rendering"] * 40
    alone = {name: read(golden(name)).entry for name in set(names)}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = pool.map(lambda name: (name, read(golden(name)).entry), names)
        assert all(alone[name] == entry for name, entry in together)


def parsers(source: str) -> list[str]:
    """What opens XML in a module: names of lxml.etree or of the standard library's readers."""
    opening = {
        "XMLParser",
        "HTMLParser",
        "XMLPullParser",
        "fromstring",
        "fromstringlist",
        "XML",
        "HTML",
        "iterparse",
        "XSLT",
        "XInclude",
    }
    found = []
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in {"etree", "html", "objectify"}
        ):
            found += [node.attr] if node.attr in opening | {"parse"} else []
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"lxml", "xml"}:
            found += [
                each.name for each in node.names if each.name in opening | {"parse", "html", "objectify", "ElementTree", "sax"}
            ]
        elif isinstance(node, ast.Import):
            found += [each.name for each in node.names if each.name.split(".")[0] in {"lxml", "xml"}]
    return found


def test_one_factory_makes_parsers(root: Path) -> None:
    opened = {
        str(path.relative_to(root)): sorted(names)
        for path in (root / "gateway").rglob("*.py")
        if (names := parsers(path.read_text(encoding="utf-8")))
    }
    assert opened == {"gateway/mappers/cda/xml.py": ["XMLParser", "fromstring"]}


@pytest.mark.parametrize(
    "source",
    [
        "etree.parse(f)",
        "from lxml.etree import fromstring",
        "import lxml.html",
        "from xml.etree import ElementTree",
        "etree.XSLT(t)",
    ],
)
def test_the_search_finds_other_parsers(source: str) -> None:
    assert parsers(source)


def test_entities_of_the_language_itself_are_read() -> None:
    assert parse(b"<a>&amp;&lt;&#233;</a>").getroot().text == "&<é"
    assert etree.LIBXML_VERSION >= (2, 14)

"""
What came in travels out again in acknowledgments: whatever it is, it adds no segment, no frame and no error.

The text goes in through MSH, through a CDA that a message carries, through a problem's place and detail; the answer is cut by
hand, not by our reader alone.
"""

import base64
from datetime import UTC, datetime
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.mappers.hl7v2 import ack
from gateway.mappers.hl7v2.header import Header
from gateway.model.place import Place
from gateway.model.problem import Answer, Problem, Severity
from gateway.model.problems import CODES
from tests.fuzz.readers import Readers
from tests.harness.breach import Breach
from tests.security.hostile.case import sample

AT = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGE = sample("oru/01").replace(b"\n", b"\r")
CDA = sample("cda/bio-adele-v1")
#: What ends a segment or a frame, or looks like the next one; as it is and in the escapes of ER7.
PIECES = (
    *("\r", "\n", "\r\n", "\x0b", "\x1c", "\x1c\r", "\x85", "\u2028", "\u2029", "\0", "\x1d", "\x1e"),
    *(
        "MSA|AA|1",
        "\rMSA|AA|1",
        "\rERR|||0",
        "MSH|^~\\&|",
        "|",
        "^",
        "~",
        "\\",
        "&",
        "\\X0D\\",
        "\\X0D0A\\",
        "\\.br\\",
        "\\X1C0D\\",
    ),
    *("\\E\\X0D\\E\\", "\\E", "X0D\\", "\\X0", "D\\", "\\F\\", "#", "é", "€", "漢", "\u202e", "\x9f"),
)
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join)
CHARSETS = ("UNICODE UTF-8", "8859/15", "8859/1", "ASCII")
codes = st.sampled_from(sorted(CODES))
places = st.builds(
    Place,
    path=st.one_of(st.just("PID-3[1].1"), texts.filter(bool)),
    within=st.none() | st.builds(Place, path=texts.filter(bool)),
)
problems = st.builds(Problem, code=codes, severity=st.sampled_from(list(Severity)), place=st.none() | places, detail=texts)
headers = st.builds(
    Header,
    application=texts,
    trigger=texts,
    control_id=texts,
    version=st.sampled_from(["2.5", "2.3", "2.4"]) | texts,
    charset=st.sampled_from(CHARSETS),
    components=st.fixed_dictionaries(
        {}, optional={number: st.lists(texts, max_size=3).map(tuple) for number in (3, 4, 5, 6, 11, 12)}
    ),
)


def judged(answer: bytes, errors: int) -> None:
    """Cut an answer at every byte that any receiver may take for an end."""
    if any(byte in answer for byte in (b"\n", b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\0")):
        raise Breach("a control character stands in an answer")
    lines = answer.split(b"\r")
    names = [line[:4] for line in lines]
    if names != [b"MSH|", b"MSA|", *[b"ERR|"] * errors, b""]:
        raise Breach(f"segments that nobody wrote: {names}")
    for line in lines[2:-1]:
        if line.count(b"|") != 8:
            raise Breach("a field that nobody wrote")


@given(headers, st.lists(problems, max_size=4), texts)
@example(Header(), [Problem(code="INS_KEY", detail="\rMSA|AA|1")], "\rMSA|AA|1")
def test_nothing_that_is_echoed_adds_a_segment_to_an_answer(header: Header, found: list[Problem], reference: str) -> None:
    answer = ack.render(header, Answer.AE, found, control_id=reference or "1", at=AT, reference=reference)
    judged(answer, len(found))
    if b"\\X00\\" in answer:
        return  # a NUL travels escaped, and no reader stores it
    told = ack.read_ack(answer)
    assert told.code == "AE"
    assert [error.code for error in told.errors] == [p.code for p in sorted(found, key=lambda p: ack._FIRST[p.severity])]


@pytest.fixture(scope="module")
def readers() -> Readers:
    return Readers()


#: Where a text of a CDA may come to stand in a problem, or beside one.
PLACES = (
    ("<title>Compte rendu d'examens biologiques</title>", "<title>{}</title>"),
    ('<code code="11502-2"', '<code code="{}"'),
    ('extension="284103523811464"', 'extension="{}"'),
    ('<id root="1.2.250.1.999.1.2.201"/>', '<id root="{}"/>'),
    ('<effectiveTime value="20260303160000+0100"/>', '<effectiveTime value="{}"/>'),
    ('<languageCode code="fr-FR"/>', '<languageCode code="{}"/>'),
    ('<versionNumber value="1"/>', '<versionNumber value="{}"/>'),
    ('encoding="UTF-8"', 'encoding="{}"'),
    ("<realmCode ", "<{} "),
)


@settings(max_examples=50)
@given(texts, st.sampled_from(PLACES))
def test_nothing_of_a_cda_adds_a_segment_to_the_answer(readers: Readers, text: str, place: tuple[str, str]) -> None:
    before, after = place
    document = CDA.decode()
    assert before in document
    storable = "".join(each for each in text if each.isprintable() or each in "\r\n\t")
    document = document.replace(before, after.format(escape(storable, {'"': "&quot;", "\r": "&#13;", "\n": "&#10;"})), 1)
    carried = base64.b64encode(document.encode("utf-8", "replace"))
    # The reader of the fuzzer renders the answer and asks for MSH, MSA and its errors alone.
    readers.er7(MESSAGE.replace(base64.b64encode(CDA), carried, 1))


@settings(max_examples=50)
@given(st.lists(texts, min_size=1, max_size=4), st.sampled_from((3, 4, 5, 6, 9, 10, 11, 12)))
def test_nothing_of_a_header_adds_a_segment_to_the_answer(readers: Readers, values: list[str], field: int) -> None:
    lines = MESSAGE.split(b"\r")
    cells = lines[0].split(b"|")
    cells[field - 1] = "^".join(values).encode("utf-8", "replace")
    readers.er7(b"\r".join([b"|".join(cells), *lines[1:]]))

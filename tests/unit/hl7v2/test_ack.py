"""The acknowledgment as its readers see it: by our own reader, and by a foreign one."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hl7apy.core import Message as Foreign
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mappers.hl7v2.ack import APPLICATION_ERRORS, MOST_ERRORS, read_ack, render, said
from gateway.mappers.hl7v2.dialect import escaped
from gateway.mappers.hl7v2.header import Header, read_head, read_header, salvage
from gateway.model.place import Place
from gateway.model.problem import ERR3_TEXT, Answer, Problem, Severity, Unreadable
from gateway.model.problems import CODES

AT = datetime(2026, 7, 1, 22, 30, 5, tzinfo=UTC)
CDA = Place(
    path="/ClinicalDocument/recordTarget[1]/patientRole[1]/id[1]/@extension",
    line=42,
    within=Place(path="OBX[1]-5[1].5", start=10, end=20),
)
PROBLEM = Problem(code="INS_KEY", place=Place(path="PID[1]-3[2].1", start=40, end=55))


def header(charset: str = "UNICODE UTF-8", version: str = "2.6", codec: str = "utf-8") -> Header:
    return read_header(
        f"MSH|^~\\&|RIS-Y^1.2^ISO|Org-É|PFI-Y|Org-Z|20260101||MDM^T02^MDM_T02|015|P|{version}|||||FRA|{charset}|||2.1^CISIS".encode(
            codec
        )
    )[0]


def foreign(ack: bytes, codec: str = "utf-8") -> Foreign:
    return parse_message(ack.decode(codec), find_groups=False)


def unescape(text: str) -> str:
    """The five separators, by hand: the foreign reader leaves them."""
    for name, character in (("F", "|"), ("S", "^"), ("T", "&"), ("R", "~"), ("E", "\\")):
        text = text.replace(f"\\{name}\\", character)
    return text


def agreed(ack: bytes, codec: str = "utf-8"):
    """Read with both readers; what they say of MSA and ERR must be the same."""
    ours, theirs = read_ack(ack), foreign(ack, codec)
    assert theirs.msa.msa_1.value == ours.code
    assert unescape(theirs.msa.msa_2.value or "") == ours.control_id
    errors = [child for child in theirs.children if child.name == "ERR"]
    assert len(errors) == len(ours.errors)
    for their, our in zip(errors, ours.errors, strict=True):
        assert tuple(their.err_2.to_er7().split("^") if our.erl else ()) == our.erl
        assert their.err_3.err_3_1.value == our.condition
        assert their.err_3.err_3_2.value == our.condition_text
        assert their.err_4.value == our.severity
        assert their.err_5.err_5_1.value == our.code
        assert (their.err_5.err_5_4.value if our.application_error else "") == our.application_error
        assert unescape(their.err_7.to_er7()) == our.diagnostic
        assert unescape(their.err_8.to_er7()) == our.message
    return ours


def test_an_acceptance() -> None:
    ack = render(header(), Answer.AA, (), control_id="G1", at=AT, reference="r-1")
    assert ack.decode() == (
        "MSH|^~\\&|PFI-Y|Org-Z|RIS-Y^1.2^ISO|Org-É|20260702003005+0200||ACK^T02^ACK|G1|P|2.6|||||FRA|UNICODE UTF-8\r"
        "MSA|AA|015|r-1\r"
    )
    ours = agreed(ack)
    assert (ours.code, ours.control_id, ours.reference, ours.errors) == ("AA", "015", "r-1", ())


def test_an_error_has_its_place_its_codes_and_a_sentence() -> None:
    ack = render(header(), Answer.AE, [PROBLEM], control_id="G1", at=AT)
    (error,) = agreed(ack).errors
    row = CODES["INS_KEY"]
    assert error.erl == ("PID", "1", "3", "2", "1")
    assert (error.condition, error.condition_text) == (row.err3, ERR3_TEXT[row.err3])
    assert (error.severity, error.code) == ("E", "INS_KEY")
    assert error.message == f"{row.text.removesuffix('.')} (PID[1]-3[2].1) - {row.advice}"
    assert b"messageErrorCondition" in ack and b"GATEWAY_ERROR_CODE" in ack
    assert b"\rMSA|AE|015\r" in ack


def test_a_place_within_the_document_points_at_its_carrier() -> None:
    ack = render(header(), Answer.AE, [Problem(code="CDA_INVALID", place=CDA, detail="time")], control_id="G1", at=AT)
    (error,) = agreed(ack).errors
    assert error.erl == ("OBX", "1", "5", "1", "5")
    assert error.diagnostic == f"time; {CDA.path}; line 42"
    assert "(OBX[1]-5[1].5)" in error.message


def test_warnings_ride_behind_errors() -> None:
    problems = [
        Problem(code="TYPE_DIFFERS", severity=Severity.WARNING),
        Problem(code="MESSAGE_ID_REUSED", severity=Severity.INFORMATION),
        PROBLEM,
    ]
    ours = agreed(render(header(), Answer.AE, problems, control_id="G1", at=AT))
    assert [(error.severity, error.code) for error in ours.errors] == [
        ("E", "INS_KEY"),
        ("W", "TYPE_DIFFERS"),
        ("I", "MESSAGE_ID_REUSED"),
    ]


@pytest.mark.parametrize("count", [MOST_ERRORS - 1, MOST_ERRORS, MOST_ERRORS + 1])
def test_as_many_errors_at_most(count: int) -> None:
    warning = Problem(code="TYPE_DIFFERS", severity=Severity.WARNING, detail="x")
    ours = agreed(render(header(), Answer.AE, [*[warning] * (count - 1), PROBLEM], control_id="G1", at=AT))
    assert len(ours.errors) == min(count, MOST_ERRORS)
    assert ours.errors[0].code == "INS_KEY"
    assert ours.errors[-1].diagnostic == ("x; 1 more not shown" if count > MOST_ERRORS else "x")


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_can_be_said(code: str) -> None:
    row = CODES[code]
    (error,) = agreed(render(header(), row.answer, [Problem(code=code)], control_id="G1", at=AT)).errors
    assert error.code == code
    assert error.application_error == (row.application_error or "")
    assert row.application_error is None or row.application_error in APPLICATION_ERRORS
    assert said(Problem(code=code)) == error.message


@pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.4"])
def test_before_version_2_5_the_place_is_in_err_1(version: str) -> None:
    ack = render(header(version=version), Answer.AE, [PROBLEM], control_id="G1", at=AT)
    theirs = foreign(ack)
    assert theirs.version == version
    segment, sequence, field, code = theirs.err.err_1.to_er7().split("^")
    assert (segment, sequence, field, code.split("&")[0]) == ("PID", "1", "3", "INS_KEY")
    assert theirs.msa.msa_1.value == "AE"
    assert read_ack(ack).errors[0].erl == ("PID", "1", "3", "2", "1")


def test_err_1_of_another_receiver_is_read() -> None:
    ack = b"MSH|^~\\&|A|B|C|D|20260101||ACK|1|P|2.3\rMSA|AE|7\rERR|PID^1^3^INS_KEY&text\r"
    (error,) = read_ack(ack).errors
    assert (error.erl, error.code) == (("PID", "1", "3"), "INS_KEY")


@pytest.mark.parametrize("version", ["2.5", "2.5^FRA^2.11", "2.6", "2.7", "2.8.2"])
def test_the_version_is_the_one_of_the_message(version: str) -> None:
    ack = render(header(version=version), Answer.AE, [PROBLEM], control_id="G1", at=AT)
    assert f"|{version}|".encode() in ack
    agreed(ack)


def test_the_charset_is_the_one_of_the_message() -> None:
    problem = Problem(code="INS_KEY", detail="é€漢\x92")
    for charset, codec, detail in (
        ("UNICODE UTF-8", "utf-8", "é€漢?"),
        ("8859/15", "iso8859-15", "é€??"),
        ("8859/1", "iso8859-1", "é???"),
    ):
        ack = render(header(charset, codec=codec), Answer.AE, [problem], control_id="G1", at=AT)
        assert f"|FRA|{charset}\r".encode() in ack
        assert "|Org-É|".encode(codec) in ack
        assert agreed(ack, codec).errors[0].diagnostic == detail


def test_without_a_header_there_is_an_answer_all_the_same() -> None:
    ack = render(None, Answer.AE, [Problem(code="MSH_ABSENT")], control_id="G1", at=AT)
    ours = agreed(ack, "ascii")
    assert (ours.code, ours.control_id, ours.errors[0].erl) == ("AE", "", ())
    assert ack.startswith(b"MSH|^~\\&|||||20260702003005+0200||ACK|G1|P|2.5|||||FRA|ASCII\r")


def test_the_separators_of_the_answer_are_the_usual_ones() -> None:
    payload = b"MSH#!%$*#A|B!C#D#E#F#2026##ADT!A01#1$F$2#P#2.5\rPID#1\r"
    ack = render(read_header(payload)[0], Answer.AA, (), control_id="G1", at=AT)
    assert b"MSH|^~\\&|E|F|A\\F\\B^C|D|" in ack
    assert agreed(ack).control_id == "1#2"


def test_what_would_end_a_segment_or_a_frame_is_escaped() -> None:
    to = Header(control_id="a\rb\nc\x0bd\x1ce\x7ff|", version="2.5")
    ack = render(to, Answer.AA, (), control_id="G1", at=AT)
    assert b"MSA|AA|a\\X0D\\b\\X0A\\c\\X0B\\d\\X1C\\e\\X7F\\f\\F\\\r" in ack
    assert read_ack(ack).control_id == to.control_id


@given(st.text(max_size=30), st.sampled_from(["UNICODE UTF-8", "8859/15", "ASCII"]))
def test_no_value_breaks_the_answer(text: str, charset: str) -> None:
    text = text.encode("utf-8", "ignore").decode().replace("\0", "")
    to = Header(control_id=text, trigger=text, charset=charset, components={3: (text, text), 12: ("2.5",)}, version="2.5")
    ack = render(to, Answer.AE, [Problem(code="INS_KEY", detail=text)], control_id="G1", at=AT, reference=text)
    assert ack.count(b"\r") == 3
    assert not any((byte < 0x20 and byte != 0x0D) or byte == 0x7F for byte in ack)
    codec = {"UNICODE UTF-8": "utf-8", "8859/15": "iso8859-15", "ASCII": "ascii"}[charset]
    kept = "".join("?" if "\x80" <= c <= "\x9f" else c for c in text).encode(codec, "replace").decode(codec)
    answered = read_ack(ack)
    assert (answered.control_id, answered.errors[0].diagnostic) == (kept, kept)
    assert read_head(ack)[0].components[5][: 2 if kept else 1] == ((kept, kept) if kept else ("",))


#: What a document or a resource may carry in on purpose: separators, ends of segments and frames, escapes already made.
SMUGGLED = st.lists(
    st.sampled_from(
        ["|", "^", "~", "\\", "&", "\r", "\n", "\x0b", "\x1c\r", "\rMSA|AA|1", "\\F\\", "\\X0D\\", "\u2028", "\x85", "é", " a "]
    )
    | st.characters(codec="utf-8", exclude_characters="\0"),
    max_size=12,
).map("".join)


@settings(max_examples=40)
@given(SMUGGLED, SMUGGLED, st.sampled_from(list(Answer)), st.booleans())
def test_any_text_reads_back_as_itself_by_both_readers(one: str, other: str, answer: Answer, enhanced: bool) -> None:
    components = dict.fromkeys((3, 4, 5, 6, 11), (one, other))
    to = Header(control_id=one, trigger=other, charset="UNICODE UTF-8", components=components, version="2.5")
    problems = [Problem(code="INS_KEY", detail=one), Problem(code="OPPOSED", detail=other, place=PROBLEM.place)]
    ack = render(to, answer, problems, control_id=one, at=AT, reference=other, enhanced=enhanced)
    kept, last = ("".join("?" if "\x80" <= c <= "\x9f" else c for c in text) for text in (one, other))
    names = ["MSH", "MSA", "ERR", "ERR"]
    ours = read_ack(ack)
    assert [segment.name for segment in read_head(ack)[1].segments] == names
    assert (ours.code, ours.control_id, ours.reference) == (answer.value, kept, last)
    assert [error.diagnostic for error in ours.errors] == [kept, last]
    theirs = foreign(ack)
    assert [child.name for child in theirs.children] == names
    assert len(ack.split(b"\r")) == len(names) + 1
    found = [theirs.msa.msa_2, theirs.msa.msa_3, *(child.err_7 for child in theirs.children if child.name == "ERR")]
    for field, text in zip(found, (kept, last, kept, last), strict=True):
        wire = escaped(text)
        if "\\X" not in wire:  # hexadecimal escapes it does not know: what stands beside one, it writes in another way
            assert (field.value or "").strip() == wire.strip()


def test_what_is_no_acknowledgment() -> None:
    with pytest.raises(Unreadable, match="SEGMENT_MISSING at MSA"):
        read_ack(b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5\r")
    with pytest.raises(Unreadable, match="MSH_ABSENT"):
        read_ack(b"")


def test_a_refused_message_is_answered_from_what_is_left_of_it() -> None:
    payload = b"MSH|^~\\&|GAM|CHU|DMP|GW|2026||ADT^A01^ADT_A01|42|P|2.5|||||FRA|UNICODE UTF-8\rPID|1||\xe9\r"
    with pytest.raises(Unreadable) as caught:
        read_header(payload)
    ours = agreed(render(salvage(payload), Answer.AE, caught.value.problems, control_id="G1", at=AT))
    assert (ours.control_id, ours.errors[0].code, ours.errors[0].erl) == ("42", "CHARSET_INVALID", ("PID", "1", "3"))


@pytest.mark.corpus
def test_the_official_acknowledgment(corpus: Path) -> None:
    answered = read_ack((corpus / "hl7v2" / "MDM_Remplacement_ack.er7").read_bytes())
    assert (answered.code, answered.control_id, answered.errors) == ("AA", "015", ())


@pytest.mark.parametrize("length", [198, 199, 200, 5000])
def test_no_more_of_a_value_is_repeated_than_a_field_holds(length: int) -> None:
    text = "é" * length
    parts = tuple([text] * 30)
    of = Header(control_id=text, trigger=text, charset="UNICODE UTF-8", components={3: parts, 12: ("2.5",)})
    written = render(of, Answer.AR, (PROBLEM,), control_id="X", at=AT)
    answered, (head, _) = read_ack(written), read_head(written)
    kept = "é" * min(length, 199)
    assert answered.control_id == kept
    assert head.trigger == kept
    assert head.components[5] == (kept,) * 20

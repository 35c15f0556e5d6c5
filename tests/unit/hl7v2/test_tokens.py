"""The token reader: pieces, spans, escapes, caps, and what is refused."""

import pytest

from gateway.mappers.hl7v2.dialect import Limits
from gateway.mappers.hl7v2.tokens import Message
from gateway.model.problem import Unreadable

MESSAGE = (
    b"MSH|^~\\&|GAM|CHU|DMP|CHU|20260303||ADT^A01^ADT_A01|1|P|2.5\r"
    b'PID|1||100^^^CHU&990&M^PI~284^^^INS&1.2.3&ISO^INS||ESSAI^ADELE||""\r'
    b"OBX|1|ST|A\r"
    b"OBX|2|ST|B||x\\F\\y\r"
)


def read(payload: bytes, codec: str = "utf-8", **limits: int) -> Message:
    return Message.read(payload, codec, Limits(**limits))


def refused(payload: bytes, codec: str = "utf-8", **limits: int) -> tuple[str, str | None]:
    with pytest.raises(Unreadable) as caught:
        read(payload, codec, **limits)
    (problem,) = caught.value.problems
    return problem.code, problem.place and problem.place.path


def test_values_are_found_by_number() -> None:
    message = read(MESSAGE)
    pid = message.first("PID")
    assert pid is not None
    assert [segment.name for segment in message.segments] == ["MSH", "PID", "OBX", "OBX"]
    assert pid.value(3) == "100"
    assert pid.value(3, 4, 2) == "990"
    assert pid.value(3, 4, 2, repetition=2) == "1.2.3"
    assert pid.value(3, 5, repetition=2) == "INS"
    assert pid.value(3, 1, 2) == pid.value(3, 9) == pid.value(3, 1, 1, 3) == pid.value(40) == pid.value(0) == ""
    assert message.header.value(1) == "|"
    assert message.header.value(2) == "^~\\&"
    assert message.header.value(9, 2) == "A01"
    assert [segment.occurrence for segment in message.all("OBX")] == [1, 2]
    assert message.first("ZFA") is None
    assert message.all("ZFA") == ()


def test_a_piece_knows_its_path_and_its_bytes() -> None:
    pid = read(MESSAGE).all("PID")[0]
    part = pid.field(3).repetition(2).component(4).subcomponent(2)
    assert part.place.path == "PID[1]-3[2].4.2"
    assert MESSAGE[part.start : part.end] == part.raw == b"1.2.3"
    assert pid.place(3).path == "PID[1]-3"
    assert pid.place(3, 2).path == "PID[1]-3[2]"
    assert pid.place(3, 2, 4).path == "PID[1]-3[2].4"
    assert pid.place(3, 2, 4, 2) == part.place
    assert pid.whole.path == "PID[1]"
    assert MESSAGE[pid.start : pid.end] == pid.raw


def test_what_is_absent_has_a_place_without_width() -> None:
    pid = read(MESSAGE).all("PID")[0]
    for place in (pid.place(32), pid.place(32, 1), pid.place(32, 1, 2, 3)):
        assert place.start == place.end == pid.end
    third = pid.place(3, 3, 1)
    assert third.start == third.end == pid.field(3).end
    assert pid.field(32).is_empty
    assert pid.field(32).text == ""
    assert len(pid.field(32).repetitions) == 1


def test_null_is_not_empty() -> None:
    pid = read(MESSAGE).all("PID")[0]
    assert pid.field(7).is_null
    assert not pid.field(7).is_empty
    assert pid.field(6).is_empty
    assert not pid.field(6).is_null
    assert pid.value(7) == '""'


def test_parts_count_from_one() -> None:
    pid = read(MESSAGE).all("PID")[0]
    with pytest.raises(IndexError):
        pid.field(0)
    with pytest.raises(IndexError):
        pid.field(3).repetition(0)


def test_nothing_of_a_message_is_shown_by_repr() -> None:
    message = read(MESSAGE)
    pid = message.all("PID")[0]
    for shown in (message, pid, pid.field(5), pid.field(5).repetition(1).component(1)):
        assert "ESSAI" not in repr(shown)


# -- lines, separators


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\r\r", b"\n\n", b"\r\r\n", b"\r\n\r\n", b" \r \t\r"])
def test_line_ends_do_not_matter(end: bytes) -> None:
    message = read(b"\xef\xbb\xbf" + MESSAGE.replace(b"\r", end) + b" \t" + end)
    assert [segment.raw.rstrip() for segment in message.segments] == MESSAGE.split(b"\r")[:-1]
    for segment in message.segments:
        assert message.payload[segment.start : segment.end] == segment.raw


def test_the_last_segment_needs_no_end_and_blank_lines_may_come_first() -> None:
    assert read(b"\r\n" + MESSAGE[:-1]).all("OBX")[1].value(5) == "x|y"


def test_characters_that_look_like_line_ends_are_text() -> None:
    text = "a\x0bb\x0cc\x1cd\x85e\u2028f"
    payload = MESSAGE + f"NTE|1||{text}\r".encode()
    assert read(payload).all("NTE")[0].value(3) == text


def test_a_bare_segment_name_is_a_segment() -> None:
    message = read(MESSAGE + b"PV1\r")
    assert message.all("PV1")[0].last == 0
    assert message.all("PV1")[0].value(1) == ""


@pytest.mark.parametrize(
    "line", [b"a line break in a value", b"pid|1", b"PIDX|1", b"PI|1", b" PID|1", b"PID^1", b"1AB|1", b"\x1c"]
)
def test_a_line_that_is_no_segment_is_refused(line: bytes) -> None:
    assert refused(MESSAGE + line + b"\r") == ("SEGMENT_INVALID", "OBX[2]")


@pytest.mark.parametrize(
    "payload", [b"", b"\r\n\r\n", b"PID|1\r", b"<ClinicalDocument/>", b"\x00\x01", b" MSH|^~\\&|", b"msh|^~\\&|"]
)
def test_without_msh_nothing_is_read(payload: bytes) -> None:
    assert refused(payload) == ("MSH_ABSENT", None)


def test_other_separators() -> None:
    message = read(b"MSH^~|\\&^A~B\rPID^1^2~3&4|5\\S\\6\\R\\\\F\\\\T\\\\E\\\r")
    pid = message.all("PID")[0]
    assert message.header.value(3, 2) == "B"
    assert pid.value(2, 2, 2) == "4"
    assert pid.value(2, repetition=2) == "5~6|^&\\"


def test_a_separator_may_take_several_bytes() -> None:
    payload = "MSH|^˜\\&|A\rPID|1||a˜é^b\\R\\c\r".encode()
    second = read(payload).all("PID")[0].field(3).repetition(2)
    assert payload[second.start : second.end] == "é^b\\R\\c".encode()
    assert second.component(2).text == "b˜c"
    assert refused(payload, "iso8859-15")[0] == "SEPARATORS_INVALID"


@pytest.mark.parametrize("size", [1, 5_000, 40_000])
def test_wide_separators_are_stepped_over_whole(size: int) -> None:
    payload = f"MSH§^˜\\&§A\rPID§1§§{'a' * size}˜b§c\r".encode()
    pid = read(payload).all("PID")[0]
    assert (pid.value(3, repetition=2), pid.value(4), pid.last) == ("b", "c", 4)
    for part in (pid.field(4), pid.field(3).repetition(2), pid.field(3).repetitions[1], pid.field(3).repetition(1)):
        assert payload[part.start : part.end] == part.raw
    assert pid.field(3).repetitions[1].raw == b"b"


def test_the_truncation_character_of_later_versions() -> None:
    assert read(b"MSH|^~\\&#|A\\P\\B\r").header.value(3) == "A#B"
    assert read(b"MSH|^~\\&|A\\P\\B\r").header.value(3) == "A\\P\\B"


def test_a_doubled_escape_character_is_understood() -> None:
    message = read(b"MSH|^~\\\\&|A\rPID|1|a&b\\F\\c\r")
    assert message.all("PID")[0].value(2, 1, 2) == "b|c"
    assert message.header.value(2) == "^~\\\\&"


@pytest.mark.parametrize(
    ("msh", "field"),
    [
        (b"MSH", 1),
        (b"MSHaabb|", 1),
        (b"MSH ^~\\&|", 1),
        (b"MSH|aabb|", 2),
        (b"MSH||A", 2),
        (b"MSH|", 2),
        (b"MSH|^~\\|", 2),
        (b"MSH|^^\\&|", 2),
        (b"MSH|^~\\& |", 2),
        (b"MSH|^~\\&#!|", 2),
        (b"MSH|^~\\\x07|", 2),
        (b"MSH|" + b"^" * 100_000 + b"|", 2),
        (b"MSH|^~\\\xff|", 2),
        (b"MSH\xff^~\\&|", 1),
    ],
)
def test_separators_that_cannot_be_used(msh: bytes, field: int) -> None:
    assert refused(msh + b"A\r") == ("SEPARATORS_INVALID", f"MSH[1]-{field}")


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (MESSAGE + MESSAGE, "MSH[2]"),
        (b"FHS|^~\\&|A\r" + MESSAGE, "FHS[1]"),
        (b"BHS|^~\\&|A\r" + MESSAGE, "BHS[1]"),
        (MESSAGE + b"BTS|1\r", "BTS[1]"),
    ],
)
def test_several_messages_in_one_frame(payload: bytes, path: str) -> None:
    assert refused(payload) == ("MESSAGES_SEVERAL", path)


# -- escapes


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"),
        ("\\E\\F\\", "\\F\\"),
        ("\\E\\F\\E\\", "\\F\\"),
        ("a\\.br\\b\\.sp\\c\\.sp3\\d\\.ce\\e", "a\nb\nc\n\n\nd\ne"),
        ("\\.sp999999999\\", "\\.sp999999999\\"),
        ("\\H\\bold\\N\\", "bold"),
        ("\\X0D0A\\", "\r\n"),
        ("\\X0d\\", "\r"),
        ("\\XC3A9\\", "é"),
        ("\\XC3\\\\XA9\\", "é"),
        ("\\XC3\\", "\\XC3\\"),
        ("\\X0D\\a\\XFF\\\\X41\\b\\X41\\\\F\\\\X42\\", "\ra\\XFF\\\\X41\\bA|B"),
        ("\\XC\\\\XGG\\\\X\\", "\\XC\\\\XGG\\\\X\\"),
        ("\\XED\\\\XA0\\\\X80\\|", "\\XED\\\\XA0\\\\X80\\"),
        ("\\Zlocal\\\\C2842\\\\.in+4\\", "\\Zlocal\\\\C2842\\\\.in+4\\"),
        ("a\\", "a\\"),
        ("\\F", "\\F"),
        ("\\\\", "\\\\"),
        ("\\f\\", "\\f\\"),
    ],
)
def test_a_value_is_unescaped_once(written: str, meant: str) -> None:
    assert read(MESSAGE + f"NTE|1||{written}\r".encode()).all("NTE")[0].value(3) == meant


def test_hexadecimal_bytes_are_in_the_charset_of_the_message() -> None:
    payload = b"MSH|^~\\&|\\XA4\\\r"
    assert read(payload, "iso8859-15").header.value(3) == "€"
    assert read(payload, "iso8859-1").header.value(3) == "¤"
    assert read(payload, "utf-8").header.value(3) == "\\XA4\\"


@pytest.mark.parametrize("value", [b"a\0b", b"a\\X00\\b"])
def test_what_no_database_stores_is_refused_where_it_stands(value: bytes) -> None:
    pid = read(MESSAGE.replace(b"ADELE", value)).all("PID")[0]
    for ask in (lambda: pid.value(5, 2), lambda: pid.field(5).component(2).text):
        with pytest.raises(Unreadable) as caught:
            ask()
        (problem,) = caught.value.problems
        assert problem.code == "UNSTORABLE_TEXT"
        assert problem.place and problem.place.erl[:5] == ("PID", "1", "5", "1", "2")
        assert problem.place.start == MESSAGE.index(b"ADELE")
    assert pid.value(5) == "ESSAI"


def test_bytes_outside_the_charset_are_refused_where_they_stand() -> None:
    pid = read(MESSAGE.replace(b"ADELE", b"AD\xe8LE")).all("PID")[0]
    with pytest.raises(Unreadable) as caught:
        pid.value(5, 2)
    assert str(caught.value) == "CHARSET_INVALID at PID[1]-5[1].2.1"
    # What is in the value must not come along: tracebacks reach logs.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


# -- caps


@pytest.mark.parametrize(
    ("kind", "cap", "make", "path"),
    [
        ("segments", 6, lambda n: b"NTE|1\r" * (n - 4), "NTE[3]"),
        ("fields", 20, lambda n: b"NTE" + b"|" * n + b"\r", "NTE[1]"),
        ("repetitions", 30, lambda n: b"NTE|" + b"~" * (n - 1) + b"\r", "NTE[1]-1"),
        ("components", 30, lambda n: b"NTE|a~" + b"^" * (n - 1) + b"\r", "NTE[1]-1[2]"),
        ("subcomponents", 30, lambda n: b"NTE|a~b^" + b"&" * (n - 1) + b"\r", "NTE[1]-1[2].2"),
    ],
)
def test_caps(kind: str, cap: int, make, path: str) -> None:
    for size in (cap - 1, cap):
        assert read(MESSAGE + make(size), **{kind: cap}).all("NTE")
    assert refused(MESSAGE + make(cap + 1), **{kind: cap}) == ("CARDINALITY", path)


def test_the_fields_of_msh_are_capped_as_hl7_counts_them() -> None:
    line = b"MSH|^~\\&" + b"|" * 8
    assert read(line, fields=10).header.last == 10
    assert refused(line, fields=9) == ("CARDINALITY", "MSH[1]")


def test_all_separators_of_a_message_are_counted_before_it_is_cut() -> None:
    line = b"MSH|^~\\&|" + b"|" * 40 + b"^" * 20 + b"~" * 20 + b"&" * 20
    count = 2 + 3 + 40 + 60  # MSH-1 and the next, MSH-2 without its escape character, the rest
    for cap in (count, count + 1):
        assert read(line, pieces=cap).header
    assert refused(line, pieces=count - 1) == ("CARDINALITY", "MSH[1]")


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_a_value_that_is_too_long_is_refused_where_it_stands(size: int) -> None:
    pid = read(MESSAGE + b"PID|1||" + b"A" * size + b"^x~b\r").all("PID")[-1]
    taken = size <= 65_536
    for ask in (lambda: pid.value(3), lambda: pid.field(3).repetition(1).value(1), lambda: pid.field(3).text):
        if taken:
            assert len(ask()) == size
            continue
        with pytest.raises(Unreadable) as caught:
            ask()
        (problem,) = caught.value.problems
        assert (problem.code, problem.detail) == ("FIELD_INVALID", "longer than 65536 bytes")
        assert problem.place.path.startswith("PID[2]-3[1].1")
    assert pid.value(3, 2) == "x"


@pytest.mark.parametrize(
    "filling", [b"\\", b"~", b"^", b"&", b"\r", b"\n", b" \r", b"\r\n", b"\\F\\", b"\\X41\\", b"\rOBX|1", b"\rx"]
)
def test_reading_takes_time_in_proportion(filling: bytes) -> None:
    # 1 MB of quadratic work would be minutes: the time-out of the tests ends it.
    payload = MESSAGE + b"NTE|1||" + filling * (1_000_000 // len(filling)) + b"\r"
    text, code = "", ""
    try:
        text = read(payload).all("NTE")[0].value(3)
    except Unreadable as refusal:
        code = refusal.problems[0].code
    assert code in {"", "CARDINALITY", "SEGMENT_INVALID", "FIELD_INVALID"}
    assert len(text) <= 1_000_000

"""MSH-18 and the bytes: what is declared, what is assumed, what does not belong."""

import pytest

from gateway.mappers.hl7v2.charset import CHARSETS, Decoded, decode, known, place_of
from gateway.model.problem import Severity, Unreadable

HEAD = b"MSH|^~\\&|GAM|CHU\rPID|1||100||"


def refused(payload: bytes, declared: str | None, default: str | None = None) -> tuple[str, str, int | None]:
    with pytest.raises(Unreadable) as caught:
        decode(payload, declared, default)
    (problem,) = caught.value.problems
    assert problem.place is not None
    return problem.code, problem.place.path, problem.place.start


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("unicode utf-8", "utf-8"),
        (" 8859/15 ", "iso8859-15"),
        ("8859/1", "iso8859-1"),
        ("ASCII", "ascii"),
    ],
)
def test_declared(declared: str, codec: str) -> None:
    found = decode(HEAD, declared)
    assert (found.codec, found.assumed, found.problems) == (codec, False, ())
    assert found.charset == declared.strip().upper()


def test_every_row_is_a_codec_of_python() -> None:
    for name, codec in CHARSETS.items():
        assert known(name) == name
        assert b"MSH|".decode(codec) == "MSH|"


@pytest.mark.parametrize("declared", ["KOI8-R", "UTF-8", "UNICODE", "8859/2", "8859-15", "é", "8859/1;8859/15"])
def test_unknown(declared: str) -> None:
    assert refused(HEAD, declared) == ("CHARSET_UNKNOWN", "MSH[1]-18", None)
    assert refused(HEAD, declared, "8859/15")[0] == "CHARSET_UNKNOWN"


@pytest.mark.parametrize("declared", [None, "", "  "])
def test_absent_and_ascii_is_no_problem(declared: str | None) -> None:
    assert decode(HEAD, declared) == Decoded("UNICODE UTF-8", "utf-8", assumed=True)


@pytest.mark.parametrize(
    ("value", "charset"), [("é€漢".encode(), "UNICODE UTF-8"), ("é€".encode("iso8859-15"), "8859/15"), (b"\xa4", "8859/15")]
)
def test_absent_and_not_ascii_is_assumed_with_a_warning(value: bytes, charset: str) -> None:
    found = decode(HEAD + value, None)
    (warning,) = found.problems
    assert (found.charset, found.codec, found.assumed) == (charset, CHARSETS[charset], True)
    assert (warning.code, warning.severity) == ("CHARSET_ASSUMED", Severity.WARNING)
    assert warning.place is not None and warning.place.erl == ("MSH", "1", "18")


def test_a_configured_default_is_not_assumed() -> None:
    assert decode(HEAD + b"\xc3\xa9", None, "8859/1") == Decoded("8859/1", "iso8859-1")
    assert refused(HEAD + b"\xe9", None, "UNICODE UTF-8") == ("CHARSET_INVALID", "PID[1]-5", len(HEAD))
    assert decode(HEAD, "ASCII", "8859/1").charset == "ASCII"


def test_a_default_must_be_of_the_table() -> None:
    with pytest.raises(ValueError, match="0211"):
        decode(HEAD, None, "latin-1")


def test_a_byte_order_mark_says_utf_8() -> None:
    assert decode(b"\xef\xbb\xbf" + HEAD + "é".encode(), None) == Decoded("UNICODE UTF-8", "utf-8")
    assert decode(b"\xef\xbb\xbf" + HEAD, "ASCII").charset == "ASCII"
    assert refused(b"\xef\xbb\xbf" + HEAD + b"\xe9", None) == ("CHARSET_INVALID", "PID[1]-5", len(HEAD) + 3)


@pytest.mark.parametrize(
    ("declared", "wrong"),
    [
        ("UNICODE UTF-8", b"\xe9"),
        ("UNICODE UTF-8", b"\xc3("),
        ("UNICODE UTF-8", b"\xed\xa0\x80"),  # a lone surrogate
        ("UNICODE UTF-8", b"\xc0\x80"),  # NUL, overlong
        ("UNICODE UTF-8", b"\xf5\x80\x80\x80"),
        ("ASCII", b"\xe9"),
        ("8859/15", b"\x80"),  # the euro of cp1252
        ("8859/15", b"\x92"),  # its apostrophe
        ("8859/1", b"\x9c"),  # its oe
        ("8859/1", b"\x85"),  # NEL
        ("8859/1", b"\x9f"),
        (None, b"\x92"),
    ],
)
def test_bytes_that_do_not_belong_are_refused_where_they_stand(declared: str | None, wrong: bytes) -> None:
    payload = HEAD + b"ESSAI^L" + wrong + b"|x\r"
    assert refused(payload, declared) == ("CHARSET_INVALID", "PID[1]-5", payload.index(wrong))


def test_the_first_byte_behind_the_controls_belongs() -> None:
    assert decode(HEAD + b"\xa0", "8859/1").codec == "iso8859-1"


def test_the_one_byte_that_tells_the_two_latins_apart() -> None:
    assert b"\xa4".decode(decode(HEAD + b"\xa4", "8859/15").codec) == "€"
    assert b"\xa4".decode(decode(HEAD + b"\xa4", "8859/1").codec) == "¤"
    assert b"\xbd".decode(decode(HEAD + b"\xbd", "8859/15").codec) == "œ"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize(
    ("lines", "path"),
    [
        ([b"MSH|^~\\&|G*M"], "MSH[1]-3"),
        ([b"MSH|*|"], "MSH[1]-2"),
        ([b"MSH|^~\\&|", b"OBX|1", b"NTE|1", b"OBX|2|ST|*"], "OBX[2]-3"),
        ([b"MSH|^~\\&|", b"OBX|1", b"O*X|2"], "OBX[1]"),
        ([b"MSH|^~\\&|", b"PID|1|a", b"not a segment *"], "PID[1]"),
        ([b"MSH#^~\\&#", b"PID#1##a*"], "PID[1]-3"),
        ([b"MSH|^~\\&|", b"PID|1||*", b"PID|2"], "PID[1]-3"),
    ],
)
def test_the_place_of_a_byte(lines: list[bytes], path: str, end: bytes) -> None:
    payload = end.join(lines) + end
    offset = payload.index(b"*")
    place = place_of(payload, offset)
    assert (place.path, place.start, place.end) == (path, offset, offset + 1)

"""ER7 that lies about its separators, its character set or its size, hides control characters, or is none."""

import base64
import codecs
from collections.abc import Iterator
from typing import Final

from tests.security.hostile import xml
from tests.security.hostile.case import Case, case, sample

MESSAGE: Final = sample("oru/01-new-report").replace(b"\n", b"\r")
_CARRIER: Final = base64.b64encode(sample("cda/bio-adele-v1"))
_HEAD: Final = b"MSH|^~\\&|"

#: Written for MSH-1 and MSH-2 together.
_SEPARATORS: Final = {
    "all alike": b"|||||",
    "component twice": b"|^^\\&",
    "repetition is the field separator": b"|^|\\&",
    "sub-component is the escape": b"|^~\\\\",
    "field separator again": b"|^~\\|",
    "three only": b"|^~\\",
    "two only": b"|^~",
    "none": b"|",
    "six": b"|^~\\&#%",
    "letters": b"|abcd",
    "digits": b"|1234",
    "a letter": b"|^~\\A",
    "a digit": b"|^~9&",
    "a blank": b"|^~ &",
    "a tab": b"|^\t\\&",
    "VT": b"|^\x0b\\&",
    "FS": b"|\x1c~\\&",
    "NUL": b"|^~\0&",
    "DEL": b"|^~\\\x7f",
    "no-break space": "|^~\\\u00a0".encode(),
    "zero-width space": "|^~\\\u200b".encode(),
    "right-to-left mark": "|^~\\\u202e".encode(),
    "line separator": "|^~\\\u2028".encode(),
    "an accent alone": "|^~\\\u0301".encode(),
    "a letter of another script": "|^~\\д".encode(),
    "a digit of another script": "|^~\\٣".encode(),
    "broken UTF-8": b"|^~\\\xff",
    "a lone surrogate": b"|^~\\\xed\xa0\x80",
    "MSH-1 a letter": b"A^~\\&",
    "MSH-1 a digit": b"0^~\\&",
    "MSH-1 a blank": b" ^~\\&",
    "MSH-1 a tab": b"\t^~\\&",
    "MSH-1 NUL": b"\0^~\\&",
    "MSH-1 VT": b"\x0b^~\\&",
    "MSH-1 broken UTF-8": b"\xff^~\\&",
    "MSH-1 an H": b"H^~\\&",
}
#: HL7 table 0211 and others.
_CHARSETS: Final = (
    *("8859/2", "8859/3", "8859/4", "8859/5", "8859/6", "8859/7", "8859/8", "8859/9", "8859/16", "ISO IR14", "ISO IR87"),
    *("ISO IR159", "GB 18030-2000", "KS X 1001", "CNS 11643-1992", "BIG-5", "UNICODE", "UNICODE UTF-16", "UNICODE UTF-32"),
    *("UTF-7", "utf_8_sig", "unicode_escape", "raw_unicode_escape", "idna", "punycode", "rot13", "base64_codec", "zlib"),
    *("undefined", "mbcs", "cp037", "UTF-8", "utf8", "latin1", "../8859/1", "8859/1%00", "\\X00\\", "é", "x" * 3000),
)
_TYPES: Final = (
    *("ORU^R30", "ORU^W01", "ORM^O01", "QRY^A19", "QBP^Q21", "ACK", "ACK^R01^ACK", "MFN^M02", "SIU^S12", "DFT^P03", "VXU^V04"),
    *("BAR^P01", "RDE^O11", "OML^O21", "PEX^P07", "NMD^N02", "ZZZ^Z01", "oru^r01", "ORU^r01", "ORU^R01 X", "0RU^R01", "ORU"),
    *("^R01", "R01^ORU", "ORU&R01", "ORU~MDM^T02", "<script>", "../../etc", "MDM", "MDM^T01", "MDM^T11", "MDM^", "ORU^\\E\\R01"),
)
_VERSIONS: Final = (
    "1",
    "2",
    "2.0",
    "2.1",
    "2.2",
    "2.9",
    "3.0",
    "2.5.2",
    "2,5",
    "2.5 beta",
    "２.5",
    "9" * 40,
    "-2.5",
    "2.5&1",
    "v2.5",
)
_NO_MESSAGE: Final = {
    "nothing": b"",
    "a CR": b"\r",
    "blanks": b"   \r\n \t",
    "an HTTP request": b"POST /hl7v2 HTTP/1.1\r\nHost: x\r\n\r\n" + MESSAGE,
    "a TLS hello": bytes.fromhex("160301020001fc0303") + bytes(400),
    "an SSH banner": b"SSH-2.0-OpenSSH_9.2\r\n",
    "an AMQP header": b"AMQP\0\0\x09\x01",
    "a PostgreSQL start": bytes.fromhex("0000000804d2162f"),
    "SMB": bytes.fromhex("00000045ff534d42"),
    "RDP": bytes.fromhex("0300002f2ae00000"),
    "XML": xml.CDA.encode(),
    "JSON": b'{"resourceType":"Bundle"}',
    "a PDF": b"%PDF-1.7\n",
    "a zip": b"PK\x03\x04" + bytes(60),
    "gzip": b"\x1f\x8b\x08" + bytes(60),
    "an executable": b"\x7fELF" + bytes(60),
    "DICOM": bytes(128) + b"DICM",
    "small letters": MESSAGE.lower(),
    "half a name": b"MS|^~\\&|",
    "a name in front": b"PID|1\r" + MESSAGE,
    "quotes around": b'"' + MESSAGE + b'"',
    "UTF-16": MESSAGE.decode().encode("utf-16"),
    "UTF-16 big": MESSAGE.decode().encode("utf-16-be"),
    "UTF-32": MESSAGE.decode().encode("utf-32"),
    "EBCDIC": MESSAGE.decode().encode("cp500", "replace"),
    "full-width letters": "ＭＳＨ|^~\\&|".encode() + MESSAGE[9:],
    "a zero-width space in front": "\u200b".encode() + MESSAGE,
    "a NUL in front": b"\0" + MESSAGE,
    "a second byte-order mark": codecs.BOM_UTF8 * 2 + MESSAGE,
    "base64 of a message": base64.b64encode(MESSAGE),
    "percent encoding": b"MSH%7C%5E~%5C%26%7C",
    "a form": b"message=" + MESSAGE,
    "a command line": b"; rm -rf / #",
    "SQL": b"' OR 1=1 --",
}
_LINES: Final = {
    "small letters": b"pid|1",
    "two letters": b"PI|1",
    "four letters": b"PIDX|1",
    "a digit first": b"1PI|1",
    "a blank in front": b" PID|1",
    "a tab in front": b"\tPID|1",
    "an accent": "PÏD|1".encode(),
    "a NUL": b"P\0D|1",
    "a full-width letter": "ＰID|1".encode(),
    "text": b"suite du texte",
    "bars only": b"|||",
    "VT in front": b"\x0bPID|1",
    "FS": b"\x1c",
    "another separator": b"PID^1",
    "a byte-order mark": codecs.BOM_UTF8 + b"PID|1",
    "an escape": b"\\X0D\\PID|1",
    "XML": b"<PID/>",
    "a bare quote": b'"',
    "a truncated name": b"P",
}
_MATRICULES: Final = {
    "a letter": "28410352381146A",
    "fourteen": "28410352381146",
    "sixteen": "2841035238114640",
    "a blank inside": "284103523 11464",
    "an underscore": "28410352381_464",
    "a plus": "+84103523811464",
    "a minus": "-84103523811464",
    "an exponent": "2841035238114e1",
    "a point": "28410352381.464",
    "hexadecimal": "0x4103523811464",
    "full-width digits": "２８４１０３５２３８１１４６４",
    "Arabic digits": "٢٨٤١٠٣٥٢٣٨١١٤٦٤",
    "a superscript": "28410352381146²",
    "zeros": "000000000000000",
    "nines": "999999999999999",
    "another key": "284103523811465",
    "a NUL at its end": "284103523811464\\X00\\",
    "a line end inside": "2841035\\X0D\\23811464",
    "another's in a sub-component": "284103523811463&284103523811464",
    "an injection": "' OR '1'='1",
    "ten thousand digits": "2" * 10_000,
}
BASE64: Final = {
    "the alphabet of addresses": _CARRIER.replace(b"+", b"-").replace(b"/", b"_").replace(b"Q", b"-", 1),
    "a star": _CARRIER[:40] + b"*" + _CARRIER[40:],
    "a percent sign": _CARRIER[:40] + b"%2B" + _CARRIER[40:],
    "a tab": _CARRIER[:40] + b"\t" + _CARRIER[40:],
    "a NUL": _CARRIER[:40] + b"\0" + _CARRIER[40:],
    "VT": _CARRIER[:40] + b"\x0b" + _CARRIER[40:],
    "padding in the middle": _CARRIER[:40] + b"==" + _CARRIER[40:],
    "three of padding": _CARRIER.rstrip(b"=") + b"===",
    "a group of one": _CARRIER.rstrip(b"=")[: len(_CARRIER) // 4 * 4 - 4] + b"A",
    "quoted printable": b"=3C?xml=20version=3D",
    "UU": b"begin 644 x\\E\\#0V%T\\E\\`\\E\\end",
    "full-width letters": "ＰＤ９４".encode() * 20,
    "UTF-7": b"+ADw-xml+AD4-",
    "a data address": b"data:text/xml;base64," + _CARRIER,
    "braces": b"{" + _CARRIER + b"}",
    "hexadecimal escapes": _CARRIER[:40] + b"\\X41\\" + _CARRIER[40:],
    "an unknown escape": _CARRIER[:40] + b"\\Zx\\" + _CARRIER[40:],
    "a lone escape": _CARRIER[:40] + b"\\" + _CARRIER[40:],
    "XML itself": b"<ClinicalDocument/>",
    "a broken character": _CARRIER[:40] + b"\xc3" + _CARRIER[40:],
}
_DECODED: Final = {
    "nothing": b"",
    "a zip": b"PK\x03\x04" + bytes(60),
    "gzip of a document": codecs.encode(xml.CDA.encode(), "zlib"),
    "a PDF": b"%PDF-1.7\n",
    "HTML": b"<html><script>alert(1)</script></html>",
    "base64 again": _CARRIER,
    "a message": MESSAGE[:200],
    "NULs": bytes(10_000),
}


def _with(raw: bytes) -> bytes:
    return MESSAGE.replace(_CARRIER, raw, 1)


def _field(name: bytes, number: int, value: bytes) -> bytes:
    """Return the message with a field of its first such segment (of MSH: as HL7 counts) written anew."""
    lines = MESSAGE.split(b"\r")
    index = next(at for at, line in enumerate(lines) if line.startswith(name))
    cells = lines[index].split(b"|")
    cells[number - (name == b"MSH")] = value
    lines[index] = b"|".join(cells)
    return b"\r".join(lines)


def messages() -> Iterator[Case]:
    """Every hostile message of the door `er7`."""
    assert _CARRIER in MESSAGE
    yield from _headers()
    yield from _bytes()
    yield from _not_messages()
    yield from _sizes()
    for each in xml.documents():
        if len(each.data()) < 200_000:
            codes = " ".join((*each.codes, "DOCUMENT_EMPTY"))
            yield case(f"in a message: {each.name}", "er7", lambda e=each: _with(base64.b64encode(e.data())), codes)


def _headers() -> Iterator[Case]:
    for name, marks in _SEPARATORS.items():
        # A combining accent is a character like another: it separates, and nothing is found where it should be.
        codes = "INS_ROOT" if name == "an accent alone" else "SEPARATORS_INVALID CHARSET_INVALID"
        yield case(f"separators: {name}", "er7", b"MSH" + marks + MESSAGE[8:], codes)
    for name in _CHARSETS:
        codes = "CHARSET_UNKNOWN UNSTORABLE_TEXT"
        yield case(f"character set {name[:20]!r}", "er7", _field(b"MSH", 18, name.encode()), codes)
    for written in _TYPES:
        codes = "MESSAGE_TYPE_UNSUPPORTED EVENT_UNSUPPORTED FIELD_REQUIRED"
        yield case(f"type {written!r}", "er7", _field(b"MSH", 9, written.encode()), codes)
    for written in _VERSIONS:
        if written != "2.5&1":
            yield case(f"version {written[:12]!r}", "er7", _field(b"MSH", 12, written.encode()), "VERSION_UNSUPPORTED")
    for number in (9, 10, 12):
        for name, raw in (("absent", b""), ("null", b'""') if number == 12 else ("blank", b" ")):
            codes = "FIELD_REQUIRED VERSION_UNSUPPORTED"
            yield case(f"MSH-{number} {name}", "er7", _field(b"MSH", number, raw), codes)


def _bytes() -> Iterator[Case]:
    for name, raw in xml.BROKEN_UTF8.items():
        if name not in {"U+FFFE", "U+FFFF"}:
            for field in (5, 11):
                yield case(f"UTF-8 {name} in PID-{field}", "er7", _field(b"PID", field, b"A" + raw + b"B"), "CHARSET_INVALID")
            yield case(f"UTF-8 {name} in MSH-10", "er7", _field(b"MSH", 10, b"A" + raw + b"B"), "CHARSET_INVALID")
    for byte in range(0x80, 0xA0):
        message = _field(b"PID", 5, b"ESSAI" + bytes((byte,))).replace(b"UNICODE UTF-8", b"8859/15").decode("utf-8", "replace")
        raw = message.encode("iso8859-15", "replace").replace(b"ESSAI?", b"ESSAI" + bytes((byte,)))
        yield case(f"control {byte:02X} under 8859/15", "er7", raw, "CHARSET_INVALID")
    yield case("says ASCII, holds an accent", "er7", MESSAGE.replace(b"UNICODE UTF-8", b"ASCII"), "CHARSET_INVALID")
    for where, segment, number in (("MSH-10", b"MSH", 10), ("PID-5", b"PID", 5), ("PID-8", b"PID", 8), ("MSH-3", b"MSH", 3)):
        for name, raw in (("a NUL", b"A\0B"), ("an escaped NUL", b"A\\X00\\B"), ("an escaped NUL among others", b"\\X410042\\")):
            codes = "UNSTORABLE_TEXT SOURCE_UNKNOWN FIELD_INVALID VALUE_UNKNOWN TRAITS_MISSING"
            yield case(f"{name} in {where}", "er7", _field(segment, number, raw), codes)


def _not_messages() -> Iterator[Case]:
    for name, data in _NO_MESSAGE.items():
        codes = "MSH_ABSENT SEPARATORS_INVALID SEGMENT_INVALID CHARSET_INVALID BATCH_INVALID"
        yield case(f"no message: {name}", "er7", data, codes)
    for name, line in _LINES.items():
        yield case(
            f"line: {name}", "er7", MESSAGE.replace(b"\rPV1", b"\r" + line + b"\rPV1", 1), "SEGMENT_INVALID CHARSET_INVALID"
        )
    for name, written in _MATRICULES.items():
        pid = f"100001^^^CHU-VALMONT&990000018&M^PI~{written}^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS"
        codes = "INS_KEY INS_ABSENT UNSTORABLE_TEXT PID_CDA_DIFFER FIELD_INVALID"
        yield case(f"matricule: {name}", "er7", _field(b"PID", 3, pid.encode()), codes)
    for name, raw in BASE64.items():
        yield case(f"base64: {name}", "er7", _with(raw), "BASE64_INVALID CHARSET_INVALID XML_INVALID UNSTORABLE_TEXT")
    for name, data in _DECODED.items():
        codes = "DOCUMENT_EMPTY XML_INVALID NOT_CDA XML_FORBIDDEN"
        yield case(f"document: {name}", "er7", _with(base64.b64encode(data)), codes)


def _sizes() -> Iterator[Case]:
    many = {
        "1 001 fields": b"|" * 1001,
        "10 001 repetitions": b"|" + b"~" * 10_001,
        "1 001 components": b"|" + b"^" * 1001,
        "1 001 sub-components": b"|" + b"&" * 1001,
        "half a million separators": b"|" + b"^~" * 250_001,
        "a megabyte of bars": b"|" * 1_000_000,
    }
    for name, raw in many.items():
        yield case(name, "er7", lambda r=raw: MESSAGE.replace(b"\rPV1", b"\rZZZ" + r + b"\rPV1", 1), "CARDINALITY")
    yield case("20 001 segments", "er7", lambda: MESSAGE + b"NTE|1\r" * 20_001, "CARDINALITY")
    yield case("a million blank lines and one", "er7", lambda: MESSAGE + b"\r" * 1_000_000 + b"x\r", "SEGMENT_INVALID")
    yield case("MSH of 20 kB", "er7", lambda: _field(b"MSH", 8, b"x" * 20_000), "FIELD_INVALID")
    yield case("MSH-10 of 200 characters", "er7", lambda: _field(b"MSH", 10, b"x" * 200), "FIELD_INVALID")
    yield case("a name of a megabyte", "er7", lambda: _field(b"PID", 5, b"x" * 1_000_000), "TRAITS_MISSING")
    yield case("an escape of a megabyte", "er7", lambda: _field(b"PID", 5, b"\\" + b"x" * 1_000_000), "TRAITS_MISSING")
    yield case("4 MB of another document", "er7", lambda: _with(base64.b64encode(bytes(3_000_000))), "XML_INVALID NOT_CDA")

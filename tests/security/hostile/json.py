"""JSON that says a thing twice, goes too deep, holds numbers without end or text that no backend stores, or is none."""

import base64
from collections.abc import Iterator
from typing import Final

from tests.security.hostile.case import Case, case

_START: Final = b'{"resourceType":"Bundle","type":"transaction","x":'
_NUMBERS: Final = (
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "nan",
        "inf",
        "+1",
        "01",
        "-01",
        ".5",
        "5.",
        "1.e2",
        "1e",
        "1e+",
        "0x10",
        "1_0",
        "1,0",
        "- 1",
    ),
    *("1e31", "1e-31", "1e1000000", "-1e1000000", "1e00000000000000000000000000000099", "9" * 33, "0." + "1" * 32, "1" * 5000),
    *("１", "٣", "1e４", "--1", "1..2", "0b1", "0o7", "1f", "1e5.5", "$1"),
)
_TEXTS: Final = {
    "a NUL": r'"\u0000"',
    "a NUL among others": r'"a\u0000b"',
    "a high surrogate": r'"\ud800"',
    "a low surrogate": r'"\udc00"',
    "surrogates the wrong way round": r'"\udc00\ud800"',
    "a high surrogate twice": r'"\ud800\ud800\udc00"',
    "an unknown escape": r'"\x41"',
    "an escaped quote of another kind": r'"\'"',
    "a short escape": r'"\u12"',
    "an escape of no digits": r'"\uZZZZ"',
    "a sign in an escape": r'"\u+123"',
    "a blank in an escape": r'"\u 123"',
    "a raw line end": '"a\nb"',
    "a raw tab": '"a\tb"',
    "a raw NUL": '"a\0b"',
    "a raw escape": '"\x1b[2J"',
    "one quote": '"',
    "single quotes": "'a'",
    "an unended escape": '"a\\',
}
_SHAPES: Final = {
    "nothing": b"",
    "blanks": b" \n\t ",
    "NULs": bytes(100),
    "an array": b"[]",
    "a text": b'"x"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "a name without quotes": b"{resourceType:1}",
    "a comma at the end": b'{"resourceType":"Bundle",}',
    "a comma in front": b'{,"resourceType":"Bundle"}',
    "two commas": b'{"a":1,,"b":2}',
    "no comma": b'{"a":1 "b":2}',
    "no colon": b'{"a" 1}',
    "two colons": b'{"a"::1}',
    "no value": b'{"a":}',
    "a comment": b'{"a":1/*x*/}',
    "a line comment": b'{"a":1}//x',
    "a hash": b'#\n{"a":1}',
    "two values": b'{"a":1}{"a":1}',
    "two lines of values": b'{"a":1}\n{"a":1}',
    "junk behind": b'{"a":1}x',
    "a NUL behind": b'{"a":1}\0',
    "a brace too many": b'{"a":1}}',
    "a brace too few": b'{"a":{"b":1}',
    "the wrong end": b'{"a":[1}',
    "XML": b'<Bundle xmlns="http://hl7.org/fhir"/>',
    "a message": b"MSH|^~\\&|",
    "a form": b"resourceType=Bundle",
    "JavaScript": b")]}',\n{}",
    "a function": b'{"a":function(){}}',
    "undefined": b'{"a":undefined}',
    "a date": b'{"a":new Date()}',
    "capitals": b'{"a":TRUE}',
    "gzip": b"\x1f\x8b\x08" + bytes(60),
    "BSON": b"\x16\x00\x00\x00\x02hello\x00\x06\x00\x00\x00world\x00\x00",
    "UTF-16": '{"resourceType":"Bundle"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"resourceType":"Bundle"}'.encode("utf-16-le"),
    "UTF-32": '{"resourceType":"Bundle"}'.encode("utf-32"),
    "two byte-order marks": b'\xef\xbb\xbf\xef\xbb\xbf{"a":1}',
    "a no-break space in front": b'\xc2\xa0{"a":1}',
    "a form feed in front": b'\x0c{"a":1}',
    "VT in front": b'\x0b{"a":1}',
}
_BROKEN: Final = (
    b"\xff",
    b"\xfe",
    b"\x80",
    b"\xc0\x80",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\xe9",
)
_KEYS: Final = (
    "",
    " ",
    "a b",
    "é",
    "__proto__ ",
    "a.b",
    "a/b",
    "a'",
    "$ref",
    "@type",
    "1a",
    "a" * 65,
    "\\u0000",
    "\\ud800",
    "<a>",
    "a-b",
)
_CONTENT: Final = base64.b64encode(b"<ClinicalDocument/>" * 20)
_BASE64: Final = {
    "a star": _CONTENT[:20] + b"*" + _CONTENT[20:],
    "the alphabet of addresses": _CONTENT[:20] + b"-_" + _CONTENT[20:],
    "padding in the middle": _CONTENT[:20] + b"==" + _CONTENT[20:],
    "no padding": _CONTENT.rstrip(b"="),
    "three of padding": _CONTENT.rstrip(b"=") + b"===",
    "a group of one": _CONTENT[:160] + b"A",
    "an accent": _CONTENT[:20] + "é".encode() + _CONTENT[20:],
    "full-width letters": "ＰＤ".encode() * 60,
    "a data address": b"data:text/xml;base64," + _CONTENT,
    "hexadecimal": b"3c" * 40 + b"!",
    "an escaped NUL": _CONTENT[:20] + b"\\u0000" + _CONTENT[20:],
    "an escaped surrogate": _CONTENT[:20] + b"\\ud800" + _CONTENT[20:],
}


def bodies() -> Iterator[Case]:
    """Every hostile body of the door `json`."""
    for written in _NUMBERS:
        yield case(f"number {written[:20]!r} of {len(written)}", "json", _START + written.encode() + b"}", "JSON_INVALID")
        if written != "1,0":
            data = _START + b"[" + written.encode() + b"]}"
            yield case(f"number {written[:20]!r} of {len(written)} in an array", "json", data, "JSON_INVALID")
    for name, written in _TEXTS.items():
        codes = "JSON_INVALID UNSTORABLE_TEXT"
        yield case(f"text: {name}", "json", _START + written.encode() + b"}", codes)
        yield case(f"text in an array: {name}", "json", _START + b"[" + written.encode() + b"]}", codes)
    for name, data in _SHAPES.items():
        yield case(f"no object: {name}", "json", data, "JSON_INVALID")
    for raw in _BROKEN:
        yield case(f"bytes {raw.hex()} in a text", "json", _START + b'"' + raw + b'"}', "JSON_INVALID")
        yield case(f"bytes {raw.hex()} in a key", "json", b'{"' + raw + b'":1}', "JSON_INVALID")
    for key in _KEYS:
        yield case(f"key {key[:20]!r}", "json", _START + b'{"' + key.encode() + b'":1}}', "JSON_INVALID UNSTORABLE_TEXT")
    for name, raw in _BASE64.items():
        data = b'{"resourceType":"Binary","contentType":"text/xml","data":"' + raw + b'"}'
        yield case(f"base64: {name}", "json", data, "BASE64_INVALID UNSTORABLE_TEXT JSON_INVALID")
    for name, data in (
        ("twice the same key", b'{"resourceType":"Bundle","resourceType":"Patient"}'),
        ("twice, once escaped", b'{"resourceType":"Bundle","\\u0072esourceType":"Patient"}'),
        ("twice, deep down", _START + b'{"a":[{"b":1,"b":2}]}}'),
        ("twice, once null", _START + b'{"a":null,"a":1}}'),
    ):
        yield case(name, "json", data, "JSON_INVALID")
    for levels in (65, 100, 500, 1000, 100_000):
        yield case(f"{levels} arrays deep", "json", _START + b"[" * levels + b"]" * levels + b"}", "JSON_FORBIDDEN")
        data = _START + b'{"a":' * levels + b"1" + b"}" * levels + b"}"
        yield case(f"{levels} objects deep", "json", data, "JSON_FORBIDDEN")
        yield case(f"{levels} deep and never closed", "json", _START + b'[{"a":' * levels, "JSON_FORBIDDEN JSON_INVALID")
    yield case("a million values", "json", lambda: _START + b"[" + b"1," * 1_000_001 + b"1]}", "JSON_FORBIDDEN")
    yield case("a million empty objects", "json", lambda: _START + b"[" + b"{}," * 1_000_001 + b"1]}", "JSON_FORBIDDEN")
    yield case("a million keys", "json", lambda: b"{" + b'"a":1,' * 600_000 + b'"b":1}', "JSON_FORBIDDEN")
    yield case("a number of a megabyte", "json", lambda: _START + b"1" * 1_000_000 + b"}", "JSON_INVALID")
    yield case("a text of a megabyte unended", "json", lambda: _START + b'"' + b"x" * 1_000_000, "JSON_INVALID")
    yield case("a hundred thousand NaN", "json", lambda: _START + b"[" + b"NaN," * 100_000 + b"1]}", "JSON_INVALID")
    yield case("a hundred thousand bad keys", "json", lambda: _START + b"[" + b'{"":1},' * 100_000 + b"1]}", "JSON_INVALID")
    yield case(
        "base64 of 8 MB with one bad byte",
        "json",
        lambda: b'{"resourceType":"Binary","data":"' + b"QUJD" * 2_000_000 + b'*"}',
        "BASE64_INVALID",
    )

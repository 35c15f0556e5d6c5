"""XML that expands, fetches, lies about its encoding, goes too deep or is none; each alone and inside a message."""

import codecs
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.security.hostile.case import Case, case, sample

CDA: Final = sample("cda/bio-adele-v1").decode()
_HEAD, _, _BODY = CDA.partition("\n")
_ROOT: Final = "<ClinicalDocument "

#: Made and watched by whoever measures: nobody else opens it.
SECRET: Final = Path(tempfile.gettempdir()) / f"dmp-hostile-{os.getpid()}"
_FILE: Final = SECRET.as_uri()
#: Nothing listens there.
_WEB: Final = "http://127.0.0.1:9/x"

DOCTYPES: Final = {
    "bare": "<!DOCTYPE ClinicalDocument>",
    "system file": f'<!DOCTYPE a SYSTEM "{_FILE}">',
    "system web": f'<!DOCTYPE a SYSTEM "{_WEB}">',
    "public": f'<!DOCTYPE a PUBLIC "-//HL7//DTD//EN" "{_WEB}">',
    "internal entity": '<!DOCTYPE a [<!ENTITY x "y">]>',
    "external entity": f'<!DOCTYPE a [<!ENTITY x SYSTEM "{_FILE}">]>',
    "external web entity": f'<!DOCTYPE a [<!ENTITY x SYSTEM "{_WEB}">]>',
    "parameter entity": f'<!DOCTYPE a [<!ENTITY % p SYSTEM "{_WEB}"> %p;]>',
    "parameter in parameter": f"<!DOCTYPE a [<!ENTITY % a '<!ENTITY &#37; b SYSTEM \"{_FILE}\">'> %a; %b;]>",
    "unparsed entity": f'<!DOCTYPE a [<!NOTATION n SYSTEM "{_WEB}"><!ENTITY x SYSTEM "{_FILE}" NDATA n>]>',
    "attribute default": '<!DOCTYPE a [<!ATTLIST ClinicalDocument classCode CDATA "DOCCLIN">]>',
    "element": "<!DOCTYPE a [<!ELEMENT ClinicalDocument ANY>]>",
    "laughs": '<!DOCTYPE a [<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)) + "]>",
    "quadratic": f'<!DOCTYPE a [<!ENTITY x "{"y" * 50_000}">]>',
    "cyclic": '<!DOCTYPE a [<!ENTITY a "&b;"><!ENTITY b "&a;">]>',
    "php filter": '<!DOCTYPE a [<!ENTITY x SYSTEM "php://filter/read=convert.base64-encode/resource=/etc/passwd">]>',
    "jar": '<!DOCTYPE a [<!ENTITY x SYSTEM "jar:http://127.0.0.1:9/x.zip!/y">]>',
    "ftp": '<!DOCTYPE a SYSTEM "ftp://127.0.0.1:9/x.dtd">',
    "unc": r'<!DOCTYPE a SYSTEM "\\127.0.0.1\share\x.dtd">',
    "device": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///dev/zero">]>',
}
_WRAPPINGS: Final = {
    "": lambda text: text.encode(),
    "BOM": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16 little": lambda text: codecs.BOM_UTF16_LE + text.replace("UTF-8", "UTF-16").encode("utf-16-le"),
    "UTF-16 big": lambda text: codecs.BOM_UTF16_BE + text.replace("UTF-8", "UTF-16").encode("utf-16-be"),
    "behind a comment": lambda text: text.replace("<!DOCTYPE", "<!-- > <!DOCTYPE b> --><!DOCTYPE", 1).encode(),
    "behind an instruction": lambda text: text.replace("<!DOCTYPE", "<?x > ?>\n\t<!DOCTYPE", 1).encode(),
    "no declaration": lambda text: text.partition("?>")[2].lstrip().encode(),
    "carriage returns": lambda text: text.replace("\n", "\r\n").encode(),
}
_ENCODINGS: Final = (
    *("UTF-7", "UTF-32", "UCS-2", "UCS-4", "ISO-10646-UCS-4", "EBCDIC-CP-US", "IBM037", "IBM1047", "CP037", "GB18030", "GBK"),
    *("Big5", "Shift_JIS", "EUC-JP", "ISO-2022-JP", "ISO-2022-KR", "HZ-GB-2312", "KOI8-R", "macintosh", "x-user-defined"),
    *("UTF-8-SIG", "utf8 ", "UTF-16,UTF-8", "", "C", "HTML", "ISO-8859-16", "windows-1258", "base64", "rot13", "punycode"),
)
BROKEN_UTF8: Final = {
    "overlong NUL": b"\xc0\x80",
    "overlong slash": b"\xc0\xaf",
    "overlong less-than": b"\xc0\xbc",
    "overlong in three": b"\xe0\x80\xbc",
    "overlong in four": b"\xf0\x80\x80\xbc",
    "surrogate": b"\xed\xa0\x80",
    "pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "past the last": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
    "continuation alone": b"\x80",
    "cut": b"\xe2\x82",
    "Latin-1": b"caf\xe9 ",
    "U+FFFE": b"\xef\xbf\xbe",
    "U+FFFF": b"\xef\xbf\xbf",
}
_REFERENCES: Final = (
    *("&x;", "&nbsp;", "&eacute;", "&;", "&", "& ", "&#;", "&#x;", "&#0;", "&#x0;", "&#1;", "&#x1F;", "&#xB;", "&#x1C;"),
    *("&#xD800;", "&#xDFFF;", "&#xFFFE;", "&#xFFFF;", "&#x110000;", "&#99999999999999999999;", "&#-1;", "&#xG;", "&amp"),
)
_MALFORMED: Final = {
    "attribute without quotes": _ROOT + "a=b ",
    "attribute twice": _ROOT + 'a="1" a="2" ',
    "attribute twice by two prefixes": _ROOT + 'xmlns:p="u" xmlns:q="u" p:a="1" q:a="2" ',
    "less-than in an attribute": _ROOT + 'a="<" ',
    "unbound prefix": _ROOT + 'p:a="" ',
    "prefix undeclared": _ROOT + 'xmlns:p="" ',
    "xml bound to another": _ROOT + 'xmlns:xml="urn:x" ',
    "xmlns bound": _ROOT + 'xmlns:xmlns="urn:x" ',
    "another bound to xml": _ROOT + 'xmlns:p="http://www.w3.org/XML/1998/namespace" ',
    "two colons": _ROOT + 'a:b:c="" ',
    "no blank between": _ROOT + 'a=""b="" ',
    "empty name": "<" + _ROOT,
    "comment with two hyphens": "<!-- -- -->" + _ROOT,
    "comment unended": "<!-- " + _ROOT,
    "instruction unended": "<?x " + _ROOT,
    "second declaration": '<?xml version="1.0"?>' + _ROOT,
    "instruction named XML": "<?XML x?>" + _ROOT,
    "text before the root": "x" + _ROOT,
    "CDATA before the root": "<![CDATA[x]]>" + _ROOT,
    "lower-case doctype": "<!doctype html>" + _ROOT,
    "conditional section": "<![INCLUDE[x]]>" + _ROOT,
}
_INSIDE: Final = {
    "end of CDATA in text": "]]>",
    "unended CDATA": "<![CDATA[",
    "mismatched": "<b></c>",
    "unended element": "<b>",
    "ended twice": "</title>",
    "entity declared inside": '<!ENTITY x "y">',
    "DOCTYPE inside": "<!DOCTYPE a>",
    "declaration inside": '<?xml version="1.0"?>',
    "NUL": "\0",
    "VT": "\x0b",
    "FS": "\x1c",
    "ESC": "\x1b",
    "backspace": "\b",
    "form feed": "\x0c",
    **{f"control {number:02X}": chr(number) for number in (1, 2, 3, 4, 5, 6, 7, 14, 15, 16, 18, 21, 24, 26, 29, 31)},
}
_ROOTS: Final = {
    "HTML": "<html><body/></html>",
    "SVG": '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "SOAP": '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body/></s:Envelope>',
    "FHIR": '<Bundle xmlns="http://hl7.org/fhir"/>',
    "HL7v2 in XML": '<ADT_A01 xmlns="urn:hl7-org:v2xml"/>',
    "XInclude": f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{_FILE}" parse="text"/>',
    "XOP": f'<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="{_WEB}"/>',
    "no namespace": "<ClinicalDocument/>",
    "another namespace": '<ClinicalDocument xmlns="urn:hl7-org:v2"/>',
    "namespace with a blank": '<ClinicalDocument xmlns="urn:hl7-org:v3 "/>',
    "namespace in capitals": '<ClinicalDocument xmlns="URN:HL7-ORG:V3"/>',
    "lower case": '<clinicalDocument xmlns="urn:hl7-org:v3"/>',
    "inside an element": '<a><ClinicalDocument xmlns="urn:hl7-org:v3"/></a>',
    "stylesheet without one": '<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0"/>',
    "stylesheet with two": '<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform"><Contenu>'
    + '<ClinicalDocument xmlns="urn:hl7-org:v3"/>' * 2
    + "</Contenu></x:stylesheet>",
    "stylesheet that reads a file": '<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0">'
    f'<x:variable name="v" select="document(\'{_FILE}\')"/></x:stylesheet>',
}
_REQUIRED: Final = ("id", "code", "effectiveTime", "recordTarget", "author", "custodian")
_SIZES: Final = {
    "257 deep": ("<a>" * 256, "</a>" * 256, "XML_FORBIDDEN"),
    "1 000 deep": ("<a>" * 1000, "</a>" * 1000, "XML_FORBIDDEN"),
    "5 000 deep": ("<a>" * 5000, "</a>" * 5000, "XML_FORBIDDEN"),
    "100 000 deep": ("<a>" * 100_000, "</a>" * 100_000, "XML_FORBIDDEN"),
    "100 000 deep and never closed": ("<a>" * 100_000, "", "XML_FORBIDDEN XML_INVALID"),
    "300 deep by namespaces": ("".join(f'<a xmlns="u{n}">' for n in range(300)), "</a>" * 300, "XML_FORBIDDEN"),
    "a million elements": ("<a/>" * 1_000_001, "", "XML_FORBIDDEN"),
    "a million comments": ("<!---->" * 1_000_001, "", "XML_FORBIDDEN"),
    "a million instructions": ("<?a?>" * 1_000_001, "", "XML_FORBIDDEN"),
    "a million CDATA sections": ("<![CDATA[]]>" * 1_000_001, "", "XML_FORBIDDEN"),
    "a million attributes": ("<a " + "".join(f'a{n}="" ' for n in range(1_000_001)) + "/>", "", "XML_FORBIDDEN"),
    "a hundred thousand times the same attribute": ("<a " + 'a="" ' * 100_000 + "/>", "", "XML_INVALID"),
    "an element's name of a megabyte unended": ("<" + "a" * 1_000_000, "", "XML_INVALID XML_FORBIDDEN"),
    "an attribute of a megabyte unended": ('<a b="' + "x" * 1_000_000, "", "XML_INVALID XML_FORBIDDEN"),
    "a comment of a megabyte unended": ("<!--" + "x" * 1_000_000, "", "XML_INVALID XML_FORBIDDEN"),
}


def documents() -> Iterator[Case]:
    """Every hostile document of the door `cda`."""
    yield from _doctypes()
    yield from _encodings()
    yield from _malformed()
    yield from _shapes()


def _doctypes() -> Iterator[Case]:
    for name, doctype in DOCTYPES.items():
        for wrapping, wrap in _WRAPPINGS.items():
            text = f"{_HEAD}\n{doctype}{_BODY}".replace("<title>", "<title>&x;", 1) if "ENTITY x" in doctype else ""
            text = text or f"{_HEAD}\n{doctype}{_BODY}"
            yield case(f"DOCTYPE {name} {wrapping}".strip(), "cda", wrap(text), "XML_FORBIDDEN")


def _encodings() -> Iterator[Case]:
    for encoding in _ENCODINGS:
        yield case(f"encoding {encoding!r}", "cda", CDA.replace("UTF-8", encoding, 1).encode(), "XML_INVALID")
    for name in ("cp037", "utf-32", "utf-32-le", "utf-32-be", "utf-7", "cp500"):
        codes = "XML_INVALID XML_FORBIDDEN NOT_CDA"
        yield case(f"written in {name}", "cda", CDA.replace("UTF-8", name, 1).encode(name), codes)
    yield case("says UTF-16, is UTF-8", "cda", CDA.replace("UTF-8", "UTF-16", 1).encode(), "XML_INVALID")
    yield case("UTF-16 of an odd length", "cda", CDA.replace("UTF-8", "UTF-16", 1).encode("utf-16")[:-1], "XML_INVALID")
    yield case("says ASCII, holds UTF-8", "cda", CDA.replace("UTF-8", "US-ASCII", 1).encode(), "XML_INVALID")
    for name, raw in BROKEN_UTF8.items():
        for where, mark in (("title", b"<title>"), ("attribute", b'<code code="')):
            yield case(f"UTF-8 {name} in {where}", "cda", CDA.encode().replace(mark, mark + raw, 1), "XML_INVALID")


def _malformed() -> Iterator[Case]:
    for written in _REFERENCES:
        for where, mark in (("text", "<title>"), ("an attribute", '<code code="')):
            document = CDA.replace(mark, f"{mark}{written}", 1).encode()
            yield case(f"reference {written!r} in {where}", "cda", document, "XML_INVALID")
    for name, text in _MALFORMED.items():
        yield case(f"malformed: {name}", "cda", CDA.replace(_ROOT, text, 1).encode(), "XML_INVALID XML_FORBIDDEN")
    for name, text in _INSIDE.items():
        yield case(f"inside: {name}", "cda", CDA.replace("<title>", f"<title>{text}", 1).encode(), "XML_INVALID")


def _shapes() -> Iterator[Case]:
    for name, text in _ROOTS.items():
        yield case(f"root: {name}", "cda", text.encode(), "NOT_CDA XML_INVALID")
    for name in _REQUIRED:
        document = CDA.replace(f"<{name} ", "<x ", 1) if f"<{name} " in CDA else CDA.replace(f"<{name}>", "<x>", 1)
        document = document.replace(f"</{name}>", "</x>", 1) if f"<x>{''}" in document else document
        yield case(f"without {name}", "cda", document.encode(), "CDA_REQUIRED CDA_INVALID XML_INVALID")
    for name, (before, after, codes) in _SIZES.items():
        yield case(name, "cda", lambda b=before, a=after: CDA.replace("</title>", f"</title>{b}{a}", 1).encode(), codes)
    for tenth in range(1, 10):
        yield case(f"cut at {tenth}0 %", "cda", CDA.encode()[: len(CDA) * tenth // 10], "XML_INVALID")
    for name, data in (
        ("nothing", b""),
        ("blanks", b" \n\t"),
        ("NULs", bytes(100)),
        ("a BOM", codecs.BOM_UTF8),
        ("text", b"Rapport"),
    ):
        yield case(f"{name} alone", "cda", data, "XML_INVALID NOT_CDA")
    for name, data in (("text", b"x"), ("an element", b"<a/>"), ("NUL", b"\0"), ("itself", CDA.encode())):
        yield case(f"followed by {name}", "cda", CDA.encode() + data, "XML_INVALID")


def inert() -> tuple[bytes, ...]:
    """Documents that are read, and in which nothing is followed: what they name must not be fetched."""
    return (
        CDA.replace(
            "<title>", f'<title><xi:include xmlns:xi="http://www.w3.org/2001/XInclude" parse="text" href="{_FILE}"/>', 1
        ).encode(),
        CDA.replace("<Clin", f'<?xml-stylesheet type="text/xsl" href="{_WEB}"?><Clin', 1).encode(),
        CDA.replace(_ROOT, f'{_ROOT}xsi:schemaLocation="urn:hl7-org:v3 {_FILE}" ', 1).encode(),
        CDA.replace(_ROOT, f'{_ROOT}xml:base="{_WEB}" ', 1).encode(),
    )

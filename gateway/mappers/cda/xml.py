"""The one parser of the house: bytes to an XML tree, within limits, fetching nothing."""

import functools
import re
from dataclasses import dataclass
from typing import Final

from lxml import etree
from lxml.etree import _Element as Element
from lxml.etree import _ElementTree as Tree

from gateway.model.place import Place
from gateway.model.problem import Problem, Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one document may cost to read."""

    #: Bytes of the document.
    document_limit_bytes: int = 32 * 1024 * 1024
    #: Elements inside each other, the root counted.
    depth_limit_elements: int = 256
    #: `<` and `=` in the document: no tag without the one, no attribute without the other, so never fewer than its nodes ask for.
    marks_limit: int = 1_000_000


LIMITS: Final = Limits()

#: Encodings whose names are taken, in upper case; others could hide a DOCTYPE or a tag from whoever looks at the bytes.
ENCODINGS: Final = frozenset(
    {
        "UTF-8",
        "UTF-16",
        "UTF-16LE",
        "UTF-16BE",
        "US-ASCII",
        "ASCII",
        "ISO-8859-1",
        "ISO-8859-15",
        "WINDOWS-1252",
    }
)

#: Other names of theirs.
_ENCODING_NAMES: Final = {
    "UTF8": "UTF-8",
    "UTF-16LE": "UTF-16",
    "UTF-16BE": "UTF-16",
    "ASCII": "US-ASCII",
    "LATIN1": "ISO-8859-1",
}

_UTF8_BOM: Final = b"\xef\xbb\xbf"
#: How a document in UTF-16 begins.
_UTF16: Final = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}

_ENCODING: Final = re.compile(rb"""\sencoding\s*=\s*["']([A-Za-z0-9._-]*)["']""")
_DECLARATION: Final = b"<?xml"
_DOCTYPE: Final = b"<!DOCTYPE"
#: What may stand before a DOCTYPE, by its beginning, and how each ends.
_PROLOG: Final = ((b"<?", b"?>"), (b"<!--", b"-->"))
_SPACE: Final = b" \t\r\n"


def parse(document: bytes, *, limits: Limits = LIMITS, within: Place | None = None) -> Tree:
    """
    Parse an XML document.

    Entities stay unresolved, no DTD, schema, stylesheet or XInclude is followed, no address is opened. Each call has a parser of
    its own, so that threads share none.

    Args:
        document: The document in one of `ENCODINGS`, with or without byte-order mark.
        limits: Bytes, depth and marks.
        within: The place of the value that carries the document.

    Returns:
        The tree, with comments and processing instructions.

    Raises:
        Unreadable: XML_FORBIDDEN (a DOCTYPE, with its line; over a limit), XML_INVALID (not well-formed, with line and column; an
            encoding that is not taken).

    Source: docs/decisions.md, D-11; ARCHITECTURE.md.
    """
    if len(document) > limits.document_limit_bytes:
        raise _unreadable("XML_FORBIDDEN", f"over {limits.document_limit_bytes} bytes", within)
    # A document shorter than the limit holds no more marks than bytes: not counted.
    if len(document) > limits.marks_limit and document.count(b"<") + document.count(b"=") > limits.marks_limit:
        raise _unreadable("XML_FORBIDDEN", f"over {limits.marks_limit} tags and attributes", within)
    _admit(document, within)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, remove_pis=False)
    try:
        tree = etree.fromstring(document, parser).getroottree()
    except etree.XMLSyntaxError as wrong:
        line, column = wrong.position
        code = "XML_FORBIDDEN" if wrong.code == etree.ErrorTypes.ERR_RESOURCE_LIMIT else "XML_INVALID"
        raise _unreadable(code, f"{_name_of(wrong)}, line {line}, column {column}", within, line) from None
    if tree.docinfo.internalDTD is not None or tree.docinfo.doctype:
        raise _unreadable("XML_FORBIDDEN", "DOCTYPE", within)
    deep = _deeper_than(limits.depth_limit_elements)(tree)
    if isinstance(deep, list) and deep:
        deepest = deep[0]
        deep_line = deepest.sourceline if isinstance(deepest, Element) else None
        raise _unreadable(
            "XML_FORBIDDEN", f"over {limits.depth_limit_elements} elements deep, line {deep_line}", within, deep_line
        )
    return tree


def encoding_of(document: bytes) -> str:
    """Return the encoding that a document gives itself: by its first bytes, its declaration, or UTF-8 (XML 1.0, appendix F)."""
    if document[:2] in _UTF16:
        return "UTF-16"
    end = document.find(b"?>")
    named = _ENCODING.search(document, 0, end) if end > 0 else None
    return named.group(1).decode().upper() if named is not None else "UTF-8"


def same_encoding(one: str, other: str) -> bool:
    """Tell whether two names of encodings are the same one's; ASCII is within UTF-8."""
    left, right = (_ENCODING_NAMES.get(name.upper(), name.upper()) for name in (one, other))
    return left == right or {left, right} == {"US-ASCII", "UTF-8"}


def _admit(document: bytes, within: Place | None) -> None:
    """Refuse a DOCTYPE before anything in it is read, and an encoding in which one could hide."""
    wide = _UTF16.get(document[:2])
    text = document if wide is None else document.decode(wide, "replace").removeprefix("\ufeff").encode()
    text = text.removeprefix(_UTF8_BOM)
    if wide is not None and b"\0" in text[:4]:
        # UTF-32 begins as UTF-16 does: the library would read it, and its DOCTYPE would not be seen here.
        raise _unreadable("XML_INVALID", "encoding", within, 1)
    if text.startswith(_DECLARATION) and (end := text.find(b"?>")) > 0:
        named = _ENCODING.search(text, 0, end)
        if named is not None and named.group(1).decode().upper() not in ENCODINGS:
            raise _unreadable("XML_INVALID", "encoding", within, 1)
    elif text and text[0] in _SPACE and text.lstrip(_SPACE).startswith(_DECLARATION):
        raise _unreadable("XML_INVALID", "white space before the XML declaration, line 1", within, 1)
    elif text and text[0] not in b"<" + _SPACE:
        raise _unreadable("XML_INVALID", "does not begin with <, line 1, column 1", within, 1)
    doctype = _doctype(text)
    if doctype is not None:
        line = text.count(b"\n", 0, doctype) + 1
        raise _unreadable("XML_FORBIDDEN", f"DOCTYPE, line {line}", within, line)


def _doctype(text: bytes) -> int | None:
    """Offset of the DOCTYPE in the prolog, None if it has none."""
    at = 0
    while at < len(text):
        if text[at] in _SPACE:
            at += 1
        elif text.startswith(_DOCTYPE, at):
            return at
        else:
            ends = (text.find(end, at + len(begin)) + len(end) for begin, end in _PROLOG if text.startswith(begin, at))
            after = next(ends, 0)
            if after <= at:
                return None
            at = after
    return None


@functools.lru_cache(maxsize=8)
def _deeper_than(elements: int) -> etree.XPath:
    """Count in the library: walking the tree in Python would cost more than parsing it."""
    return etree.XPath("(" + "/*" * (elements + 1) + ")[1]")


def _name_of(wrong: etree.XMLSyntaxError) -> str:
    """Name of the error: its text may repeat the document."""
    names = (name for name, code in vars(etree.ErrorTypes).items() if code == wrong.code)
    return next(names, "ERR_UNKNOWN")


def _unreadable(code: str, detail: str, within: Place | None, line: int | None = None) -> Unreadable:
    return Unreadable(Problem(code=code, place=Place(path="/", line=line, within=within), detail=detail))

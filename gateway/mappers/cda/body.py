"""The body of a CDA: its level, and the file that a level-1 document encloses."""

import binascii
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.mappers.cda.walk import HL7, Findings, Node
from gateway.model.place import Place

_ENTRY: Final = f"{{{HL7}}}entry"

#: What HL7 ED means when `@mediaType` is absent.
DEFAULT_MEDIA_TYPE: Final = "text/plain"

_WHITE_SPACE: Final = b" \t\r\n"
_HEAD: Final = 1024


def _begins(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda content: content.startswith(signatures)


def _is_pdf(content: bytes) -> bool:
    """A PDF may have other bytes before its header (ISO 32000, annex H: within the first 1024)."""
    return b"%PDF-" in content[:_HEAD]


def _is_dicom(content: bytes) -> bool:
    return content[128:132] == b"DICM"


def _is_text(content: bytes) -> bool:
    """Text holds no NUL unless it is UTF-16, and does not begin like a file of another kind."""
    if any(known(content) for known in (_is_pdf, _is_dicom, *_IMAGES.values(), _begins(_OLE, b"PK\x03\x04", b"MZ", b"\x7fELF"))):
        return False
    return content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" not in content[:_HEAD]


def _is_markup(content: bytes) -> bool:
    head = content.removeprefix(b"\xef\xbb\xbf").lstrip(_WHITE_SPACE)
    return head.startswith(b"<") or content.startswith((b"\xff\xfe<\0", b"\xfe\xff\0<"))


#: Header of a compound file, the form of application/msword.
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_IMAGES: Final[dict[str, Callable[[bytes], bool]]] = {
    "image/jpeg": _begins(b"\xff\xd8\xff"),
    "image/png": _begins(b"\x89PNG\r\n\x1a\n"),
    "image/gif": _begins(b"GIF87a", b"GIF89a"),
    "image/tiff": _begins(b"II*\0", b"MM\0*"),
}

#: How a file of each media type begins. Source: CI-SIS, CDA R2; each format's own specification.
MAGIC: Final[dict[str, Callable[[bytes], bool]]] = {
    "application/pdf": _is_pdf,
    **_IMAGES,
    "text/rtf": _begins(b"{\\rtf"),
    "application/rtf": _begins(b"{\\rtf"),
    "application/msword": _begins(_OLE),
    "application/dicom": _is_dicom,
    "text/plain": _is_text,
    "text/html": _is_markup,
    "text/xml": _is_markup,
}


@dataclass(frozen=True, slots=True)
class Body:
    """What the body of a document is."""

    #: 1 (a file in nonXMLBody), 2 (narrative, or no body), 3 (coded entries).
    level: int
    #: Level 1: media type of the enclosed file, without parameters, in lower case.
    media_type: str | None = None
    #: Where it is written, if it is.
    media_type_place: Place | None = None
    #: Level 1: the enclosed file.
    content: bytes | None = None


def read_body(document: Node, findings: Findings) -> Body:
    """
    Read the body of a ClinicalDocument: its level, and at level 1 the enclosed file.

    Problems are left in `findings`: DOCUMENT_EMPTY (no content, or only a reference to it), BASE64_INVALID, CONTENT_MISMATCH, and
    CDA_INVALID where there are two bodies or compressed content. Nothing that the document refers to is fetched.

    Source: CI-SIS, CDA R2; RFC 4648.
    """
    bodies = [
        (kind, body)
        for component in document.all("component")
        for kind in ("nonXMLBody", "structuredBody")
        for body in component.all(kind)
    ]
    if not bodies:
        findings.unusual(findings.below(document, "component[1]"), "no body")
        return Body(level=2)
    for _, second in bodies[1:]:
        findings.error("CDA_INVALID", findings.place(second), "a second body")
    kind, body = bodies[0]
    if kind == "nonXMLBody":
        return _read_file(body, findings)
    coded = next(body.element.iter(_ENTRY), None) is not None
    return Body(level=3 if coded else 2)


def _read_file(body: Node, findings: Findings) -> Body:
    text = body.one("text")
    if text is None or text.is_null:
        findings.error("DOCUMENT_EMPTY", findings.below(body, "text[1]"), "nonXMLBody without text")
        return Body(level=1)
    written_type = text.get("mediaType")
    media_type = (written_type or DEFAULT_MEDIA_TYPE).partition(";")[0].strip().lower()
    content = _content(text, findings)
    known = MAGIC.get(media_type)
    if known is None:
        findings.unusual(findings.place(text, "mediaType"), "a media type whose form is not known")
    elif content is not None and not known(content):
        findings.error("CONTENT_MISMATCH", findings.place(text), f"not a file of the media type {media_type}")
    place = findings.place(text, "mediaType") if written_type is not None else None
    return Body(level=1, media_type=media_type, media_type_place=place, content=content)


def _content(text: Node, findings: Findings) -> bytes | None:
    """Return the bytes that an ED holds; None, with a problem, if it holds none that can be read."""
    if text.get("compression") is not None:
        findings.error("CDA_INVALID", findings.place(text, "compression"), "compressed content")
        return None
    # A reference, and a thumbnail, are elements of their own: what the text itself holds is the content.
    written = _own_text(text)
    if not written.strip():
        referred = text.one("reference") is not None
        detail = "the file is referred to, not enclosed" if referred else "no content"
        findings.error("DOCUMENT_EMPTY", findings.place(text), detail)
        return None
    if text.get("representation") != "B64":
        return written.encode()
    encoded = written.encode()
    try:
        with contextlib.suppress(binascii.Error):  # in one line: what most write
            return binascii.a2b_base64(encoded, strict_mode=True)
        return binascii.a2b_base64(encoded.translate(None, _WHITE_SPACE), strict_mode=True)
    except binascii.Error:
        findings.error("BASE64_INVALID", findings.place(text), "nonXMLBody/text")
        return None


def _own_text(node: Node) -> str:
    """Return the text of an element without that of the elements in it."""
    element = node.element
    if not len(element):
        return element.text or ""
    return "".join([element.text or "", *(child.tail or "" for child in element)])

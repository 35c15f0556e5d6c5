"""
The bytes of a document: the attachment, what it says of them, and the CDA that they are.

Source: IHE MHD 4.2; PDSm 3.1, DocumentReference.content; D-6.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from gateway.mappers.cda.read import CdaReading
from gateway.mappers.cda.read import read as read_cda
from gateway.mappers.common.findings import Findings
from gateway.mappers.fhir.json import Blob
from gateway.mappers.fhir.walk import Node
from gateway.model.place import Place
from gateway.model.problem import Unreadable

#: Media types of a CDA: FHIR's examples and XDS.
_XML: Final = frozenset({"application/xml", "text/xml", "application/xslt+xml", "application/hl7-sda+xml"})
_SHA1_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class Held:
    """Where a document's bytes stand: in a Binary, or in the attachment itself."""

    place: Place
    blob: Blob
    #: Of the Binary.
    content_type: str | None = None


def read(attachment: Node, held: Held, index: int, findings: Findings) -> CdaReading | None:
    """
    Read the document of an attachment.

    Args:
        attachment: What describes it.
        held: Its bytes.
        index: Of the document.
        findings: Takes ATTACHMENT_DIFFERS, FHIR_REQUIRED (contentType), DOCUMENT_EMPTY, NOT_CDA and what the CDA reader finds.

    Returns:
        What the CDA says; None if it is none.
    """
    content = held.blob.content
    _check(attachment, held, index, findings)
    if not content:
        findings.add("DOCUMENT_EMPTY", held.place, document=index)
        return None
    kind = _bare(attachment.text("contentType") or held.content_type or "")
    if kind and kind not in _XML:
        findings.add("NOT_CDA", attachment.place("contentType"), "contentType: not that of an XML document", document=index)
        return None
    try:
        cda = read_cda(content, held.place)
    except Unreadable as refused:
        findings.take(refused.problems, index)
        return None
    findings.take(cda.problems, index)
    return cda


def _check(attachment: Node, held: Held, index: int, findings: Findings) -> None:
    """Compare what the attachment says of the bytes with them."""
    content = held.blob.content
    size = attachment.number("size")
    if size is not None and size != len(content):
        findings.add("ATTACHMENT_DIFFERS", attachment.place("size"), f"size: {size} for {len(content)}", document=index)
    written = attachment.text("hash")
    if written is not None and not _is_hash(written, content):
        findings.add("ATTACHMENT_DIFFERS", attachment.place("hash"), "hash", document=index)
    stated = attachment.text("contentType")
    if stated is None:
        findings.add("FHIR_REQUIRED", attachment.place("contentType"), "contentType", document=index)
    elif held.content_type is not None and _bare(stated) != _bare(held.content_type):
        findings.add("ATTACHMENT_DIFFERS", attachment.place("contentType"), "contentType against Binary", document=index)


def _is_hash(written: str, content: bytes) -> bool:
    """Tell whether it is the SHA-1 of the bytes: base64 of its 20 bytes, or, as in MHD's own sample, of its 40 hex letters."""
    digest = hashlib.sha1(content, usedforsecurity=False)
    try:
        decoded = base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        return False
    if len(decoded) == _SHA1_BYTES:
        return decoded == digest.digest()
    return decoded.lower() == digest.hexdigest().encode()


def _bare(content_type: str) -> str:
    """Return a media type without its parameters."""
    return content_type.partition(";")[0].strip().casefold()

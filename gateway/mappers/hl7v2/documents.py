"""
The OBX that carry documents, and what is in them.

Source: ANS Trans. CDA en HL7v2 2.1, OBX-5.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.mappers.cda.read import CdaReading
from gateway.mappers.cda.read import read as read_cda
from gateway.mappers.common.carrier import Carried, NotBase64, decode
from gateway.mappers.common.findings import Findings
from gateway.mappers.hl7v2.tokens import Message, Segment
from gateway.mappers.hl7v2.values import value
from gateway.model.place import Place
from gateway.model.problem import Unreadable

#: An ORU carries the level-1 and the level-3 form of one content, an MDM one document.
MOST: Final = {"ORU": 2, "MDM": 1}


@dataclass(frozen=True, slots=True)
class DocumentReading:
    """
    One document of the message.

    Attributes:
        index: From 0.
        obx: The OBX that carries it.
        carried: Its bytes; None if the base64 could not be read.
        cda: What it says; None if it could not be read.
        replaces: uniqueIds of the documents that it replaces, as message and CDA say together.
    """

    index: int
    obx: Segment
    carried: Carried | None = None
    cda: CdaReading | None = None
    replaces: tuple[str, ...] = ()


def carrying(unflagged: Iterable[Segment], type_code: str) -> tuple[Segment, ...]:
    """
    Return the OBX that carry a document.

    Args:
        unflagged: The OBX of the message that are no flags.
        type_code: MSH-9.1. In an MDM every ED is a document; in an ORU only one that says XML, or
            says nothing at all: other files are results.
    """
    found = [obx for obx in unflagged if value(obx, 2) == "ED"]
    if type_code == "MDM":
        return tuple(found)
    return tuple(obx for obx in found if (value(obx, 5, 3) or "").upper() == "XML" or obx.field(5).is_empty)


def read(message: Message, obx: Segment, index: int, findings: Findings) -> DocumentReading:
    """
    Read one document.

    Args:
        message: The message.
        obx: The OBX that carries it.
        index: Of the document, from 0.
        findings: Takes VALUE_UNKNOWN (OBX-5.4), DOCUMENT_EMPTY, BASE64_INVALID, and what the CDA reader finds.

    Returns:
        As much of it as could be read.
    """
    encoding = value(obx, 5, 4)
    if encoding is not None and encoding.upper() != "BASE64":
        findings.add("VALUE_UNKNOWN", obx.place(5, 1, 4), "OBX-5.4", document=index)
        return DocumentReading(index, obx)
    data = obx.field(5).repetition(1).component(5)
    try:
        decoded = decode(data.raw, message.dialect.escape)
    except NotBase64 as refused:
        at = data.start + refused.offset
        place = Place(path=data.place.path, start=at, end=min(at + 1, data.end))
        findings.add("BASE64_INVALID", place, f"byte {refused.offset} of OBX-5.5", document=index)
        return DocumentReading(index, obx)
    if not decoded.content:
        findings.add("DOCUMENT_EMPTY", data.place, document=index)
        return DocumentReading(index, obx)
    carried = Carried(decoded, data.start, data.end)
    try:
        cda = read_cda(decoded.content, data.place)
    except Unreadable as refused:
        findings.take(refused.problems, index)
        return DocumentReading(index, obx, carried)
    findings.take(cda.problems, index)
    return DocumentReading(index, obx, carried, cda)

"""
Which document, and which one it replaces: TXA-12 and TXA-13 against the CDA.

Source: ANS Trans. CDA en HL7v2 2.1, TXA-12, TXA-13; CI-SIS, relatedDocument.
"""

from gateway.mappers.common.findings import Findings
from gateway.mappers.hl7v2.documents import DocumentReading
from gateway.mappers.hl7v2.older import same_number
from gateway.mappers.hl7v2.tokens import Segment
from gateway.mappers.hl7v2.values import value
from gateway.model.document import DocumentEntry
from gateway.model.place import Place
from gateway.model.submission import Act


def document_number(txa: Segment | None, field: int) -> str | None:
    """
    Return a document number of TXA as a uniqueId: ``root``, or ``root^extension`` of ``extension^^root^ISO``.

    Component 2 must be empty and often is not: it says nothing and is passed over.
    """
    first, universal = value(txa, field), value(txa, field, 3)
    if first is None:
        return universal
    return first if universal is None else f"{universal}^{first}"


def check_number(txa: Segment, entry: DocumentEntry, findings: Findings, *, older: bool = False) -> None:
    """Compare TXA-12 with the id of the CDA: DOCUMENT_ID_DIFFERS; `older` as in `replaced`."""
    number = document_number(txa, 12)
    if number is not None and number != entry.unique_id and not (older and same_number(number, entry.unique_id)):
        findings.add("DOCUMENT_ID_DIFFERS", txa.place(12), document=0)


def replaced(
    one: DocumentReading, entry: DocumentEntry, act: Act, txa: Segment | None, findings: Findings, *, older: bool = False
) -> tuple[str, ...]:
    """
    Return the uniqueIds that a document replaces.

    Args:
        one: The document in the message.
        entry: What its CDA says.
        act: What the message asks for: it decides, and a CDA that says otherwise is refused. The CDA of a deletion is the
            last version as it was, so its relatedDocument says nothing.
        txa: TXA of an MDM, None for an ORU.
        findings: Takes RELATION_DIFFERS, FIELD_REQUIRED, and CDA_UNUSUAL as a warning.
        older: Whether the message follows an earlier version of the volet: its numbers are root and extension in one.

    Returns:
        The parents; empty unless it is a replacement, and for one that is found by its setId.
    """
    if act is Act.DELETE:
        return ()
    if act is Act.ADD:
        if entry.replaces:
            place = entry.places.get("replaces[0]") or _carrier(one)
            findings.add("RELATION_DIFFERS", place, "relatedDocument in a new document", document=one.index)
        return ()
    return _by_oru(one, entry, findings) if txa is None else _by_mdm(one, entry, txa, findings, older=older)


def _by_mdm(one: DocumentReading, entry: DocumentEntry, txa: Segment, findings: Findings, *, older: bool) -> tuple[str, ...]:
    parent = document_number(txa, 13)
    if parent is None:
        if entry.replaces:
            findings.add("FIELD_REQUIRED", txa.place(13), "TXA-13")
        else:
            findings.add("RELATION_DIFFERS", txa.place(13), "no parent document is named", document=one.index)
        return entry.replaces
    if not entry.replaces and older and document_number(txa, 12) != entry.unique_id:
        # TXA-13 is written as TXA-12 is: it names no uniqueId, and the document it means would stay beside the new one.
        detail = "no relatedDocument, and TXA-13 is root and extension in one"
        findings.add("RELATION_DIFFERS", txa.place(13), detail, document=one.index)
        return ()
    if not entry.replaces:
        findings.warn("CDA_UNUSUAL", _carrier(one), "no relatedDocument: TXA-13 was taken", document=one.index)
        return (parent,)
    if parent not in entry.replaces and not (older and any(same_number(parent, known) for known in entry.replaces)):
        findings.add("RELATION_DIFFERS", txa.place(13), document=one.index)
    return entry.replaces


def _by_oru(one: DocumentReading, entry: DocumentEntry, findings: Findings) -> tuple[str, ...]:
    if entry.replaces:
        return entry.replaces
    if entry.set_id is not None and (entry.version or 0) > 1:
        place = entry.places.get("set_id") or _carrier(one)
        findings.warn("CDA_UNUSUAL", place, "no relatedDocument: the parent goes by setId", document=one.index)
    else:
        findings.add("RELATION_DIFFERS", _carrier(one), "no parent document is named", document=one.index)
    return ()


def _carrier(one: DocumentReading) -> Place:
    return one.obx.place(5, 1, 5)

"""
XCN, XON and PRT: who sends a document.

Source: ANS Trans. CDA en HL7v2 2.1, PRT.
"""

from gateway.mappers.hl7v2.tokens import Message, Segment
from gateway.mappers.hl7v2.values import part, value
from gateway.model.code import Identifier
from gateway.model.document import Author, Organisation, Person
from gateway.model.professional import professional_key

#: PRT-4.1 of the sender. RCT and REPLY are of secure mail, which is not handled here.
SENDER = "SB"


def participants(message: Message, document: Segment) -> tuple[Segment, ...]:
    """Return the PRT segments of a document: those directly after its OBX (notes may stand between)."""
    found: list[Segment] = []
    for segment in message.segments[document.index + 1 :]:
        if segment.name == "PRT":
            found.append(segment)
        elif segment.name != "NTE":
            break
    return tuple(found)


def senders(message: Message, document: Segment) -> tuple[Segment, ...]:
    """Return the PRT segments of the senders of a document (SB in any repetition of PRT-4)."""
    return tuple(
        prt for prt in participants(message, document) if any(part(role, 1) == SENDER for role in prt.field(4).repetitions)
    )


def sender(prt: Segment) -> Author:
    """Return who sends: the person of PRT-5, the organisation of PRT-8."""
    return Author(person=xcn(prt, 5), organisation=xon(prt, 8))


def numbers(prt: Segment) -> tuple[str, ...]:
    """Return the number of every person of PRT-5, as oppositions to a professional are tested on it (R-14)."""
    written = (part(repetition, 1) for repetition in prt.field(5).repetitions)
    keys = (professional_key(number) for number in written if number is not None)
    return tuple(dict.fromkeys(key for key in keys if key is not None))


def xcn(segment: Segment, field: int) -> Person | None:
    """
    Return the person of an XCN, or None if the field is empty.

    The id is kept as written, with the OID of XCN-9 (written as an HD or, wrongly, alone) and the type of XCN-13.
    """
    written = value(segment, field)
    authority = value(segment, field, 9, 2) or value(segment, field, 9, 1)
    number = None if written is None else Identifier(value=written, authority=authority, type=value(segment, field, 13))
    family, given = value(segment, field, 2), value(segment, field, 3)
    if number is None and family is None and given is None:
        return None
    return Person(id=number, family=family, given=given, suffix=value(segment, field, 5), prefix=value(segment, field, 6))


def xon(segment: Segment, field: int) -> Organisation | None:
    """
    Return the organisation of an XON, or None if the field is empty.

    Its ids are XON-10, then XON-3, of every repetition: the first is its id, each of the others may name an establishment.
    """
    name: str | None = None
    ids: dict[str, Identifier] = {}
    for repetition in segment.field(field).repetitions:
        name = name or part(repetition, 1)
        authority, kind = part(repetition, 6, 2) or part(repetition, 6), part(repetition, 7)
        for component in (10, 3):
            written = part(repetition, component)
            if written is not None:
                ids.setdefault(written, Identifier(value=written, authority=authority, type=kind))
    first, *others = ids.values() or (None,)
    return None if name is None and first is None else Organisation(id=first, other_ids=tuple(others), name=name)

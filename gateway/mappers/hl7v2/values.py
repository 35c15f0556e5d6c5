"""One way to take a value out of a segment: trimmed, and None where nothing is said."""

from typing import Final

from gateway.mappers.hl7v2.tokens import Repetition, Segment
from gateway.model.code import LONGEST_IDENTIFIER, Identifier
from gateway.model.place import Place, er7_path
from gateway.model.problem import Problem, Unreadable
from gateway.model.when import When

#: Two double quotes erase a value at the receiver: they are never a value themselves.
NULL: Final = '""'

#: Where identifiers of visits and documents stand, which are kept and looked up (those of patients: `patient`).
IDENTIFIERS: Final = frozenset({("PV1", 19), ("TXA", 12), ("TXA", 13)})

#: HL7 v2.5 TS is at most 26 characters; more is no time.
_LONGEST_TIME: Final = 32


def value(segment: Segment | None, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str | None:
    """
    Return a value without the spaces around it.

    Args:
        segment: The segment, or None if the message has none of that name.
        field: And what follows: positions from 1.
        component: Component.
        subcomponent: Sub-component.
        repetition: Repetition.

    Returns:
        The text, or None if it is absent, empty or `""`.

    Raises:
        Unreadable: FIELD_INVALID: an identifier that is longer than `LONGEST_IDENTIFIER`.
    """
    if segment is None:
        return None
    text = segment.value(field, component, subcomponent, repetition).strip()
    if len(text) > LONGEST_IDENTIFIER:
        _check_identifier(segment, field, repetition, component)
    return None if text in {"", NULL} else text


def part(repetition: Repetition, component: int, subcomponent: int = 1) -> str | None:
    """Return a value of one repetition, as `value` does; a field of many repetitions is cut once this way."""
    text = repetition.value(component, subcomponent).strip()
    if len(text) > LONGEST_IDENTIFIER:
        field, number = repetition.at[:2]
        _check_identifier(repetition.segment, field, number, component)
    return None if text in {"", NULL} else text


def _check_identifier(segment: Segment, field: int, repetition: int, component: int) -> None:
    if (segment.name, field) in IDENTIFIERS:
        place = segment.place(field, repetition, component)
        detail = f"longer than {LONGEST_IDENTIFIER} characters"
        raise Unreadable(Problem(code="FIELD_INVALID", place=place, detail=detail))


def absent(segment: str, occurrence: int = 1) -> Place:
    """Return the place of a segment that should be there and is not."""
    return Place(path=er7_path(segment, occurrence))


def when(text: str | None) -> When | None:
    """Read a TS, or None if there is none.

    Raises:
        ValueError: it is not a TS.
    """
    if text is None:
        return None
    if len(text) > _LONGEST_TIME:
        raise ValueError("too long for a time stamp")
    return When.read(text)


def cx(segment: Segment | None, field: int) -> Identifier | None:
    """
    Return a CX with its authority as written: the OID if it is one (HD-3 = ISO), else the namespace.

    Source: HL7 v2.5 CX, HD.
    """
    written = value(segment, field)
    if written is None:
        return None
    namespace, universal = value(segment, field, 4, 1), value(segment, field, 4, 2)
    is_oid = value(segment, field, 4, 3) == "ISO"
    authority = (universal or namespace) if is_oid else (namespace or universal)
    return Identifier(value=written, authority=authority, type=value(segment, field, 5))

"""
PV1-19: the visit that an event or a consent is about.

Source: PAM.FR 2.11; O-16.
"""

import msgspec

from gateway.mappers.common.authorities import authority_of
from gateway.mappers.common.findings import Findings
from gateway.mappers.hl7v2.tokens import Message
from gateway.mappers.hl7v2.values import cx, value, when
from gateway.model.code import Identifier
from gateway.model.event import Stay, StayState
from gateway.model.problem import Severity, Unreadable
from gateway.model.source import Directory, Source
from gateway.model.when import When


def visit(message: Message, source: Source, directory: Directory, findings: Findings) -> Identifier | None:
    """
    Return the visit of PV1-19, so that every spelling of one number is one visit.

    Args:
        message: Any ADT.
        source: Who sends: a number without authority, or of one of its establishment's own however spelt, is its establishment's.
        directory: Establishments with their authorities.
        findings: Takes FIELD_INVALID as a warning: a number that is too long is left out, the event is not.

    Returns:
        The number, without authority where it is the establishment's own.
    """
    try:
        found = cx(message.first("PV1"), 19)
    except Unreadable as refused:
        problems = (one for one in refused.problems if one.code == "FIELD_INVALID")
        warnings = [msgspec.structs.replace(one, severity=Severity.WARNING) for one in problems]
        if not warnings:
            raise
        findings.take(warnings)
        return None
    if found is None or found.authority is None:
        return found
    pv1 = message.first("PV1")
    spellings = (value(pv1, 19, 4, 1), value(pv1, 19, 4, 2), value(pv1, 19, 4), found.authority)
    authority = authority_of(spellings, source, directory)
    own = authority.own or any(key.startswith(f"{source.establishment}/") for key in authority.perhaps)
    return Identifier(value=found.value, type=found.type) if own else found


def stay(message: Message, said: StayState | None, number: Identifier | None, source: Source, findings: Findings) -> Stay | None:
    """
    Return what an event says of its visit; None if it says nothing, or not of which.

    Args:
        message: The event.
        said: What its trigger says of a visit.
        number: Its visit.
        source: Who sends.
        findings: Takes DATE_INVALID as a warning for each date that cannot be read.
    """
    if said is None or number is None:
        return None
    return Stay(establishment=source.establishment, visit=number, state=said, stated_at=_recorded(message, findings))


def _recorded(message: Message, findings: Findings) -> When | None:
    """Return when the event was recorded: EVN-2, else MSH-7."""
    unread = Findings()
    found = None
    for segment, field in ((message.first("EVN"), 2), (message.header, 7)):
        if segment is None or found is not None:
            continue
        try:
            found = when(value(segment, field))
        except ValueError:
            unread.warn("DATE_INVALID", segment.place(field), f"{segment.name}-{field}")
    findings.take(problem for problem in unread.deciding if problem not in findings.deciding)  # a statement may have asked too
    return found

"""
ADT: who a patient is, and what they said about their record.

Source: PAM.FR 2.11; D-1, D-3.
"""

from functools import cache

import msgspec

from gateway.mappers.common.findings import Findings
from gateway.mappers.hl7v2 import change, patient, triggers, visit, zfa
from gateway.mappers.hl7v2.patient import PidReading
from gateway.mappers.hl7v2.reading import Reading, Received, ignored, rejected
from gateway.mappers.hl7v2.triggers import Trigger, Use
from gateway.mappers.hl7v2.usable import tell_traits, usable
from gateway.mappers.hl7v2.values import absent
from gateway.model.event import PatientEvent, Statement, Stay
from gateway.model.ins import ROOT_NIA
from gateway.model.patient import PatientId
from gateway.model.problem import Answer, Severity
from gateway.model.source import Grant, Source


def read(received: Received) -> Reading:
    """
    Read an ADT.

    Of which concern it is comes first, then identity and ownership. Statements are taken from any event that is applied: one that
    has no ZFA in PAM, or is unknown, is warned of.

    Args:
        received: The message and who sends it.

    Returns:
        A patient event; a change of identifiers, a merge; a rejection; or, for an event that is of no concern to the record,
        what is acknowledged and ignored.
    """
    message, header, findings = received.message, received.header, received.findings
    pid = patient.read(message, received.source, received.directory)
    trigger, event = message.header.place(9), triggers.trigger(header.trigger)
    if event.use is Use.IGNORED and not message.all("ZFA"):
        findings.add("EVENT_UNKNOWN", trigger, severity=Severity.INFORMATION)
        return ignored(findings, patient=None if pid is None else pid.shown)
    if pid is None:
        findings.add("SEGMENT_MISSING", absent("PID"), "PID")
        return rejected(findings)
    if event.use in {Use.CHANGE, Use.MERGE}:
        statements, _ = _said(received, event)
        return (change.read_change if event.use is Use.CHANGE else change.read_merge)(received, pid, statements)
    left_out = Findings()  # told last: a message full of identifiers does not crowd out what is said of its statements
    identifiers = usable(pid, received.environment, left_out, qualified=pid.is_qualified)
    if not identifiers:
        findings.add("EVENT_UNUSABLE", pid.segment.place(3))
        findings.take(left_out.deciding)
        return rejected(findings, patient=pid.shown)
    for extra in message.all("PID")[1:]:
        findings.add("CARDINALITY", extra.whole, "several PID")
    if event.excluded:
        findings.warn("EVENT_EXCLUDED", trigger)
    said = _said(received, event)
    if findings.errors:
        return rejected(findings, patient=pid.shown)
    tell_traits(pid, findings)
    links = _links(pid, identifiers, received.source, findings)
    findings.take(left_out.deciding)
    problems = findings.in_message_order
    content = PatientEvent(
        trigger=header.trigger,
        identifiers=identifiers,
        links=links,
        identity=msgspec.structs.replace(pid.identity, identifiers=identifiers),
        statements=said[0],
        stay=said[1],
        problems=problems,
        places={**pid.identity.places, "trigger": trigger},
    )
    return Reading(content, (), Answer.AA, problems)


def _said(received: Received, event: Trigger) -> tuple[tuple[Statement, ...], Stay | None]:
    """Read what ZFA states and what the event says of its visit."""
    message, source, directory, findings = received.message, received.source, received.directory, received.findings
    number = cache(lambda: visit.visit(message, source, directory, findings))
    segment = message.first("ZFA")
    if segment is not None and event.use is not Use.STATES:
        findings.warn("ZFA_UNEXPECTED", segment.whole, received.header.trigger)
    statements = zfa.read(message, source, directory.side(source), number, findings)
    stay = None if event.stay is None else visit.stay(message, event.stay, number(), source, findings)
    return statements, stay


def _links(pid: PidReading, identifiers: tuple[PatientId, ...], source: Source, findings: Findings) -> bool:
    """
    Tell whether the identifiers are one patient's: under VALI, from a source that may say so, and there are two at least.

    Two different INS (a NIA beside its NIR apart) are never linked: that would make one patient of two.
    """
    lasting = [known for known in identifiers if known.is_ins and known.authority != ROOT_NIA]
    if len(lasting) > 1:
        findings.warn("INS_SEVERAL", pid.segment.place(3), "they were not linked")
        return False
    return pid.is_qualified and len(identifiers) > 1 and Grant.LINK_IDENTITY in source.grants

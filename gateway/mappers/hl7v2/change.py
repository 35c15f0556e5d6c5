"""
ADT that change identifiers: A47 replaces them or takes an INS back, A40 makes one file of two.

Source: PAM.FR 2.11, p.17–20; D-1.
"""

import msgspec

from gateway.mappers.common.findings import Findings
from gateway.mappers.hl7v2.patient import PidReading, read_identifiers
from gateway.mappers.hl7v2.reading import Reading, Received, rejected
from gateway.mappers.hl7v2.usable import is_sound, tell_traits, usable
from gateway.mappers.hl7v2.values import absent
from gateway.model.event import FileMerge, IdentifierChange, Statement
from gateway.model.ins import one_identity
from gateway.model.patient import PatientId
from gateway.model.problem import Answer, Problem
from gateway.model.source import Grant


def read_change(received: Received, pid: PidReading, statements: tuple[Statement, ...]) -> Reading:
    """
    Read an A47: MRG-1 holds what no longer counts, PID-3 what counts from now on.

    An INS is taken back where it is erased in PID-3, where nothing usable takes the place of a former one, or where the identity
    is no longer under VALI and no number changes. Of a NIA erased beside its NIR only the NIA is former.

    Args:
        received: The message and who sends it.
        pid: Its patient.
        statements: What its ZFA states, if it has one.

    Returns:
        The change, or a rejection.
    """
    left_out = Findings()
    former = _former(received, left_out)
    current = _current(received, pid, left_out)
    current_ins = tuple(known for known in current if known.is_ins)
    numbers = tuple(known for known in current if not known.is_ins)
    former = tuple(known for known in former if known.key not in {one.key for one in current})
    renumbers = bool(numbers) and any(not known.is_ins for known in former)
    fallen = not pid.is_qualified and (bool(pid.ins) or not renumbers)
    withdrawn = not current_ins and (bool(pid.removed) or any(known.is_ins for known in former) or fallen)
    if withdrawn and not pid.is_qualified:
        # Under another status PID-3 itself may still name the INS that does not count any more.
        named = (claim for claim in pid.ins if is_sound(claim, received.environment))
        former = tuple({known.key: known for known in (*former, *named)}.values())
    if not (current or former) or not (withdrawn or former or len(current) > 1):
        return _unusable(received, pid, left_out, patient=bool(current))
    for extra in received.message.all("PID")[1:]:
        received.findings.add("CARDINALITY", extra.whole, "several PID")
    if _refused(received):
        return rejected(received.findings, patient=pid.shown)
    content = IdentifierChange(
        trigger=received.header.trigger,
        identifiers=current,
        former=former,
        withdrawn=withdrawn,
        identity=msgspec.structs.replace(pid.identity, identifiers=current),
        statements=statements,
        problems=_told(received, pid, left_out),
        places={**pid.identity.places, "trigger": received.message.header.place(9)},
    )
    return Reading(content, (), Answer.AA, content.problems)


def read_merge(received: Received, pid: PidReading, statements: tuple[Statement, ...]) -> Reading:
    """
    Read an A40: the file of MRG-1 disappears into that of PID-3.

    Arguments and result as `read_change`. One that says more than that (several files, a ZFA) is sent back rather than read in
    part.
    """
    left_out = Findings()
    absorbed = _former(received, left_out)
    current = _current(received, pid, left_out)
    if not current or not absorbed:
        return _unusable(received, pid, left_out, patient=bool(current))
    if _refused(received):
        return rejected(received.findings, patient=pid.shown)
    several = max(len(received.message.all("MRG")), len(received.message.all("PID"))) > 1
    if several or statements:
        detail = "several files" if several else "ZFA"
        received.findings.add("NOT_HANDLED", received.message.header.place(9), f"{received.header.trigger}: {detail}")
        return rejected(received.findings, patient=pid.shown)
    content = FileMerge(
        trigger=received.header.trigger,
        identifiers=current,
        absorbed=absorbed,
        identity=msgspec.structs.replace(pid.identity, identifiers=current),
        problems=_told(received, pid, left_out),
        places={**pid.identity.places, "trigger": received.message.header.place(9)},
    )
    return Reading(content, (), Answer.AA, content.problems)


def _former(received: Received, findings: Findings) -> tuple[PatientId, ...]:
    """Return what may be used of MRG-1; its INS needs no status: it is what does not count any more."""
    mrg = received.message.first("MRG")
    if mrg is None:
        return ()
    claims = read_identifiers(mrg, 1, received.source, received.directory)
    return usable(claims, received.environment, findings, qualified=True)


def _current(received: Received, pid: PidReading, findings: Findings) -> tuple[PatientId, ...]:
    """Return what may be used of PID-3; of two INS neither."""
    current = usable(pid, received.environment, findings, qualified=pid.is_qualified)
    if one_identity(known.key for known in current if known.is_ins):
        return current
    findings.warn("INS_SEVERAL", pid.segment.place(3), "they were left out")
    return tuple(known for known in current if not known.is_ins)


def _refused(received: Received) -> bool:
    """Tell whether the message is refused: the source may not do this, or what its ZFA states."""
    if Grant.MERGE_IDENTITY not in received.source.grants:
        received.findings.add("SOURCE_NOT_ALLOWED", received.message.header.place(3), Grant.MERGE_IDENTITY.value)
    return bool(received.findings.errors)


def _unusable(received: Received, pid: PidReading, left_out: Findings, *, patient: bool) -> Reading:
    """Return the rejection of an event in which nothing can be used of PID-3, or else (`patient`) of MRG-1."""
    findings, mrg = received.findings, received.message.first("MRG")
    if not patient:
        findings.add("EVENT_UNUSABLE", pid.segment.place(3))
    elif mrg is None:
        findings.add("SEGMENT_MISSING", absent("MRG"), "MRG")
    else:
        findings.add("EVENT_UNUSABLE", mrg.place(1))
    findings.take(left_out.deciding)
    return rejected(findings, patient=pid.shown)


def _told(received: Received, pid: PidReading, left_out: Findings) -> tuple[Problem, ...]:
    tell_traits(pid, received.findings)
    received.findings.take(left_out.deciding)
    return received.findings.in_message_order

"""
The identity gate of a deposit: what the message alone shows about whose document it is.

Codes in order of precedence: INS_ABSENT, INS_SEVERAL, INS_KEY, INS_ROOT, INS_UNQUALIFIED, TRAITS_MISSING, PID_CDA_DIFFER.

Source: D-19; P8, P15.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.mappers.cda.read import CdaReading
from gateway.mappers.hl7v2.authorities import distinct
from gateway.mappers.hl7v2.findings import Findings
from gateway.mappers.hl7v2.patient import TOO_LONG, PidReading
from gateway.model.ins import ROOT_NIA, is_matricule, roots
from gateway.model.names import compared
from gateway.model.patient import PatientId, PatientIdentity, Traits
from gateway.model.problem import Severity
from gateway.model.submission import Act

#: The strict traits by field of PID. Source: D-19.
_STRICT: Final = (
    (5, "birth_name", "PID-5 type L"),
    (7, "birth_date", "PID-7"),
    (8, "sex", "PID-8"),
    (11, "birth_place", "PID-11 type BDL"),
)


def check(
    pid: PidReading, documents: Sequence[tuple[int, CdaReading]], act: Act | None, environment: str, findings: Findings
) -> PatientIdentity:
    """
    Pass a deposit through the gate.

    Args:
        pid: The patient of the message.
        documents: Each document that could be read, with its index.
        act: What is asked for. A deletion by the owner always passes but for key, root and P8 (D-4): of the rest it is warned.
        environment: `production` or `test`: which roots are taken.
        findings: Takes what is wrong.

    Returns:
        The identity of the deposit: the INS it goes by first, then every other identifier (oppositions are tested on each).
    """
    severity = Severity.WARNING if act is Act.DELETE else Severity.ERROR
    for place in pid.too_long[:1]:
        findings.add("FIELD_INVALID", place, TOO_LONG, severity=severity)
    if not pid.ins:
        findings.add("INS_ABSENT", pid.segment.place(3))
        return pid.identity
    chosen = _chosen(pid.ins)
    if chosen is None:
        findings.add("INS_SEVERAL", pid.segment.place(3), f"{len(pid.ins)} INS")
    _absent_in_documents(documents, severity, findings)
    is_sound = _keys_and_roots(pid, documents, environment, findings)
    if not pid.is_qualified:
        findings.add("INS_UNQUALIFIED", pid.segment.place(32), severity=severity)
    _traits(pid, severity, findings)
    if chosen is None:
        return pid.identity
    if is_sound:
        for index, document in documents:
            _compare(pid, chosen, index, document, findings, act=act)
    rest = tuple(known for known in pid.identity.identifiers if known.key != chosen.key)
    return msgspec.structs.replace(pid.identity, identifiers=distinct((chosen, *rest, *pid.perhaps)))


def _traits(pid: PidReading, severity: Severity, findings: Findings) -> None:
    """Ask for each strict trait, and tell which trait cannot be read."""
    unreadable = {problem.place.path for problem in pid.problems if problem.place is not None}
    for field, trait, name in _STRICT:
        if getattr(pid.identity.traits, trait) is None and (place := pid.segment.place(field)).path not in unreadable:
            findings.add("TRAITS_MISSING", place, name, severity=severity)
    for problem in pid.problems:
        findings.take((msgspec.structs.replace(problem, severity=severity),))


def _chosen(claims: tuple[PatientId, ...]) -> PatientId | None:
    """Return the one INS; of a NIA and a NIR the NIR. None: there are several."""
    lasting = [claim for claim in claims if claim.authority != ROOT_NIA] or list(claims)
    return lasting[0] if len(lasting) == 1 else None


def _keys_and_roots(pid: PidReading, documents: Sequence[tuple[int, CdaReading]], environment: str, findings: Findings) -> bool:
    """Test key, then root, of every INS of the message and of its documents; return whether those of the message are right."""
    every: list[tuple[int | None, PatientId]] = [(None, claim) for claim in pid.ins]
    for number, document in documents:
        every += [(number, claim) for patient in document.patients for claim in patient.ins]
    wrong_keys = [(index, claim) for index, claim in every if not is_matricule(claim.value)]
    wrong_roots = [(index, claim) for index, claim in every if claim.authority not in roots(environment)]
    for code, wrong in (("INS_KEY", wrong_keys), ("INS_ROOT", wrong_roots)):
        for index, claim in wrong:
            findings.add(code, claim.place, document=index)
    return not any(index is None for index, _ in (*wrong_keys, *wrong_roots))


def _absent_in_documents(documents: Sequence[tuple[int, CdaReading]], severity: Severity, findings: Findings) -> None:
    """A structured document names its patient by the INS."""
    for index, document in documents:
        if document.entry.level > 1 and not any(patient.ins for patient in document.patients):
            written = (known.place for patient in document.patients for known in patient.identifiers)
            place = next(written, None) or document.entry.places.get("unique_id")
            findings.add("INS_ABSENT", place, "recordTarget", severity=severity, document=index)


def _compare(
    pid: PidReading, chosen: PatientId, index: int, document: CdaReading, findings: Findings, *, act: Act | None
) -> None:
    """
    Every recordTarget is the patient of the message (P8); a level-1 document without INS is compared by its traits.

    So is any document of a deletion without INS, as far as both have the traits: they may differ, not be missing (D-4).
    """
    has_none = not any(patient.ins for patient in document.patients)
    if has_none and document.entry.level > 1 and act is not Act.DELETE:
        return
    admitted = {claim.key for claim in pid.ins}
    for number, patient in enumerate(document.patients, 1):
        named = {known.key for known in patient.ins}
        if named:
            others = {key for key in named - admitted if key[0] != ROOT_NIA}
            is_same = chosen.key in named and not others
        else:
            is_same = has_none and _same_traits(pid.identity.traits, patient.traits, or_missing=act is Act.DELETE)
        if not is_same:
            findings.add("PID_CDA_DIFFER", pid.segment.place(3), f"recordTarget[{number}]", document=index)


def _same_traits(transport: Traits, document: Traits, *, or_missing: bool) -> bool:
    """Tell whether birth name, first given name, birth date and sex are all there and equal, or, if it may be, one is missing."""
    left, right = (_comparable(traits) for traits in (transport, document))
    if left is None or right is None:
        return or_missing
    return left == right


def _comparable(traits: Traits) -> tuple[str, str, str, str] | None:
    if not (traits.birth_name and traits.first_given_name and traits.birth_date and traits.sex):
        return None
    day = traits.birth_date.day or traits.birth_date.iso
    return compared(traits.birth_name), compared(traits.first_given_name), day, traits.sex

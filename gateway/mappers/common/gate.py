"""
The identity gate of a deposit: what the message alone shows about whose document it is.

Codes in order of precedence: INS_ABSENT, INS_SEVERAL, INS_KEY, INS_ROOT, INS_UNQUALIFIED, TRAITS_MISSING, PID_CDA_DIFFER.

Source: D-19; P8, P15.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from gateway.mappers.cda.read import CdaReading
from gateway.mappers.common.authorities import distinct
from gateway.mappers.common.findings import Findings
from gateway.model.ins import ROOT_NIA, is_matricule, roots
from gateway.model.names import compared
from gateway.model.patient import PatientId, PatientIdentity, Traits
from gateway.model.place import Place
from gateway.model.problem import Problem, Severity
from gateway.model.submission import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class Strict:
    """A strict trait (D-19) in the format of the transport: what it is called there, and where it stands or should."""

    trait: str
    name: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """
    The patient as the transport names them.

    Attributes:
        identity: Every identifier in its canonical form, the traits and the status.
        ins: What claims to be an INS, its root right or not.
        perhaps: Identifiers of unsure authority under each domain that they may belong to: a deposit is tested on them too.
        is_qualified: Whether the identity is qualified, as the format or the source's grant says (D-19).
        unqualified: What to say where it is not.
        identifiers_at: Where the identifiers stand, or should.
        status_at: Where the status stands, or should.
        strict: The strict traits that the format must give.
        problems: Traits that cannot be read.
        too_long: Identifiers that are longer than any is; they were left out.
        too_long_is: What to say of them.
    """

    identity: PatientIdentity
    ins: tuple[PatientId, ...]
    perhaps: tuple[PatientId, ...] = ()
    is_qualified: bool
    unqualified: str = ""
    identifiers_at: Place
    status_at: Place
    strict: tuple[Strict, ...] = ()
    problems: tuple[Problem, ...] = ()
    too_long: tuple[Place, ...] = ()
    too_long_is: str = ""


def check(
    transport: Transport, documents: Sequence[tuple[int, CdaReading]], act: Act | None, environment: str, findings: Findings
) -> PatientIdentity:
    """
    Pass a deposit through the gate.

    Args:
        transport: The patient of the message.
        documents: Each document that could be read, with its index.
        act: What is asked for. A deletion by the owner always passes but for key, root and P8 (D-4): of the rest it is warned.
        environment: `production` or `test`: which roots are taken.
        findings: Takes what is wrong.

    Returns:
        The identity of the deposit: the INS it goes by first, then every other identifier (oppositions are tested on each).
    """
    severity = Severity.WARNING if act is Act.DELETE else Severity.ERROR
    for place in transport.too_long[:1]:
        findings.add("FIELD_INVALID", place, transport.too_long_is, severity=severity)
    if not transport.ins:
        findings.add("INS_ABSENT", transport.identifiers_at)
        return transport.identity
    chosen = _chosen(transport.ins)
    if chosen is None:
        findings.add("INS_SEVERAL", transport.identifiers_at, f"{len(transport.ins)} INS")
    _absent_in_documents(documents, severity, findings)
    is_sound = _keys_and_roots(transport, documents, environment, findings)
    if not transport.is_qualified:
        findings.add("INS_UNQUALIFIED", transport.status_at, transport.unqualified, severity=severity)
    _traits(transport, severity, findings)
    if chosen is None:
        return transport.identity
    if is_sound:
        for index, document in documents:
            _compare(transport, chosen, index, document, findings, act=act)
    rest = tuple(known for known in transport.identity.identifiers if known.key != chosen.key)
    return msgspec.structs.replace(transport.identity, identifiers=distinct((chosen, *rest, *transport.perhaps)))


def _traits(transport: Transport, severity: Severity, findings: Findings) -> None:
    """Ask for each strict trait, and tell which trait cannot be read."""
    unreadable = {problem.place.path for problem in transport.problems if problem.place is not None}
    for strict in transport.strict:
        if getattr(transport.identity.traits, strict.trait) is None and strict.place.path not in unreadable:
            findings.add("TRAITS_MISSING", strict.place, strict.name, severity=severity)
    for problem in transport.problems:
        findings.take((msgspec.structs.replace(problem, severity=severity),))


def _chosen(claims: tuple[PatientId, ...]) -> PatientId | None:
    """Return the one INS; of a NIA and a NIR the NIR. None: there are several."""
    lasting = [claim for claim in claims if claim.authority != ROOT_NIA] or list(claims)
    return lasting[0] if len(lasting) == 1 else None


def _keys_and_roots(
    transport: Transport, documents: Sequence[tuple[int, CdaReading]], environment: str, findings: Findings
) -> bool:
    """Test key, then root, of every INS of the message and of its documents; return whether those of the message are right."""
    every: list[tuple[int | None, PatientId]] = [(None, claim) for claim in transport.ins]
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
    transport: Transport, chosen: PatientId, index: int, document: CdaReading, findings: Findings, *, act: Act | None
) -> None:
    """
    Every recordTarget is the patient of the message (P8); a level-1 document without INS is compared by its traits.

    So is any document of a deletion without INS, as far as both have the traits: they may differ, not be missing (D-4).
    """
    has_none = not any(patient.ins for patient in document.patients)
    if has_none and document.entry.level > 1 and act is not Act.DELETE:
        return
    admitted = {claim.key for claim in transport.ins}
    for number, patient in enumerate(document.patients, 1):
        named = {known.key for known in patient.ins}
        if named:
            others = {key for key in named - admitted if key[0] != ROOT_NIA}
            is_same = chosen.key in named and not others
        else:
            is_same = has_none and _same_traits(transport.identity.traits, patient.traits, or_missing=act is Act.DELETE)
        if not is_same:
            findings.add("PID_CDA_DIFFER", transport.identifiers_at, f"recordTarget[{number}]", document=index)


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

"""
Is this document for this patient, and what becomes of the record's reference identity.

A document comes to a record by its INS alone; the traits can only forbid it. Answers name traits and reasons, never values, and
they are for the operator: a sender who learns which trait differs learns what the record holds.

Source: identity-and-consent § 1.5, steps 5–7, and § 1.6; D-19.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.model.base import Model
from gateway.model.patient import Traits
from gateway.model.verdict import Verdict
from gateway.model.when import When
from gateway.rules.decision import Decision
from gateway.rules.traits import Cell, Comparison, Finding, Reason, Trait, compare, normal_name, normal_sex


class Reference(Model, frozen=True, kw_only=True):
    """The identity that a record holds: what documents are compared with."""

    #: From 1; earlier ones are kept.
    version: int
    traits: Traits
    #: Who stated it: a source, or `operator`.
    source: str
    #: A homonym or a twin is known: only a strict match passes.
    homonym: bool = False


class IdentityDecision(Model, frozen=True, kw_only=True):
    """Whether the traits let a document enter the record, with what differs, for the operator."""

    decision: Decision
    #: Codes of the warnings: IDENTITY_NOTE, for identity watch.
    warnings: tuple[str, ...] = ()
    #: What differs, tolerably or not, each once, in the order of `Trait`; no values.
    findings: tuple[Finding, ...] = ()

    @property
    def traits(self) -> tuple[Trait, ...]:
        """Names of the traits that differ, each once."""
        return tuple(dict.fromkeys(finding.trait for finding in self.findings))


class Merged(Model, frozen=True, kw_only=True):
    """The record's reference identity after an event that carries one."""

    #: The reference identity as it is now.
    traits: Traits
    #: Names of the traits that were filled or made more precise.
    changed: tuple[Trait, ...] = ()
    #: Names of the traits that contradict the reference; it stays whole.
    contested: tuple[Trait, ...] = ()
    #: Names of the compared traits that another source than the reference's would have filled or made more precise.
    withheld: tuple[Trait, ...] = ()

    @property
    def watch(self) -> bool:
        """Whether identity watch has to look: a person decides what the event could not."""
        return bool(self.contested or self.withheld)


#: What a tolerable cell counts as: the given names are one thing, whether the first or the list shows it; a place is not counted.
_COUNTED: Final[Mapping[Trait, str]] = MappingProxyType(
    {
        Trait.BIRTH_NAME: "name",
        Trait.FIRST_GIVEN_NAME: "given names",
        Trait.GIVEN_NAMES: "given names",
        Trait.SEX: "sex",
        Trait.BIRTH_DATE: "date",
    }
)

#: A refusal of what an establishment sends for a patient whose identity it took back.
SUSPENDED: Final = Decision(
    verdict=Verdict.REFUSED,
    problem="INS_UNQUALIFIED",
    rule="D-19",
    because="The establishment took back what it had said of this identity, and has not qualified it again since.",
)

_NO_REFERENCE: Final = Decision(verdict=Verdict.STORED, rule="D-19", because="The record holds no identity to compare with.")
_MATCH: Final = Decision(verdict=Verdict.STORED, rule="D-19", because="No trait differs from the record's identity.")
_TOLERABLE: Final = Decision(
    verdict=Verdict.STORED, rule="D-19", because="A trait differs tolerably from the record's identity; identity watch is told."
)
_CONTRADICTED: Final = Decision(
    verdict=Verdict.REFUSED, problem="TRAITS_DIFFER", rule="D-19", because="A trait contradicts the record's identity."
)
_SEVERAL: Final = Decision(
    verdict=Verdict.REFUSED,
    problem="TRAITS_DIFFER",
    rule="D-19",
    because="Several traits differ from the record's identity: each alone would be tolerable, together they are not.",
)
_HOMONYM: Final = Decision(
    verdict=Verdict.REFUSED,
    problem="TRAITS_DIFFER",
    rule="D-19",
    because="A trait differs from the record's identity, which has a homonym or a twin: only a strict match passes.",
)


def decide(
    transport: Traits,
    documents: tuple[Traits, ...],
    reference: Traits | None,
    *,
    homonym: bool,
    estimated: bool = False,
) -> IdentityDecision:
    """
    Decide whether a document is for the patient of the record that its INS leads to.

    Each identity is compared with the reference, never with the others (the INS joined them, P8). Tolerable differences add up
    over all of them, and another place of birth passes only if nothing else differs in any of them.

    Not for a deletion, which is tested for key, root, P8 and owner only (D-4).

    Args:
        transport: Of the message: PID, Patient, resource-id.
        documents: Of every recordTarget; their order is of no effect.
        reference: The record's reference identity, None if it has none.
        homonym: It is flagged as homonym (HOMA) or twin (PID-25 present).
        estimated: A birth date among them is marked as estimated.

    Returns:
        `stored`, with IDENTITY_NOTE where a trait differs tolerably; or `refused` with TRAITS_DIFFER.

    Source: identity-and-consent § 1.5, steps 5–7; D-19.
    """
    if reference is None:
        return IdentityDecision(decision=_NO_REFERENCE)
    # The message and its documents mostly say the same, and what the reference says differs from it in nothing.
    told = dict.fromkeys((transport, *documents))
    compared = [compare(identity, reference, estimated=estimated) for identity in told if identity != reference]
    findings = _differing(compared)
    if not findings:
        return IdentityDecision(decision=_MATCH)
    counted = {_COUNTED[finding.trait] for finding in findings if finding.trait in _COUNTED}
    elsewhere = any(finding.reason is Reason.OTHER_PLACE for finding in findings)
    if any(finding.cell is Cell.REFUSE for finding in findings):
        refusal = _CONTRADICTED
    elif homonym:
        refusal = _HOMONYM
    elif len(counted) > 1 or (counted and elsewhere):
        refusal = _SEVERAL
    else:
        return IdentityDecision(decision=_TOLERABLE, warnings=("IDENTITY_NOTE",), findings=findings)
    return IdentityDecision(decision=refusal, findings=findings)


def merged(reference: Traits | None, arriving: Traits, *, same_source: bool, estimated: bool = False) -> Merged:
    """
    Return the reference identity after a qualified event of the same INS.

    Absent traits are filled, a value that says less gives way to one that says more (a date, a cut name, a list of given names,
    a sex unknown), a used name follows its source. Nothing is ever exchanged for another value, and one contradiction leaves the
    whole reference as it was. Only its own source changes it: else the error of one hospital would lock out the others.

    Args:
        reference: As the record holds it; None, or one without any trait, takes what arrives, whoever sends it.
        arriving: As the event carries it.
        same_source: Whether it comes from the source of the reference.
        estimated: A birth date of the two is marked as estimated; it then replaces no other.

    Returns:
        The identity to hold from now on, and by name what changed, what contradicts and what was not taken.

    Source: identity-and-consent § 1.5 step 5, § 1.6; D-19.
    """
    if reference is None or not _said(reference):
        return Merged(traits=arriving, changed=_said(arriving))
    comparison = compare(reference, arriving, estimated=estimated)
    contested = comparison.of(Cell.REFUSE)
    if contested:
        return Merged(traits=reference, contested=contested)
    taken = _taken(reference, arriving, comparison, estimated=estimated)
    if not same_source:
        return Merged(traits=reference, withheld=tuple(trait for trait in taken if trait is not Trait.USED_NAME))
    news: dict[str, str | When | None] = {trait: getattr(arriving, trait) for trait in taken}
    return Merged(traits=msgspec.structs.replace(reference, **news), changed=taken)


def contradicts(reference: Traits | None, arriving: Traits, *, estimated: bool = False) -> bool:
    """Tell whether an identity cannot be the one that a record holds; what is not said contradicts nothing."""
    return reference is not None and bool(compare(reference, arriving, estimated=estimated).of(Cell.REFUSE))


def _differing(compared: list[Comparison]) -> tuple[Finding, ...]:
    """Return what differs in any of the comparisons, in an order that does not depend on theirs."""
    found = {(finding.trait, finding.reason): finding for each in compared for finding in each.differing}
    if not found:
        return ()
    traits, reasons = tuple(Trait), tuple(Reason)
    order = sorted(found, key=lambda key: (traits.index(key[0]), reasons.index(key[1])))
    return tuple(found[key] for key in order)


def _taken(reference: Traits, arriving: Traits, comparison: Comparison, *, estimated: bool) -> tuple[Trait, ...]:
    """Return the traits by which what arrives says more than the reference."""
    reasons = {finding.trait: finding.reason for finding in comparison.findings}
    held = _said(reference)
    return tuple(
        trait
        for trait in _said(arriving)
        if trait not in held or _says_more(reference, arriving, trait, reasons.get(trait), estimated=estimated)
    )


def _said(identity: Traits) -> tuple[Trait, ...]:
    """Return the traits that an identity has; a text of which nothing is left to compare is none."""
    return tuple(trait for trait in Trait if _holds(getattr(identity, trait)))


def _holds(value: str | When | None) -> bool:
    return value is not None and (not isinstance(value, str) or normal_name(value) is not None)


def _says_more(reference: Traits, arriving: Traits, trait: Trait, reason: Reason | None, *, estimated: bool) -> bool:
    match trait, reason:
        case Trait.BIRTH_NAME, Reason.CUT_FIELD:
            return _longer(arriving.birth_name, reference.birth_name)
        case Trait.GIVEN_NAMES, Reason.SHORTER_LIST:
            return _longer(arriving.given_names, reference.given_names)
        case Trait.SEX, Reason.SEX_UNKNOWN:
            return normal_sex(reference.sex) == "U"
        case Trait.BIRTH_DATE, Reason.LESS_PRECISE if not estimated:
            return _precision(arriving.birth_date) > _precision(reference.birth_date)
        case Trait.USED_NAME, _:
            return normal_name(arriving.used_name) != normal_name(reference.used_name)
        case _:
            return False


def _longer(one: str | None, other: str | None) -> bool:
    return len(normal_name(one) or "") > len(normal_name(other) or "")


def _precision(date: When | None) -> int:
    """Return how many characters of a day were written."""
    return 0 if date is None else len(date.iso[:10])

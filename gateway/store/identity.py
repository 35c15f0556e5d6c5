"""Who is who: identifiers to patients, and links between identifiers seen together (D-1)."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import msgspec

from gateway.model.ins import ROOTS, one_identity
from gateway.model.patient import PatientId, PatientIdentity, Traits
from gateway.rules import identity
from gateway.store.transaction import Transaction

#: Of an event that says nothing of its patient but identifiers.
_NOTHING: Final = Traits()


class Resolved(NamedTuple):
    """The patients that an event's statements bind, and what linking found."""

    #: In the order of the identifiers, each once.
    patients: tuple[int, ...]
    #: Identifiers of two different INS, or two records, were seen together: nothing was linked.
    conflict: bool = False
    #: Statements that bind a patient since this link: (patient, statement).
    late: tuple[tuple[int, str], ...] = ()
    #: Whether any identifier changed its patient.
    linked: bool = False


def known_patients(tx: Transaction, identifiers: Iterable[PatientId]) -> tuple[int, ...]:
    """Return the patients that any of the identifiers is known to name; creates none. A deposit links nothing (D-1)."""
    found = (tx.patient_of(known.authority, known.value) for known in identifiers)
    return tuple(dict.fromkeys(patient for patient in found if patient is not None))


def patient_of_ins(named: PatientIdentity, lookup: Callable[[str, str], int | None]) -> int | None:
    """
    Return the patient whose record the INS of an identity leads to: of a NIR and the NIA before it the NIR, if it is known.

    Args:
        named: By the message, the INS that it goes by first.
        lookup: The patient of an (authority, value).

    Source: D-1, D-19.
    """
    found = (lookup(*known.key) for known in named.ins)
    return next((patient for patient in found if patient is not None), None)


def patients_of_event(
    tx: Transaction,
    identifiers: tuple[PatientId, ...],
    receipt: str,
    *,
    links: bool,
    traits: Traits = _NOTHING,
    because: str = "link",
) -> Resolved:
    """
    Return the patients of an event, created where an identifier was never seen, linked where the event links.

    Args:
        tx: The open transaction.
        identifiers: The usable identifiers of the event, at least one.
        receipt: The event's receipt.
        links: Whether the event says that the identifiers are one person's (any ADT under VALI).
        traits: Of the event: a new INS of a patient must not contradict the identity that the record holds.
        because: Of the links and bindings: `link`, or `change` (A47).

    Returns:
        The patients to bind. Without `links` each identifier keeps (or gets) its own.

    Source: D-1: two different INS never merge by a message; a NIR beside the NIA that it followed is the same patient's (A31).
    """
    known = {identifier.key: tx.patient_of(*identifier.key) for identifier in identifiers}
    present = tuple(dict.fromkeys(patient for patient in known.values() if patient is not None))
    if not links:
        return _each_its_own(tx, known, receipt)
    target = target_of(tx, identifiers, present, traits)
    if target is None:
        return _each_its_own(tx, known, receipt)._replace(conflict=True)
    if target == 0:
        target = tx.new_patient()
    late: list[tuple[int, str]] = []
    linked = False
    for patient in present:
        if patient != target:
            linked = True
            late.extend(_absorb(tx, patient, target, receipt, because))
    for key, earlier in known.items():
        if earlier is None:
            linked = True
            tx.set_identifier(*key, target, receipt, because)
    if linked:
        tx.rights_changed(target)
    return Resolved(patients=(target,), late=tuple(late), linked=linked)


def linked_already(tx: Transaction, identifiers: tuple[PatientId, ...], establishment: str, traits: Traits = _NOTHING) -> bool:
    """Tell whether linking identifiers would say nothing new: they are one patient's, or may still not be joined (D-6)."""
    known = {tx.patient_of(*identifier.key) for identifier in identifiers}
    present = tuple(patient for patient in known if patient is not None)
    if len(present) < len(known):
        return False
    if len(present) == 1:
        return establishment not in tx.suspended(present[0])
    return target_of(tx, identifiers, present, traits) is None


def _each_its_own(tx: Transaction, known: dict[tuple[str, str], int | None], receipt: str) -> Resolved:
    patients: list[int] = []
    for key, patient in known.items():
        own = tx.new_patient() if patient is None else patient
        if patient is None:
            tx.set_identifier(*key, own, receipt)
        patients.append(own)
    return Resolved(patients=tuple(dict.fromkeys(patients)))


def target_of(
    tx: Transaction, identifiers: tuple[PatientId, ...], present: tuple[int, ...], traits: Traits = _NOTHING
) -> int | None:
    """Return the patient that identifiers of one person lead to: 0 for a new one, None where they must not be joined."""
    if len(present) > 1 and tx.parted(present):
        return None  # two persons separated them: no message joins them again
    with_ins: dict[int, set[tuple[str, str]]] = {}
    for patient in present:
        held = {key for key in tx.identifiers_of(patient) if key[0] in ROOTS}
        if held or tx.record_of(patient) is not None:
            with_ins[patient] = held
    arriving = {known.key for known in identifiers if known.is_ins}
    if len(with_ins) > 1:
        return _one_under_two(tx, with_ins, arriving, traits)
    patient, held = next(iter(with_ins.items()), (present[0] if present else 0, set[tuple[str, str]]()))
    if arriving <= held:
        return patient
    # A second INS for a patient that has one is another person's, or a change of identity (A47): a NIR after a NIA apart (A31).
    if not one_identity(arriving | held):
        return None
    reference = None if patient == 0 else tx.reference_of(patient)
    return None if reference is not None and identity.contradicts(reference.traits, traits) else patient


def _one_under_two(
    tx: Transaction, with_ins: dict[int, set[tuple[str, str]]], arriving: set[tuple[str, str]], traits: Traits
) -> int | None:
    """Return the patient of a NIA and a NIR that were known apart, if the event names both and one record at most is there."""
    if any(not held or not held <= arriving for held in with_ins.values()) or not one_identity(arriving):
        return None
    recorded = [patient for patient in with_ins if tx.record_of(patient) is not None]
    references = [reference for patient in with_ins if (reference := tx.reference_of(patient)) is not None]
    if len(recorded) > 1 or any(identity.contradicts(reference.traits, traits) for reference in references):
        return None
    return next(iter((*recorded, *with_ins)))


def _absorb(tx: Transaction, patient: int, target: int, receipt: str, because: str) -> list[tuple[int, str]]:
    """Move the identifiers of a patient without record; its statements bind the target from now on, what holds it back holds."""
    for authority, value in tx.identifiers_of(patient):
        tx.set_identifier(authority, value, target, receipt, because)
    late = []
    bound = {binding.statement for binding in tx.bindings_of(target)}
    for binding in tx.bindings_of(patient):
        if binding.statement not in bound:
            tx.bind(binding.statement, target, because, receipt)
            late.append((target, binding.statement))
    for establishment in sorted(tx.suspended(patient)):
        tx.suspend(target, establishment, receipt)
    reference = tx.reference_of(patient)
    if reference is not None and tx.reference_of(target) is None:
        tx.write_reference(target, msgspec.structs.replace(reference, version=1), receipt)
    tx.carry_stays(patient, target)
    tx.absorb(patient, target)
    return late

"""
What becomes of identifiers when an establishment says that they were replaced, or takes an INS back (A47).

Nothing is merged: a second INS names the same patient only where nothing is known of it and the traits agree. Whatever moves,
each statement goes on binding the patient that it bound, and binds the one as well to whom the deposits go from now on.

Source: PAM France 2.11, A47; identity-and-consent § 1.6; D-1.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from gateway.model.event import IdentifierChange, Position
from gateway.model.ins import ROOT_NIA
from gateway.model.patient import PatientId
from gateway.model.submission import Reception
from gateway.rules import identity, opposition
from gateway.rules.opposition import Held
from gateway.store.identity import Resolved, known_patients, patients_of_event
from gateway.store.merging import keep_in_force
from gateway.store.transaction import Transaction


class Changed(NamedTuple):
    """What a change of identifiers did."""

    #: Of the identifiers that count from now on: the event's own statements bind them.
    patients: tuple[int, ...]
    #: Statements that bind a patient since this change: (patient, statement).
    late: tuple[tuple[int, str], ...]
    #: What is traced: (action, patient).
    traced: tuple[tuple[str, int], ...]
    #: Identifiers that would have joined two INS or records were left with their patients.
    conflict: bool


def change(tx: Transaction, reception: Reception, event: IdentifierChange) -> Changed:
    """
    Apply a change of identifiers.

    Args:
        tx: The open transaction.
        reception: Of the event.
        event: Its `identifiers` and `former`, not both empty.

    Returns:
        What happened; statements, traces and what must be withheld are the caller's.
    """
    done = _Change(tx, reception, event)
    done.renumber()
    if event.withdrawn:
        done.take_back()
    else:
        done.replace()
    return done.result()


class _Change:
    """One change of identifiers, step by step."""

    def __init__(self, tx: Transaction, reception: Reception, event: IdentifierChange) -> None:
        self._tx = tx
        self._reception = reception
        self._receipt = reception.receipt
        self._establishment = reception.establishment
        self._event = event
        self._numbers = tuple(known for known in event.identifiers if not known.is_ins)
        # Of a NIR and the NIA that it followed the NIR counts.
        self._ins = sorted((known for known in event.identifiers if known.is_ins), key=lambda known: known.authority == ROOT_NIA)
        self._former_ins = tuple(known for known in event.former if known.is_ins)
        self._former_numbers = tuple(known for known in event.former if not known.is_ins)
        self._late: list[tuple[int, str]] = []
        self._traced: list[tuple[str, int]] = []
        self._conflict = False

    def renumber(self) -> None:
        """A local number replaces another one: both name the patient of the former, still in use by what is on its way."""
        if not (self._former_numbers and self._numbers):
            return
        found = self._link((*self._former_numbers, *self._numbers))
        if found.conflict:
            for patient in known_patients(self._tx, self._numbers):
                for former in known_patients(self._tx, self._former_numbers):
                    self._protect(former, patient, self._oppositions(former))

    def replace(self) -> None:
        """An INS replaces another one; without a former INS the identifiers are linked as by any other event."""
        formers = known_patients(self._tx, self._former_ins)
        if self._ins and formers:
            target = self._patient_of_new_ins(formers)
            for former in formers:
                if former != target:
                    self._move(former, target)
        if self._event.identifiers:
            self._link(self._event.identifiers)

    def take_back(self) -> None:
        """The INS is not this patient's, or not proven any more: the establishment's numbers leave it, what it said stays."""
        for known in self._former_ins:
            if self._tx.patient_of(*known.key) is None:
                # Nothing is known of it yet: a record that is opened later must not take what was taken back.
                self._tx.set_identifier(*known.key, self._tx.new_patient(), self._receipt)
        formers = known_patients(self._tx, self._former_ins or self._numbers)
        for former in formers:
            if any(known.is_ins for known in self._identifiers(former)):
                self._cut(former)
        if self._numbers:
            self._link(self._numbers)

    def result(self) -> Changed:
        """Return what was done; the event is told of each of its patients at least."""
        patients = known_patients(self._tx, self._event.identifiers or self._event.former)
        told = {patient for _, patient in self._traced}
        seen = [("identity.seen", patient) for patient in patients if patient not in told]
        return Changed(patients, tuple(self._late), (*dict.fromkeys(self._traced), *seen), self._conflict)

    def _link(self, identifiers: tuple[PatientId, ...]) -> Resolved:
        traits = self._event.identity.traits
        found = patients_of_event(self._tx, identifiers, self._receipt, links=True, traits=traits, because="change")
        self._late += found.late
        self._conflict = self._conflict or found.conflict
        if found.linked:
            self._traced += [("identity.changed", patient) for patient in found.patients]
        return found

    def _patient_of_new_ins(self, formers: tuple[int, ...]) -> int:
        """Return the patient of the new INS: that of the former one, if nothing is known of it and the traits agree."""
        new = self._ins[0]
        target = self._tx.patient_of(*new.key)
        if target is not None:
            return target
        target = self._tx.new_patient() if self._contradicted(formers[0]) else formers[0]
        self._tx.set_identifier(*new.key, target, self._receipt, "change")
        self._tx.rights_changed(target)
        self._traced.append(("identity.changed", target))
        return target

    def _move(self, former: int, target: int) -> None:
        """What the establishment sends goes to another patient from now on; what it sent before is for a person to look at."""
        numbers = self._own(former)
        oppositions = self._oppositions(former)
        if self._contradicted(former):
            # Two persons: what others heard of the one does not bind the other.
            said_here = self._said_here(former, numbers)
            oppositions = [held for held in oppositions if held.id in said_here]
        for number in numbers:
            self._tx.set_identifier(*number, target, self._receipt, "change")
        self._protect(former, target, oppositions)
        self._leave(former, numbers)
        self._tx.rights_changed(former)
        self._tx.rights_changed(target)
        self._tx.watch("identity.misfiled", self._receipt, former, self._establishment)
        self._traced += [("identity.moved", former), ("identity.changed", target)]

    def _cut(self, former: int) -> None:
        """Give the establishment's numbers a patient of their own, bound by all that was said to it or under them."""
        numbers = self._own(former)
        if numbers:
            own = self._tx.new_patient()
            said_here = self._said_here(former, numbers)
            for number in numbers:
                self._tx.set_identifier(*number, own, self._receipt, "cut")
            self._protect(former, own, [held for held in self._tx.held_by((former,)) if held.id in said_here])
            self._leave(former, numbers)
            self._tx.rights_changed(own)
            self._traced.append(("identity.changed", own))
        self._tx.suspend(former, self._establishment, self._receipt)
        self._tx.rights_changed(former)
        self._tx.watch("identity.withdrawn", self._receipt, former, self._establishment)
        self._traced.append(("identity.cut", former))

    def _protect(self, former: int, patient: int, statements: Iterable[Held]) -> None:
        """Let statements bind another patient too; they go on binding the one that they bound."""
        if former == patient:
            return
        bound = {binding.statement for binding in self._tx.bindings_of(patient)}
        for held in statements:
            if held.id not in bound:
                self._tx.bind(held.id, patient, "change", self._receipt)
                self._late.append((patient, held.id))

    def _leave(self, former: int, numbers: list[tuple[str, str]]) -> None:
        """What came by numbers alone that left a patient goes on binding, but lifts nothing that this patient opposed."""
        came = set(self._tx.named_under(former, numbers))
        foreign = came - set(self._tx.named_under(former, self._tx.identifiers_of(former)))
        own = (h for h in self._tx.held_by((former,)) if h.statement.position is Position.OPPOSES or h.id not in foreign)
        keep_in_force(self._tx, self._reception, former, tuple(own))

    def _oppositions(self, patient: int) -> list[Held]:
        """Return the oppositions in force: an allowance that came along could lift what another patient opposed."""
        return list(opposition.in_force(self._tx.held_by((patient,)), datetime.fromisoformat(self._tx.at)))

    def _said_here(self, patient: int, numbers: list[tuple[str, str]]) -> set[str]:
        """Return the statements that this establishment collected, or that came under its numbers."""
        collected = {held.id for held in self._tx.held_by((patient,)) if self._is_own(held.statement.collected_by)}
        return collected | set(self._tx.named_under(patient, numbers))

    def _own(self, patient: int) -> list[tuple[str, str]]:
        return [key for key in self._tx.identifiers_of(patient) if self._is_own(key[0])]

    def _is_own(self, key: str) -> bool:
        """Tell whether a key is the establishment's: its own, that of a site or of an authority of it."""
        return key == self._establishment or key.startswith(f"{self._establishment}/")

    def _identifiers(self, patient: int) -> list[PatientId]:
        return [PatientId(value=value, authority=authority) for authority, value in self._tx.identifiers_of(patient)]

    def _contradicted(self, patient: int) -> bool:
        reference = self._tx.reference_of(patient)
        return reference is not None and identity.contradicts(reference.traits, self._event.identity.traits)

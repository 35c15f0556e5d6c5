"""Visits: what an event says of one is kept if it has the last word, and ends or revives refusals of consultation (O-16)."""

from datetime import datetime

from gateway.model.event import PatientEvent, Stay
from gateway.model.submission import Reception
from gateway.model.verdict import Verdict
from gateway.rules import opposition, stays
from gateway.rules.stays import Said
from gateway.store.rows import TraceRow
from gateway.store.transaction import Transaction


def says_nothing_new(tx: Transaction, reception: Reception, event: PatientEvent, patients: tuple[int, ...]) -> bool:
    """Tell whether what an event says of a visit is known of each patient, or overtaken (D-6)."""
    if event.stay is None:
        return True
    said = _said(reception, event.stay)
    return all(stays.repeats(said, _known(tx, patient, said)) for patient in patients)


def note_stay(tx: Transaction, reception: Reception, event: PatientEvent, patients: tuple[int, ...]) -> None:
    """
    Keep what an event says of a visit, and trace it where it changes what is known.

    The rights of a patient change only where a refusal of consultation ends or counts again.
    """
    if event.stay is None:
        return
    said = _said(reception, event.stay)
    now = datetime.fromisoformat(tx.at)
    for patient in patients:
        if not stays.later(said, _known(tx, patient, said)):
            continue
        before = _in_force(tx, patient, now)
        tx.keep_stay(patient, said)
        if _in_force(tx, patient, now) != before:
            tx.rights_changed(patient)
        tx.write_trace(
            TraceRow(
                actor=reception.source,
                action=f"stay.{said.state.value}",
                receipt=reception.receipt,
                patient=patient,
                verdict=Verdict.APPLIED.value,
                rule="O-16",
                rights_version=tx.rights_version(patient),
            )
        )


def _said(reception: Reception, stay: Stay) -> Said:
    return stays.said(stay, datetime.fromisoformat(reception.received_at), reception.receipt)


def _known(tx: Transaction, patient: int, said: Said) -> Said | None:
    return next((known for known in tx.stays_of((patient,)) if known.visit == said.visit), None)


def _in_force(tx: Transaction, patient: int, now: datetime) -> tuple[str, ...]:
    ended = stays.ended(tx.stays_of((patient,)))
    return tuple(held.id for held in opposition.in_force(tx.held_by((patient,)), now, ended))

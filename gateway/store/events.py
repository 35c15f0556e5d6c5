"""Events of the record: statements, links, opening and closing, each in one transaction."""

from datetime import datetime
from typing import Final

import msgspec

from gateway.model.event import (
    DocumentMove,
    DocumentRelease,
    FileMerge,
    IdentifierChange,
    MergeUndo,
    PatientEvent,
    Position,
    RecordClosing,
    RecordEvent,
    RecordOpening,
    Statement,
    TaskEnding,
)
from gateway.model.ins import ROOT_NIA
from gateway.model.outcome import Outcome
from gateway.model.patient import PatientId
from gateway.model.problem import Problem, Severity
from gateway.model.submission import Reception
from gateway.model.verdict import Verdict
from gateway.rules import opposition
from gateway.store.changes import change
from gateway.store.identity import known_patients, linked_already, patients_of_event, target_of
from gateway.store.reference import hold, qualified
from gateway.store.rows import ReceiptRow, TraceRow
from gateway.store.transaction import Transaction
from gateway.store.visits import note_stay, says_nothing_new
from gateway.store.watching import apply_watched
from gateway.store.withholding import withhold_since

#: What a person must look at when an event comes with this problem.
_TASKS: Final = {"ZFA_NULL": "opposition.null", "ZFA_VALUE": "opposition.unread"}
#: How a statement is told that is kept and counts for nothing.
_WITHOUT_EFFECT: Final = {Position.OPPOSES: "STATEMENT_SUPERSEDED", Position.ALLOWS: "ALLOWANCE_WITHOUT_EFFECT"}


def apply_event(tx: Transaction, reception: Reception, event: RecordEvent) -> Outcome:
    """
    Apply an event and return what became of it; receipt, trace and effects are written together.

    A receipt decided before, or the same message again (D-6), writes nothing new and says so.
    """
    decided = tx.outcome_of(reception.receipt)
    if decided is not None:
        return decided
    first = _applied_before(tx, reception, event)
    if first is not None:
        outcome = Outcome(verdict=Verdict.DUPLICATE, receipt=reception.receipt, first=first, committed_at=tx.at, rule="D-6")
    else:
        match event:
            case PatientEvent():
                outcome = _apply_patient_event(tx, reception, event)
            case IdentifierChange():
                outcome = _apply_change(tx, reception, event)
            case FileMerge() | MergeUndo() | DocumentMove() | DocumentRelease() | TaskEnding():
                outcome = apply_watched(tx, reception, event)
            case RecordOpening():
                outcome = _open_record(tx, reception, event)
            case RecordClosing():
                outcome = _close_record(tx, reception, event)
        # Only now does each identifier name the patient that it names at the end.
        tx.ask_reviews()
        if reception.message_id and tx.message_id_reused(reception):
            outcome = msgspec.structs.replace(outcome, problems=(*outcome.problems, reused_message_id()))
    if outcome.verdict is not Verdict.APPLIED:
        _trace_unapplied(tx, reception, event, outcome)
    shown = shown_identifier(event.identifiers)
    moved = tuple(document.unique_id for document in outcome.documents)
    tx.write_receipt(ReceiptRow(reception=reception, outcome=outcome, patient=shown, document_ids=moved))
    return outcome


def reused_message_id() -> Problem:
    """Return the warning that MSH-10 was used before with other content (D-6)."""
    return Problem(code="MESSAGE_ID_REUSED", severity=Severity.WARNING)


def shown_identifier(identifiers: tuple[PatientId, ...]) -> tuple[str, str] | None:
    """Return the identifier that the operator's lists show: the INS, else the first local one."""
    # A NIR before the NIA that it followed.
    ins = sorted((known for known in identifiers if known.is_ins), key=lambda known: known.authority == ROOT_NIA)
    chosen = next(iter((*ins, *identifiers)), None)
    return None if chosen is None else chosen.key


def _says_nothing_of_identity(tx: Transaction, reception: Reception, event: RecordEvent) -> bool:
    """Tell whether what an event says of identifiers holds already: the same message says anew what was taken back since."""
    if isinstance(event, IdentifierChange):
        return False
    if not isinstance(event, PatientEvent) or not event.links:
        return True
    return linked_already(tx, event.identifiers, reception.establishment, event.identity.traits)


def _trace_unapplied(tx: Transaction, reception: Reception, event: RecordEvent, outcome: Outcome) -> None:
    """Trace what was asked for and changed nothing: refused, there already, or come again (R-35)."""
    for patient in known_patients(tx, event.named) or (None,):
        tx.write_trace(
            TraceRow(
                actor=reception.source,
                action=f"event.{event.__struct_config__.tag}",
                receipt=reception.receipt,
                patient=patient,
                verdict=outcome.verdict.value,
                rule=outcome.rule,
            )
        )


def _applied_before(tx: Transaction, reception: Reception, event: RecordEvent) -> str | None:
    """
    Return the receipt of the same event applied before, if applying it again would say nothing new.

    Where MSH-10 never changes, an opposition stated anew may differ from an earlier one by MSH-7 alone, which is not compared:
    the same event is one that states the same at the same time. Even then an opposition that was lifted meanwhile may have been
    stated again: where its date is a whole day or lies ahead it counts from its new reception. It is the same while what was
    stated before is still in force, or where the new reception does not move it. What it says of a visit is the same while the
    last word on the visit is the same, or a later one.

    Source: D-3, D-6; O-1, O-16.
    """
    if not reception.message_id:
        return None
    known = known_patients(tx, event.identifiers)
    if not _says_nothing_of_identity(tx, reception, event):
        return None
    if isinstance(event, PatientEvent) and not says_nothing_new(tx, reception, event, known):
        return None
    stated = _undecorated(event.statements) if isinstance(event, PatientEvent) else ()
    same = (first for first in tx.applied_before(reception) if _undecorated(tx.statements_of(first)) == stated)
    opposing = [number for number, statement in enumerate(stated, start=1) if statement.position is Position.OPPOSES]
    if not opposing:
        return next(same, None)
    received_at = datetime.fromisoformat(reception.received_at)
    unmoved = [_unmoved(tx, patient, received_at) for patient in known]
    return next((first for first in same if all(f"{first}.{n}" in ids for n in opposing for ids in unmoved)), None)


def _unmoved(tx: Transaction, patient: int, received_at: datetime) -> frozenset[str]:
    """Return the ids of the statements that stating them again at an instant would not bring into force anew."""
    held = tx.held_by((patient,))
    in_force = {known.id for known in opposition.in_force(held, datetime.fromisoformat(tx.at))}
    again = {known.id: msgspec.structs.replace(known, received_at=received_at) for known in held}
    return frozenset(
        known.id
        for known in held
        if known.id in in_force or opposition.order_key(again[known.id])[0] == opposition.order_key(known)[0]
    )


def _undecorated(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    return tuple(msgspec.structs.replace(statement, place=None) for statement in statements)


def _apply_patient_event(tx: Transaction, reception: Reception, event: PatientEvent) -> Outcome:
    traits = event.identity.traits
    resolved = patients_of_event(tx, event.identifiers, reception.receipt, links=event.links, traits=traits)
    problems = list(event.problems)
    if resolved.conflict:
        problems.append(Problem(code="IDENTITY_CONFLICT", severity=Severity.WARNING))
        tx.raise_task("identity.conflict", reception.receipt, resolved.patients[0])
    for kind in dict.fromkeys(_TASKS[problem.code] for problem in event.problems if problem.code in _TASKS):
        tx.raise_task(kind, reception.receipt, resolved.patients[0])
    new = _write_statements(tx, reception, event, resolved.patients)
    problems += _superseded(tx, reception, event, new, resolved.patients)
    note_stay(tx, reception, event, resolved.patients)
    if event.links and not resolved.conflict:
        qualified(tx, reception, event.identity)
    for patient in resolved.patients:
        _withhold_late(tx, reception, patient, {*new, *(known for bound, known in resolved.late if bound == patient)})
    for patient in resolved.patients:
        tx.write_trace(
            TraceRow(
                actor=reception.source,
                action="statement.stated" if new else "identity.linked" if resolved.linked else "identity.seen",
                receipt=reception.receipt,
                patient=patient,
                verdict=Verdict.APPLIED.value,
                statement=",".join(new) or None,
                rights_version=tx.rights_version(patient),
            )
        )
    return Outcome(
        verdict=Verdict.APPLIED,
        receipt=reception.receipt,
        problems=tuple(problems),
        statement=new[0] if new else None,
        committed_at=tx.at,
        rule="D-3" if new else "D-1",
    )


def _apply_change(tx: Transaction, reception: Reception, event: IdentifierChange) -> Outcome:
    changed = change(tx, reception, event)
    problems = list(event.problems)
    if changed.conflict:
        problems.append(Problem(code="IDENTITY_CONFLICT", severity=Severity.WARNING))
        tx.raise_task("identity.conflict", reception.receipt, changed.patients[0])
    new = _write_statements(tx, reception, event, changed.patients)
    problems += _superseded(tx, reception, event, new, changed.patients)
    if not (changed.conflict or event.withdrawn):
        qualified(tx, reception, event.identity)
    for patient in dict.fromkeys((*changed.patients, *(patient for patient, _ in changed.late))):
        _withhold_late(tx, reception, patient, {*new, *(known for bound, known in changed.late if bound == patient)})
    for action, patient in changed.traced:
        tx.write_trace(
            TraceRow(
                actor=reception.source,
                action=action,
                receipt=reception.receipt,
                patient=patient,
                verdict=Verdict.APPLIED.value,
                rule="D-1",
                statement=",".join(new) if patient in changed.patients and new else None,
                rights_version=tx.rights_version(patient),
            )
        )
    return Outcome(
        verdict=Verdict.APPLIED,
        receipt=reception.receipt,
        problems=tuple(problems),
        statement=new[0] if new else None,
        committed_at=tx.at,
        rule="D-1",
    )


def _write_statements(
    tx: Transaction, reception: Reception, event: PatientEvent | IdentifierChange, patients: tuple[int, ...]
) -> list[str]:
    """Keep each statement under every usable identifier it came with, bound to their patients (D-1); return their ids."""
    new: list[str] = []
    for number, statement in enumerate(event.statements, start=1):
        identifier = f"{reception.receipt}.{number}"
        tx.write_statement(identifier, statement, reception)
        for known in event.identifiers:
            tx.name_statement(identifier, *known.key)
        for patient in patients:
            tx.bind(identifier, patient, "statement", reception.receipt)
        new.append(identifier)
    if new:
        for patient in patients:
            tx.rights_changed(patient)
    return new


def _superseded(
    tx: Transaction, reception: Reception, event: PatientEvent | IdentifierChange, new: list[str], patients: tuple[int, ...]
) -> list[Problem]:
    """Tell the sender of each statement that is kept and counts for nothing, and the operator of each opposition (D-3)."""
    now = datetime.fromisoformat(tx.at)
    stated = dict(zip(new, event.statements, strict=True))
    told: set[str] = set()
    for patient in patients:
        found = opposition.superseded(tx.held_by((patient,)), now, new)
        if any(stated[identifier].position is Position.OPPOSES for identifier in found):
            tx.raise_task("opposition.superseded", reception.receipt, patient)
        told.update(found)
    return [
        Problem(code=_WITHOUT_EFFECT[statement.position], severity=Severity.WARNING, place=statement.place)
        for identifier, statement in stated.items()
        if identifier in told
    ]


def _withhold_late(tx: Transaction, reception: Reception, patient: int, statements: set[str]) -> None:
    """Withhold what was stored since an opposition was stated that binds this patient only now (D-1, O-7)."""
    if not statements:
        return
    now = datetime.fromisoformat(tx.at)
    standing = opposition.in_force(tx.held_by((patient,)), now)
    withhold_since(tx, reception, patient, [known for known in standing if known.id in statements])


def _open_record(tx: Transaction, reception: Reception, event: RecordOpening) -> Outcome:
    found = known_patients(tx, event.identifiers)
    if len(found) > 1 or target_of(tx, event.identifiers, found) is None:
        return Outcome(
            verdict=Verdict.REFUSED,
            receipt=reception.receipt,
            problems=(Problem(code="IDENTITY_CONFLICT"),),
            committed_at=tx.at,
            rule="D-1",
        )
    patient = found[0] if found else tx.new_patient()
    for known in event.identifiers:
        if tx.patient_of(*known.key) is None:
            tx.set_identifier(*known.key, patient, reception.receipt, "opening")
    record = tx.record_of(patient)
    if record is not None and record.state == "open":
        return Outcome(verdict=Verdict.UNCHANGED, receipt=reception.receipt, committed_at=tx.at, rule="R-01")
    if record is not None and not event.reopens:
        return Outcome(
            verdict=Verdict.REFUSED,
            receipt=reception.receipt,
            problems=(Problem(code="RECORD_CLOSED"),),
            committed_at=tx.at,
            rule="R-08",
        )
    consent = event.consent
    emergency = None if event.emergency_access is None else int(event.emergency_access)
    tx.open_record(
        patient,
        (
            event.channel,
            consent.collected_by if consent else None,
            consent.collected_at if consent else None,
            consent.place if consent else None,
            emergency,
            msgspec.json.encode(event.traits).decode(),
        ),
    )
    hold(tx, patient, event.traits, source="operator", receipt=reception.receipt)
    return _recorded(tx, reception, patient, "record.opened" if record is None else "record.reopened", "R-01")


def _close_record(tx: Transaction, reception: Reception, event: RecordClosing) -> Outcome:
    found = known_patients(tx, event.identifiers)
    record = tx.record_of(found[0]) if len(found) == 1 else None
    if record is None:
        return Outcome(
            verdict=Verdict.REFUSED,
            receipt=reception.receipt,
            problems=(Problem(code="RECORD_ABSENT"),),
            committed_at=tx.at,
            rule="R-08",
        )
    if record.state == "closed" and not _closed_by_merge(tx, found[0], record.closed_at):
        return Outcome(verdict=Verdict.UNCHANGED, receipt=reception.receipt, committed_at=tx.at, rule="R-08")
    tx.close_record(found[0])
    return _recorded(tx, reception, found[0], "record.closed", "R-08")


def _closed_by_merge(tx: Transaction, patient: int, closed_at: str | None) -> bool:
    """Tell whether nothing but a merge closed a record: its undo would open again what the patient asks to close now."""
    return any(merge.merged_at == closed_at for merge, _ in tx.merges_into(patient))


def _recorded(tx: Transaction, reception: Reception, patient: int, action: str, rule: str) -> Outcome:
    tx.rights_changed(patient)
    tx.write_trace(
        TraceRow(
            actor=reception.source,
            action=action,
            receipt=reception.receipt,
            patient=patient,
            verdict=Verdict.APPLIED.value,
            rule=rule,
            rights_version=tx.rights_version(patient),
        )
    )
    return Outcome(verdict=Verdict.APPLIED, receipt=reception.receipt, committed_at=tx.at, rule=rule)

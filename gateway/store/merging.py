"""
Two patient files are one person's (D-1).

By a message (A40) local files become one: at most one of them may have an INS or a record. Two INS, or two records, are merged by
two persons of the identity watch only; then what protects more wins: each opposition in force of either side stays in force, a
record is open only if both were, the answer for emergencies is yes only if both were.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from gateway.model.event import FileMerge, Position
from gateway.model.outcome import Outcome
from gateway.model.patient import PatientId
from gateway.model.problem import Problem, Severity
from gateway.model.submission import Reception
from gateway.model.verdict import Verdict
from gateway.rules import opposition
from gateway.rules.opposition import Fate, Held, Standing
from gateway.store.filing import ChoicesRow
from gateway.store.identity import known_patients, target_of
from gateway.store.outcomes import applied, refused, signers, unchanged
from gateway.store.rows import TraceRow
from gateway.store.settling import settle
from gateway.store.transaction import Transaction
from gateway.store.withholding import withhold_since

#: How many persons sign what no message may do.
SIGNERS: Final = 2
#: When every allowance is in effect.
_AT_LAST: Final = datetime.max.replace(tzinfo=UTC)


def merge_files(tx: Transaction, reception: Reception, event: FileMerge) -> Outcome:
    """
    Make one patient of those that the two sides lead to.

    Args:
        tx: Holds the locks of both sides.
        reception: Of the message or command.
        event: `identifiers` of the file that stays, `absorbed` of the one that disappears.

    Returns:
        APPLIED; UNCHANGED where all are one patient already, or, with IDENTITY_CONFLICT, where a message may not merge them: then
        nothing changed but the list of what a person must look at. REFUSED for a command only.

    Source: D-1; PAM France 2.11, A40.
    """
    signed_by = signers(event.signed_by)
    command = bool(event.signed_by)
    if command and len(signed_by) < SIGNERS:
        return refused(tx, reception, "SIGNATURES_MISSING", "D-1")
    kept, gone = known_patients(tx, event.identifiers), known_patients(tx, event.absorbed)
    if command and not (kept and gone):
        return refused(tx, reception, "IDENTIFIER_UNKNOWN", "D-1")
    everyone = tuple(dict.fromkeys((*kept, *gone)))
    survivor = target_of(tx, (*event.identifiers, *event.absorbed), everyone, event.identity.traits)
    protects = survivor is None
    if command and survivor is None:
        survivor = _chosen(tx, everyone)
    if survivor is None:
        return _left_to_a_person(tx, reception, event, everyone)
    if survivor == 0:
        survivor = tx.new_patient()
    new = _name_unknown(tx, reception, event.identifiers, kept[0] if kept else survivor)
    new += _name_unknown(tx, reception, event.absorbed, gone[0] if gone else survivor)
    absorbed = [patient for patient in everyone if patient != survivor]
    if not absorbed and not new:
        return unchanged(tx, reception, "D-1", event.problems)
    for number, patient in enumerate(absorbed):
        identifier = reception.receipt if number == 0 else f"{reception.receipt}.{number + 1}"
        _absorb(tx, reception, patient, survivor, identifier=identifier, signed_by=signed_by, protects=protects)
    tx.rights_changed(survivor)
    for patient in (survivor, *absorbed):
        tx.write_trace(
            TraceRow(
                actor=" + ".join(signed_by) or reception.source,
                action="patient.absorbed" if patient != survivor else "patient.merged" if absorbed else "identity.linked",
                receipt=reception.receipt,
                patient=patient,
                verdict=Verdict.APPLIED.value,
                rule="D-1",
                rights_version=tx.rights_version(patient),
            )
        )
    if protects:
        tx.list_task("patient.tell", reception.receipt, survivor, detail="merge")
    return applied(tx, reception, "D-1", event.problems)


def _chosen(tx: Transaction, everyone: tuple[int, ...]) -> int:
    """Return who stays of patients that two persons merge: the first with a record, else with an INS, else the first."""
    recorded = [patient for patient in everyone if _has_record(tx, patient)]
    known = [patient for patient in everyone if _has_ins(tx, patient)]
    return (recorded or known or everyone)[0]


def _has_record(tx: Transaction, patient: int) -> bool:
    record = tx.record_of(patient)
    return record is not None and record.state != "destroyed"


def _has_ins(tx: Transaction, patient: int) -> bool:
    return any(PatientId(authority=authority, value=value).is_ins for authority, value in tx.identifiers_of(patient))


def _left_to_a_person(tx: Transaction, reception: Reception, event: FileMerge, everyone: tuple[int, ...]) -> Outcome:
    """Change nothing; identity watch is told once, and the sender warned: it would bin what is answered AE (D-2)."""
    if not everyone:
        tx.raise_task("identity.conflict", reception.receipt, None)
    elif not tx.is_listed("identity.conflict", everyone[0], "merge"):
        tx.list_task("identity.conflict", reception.receipt, everyone[0], detail="merge")
    conflict = Problem(code="IDENTITY_CONFLICT", severity=Severity.WARNING)
    return unchanged(tx, reception, "D-1", (*event.problems, conflict))


def _name_unknown(tx: Transaction, reception: Reception, identifiers: tuple[PatientId, ...], patient: int) -> int:
    """Let identifiers that lead nowhere name the patient of their side; return how many."""
    unknown = [known for known in identifiers if tx.patient_of(*known.key) is None]
    for known in unknown:
        tx.set_identifier(*known.key, patient, reception.receipt, because="merge")
    return len(unknown)


def _absorb(
    tx: Transaction,
    reception: Reception,
    patient: int,
    into: int,
    *,
    identifier: str,
    signed_by: tuple[str, ...],
    protects: bool,
) -> None:
    """Let a patient be another one from now on: identifiers, statements, documents, visits, record, tasks."""
    tx.write_merge(identifier, patient, into, signed_by)
    for authority, value in tx.identifiers_of(patient):
        tx.set_identifier(authority, value, into, identifier, because="merge")
    own = {document.unique_id for document in tx.filed(into)}
    moved = _move_documents(tx, reception, patient, into, identifier=identifier, own=own)
    _bind_both(tx, reception, patient, into, own=own, moved=moved, protects=protects)
    carry_over(tx, patient, into, identifier)
    settle(tx, into, moved, identifier, " + ".join(signed_by) or reception.source)
    _narrow_record(tx, patient, into)
    tx.absorb(patient, into)
    tx.rights_changed(patient)


def _move_documents(
    tx: Transaction, reception: Reception, patient: int, into: int, *, identifier: str, own: set[str]
) -> set[str]:
    """Move documents with their history; one whose id the other side has too stays where it is, for a person to compare."""
    moved = set()
    for document in tx.filed(patient):
        if document.unique_id in own:
            tx.list_task("document.twice", reception.receipt, into, document=document.unique_id, detail="merge")
        else:
            moved.add(document.unique_id)
    tx.move_documents(sorted(moved), patient, into, identifier)
    return moved


def _bind_both(
    tx: Transaction, reception: Reception, patient: int, into: int, *, own: set[str], moved: set[str], protects: bool
) -> None:
    """
    Let every statement of either bind the one that stays; those of the absorbed keep binding it too, should it come back.

    An opposition of one side is late for the documents of the other (O-7).
    """
    now = datetime.fromisoformat(tx.at)
    theirs, ours = tx.held_by((patient,)), tx.held_by((into,))
    bound = {held.id for held in ours}
    for held in theirs:
        if held.id not in bound:
            tx.bind(held.id, into, "merge", reception.receipt)
    late, known = opposition.in_force(theirs, now), opposition.in_force(ours, now)
    if protects:
        for side in (theirs, ours):
            keep_in_force(tx, reception, into, side)
    standing = opposition.standing(tx.held_by((into,)), now)

    def still(oppositions: tuple[Held, ...]) -> list[Held]:
        """Leave out what an allowance of the other side lifted: the two sides are one series now."""
        return [held for held in oppositions if not _lifted_by(held.id, standing, tx.held_by((into,)))]

    withhold_since(tx, reception, into, still(late), among=own)
    withhold_since(tx, reception, into, still(known), among=moved)


def _lifted_by(statement: str, standing: Mapping[str, Fate], held: tuple[Held, ...]) -> str | None:
    """Return the allowance that has the last word against an opposition, whatever other opposition stands between."""
    allows = {each.id for each in held if each.statement.position is Position.ALLOWS}
    by: str | None = statement
    while by is not None:
        fate = standing[by]
        if fate.standing is Standing.IN_FORCE:
            return None
        if fate.by is not None and fate.by in allows:
            return fate.by
        by = fate.by
    return None


def keep_in_force(tx: Transaction, reception: Reception, patient: int, own: tuple[Held, ...]) -> None:
    """
    End the binding of each allowance of the other side that lifts what a side opposes; the patient is asked again.

    Args:
        tx: Holds the lock of the patient.
        reception: Of the merge, or of its undo.
        patient: Whom the statements of both sides bind.
        own: The statements of the side: those of its allowances that are in effect count against its oppositions. An allowance
            of the other side is judged as of its date, whether that has come or not.

    Source: D-1 (the most protective union).
    """
    now = datetime.fromisoformat(tx.at)
    oppositions = opposition.in_force(own, now)
    fates = opposition.standing(own, now)
    waiting = {held.id for held in own if fates[held.id].standing is Standing.WAITING}
    ended: set[str] = set()
    while True:
        held = tuple(each for each in tx.held_by((patient,)) if each.id not in waiting)
        standing = opposition.standing(held, _AT_LAST)
        lifting = {by for each in oppositions if (by := _lifted_by(each.id, standing, held)) is not None}
        if not lifting:
            break
        for statement in sorted(lifting):
            tx.end_binding(statement, patient, reception.receipt)
        ended |= lifting
    for statement in sorted(ended):
        tx.list_task("rights.ask_again", reception.receipt, patient, detail=statement)


def carry_over(tx: Transaction, patient: int, to: int, receipt: str) -> None:
    """Let what is known of a patient's visits, of words taken back and of documents yet to come count for another one too."""
    tx.carry_stays(patient, to)
    tx.share_marks(patient, to)
    for establishment in sorted(tx.suspended(patient)):
        tx.suspend(to, establishment, receipt)
    reference = tx.reference_of(patient)
    if reference is not None and tx.reference_of(to) is None:
        tx.write_reference(to, msgspec.structs.replace(reference, version=1), receipt)


def _narrow_record(tx: Transaction, patient: int, into: int) -> None:
    """Let the record that stays be open only if both were, and readable in an emergency only if both were."""
    theirs, ours = tx.choices_of(patient), tx.choices_of(into)
    if theirs is None or ours is None or "destroyed" in {theirs.state, ours.state}:
        return
    closes = ours.state == "open" and theirs.state == "closed"
    narrowed = ChoicesRow(
        state="closed" if closes else ours.state,
        closed_at=tx.at if closes else ours.closed_at,
        emergency_access=_both(theirs.emergency_access, ours.emergency_access),
    )
    if msgspec.structs.asdict(narrowed) != msgspec.structs.asdict(ours):
        tx.set_choices(into, narrowed)


def _both(one: int | None, other: int | None) -> int | None:
    """Return yes only if both are yes, no if either is no; else it was not asked of both."""
    if 0 in {one, other}:
        return 0
    return 1 if one == other == 1 else None

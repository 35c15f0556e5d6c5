"""A document goes to the record that it belongs to, or is shown again: identity watch, and the patient (D-1, O-7)."""

from datetime import datetime

import msgspec

from gateway.model.event import DocumentMove, DocumentRelease
from gateway.model.outcome import DocumentOutcome, Outcome
from gateway.model.submission import Act, Reception
from gateway.model.verdict import Verdict
from gateway.rules import opposition, record
from gateway.rules.record import RecordState
from gateway.rules.versions import Life
from gateway.store.filing import FiledDocument, versions_with
from gateway.store.identity import known_patients
from gateway.store.merging import SIGNERS
from gateway.store.outcomes import applied, refused, signers, unchanged
from gateway.store.rows import TraceRow
from gateway.store.settling import settle
from gateway.store.transaction import Transaction


def move_document(tx: Transaction, reception: Reception, event: DocumentMove) -> Outcome:
    """
    Move a document, and every version of it, from the record it was filed in to the one it belongs to.

    It is judged as if it were added there now: the record must be open, and no opposition in force of that patient may bind it.
    The bytes stay with their receipt; a withheld document stays withheld. What was left there for it takes effect: a deletion, a
    later version.

    Args:
        tx: Holds the locks of both patients.
        reception: Of the command.
        event: Which document, from where, to where, who signed.

    Returns:
        APPLIED with the documents that moved; UNCHANGED if it is there already; REFUSED, and then nothing moved.

    Source: D-1, D-3, D-18; R-13.
    """
    signed_by = signers(event.signed_by)
    if len(signed_by) < SIGNERS:
        return refused(tx, reception, "SIGNATURES_MISSING", "D-1")
    sources, targets = known_patients(tx, event.identifiers), known_patients(tx, event.to)
    if len(sources) != 1 or len(targets) != 1:
        return refused(tx, reception, "IDENTIFIER_UNKNOWN" if not (sources and targets) else "IDENTITY_CONFLICT", "D-1")
    (patient,), (to,) = sources, targets
    if patient == to:
        return unchanged(tx, reception, "D-1")
    filed = tx.filed(patient)
    names = sorted(versions_with(filed, {event.unique_id}))
    if not names:
        return refused(tx, reception, "DOCUMENT_UNKNOWN", "D-1")
    refusal = _refusal(tx, reception, patient, to, [known for known in filed if known.unique_id in names])
    if refusal is not None:
        return refusal
    tx.move_documents(names, patient, to, reception.receipt)
    tx.share_marks(patient, to, names)
    settle(tx, to, names, reception.receipt, " + ".join(signed_by))
    for side in (patient, to):
        for name in names:
            tx.write_trace(
                TraceRow(
                    actor=" + ".join(signed_by),
                    action="document.moved_away" if side == patient else "document.moved_here",
                    receipt=reception.receipt,
                    patient=side,
                    document=name,
                    verdict=Verdict.APPLIED.value,
                    rule="D-1",
                    rights_version=tx.rights_version(side),
                )
            )
    tx.list_task("patient.tell", reception.receipt, to, document=event.unique_id, detail="move")
    moved = tuple(DocumentOutcome(unique_id=name, verdict=Verdict.APPLIED, rule="D-1") for name in names)
    return msgspec.structs.replace(applied(tx, reception, "D-1"), documents=moved)


def _refusal(tx: Transaction, reception: Reception, patient: int, to: int, chain: list[FiledDocument]) -> Outcome | None:
    """Judge what moves as an add to the record it goes to."""
    held = tx.record_of(to)
    state = RecordState.ABSENT if held is None or held.state == "destroyed" else RecordState(held.state)
    closed = record.decide(state, Act.ADD)
    if closed is not None:
        return refused(tx, reception, closed.problem or "RECORD_CLOSED", closed.rule)
    there = {known.unique_id for known in tx.filed(to)}
    if any(known.unique_id in there for known in chain):
        return refused(tx, reception, "OTHER_CONTENT", "D-6")
    now = datetime.fromisoformat(tx.at)
    living = [known.unique_id for known in chain if known.state != Life.DELETED]
    for document in tx.stored_documents(patient, living):
        judged = opposition.decide(Act.ADD, tx.held_by((to,)), now, document.subject)
        if judged.refuses:
            return refused(tx, reception, judged.problem or "OPPOSED", judged.rule, statement=judged.statement)
    return None


def release_document(tx: Transaction, reception: Reception, event: DocumentRelease) -> Outcome:
    """
    Show a document again that a late opposition withheld, because the patient says so.

    Returns:
        APPLIED; UNCHANGED if it is not withheld; REFUSED if the record has no such document.

    Source: O-7.
    """
    found = [
        (patient, known)
        for patient in known_patients(tx, event.identifiers)
        for known in tx.filed(patient)
        if known.unique_id == event.unique_id
    ]
    if not found:
        return refused(tx, reception, "DOCUMENT_UNKNOWN", "O-7")
    withheld = [patient for patient, known in found if known.withheld]
    for patient in withheld:
        tx.release(patient, event.unique_id)
        tx.end_document_tasks("document.withheld", patient, event.unique_id, event.released_by)
        tx.write_trace(
            TraceRow(
                actor=event.released_by,
                action="document.released",
                receipt=reception.receipt,
                patient=patient,
                document=event.unique_id,
                verdict=Verdict.APPLIED.value,
                rule="O-7",
                rights_version=tx.rights_version(patient),
            )
        )
    return applied(tx, reception, "O-7") if withheld else unchanged(tx, reception, "O-7")

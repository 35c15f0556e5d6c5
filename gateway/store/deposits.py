"""One deposit, decided and written: the same steps for one and for a batch of a hundred (ARCHITECTURE.md, D-13)."""

from datetime import datetime
from typing import NamedTuple

import msgspec

from gateway.model.entry_id import entry_uuid
from gateway.model.outcome import DocumentOutcome, Outcome
from gateway.model.patient import PatientIdentity
from gateway.model.problem import Problem, Severity
from gateway.model.submission import Deposit
from gateway.model.verdict import Verdict
from gateway.rules import deposit as rules
from gateway.rules.record import RecordState
from gateway.rules.versions import Known, Life, State
from gateway.store.entries import entry_rows
from gateway.store.events import reused_message_id, shown_identifier
from gateway.store.identity import known_patients, patient_of_ins
from gateway.store.outbox import promise_acknowledgement
from gateway.store.packing import pack
from gateway.store.rows import DocumentRow, ReceiptRow, TraceRow
from gateway.store.transaction import Transaction
from gateway.telemetry import points


def apply_deposit(tx: Transaction, deposit: Deposit, facts: rules.Facts | None = None) -> Outcome:
    """
    Decide a deposit on the rows under the lock and write what follows: all of it in this transaction, or nothing.

    Args:
        tx: A transaction that holds the lock; rows are read by it and seen as earlier deposits of the batch left them.
        deposit: The submission with the facts of its reception and its bytes.
        facts: What the rules need to know of it, where that was gathered already.

    Returns:
        The outcome; a receipt decided before gets its committed outcome and writes nothing (D-6).

    Source: ARCHITECTURE.md; D-1, D-3, D-4, D-5, D-6, D-7.
    """
    reception = deposit.reception
    decided = tx.outcome_of(reception.receipt)
    if decided is not None:
        if decided.verdict.final:
            return decided
        tx.forget_parked(reception.receipt)
    return settle(tx, deposit, plan(tx, deposit, facts))


class Plan(NamedTuple):
    """What would become of a deposit, decided on the rows under the lock; nothing is written yet."""

    patient: int | None
    facts: rules.Facts
    rows: rules.Rows
    decision: rules.DepositDecision


def plan(tx: Transaction, deposit: Deposit, facts: rules.Facts | None = None) -> Plan:
    """Decide a deposit on the rows under the lock; see `apply_deposit`."""
    reception, submission = deposit.reception, deposit.submission
    points.carried(document.entry.type_code.code for document in submission.documents)
    patients = known_patients(tx, submission.identifiers)
    patient = patient_of_ins(submission.patient, tx.patient_of)
    points.reach("store.resolved")
    facts = facts or rules.facts(submission, reception)
    record = None if patient is None else tx.record_of(patient)
    rows = rules.Rows(
        record=RecordState.ABSENT if record is None else RecordState(record.state),
        reference=None if patient is None else tx.reference_of(patient),
        suspended=patient is not None and reception.establishment in tx.suspended(patient),
        statements=tuple(tx.held_by((known,)) for known in patients),
        documents=State() if patient is None else tx.documents(patient, rules.touched(facts)),
    )
    decision = rules.decide(facts, rows, datetime.fromisoformat(tx.at))
    points.reach("store.decided")
    return Plan(patient, facts, rows, decision)


def settle(tx: Transaction, deposit: Deposit, planned: Plan) -> Outcome:
    """Write what follows from a decision: documents or refusal, trace, receipt, and what is to be said to the sender."""
    reception, submission = deposit.reception, deposit.submission
    patient, facts, rows, decision = planned
    outcome = _outcome(tx, deposit, decision)
    if patient is not None and not decision.decision.refuses:
        _write_documents(tx, deposit, patient, rows.documents, decision.writes, facts=facts)
    if decision.decision.refuses:
        _write_refusal(tx, deposit, patient, decision)
    for document in decision.documents:
        if document.claimed:
            tx.raise_task("document.claimed", reception.receipt, patient, document.unique_id)
    _tell_identity_watch(tx, reception.receipt, patient, decision)
    rights = None if patient is None else tx.rights_version(patient)
    for document in decision.documents:
        tx.write_trace(
            TraceRow(
                actor=reception.source,
                action=f"document.{submission.act.value}",
                receipt=reception.receipt,
                patient=patient,
                document=document.unique_id,
                verdict=document.decision.verdict.value,
                rule=document.decision.rule,
                statement=document.decision.statement,
                rights_version=rights,
            )
        )
    tx.write_receipt(
        ReceiptRow(
            reception=reception,
            outcome=outcome,
            act=submission.act.value,
            patient=shown_identifier(submission.patient.identifiers),
            document_ids=tuple(document.entry.unique_id for document in submission.documents),
        )
    )
    promise_acknowledgement(tx, deposit)
    return outcome


def _tell_identity_watch(tx: Transaction, receipt: str, patient: int | None, decision: rules.DepositDecision) -> None:
    """List which traits differ, by name, for the operator alone (D-19)."""
    identified = decision.identified
    if patient is not None and identified is not None and identified.traits:
        kind = "identity.traits" if identified.decision.refuses else "identity.note"
        tx.watch(kind, receipt, patient, " ".join(identified.traits))


def _outcome(tx: Transaction, deposit: Deposit, decision: rules.DepositDecision) -> Outcome:
    reception, submission = deposit.reception, deposit.submission
    # A warning may speak of what the document is: nothing of that is kept of a refused one.
    problems = [] if decision.decision.refuses else [*submission.problems]
    if decision.decision.problem is not None:
        problems.append(Problem(code=decision.decision.problem))
    elif decision.identified is not None:
        # The code alone: which trait it is would tell what the record holds.
        problems += [Problem(code=code, severity=Severity.WARNING) for code in decision.identified.warnings]
    if reception.message_id and tx.message_id_reused(reception):
        problems.append(reused_message_id())
    return Outcome(
        verdict=decision.decision.verdict,
        receipt=reception.receipt,
        problems=tuple(problems),
        documents=tuple(
            DocumentOutcome(
                unique_id=document.unique_id,
                verdict=document.decision.verdict,
                problems=(
                    *((Problem(code=document.decision.problem, document=number),) if document.decision.problem else ()),
                    *(Problem(code=code, severity=Severity.WARNING, document=number) for code in document.warnings),
                ),
                rule=document.decision.rule,
                first=document.first if document.decision.verdict is Verdict.DUPLICATE else None,
            )
            for number, document in enumerate(decision.documents)
        ),
        rule=decision.decision.rule,
        statement=decision.decision.statement,
        committed_at=tx.at,
        first=decision.first,
    )


def _write_documents(
    tx: Transaction, deposit: Deposit, patient: int, before: State, writes: rules.Writes, *, facts: rules.Facts
) -> None:
    reception, submission = deposit.reception, deposit.submission
    documents = {document.entry.unique_id: document for document in submission.documents}
    subjects = {arrival.unique_id: rules.subject(facts, arrival) for arrival in facts.documents}
    at = datetime.fromisoformat(tx.at)
    for known in writes.insert:
        document = documents[known.unique_id]
        part = None if known.state is Life.DELETED else document.part
        tx.insert_document(
            patient,
            known,
            DocumentRow(
                act=submission.act.value,
                establishments=facts.establishments,
                subject=subjects[known.unique_id],
                entry_uuid=entry_uuid(reception.receipt, known.unique_id),
                entry=msgspec.json.encode(document.entry).decode(),
                source=reception.source,
                part=part,
                entries=() if part is None else entry_rows(reception.receipt, document, at),
            ),
        )
        tx.name_document(patient, known.unique_id, _local(submission.patient, *document.patients))
    for known in writes.update:
        tx.update_document(patient, known)
    for mark in writes.leave:
        tx.leave_mark(patient, mark)
        if tx.moved_away(patient, mark.unique_id):
            tx.raise_task("document.moved", reception.receipt, patient, mark.unique_id)
    _write_source(tx, deposit, before, writes.insert)


def _local(*identities: PatientIdentity) -> tuple[tuple[str, str], ...]:
    """Return the local identifiers that a document came under."""
    return tuple({known.key: None for each in identities for known in each.identifiers if not known.is_ins})


def _write_source(tx: Transaction, deposit: Deposit, before: State, inserted: tuple[Known, ...]) -> None:
    """Keep the whole message as received; of one that brings a deleted document only the documents that live (D-5)."""
    documents = {document.entry.unique_id: document.part for document in deposit.submission.documents}
    wanted = {documents[known.unique_id] for known in inserted if known.state is not Life.DELETED}
    if not wanted:
        return
    lives = [known.state is not Life.DELETED for known in (*before.known, *inserted) if known.unique_id in documents]
    if all(lives):
        wanted.update(range(len(deposit.parts)))
    parts = []
    for number, content in enumerate(deposit.parts):
        if number in wanted:
            encoding, packed = pack(content)
            parts.append((number, encoding, len(content), packed))
    carriers = msgspec.json.encode(deposit.submission.carriers).decode()
    tx.write_source(deposit.reception.receipt, carriers, parts)


def _write_refusal(tx: Transaction, deposit: Deposit, patient: int | None, decision: rules.DepositDecision) -> None:
    """Write who, when, which document id, rule, statement: nothing of the content (R-13)."""
    reception = deposit.reception
    ids = tuple(document.unique_id for document in decision.documents)
    tx.write_refusal(
        reception.receipt,
        (
            reception.source,
            reception.establishment,
            patient,
            msgspec.json.encode(ids).decode(),
            decision.decision.problem,
            decision.decision.rule,
            decision.decision.statement,
        ),
    )

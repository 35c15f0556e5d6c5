"""Columns of the tables as values of the rules and the model, and back: the same for every backend."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import msgspec

from gateway.model.event import Statement, StayState
from gateway.model.outcome import Outcome
from gateway.model.patient import Traits
from gateway.rules.identity import Reference
from gateway.rules.opposition import Held, Subject
from gateway.rules.stays import Said
from gateway.rules.versions import Known, Life, Mark, Marked
from gateway.store.chain import Head, Line, TraceOf
from gateway.store.rows import ReceiptRow, RecordRow, TraceRow

Row = tuple[Any, ...]

decode_statement: Final = msgspec.json.Decoder(Statement).decode
decode_outcome: Final = msgspec.json.Decoder(Outcome).decode
decode_subject: Final = msgspec.json.Decoder(Subject).decode
decode_traits: Final = msgspec.json.Decoder(Traits).decode


def held(row: Row) -> Held:
    """Return a statement from (id, statement, received_at, committed_at, sequence)."""
    return Held(
        id=row[0],
        statement=decode_statement(row[1]),
        received_at=datetime.fromisoformat(row[2]),
        committed_at=datetime.fromisoformat(row[3]),
        sequence=row[4],
    )


def stay(row: Row) -> Said:
    """Return a visit from (establishment, visit_authority, visit_value, state, ordered_at, received_at, receipt)."""
    return Said(
        visit=(row[0], row[1], row[2]),
        state=StayState(row[3]),
        ordered_at=datetime.fromisoformat(row[4]),
        received_at=datetime.fromisoformat(row[5]),
        receipt=row[6],
    )


def known(row: Row) -> Known:
    """Return a document from (unique_id, owner, set_id, version, state, digest, visibility, replaced_by, receipt, deletion)."""
    visibility = row[6]
    return Known(
        unique_id=row[0],
        owner=row[1],
        set_id=row[2],
        version=row[3],
        state=Life(row[4]),
        digest=row[5],
        visibility=(visibility[0] == "Y", visibility[1] == "Y", visibility[2] == "Y"),
        replaced_by=row[7],
        receipt=row[8],
        deletion=row[9],
    )


def visibility(document: Known) -> str:
    """Return the three flags as a row writes them."""
    return "".join("Y" if flag else "N" for flag in document.visibility)


def mark(row: Row) -> Mark:
    """Return a tombstone from (unique_id, owner, kind, by_id, receipt)."""
    return Mark(unique_id=row[0], owner=row[1], kind=Marked(row[2]), by=row[3], receipt=row[4])


def record(row: Row) -> RecordRow:
    """Return a record from (state, opened_at, channel, closed_at)."""
    return RecordRow(state=row[0], opened_at=row[1], channel=row[2], closed_at=row[3])


def reference(row: Row) -> Reference:
    """Return the identity that a record holds from (version, traits, source, homonym)."""
    return Reference(version=row[0], traits=decode_traits(row[1]), source=row[2], homonym=bool(row[3]))


def of_reference(patient: int, reference: Reference, receipt: str, at: str) -> Row:
    """Return the columns of the table `reference`, in its order; see `of_receipt`."""
    traits = msgspec.json.encode(reference.traits).decode()
    return (patient, reference.version, traits, reference.source, reference.homonym, receipt, at)


def of_receipt(row: ReceiptRow, at: str) -> Row:
    """
    Return the columns of the table `receipt`, in its order.

    Args:
        row: The decided message.
        at: The instant of the transaction.
    """
    reception = row.reception
    return (
        reception.receipt,
        reception.received_at,
        at,
        reception.door,
        reception.source,
        reception.establishment,
        reception.application,
        reception.message_id,
        reception.message_type,
        reception.message_digest,
        row.act,
        row.outcome.verdict.value,
        msgspec.json.encode(row.outcome.codes).decode(),
        row.patient[0] if row.patient else None,
        row.patient[1] if row.patient else None,
        msgspec.json.encode(row.document_ids).decode(),
        msgspec.json.encode(row.outcome).decode(),
    )


def of_trace(row: TraceRow, at: str, head: Head | None) -> Row:
    """
    Return the columns of the table `trace` behind its sequence, in their order.

    Args:
        row: The line.
        at: The instant of the transaction.
        head: The head of the patient's chain with this line; None for a line of nobody.
    """
    return (
        at,
        row.actor,
        row.action,
        row.receipt,
        row.patient,
        row.document,
        row.verdict,
        row.rule,
        row.statement,
        row.rights_version,
        None if head is None else head.length,
        None if head is None else head.hash,
    )


def trace_of(patient: int, head: Head, lines: Iterable[Row]) -> TraceOf:
    """Return the trace of a patient from its head and its rows, as `trace_line` takes them."""
    return TraceOf(patient=patient, head=head, lines=tuple(trace_line(row) for row in lines))


def trace_line(row: Row) -> Line:
    """Return a line from (n, hash, at, actor, action, receipt, patient, document, verdict, rule, statement, rights_version)."""
    return Line(
        n=row[0],
        hash=row[1],
        at=row[2],
        row=TraceRow(
            actor=row[3],
            action=row[4],
            receipt=row[5],
            patient=row[6],
            document=row[7],
            verdict=row[8],
            rule=row[9],
            statement=row[10],
            rights_version=row[11],
        ),
    )

"""Rows as the lines and pages that an operator sees, the same for every database."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import msgspec

from gateway.model.document import DocumentEntry
from gateway.model.outcome import Outcome
from gateway.rules import opposition, stays
from gateway.rules.opposition import Standing
from gateway.store.transaction import Transaction
from gateway.store.views import DepositLine, DepositPage, DocumentLine, ParkedView, RecordPage, StatementLine, TraceLine

_IDS: Final = msgspec.json.Decoder(tuple[str, ...])
_OUTCOME: Final = msgspec.json.Decoder(Outcome)
_ENTRY: Final = msgspec.json.Decoder(DocumentEntry)


def deposit_line(row: Any) -> DepositLine:
    """Return a line from (id, received_at, door, source, establishment, message_id, document_ids, act, verdict, codes, who)."""
    return DepositLine(
        id=row[0],
        received_at=row[1],
        door=row[2],
        source=row[3],
        establishment=row[4],
        message_id=row[5],
        document_ids=_IDS.decode(row[6]),
        act=row[7],
        state=row[8],
        verdict=row[8],
        codes=_IDS.decode(row[9]),
        patient=row[10],
    )


def deposit_page(row: Any, trace: Iterable[Any]) -> DepositPage:
    """Return a page from the columns of `deposit_line` and (decided_at, message_type, outcome), and the rows of its trace."""
    return DepositPage(
        deposit=deposit_line(row),
        decided_at=row[11],
        message_type=row[12],
        outcome=_OUTCOME.decode(row[13]),
        trace=tuple(trace_line(line) for line in trace),
    )


def parked_view(row: Any) -> ParkedView:
    """Return a view from the columns of `ParkedView`, in their order."""
    named = dict(zip(ParkedView.__struct_fields__, row, strict=True))
    return ParkedView(**named | {"review": bool(named["review"])})


def trace_line(row: Any) -> TraceLine:
    """Return a line from the columns of `TraceLine`, in their order."""
    return TraceLine(**dict(zip(TraceLine.__struct_fields__, row, strict=True)))


def document_line(row: Any) -> DocumentLine:
    """Return a line from (unique_id, entry, version, state, owner, visibility, withheld, committed_at, receipt)."""
    entry = _ENTRY.decode(row[1])
    return DocumentLine(
        unique_id=row[0],
        title=entry.title,
        type_code=entry.type_code.code,
        creation_time=entry.creation_time.iso,
        version=row[2],
        state=row[3],
        owner=row[4],
        masked=row[5][0] == "Y",
        hidden_from_patient=row[5][1] == "Y",
        withheld=bool(row[6]),
        committed_at=row[7],
        receipt=row[8],
    )


def record_page(tx: Transaction, patient: int, now: datetime, *, documents: Iterable[Any], tasks: Iterable[str]) -> RecordPage:
    """
    Return the page of a patient.

    Args:
        tx: Reads one state of the database.
        patient: Who.
        now: Tells what is in force.
        documents: Rows of `document_line`, in their order.
        tasks: Kinds of what waits for a person.
    """
    record = tx.record_of(patient)
    held = tx.held_by((patient,))
    fates = opposition.standing(held, now, stays.ended(tx.stays_of((patient,))))
    bindings = {binding.statement: binding for binding in tx.bindings_of(patient)}
    return RecordPage(
        identifiers=tuple(tx.identifiers_of(patient)),
        state="absent" if record is None else record.state,
        opened_at=None if record is None else record.opened_at,
        closed_at=None if record is None else record.closed_at,
        channel=None if record is None else record.channel,
        statements=tuple(
            StatementLine(
                id=known.id,
                statement=known.statement,
                received_at=known.received_at.isoformat(),
                committed_at=known.committed_at.isoformat(),
                bound_from=bindings[known.id].from_at,
                because=bindings[known.id].because,
                in_force=fates[known.id].standing is Standing.IN_FORCE,
                standing=fates[known.id].standing,
                by=fates[known.id].by,
            )
            for known in held
        ),
        documents=tuple(document_line(row) for row in documents),
        tasks=tuple(tasks),
    )

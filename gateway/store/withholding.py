"""What an opposition that begins to bind late does to what was stored meanwhile (O-7)."""

from collections.abc import Collection, Iterable
from datetime import datetime

from gateway.model.event import Right
from gateway.model.submission import Reception
from gateway.rules import opposition
from gateway.rules.opposition import Held
from gateway.store.rows import TraceRow
from gateway.store.transaction import Transaction


def withhold_since(
    tx: Transaction, reception: Reception, patient: int, oppositions: Iterable[Held], among: Collection[str] | None = None
) -> None:
    """
    Withhold what was stored since each opposition was stated; a person is asked to look at it.

    Args:
        tx: The open transaction.
        reception: Of the event by which the oppositions bind the patient only now.
        patient: Whose documents.
        oppositions: Oppositions in force; those about consultation withhold nothing.
        among: Only documents of these ids; None: any.

    Source: D-1; O-7.
    """
    now = datetime.fromisoformat(tx.at)
    for known in oppositions:
        if known.statement.right is not Right.FEEDING:
            continue
        # The first instant that the date can mean: what was stored on that day is withheld rather than shown (prudent).
        dated = known.statement.collected_at
        since = known.received_at if dated is None else min(dated.start, known.received_at)
        for document in tx.documents_since(patient, since, known.id):
            if among is not None and document.unique_id not in among:
                continue
            if opposition.opposing((known,), now, document.subject) is None:
                continue
            tx.withhold(patient, document.unique_id)
            tx.raise_task("document.withheld", reception.receipt, patient, document.unique_id)
            tx.write_trace(
                TraceRow(
                    actor=reception.source,
                    action="document.withheld",
                    receipt=reception.receipt,
                    patient=patient,
                    document=document.unique_id,
                    rule="O-7",
                    statement=known.id,
                )
            )

"""What is written down of a message that the door refused or ignored: ids and codes (D-7)."""

from gateway.model.outcome import Outcome, Rejection
from gateway.model.submission import Reception
from gateway.store.rows import ReceiptRow
from gateway.store.transaction import Transaction


def note_rejection(tx: Transaction, reception: Reception, rejection: Rejection) -> None:
    """Write the receipt of a rejected or ignored message, unless it is there."""
    if tx.outcome_of(reception.receipt) is not None:
        return
    outcome = Outcome(
        verdict=rejection.verdict, receipt=reception.receipt, problems=rejection.problems, committed_at=tx.at, rule="door"
    )
    tx.write_receipt(
        ReceiptRow(
            reception=reception,
            outcome=outcome,
            act=rejection.act,
            patient=("", rejection.patient) if rejection.patient else None,
            document_ids=rejection.document_ids,
        )
    )

"""Documents of two records come together: what was left in the one for a document of the other takes effect (D-5)."""

from collections.abc import Collection

from gateway.rules import versions
from gateway.store.rows import TraceRow
from gateway.store.transaction import Transaction


def settle(tx: Transaction, patient: int, came: Collection[str], receipt: str, actor: str) -> None:
    """
    Let the tombstones and versions of a record count for documents that came to it, and those that came with them for its own.

    Args:
        tx: Holds the lock of the patient; documents and tombstones are where they belong.
        patient: To whose record they came.
        came: Ids of the documents that came.
        receipt: Of the event that brought them.
        actor: Who did it, for the trace.

    Source: D-1, D-5; R-19.
    """
    for known in versions.settled(tx.documents_and_marks(patient), came):
        tx.update_document(patient, known)
        tx.write_trace(
            TraceRow(
                actor=actor,
                action="document.settled",
                receipt=receipt,
                patient=patient,
                document=known.unique_id,
                verdict=known.state.value,
                rule="D-5",
            )
        )

"""What the trace, the outbox and what is parked ask of an open transaction, whatever the database behind it."""

from collections.abc import Sequence
from typing import Protocol

from gateway.model.submission import Reception
from gateway.store.rows import TraceRow


class Upkeep(Protocol):
    """A part of `gateway.store.transaction.Transaction`."""

    # -- the trace

    def write_trace(self, row: TraceRow) -> None:
        """Write a line of the trace, chained to the last one of its patient, whose lock is held (R-35)."""
        ...

    # -- the outbox

    def promise(self, kind: str, reception: Reception) -> None:
        """Leave a row of the outbox, due now, once per receipt and kind."""
        ...

    # -- what is parked

    def write_parked(self, values: Sequence[object], identifiers: Sequence[tuple[str, str]]) -> None:
        """Keep a sealed deposit, to be judged again: (receipt, source, code, place, identifiers JSON, sealed)."""
        ...

    def forget_parked(self, receipt: str) -> None:
        """Take a parked deposit back, its bytes with it: `parked` is no outcome, it is judged again (D-6)."""
        ...

    def rights_changed(self, patient: int) -> None:
        """Count a change of the rights or links of a patient."""
        ...

    def ask_reviews(self) -> None:
        """Let what is parked of every patient whose rights this transaction changed be judged again (D-7)."""
        ...

    def awaiting_review(self, limit: int) -> list[tuple[str, bytes]]:
        """Return the receipt and the sealed bytes of what is to be judged again, the longest parked first."""
        ...

    def claim_review(self, receipt: str) -> bool:
        """Take a parked deposit's review upon this transaction; tell whether it was still to be done."""
        ...

    def raise_task_once(self, kind: str, receipt: str) -> None:
        """List something about a receipt that a person must look at, unless it is listed and open."""
        ...

"""The chained trace, the outbox and what is parked, on PostgreSQL."""

from collections.abc import Sequence

from gateway.model.submission import Reception
from gateway.store.postgres.reading import Receipts, Rights
from gateway.store.postgres.session import Session
from gateway.store.postgres.writing import Writes
from gateway.store.rows import TraceRow


class Upkeep:
    """What `gateway.store.transaction_upkeep.Upkeep` asks for."""

    at: str
    _session: Session
    _receipts: Receipts
    _rights: Rights
    _writes: Writes
    #: Patients whose rights or links this transaction changed.
    _changed: set[int]

    # -- the trace

    def write_trace(self, row: TraceRow) -> None:
        """Write a line of the trace, chained to the last one of its patient, whose lock is held (R-35)."""
        self._writes.trace(row, None if row.patient is None else self._rights.extend(row.patient, self.at, row))

    # -- the outbox

    def promise(self, kind: str, reception: Reception) -> None:
        """Leave a row of the outbox, due now, once per receipt and kind."""
        self._writes.promise(kind, reception)

    # -- what is parked

    def write_parked(self, values: Sequence[object], identifiers: Sequence[tuple[str, str]]) -> None:
        """Keep a sealed deposit, to be judged again: (receipt, source, code, place, identifiers JSON, sealed)."""
        receipt, *rest = values
        self._session.run("write_parked", (receipt, self.at, *rest))
        names = ([authority for authority, _ in identifiers], [value for _, value in identifiers])
        self._session.run("name_parked", (receipt, *names))

    def forget_parked(self, receipt: str) -> None:
        """Take a parked deposit back, its bytes with it: `parked` is no outcome, it is judged again (D-6)."""
        for name in ("forget_parked", "forget_parked_names", "forget_receipt"):
            self._session.run(name, (receipt,))
        self._receipts.remove(receipt)

    def rights_changed(self, patient: int) -> None:
        """Count a change of the rights or links of a patient."""
        self._session.run("count_rights_change", (self._rights.require_lock(patient),))
        self._rights.changed(patient)
        self._changed.add(patient)

    def ask_reviews(self) -> None:
        """Let what is parked of every patient whose rights this transaction changed be judged again (D-7)."""
        if self._changed:
            self._session.run("ask_reviews", (sorted(self._changed),))

    def awaiting_review(self, limit: int) -> list[tuple[str, bytes]]:
        """Return the receipt and the sealed bytes of what is to be judged again, the longest parked first."""
        return [(row[0], bytes(row[1])) for row in self._session.all("awaiting_review", (limit,))]

    def claim_review(self, receipt: str) -> bool:
        """Take a parked deposit's review upon this transaction; tell whether it was still to be done."""
        return self._session.one("claim_review", (receipt,)) is not None

    def raise_task_once(self, kind: str, receipt: str) -> None:
        """List something about a receipt that a person must look at, unless it is listed and open."""
        self._session.run("raise_task_once", {"at": self.at, "kind": kind, "receipt": receipt})

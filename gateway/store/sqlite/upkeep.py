"""The chained trace, the outbox and what is parked, on SQLite."""

from collections.abc import Sequence

from gateway.model.submission import Reception
from gateway.store import chain, columns
from gateway.store.rows import TraceRow
from gateway.store.sqlite.base import Base


class Upkeep(Base):
    """What `gateway.store.transaction_upkeep.Upkeep` asks for."""

    # -- the trace

    def write_trace(self, row: TraceRow) -> None:
        """Write a line of the trace, chained to the patient's last one (R-35)."""
        head = None
        if row.patient is not None:
            length, last = self._one("SELECT trace_length, trace_head FROM patient WHERE id = ?", row.patient)
            head = chain.extend(chain.Head(length=length, hash=last), self.at, row)
            self._do("UPDATE patient SET trace_length = ?, trace_head = ? WHERE id = ?", head.length, head.hash, row.patient)
        self._do(
            "INSERT INTO trace (at, actor, action, receipt, patient, document, verdict, rule, statement, rights_version, n, hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *columns.of_trace(row, self.at, head),
        )

    # -- the outbox

    def promise(self, kind: str, reception: Reception) -> None:
        """Leave a row of the outbox, due now, once per receipt and kind."""
        self._do(
            "INSERT INTO outbox (receipt, kind, source, created_at, due_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (receipt, kind) DO NOTHING",
            reception.receipt,
            kind,
            reception.source,
            self.at,
            self.at,
        )

    # -- what is parked

    def write_parked(self, values: Sequence[object], identifiers: Sequence[tuple[str, str]]) -> None:
        """Keep a sealed deposit, to be judged again: (receipt, source, code, place, identifiers JSON, sealed)."""
        receipt, *rest = values
        self._do(
            "INSERT INTO parked (receipt, parked_at, source, code, place, identifiers, sealed, review)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 1)"
            " ON CONFLICT (receipt) DO UPDATE SET parked_at = excluded.parked_at, source = excluded.source,"
            " code = excluded.code, place = excluded.place, identifiers = excluded.identifiers, sealed = excluded.sealed,"
            " review = 1",
            receipt,
            self.at,
            *rest,
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO parked_identifier VALUES (?, ?, ?)", [(receipt, *key) for key in identifiers]
        )

    def forget_parked(self, receipt: str) -> None:
        """Take a parked deposit back, its bytes with it: `parked` is no outcome, it is judged again (D-6)."""
        self._do("DELETE FROM parked WHERE receipt = ?", receipt)
        self._do("DELETE FROM parked_identifier WHERE receipt = ?", receipt)
        self._do("DELETE FROM receipt WHERE id = ?", receipt)
        self.erases = True

    def rights_changed(self, patient: int) -> None:
        """Count a change of the rights or links of a patient."""
        self._do("UPDATE patient SET rights_version = rights_version + 1 WHERE id = ?", patient)
        self._changed.add(patient)

    def ask_reviews(self) -> None:
        """Let what is parked of every patient whose rights this transaction changed be judged again (D-7)."""
        for patient in sorted(self._changed):
            self._do(
                "UPDATE parked SET review = 1 WHERE receipt IN (SELECT p.receipt FROM identifier i JOIN parked_identifier p"
                " ON p.authority = i.authority AND p.value = i.value WHERE i.patient = ?)",
                patient,
            )

    def awaiting_review(self, limit: int) -> list[tuple[str, bytes]]:
        """Return the receipt and the sealed bytes of what is to be judged again, the longest parked first."""
        return self._all("SELECT receipt, sealed FROM parked WHERE review ORDER BY parked_at LIMIT ?", limit)

    def claim_review(self, receipt: str) -> bool:
        """Take a parked deposit's review upon this transaction; tell whether it was still to be done."""
        return self._count("UPDATE parked SET review = 0 WHERE receipt = ? AND review", receipt) == 1

    def raise_task_once(self, kind: str, receipt: str) -> None:
        """List something about a receipt that a person must look at, unless it is listed and open."""
        self._do(
            "INSERT INTO task (raised_at, kind, receipt) SELECT ?, ?, ? WHERE NOT EXISTS"
            " (SELECT 1 FROM task WHERE kind = ? AND receipt = ? AND done_at IS NULL)",
            self.at,
            kind,
            receipt,
            kind,
            receipt,
        )

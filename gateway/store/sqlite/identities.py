"""Who is who on SQLite: what an identifier names and named, and the identity that a record holds."""

from collections.abc import Sequence

import msgspec

from gateway.rules.identity import Reference
from gateway.store import columns
from gateway.store.sqlite.base import Base


class Identities(Base):
    """The part of a transaction that `gateway.store.transaction_identity` asks for."""

    def set_identifier(self, authority: str, value: str, patient: int, receipt: str, because: str = "seen") -> None:
        """Say that an identifier belongs to a patient from now on; what it named before is kept as history."""
        row = self._one("SELECT patient FROM identifier WHERE authority = ? AND value = ?", authority, value)
        if row is not None and row[0] == patient:
            return
        self._do(
            "UPDATE link SET to_at = ?, ended_by = ? WHERE authority = ? AND value = ? AND to_at IS NULL",
            self.at,
            receipt,
            authority,
            value,
        )
        # Back to a patient that it left in this very instant: the same row, without an end.
        self._do(
            "INSERT INTO link (authority, value, patient, from_at, because, receipt) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (authority, value, patient, from_at) DO UPDATE SET to_at = NULL, ended_by = NULL",
            authority,
            value,
            patient,
            self.at,
            because,
            receipt,
        )
        self._do(
            "INSERT INTO identifier (authority, value, patient, since, receipt) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (authority, value) DO UPDATE SET patient = excluded.patient, since = excluded.since,"
            " receipt = excluded.receipt",
            authority,
            value,
            patient,
            self.at,
            receipt,
        )

    def reference_of(self, patient: int) -> Reference | None:
        """Return the identity that a patient's record holds, its last version."""
        row = self._one(
            "SELECT version, traits, source, homonym FROM reference WHERE patient = ? ORDER BY version DESC LIMIT 1", patient
        )
        return None if row is None else columns.reference(row)

    def write_reference(self, patient: int, reference: Reference, receipt: str) -> None:
        """Write a version of it; the earlier ones stay."""
        self._do(
            "INSERT INTO reference (patient, version, traits, source, homonym, receipt, committed_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            *columns.of_reference(patient, reference, receipt, self.at),
        )

    def suspended(self, patient: int) -> frozenset[str]:
        """Return the establishments that took back what they had said of a patient's identity."""
        return frozenset(row[0] for row in self._all("SELECT establishment FROM suspended_link WHERE patient = ?", patient))

    def suspend(self, patient: int, establishment: str, receipt: str) -> None:
        """Refuse what an establishment deposits for a patient from now on; nothing happens where that is so already."""
        self._do("INSERT OR IGNORE INTO suspended_link VALUES (?, ?, ?, ?)", patient, establishment, self.at, receipt)

    def resume(self, patient: int, establishment: str) -> None:
        """Take its deposits again."""
        self._do("DELETE FROM suspended_link WHERE patient = ? AND establishment = ?", patient, establishment)

    def named_under(self, patient: int, identifiers: Sequence[tuple[str, str]]) -> list[str]:
        """Return which of the statements that bind a patient now came with one of these (authority, value)."""
        return [
            row[0]
            for row in self._all(
                "SELECT DISTINCT b.statement FROM binding b JOIN statement_identifier i ON i.statement = b.statement"
                " JOIN json_each(?) AS asked ON i.authority = asked.value ->> 0 AND i.value = asked.value ->> 1"
                " WHERE b.patient = ? AND b.to_at IS NULL ORDER BY b.statement",
                msgspec.json.encode(identifiers).decode(),
                patient,
            )
        ]

    def watch(self, kind: str, receipt: str, patient: int, detail: str) -> None:
        """List something for identity watch, once as long as it is open."""
        self._do(
            "INSERT INTO task (raised_at, kind, receipt, patient, detail) SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS"
            " (SELECT 1 FROM task WHERE patient = ? AND kind = ? AND detail = ? AND done_at IS NULL)",
            self.at,
            kind,
            receipt,
            patient,
            detail,
            patient,
            kind,
            detail,
        )

"""What a transaction is about to write: kept until its end, then sent table by table, sorted by key (D-13)."""

from collections.abc import Iterable
from operator import itemgetter
from typing import Final

import msgspec

from gateway.model.submission import Reception
from gateway.rules.versions import Known, Life, Mark
from gateway.store import columns
from gateway.store.chain import Head
from gateway.store.postgres.reading import Documents
from gateway.store.postgres.session import Row, Session
from gateway.store.rows import DocumentRow, ReceiptRow, TraceRow

#: What rows are sorted by: their keys, which are unique, so that nothing behind them is compared.
_by_one: Final = itemgetter(0)
_by_two: Final = itemgetter(0, 1)


class Writes:
    """
    Rows that wait for the end of the transaction.

    Args:
        at: The instant that they carry.
    """

    def __init__(self, at: str) -> None:
        """Begin with none."""
        self._at = at
        self._inserted: dict[tuple[int, str], DocumentRow] = {}
        self._updated: set[tuple[int, str]] = set()
        self._names: set[tuple[int, str, str, str]] = set()
        self._marks: list[Row] = []
        self._forms: list[Row] = []
        self._parts: list[Row] = []
        self._refusals: list[Row] = []
        self._receipts: list[Row] = []
        self._trace: list[Row] = []
        self._outbox: list[Row] = []

    def insert_document(self, patient: int, known: Known, row: DocumentRow) -> None:
        """Write a new document, as it is at the end."""
        self._inserted[patient, known.unique_id] = row

    def update_document(self, patient: int, known: Known) -> None:
        """Write the state of a document, as it is at the end."""
        if (patient, known.unique_id) not in self._inserted:
            self._updated.add((patient, known.unique_id))

    def name_document(self, patient: int, unique_id: str, identifiers: Iterable[tuple[str, str]]) -> None:
        """Write the local identifiers that a new document came under."""
        self._names.update((patient, unique_id, authority, value) for authority, value in identifiers)

    def mark(self, patient: int, mark: Mark) -> None:
        """Write a tombstone."""
        self._marks.append((patient, mark.unique_id, mark.owner, mark.kind.value, mark.by, mark.receipt, self._at))

    def source(self, receipt: str, carriers: str, parts: Iterable[tuple[int, str, int, bytes]]) -> None:
        """Write the bytes as received."""
        self._forms.append((receipt, carriers))
        self._parts.extend((receipt, *part) for part in parts)

    def refusal(self, receipt: str, values: Iterable[object]) -> None:
        """Write a refusal."""
        self._refusals.append((receipt, self._at, *values))

    def receipt(self, row: ReceiptRow) -> None:
        """Write the outcome of a message."""
        self._receipts.append(columns.of_receipt(row, self._at))

    def trace(self, row: TraceRow, head: Head | None) -> None:
        """Write a line of the trace, with the head of its chain; the lines keep their order."""
        self._trace.append(columns.of_trace(row, self._at, head))

    def promise(self, kind: str, reception: Reception) -> None:
        """Leave a row of the outbox."""
        self._outbox.append((reception.receipt, kind, reception.source, self._at, self._at))

    def flush(self, session: Session, documents: Documents) -> None:
        """Send everything."""
        _copy(session, "copy_documents", sorted(self._document_rows(documents), key=_by_two))
        self._send_updates(session, documents)
        _copy(session, "copy_entries", sorted(self._entry_rows(documents)))
        _copy(session, "copy_document_identifiers", sorted(self._names))
        _copy(session, "copy_marks", sorted(self._marks, key=lambda row: row[:4]))
        _copy(session, "copy_source_forms", sorted(self._forms))
        _copy(session, "copy_source_parts", sorted(self._parts, key=_by_two))
        _copy(session, "copy_refusals", sorted(self._refusals, key=_by_one))
        _copy(session, "copy_receipts", sorted(self._receipts, key=_by_one))
        _copy(session, "copy_trace", self._trace)
        _copy(session, "copy_outbox", sorted(self._outbox))

    def _document_rows(self, documents: Documents) -> Iterable[Row]:
        for (patient, unique_id), row in self._inserted.items():
            known = documents.get(patient, unique_id)
            yield (
                patient,
                unique_id,
                known.owner,
                known.set_id,
                known.version,
                known.state.value,
                known.replaced_by,
                known.deletion,
                row.act,
                known.digest,
                columns.visibility(known),
                msgspec.json.encode(row.establishments).decode(),
                msgspec.json.encode(row.subject).decode(),
                row.entry_uuid,
                row.entry,
                row.source,
                known.receipt,
                row.part,
                self._at,
            )

    def _entry_rows(self, documents: Documents) -> Iterable[Row]:
        for (patient, unique_id), row in self._inserted.items():
            if documents.get(patient, unique_id).state is not Life.DELETED:  # a later one of the batch may have deleted it
                for number, entry in enumerate(row.entries, start=1):
                    yield (patient, unique_id, number, entry.id, entry.mapper_version, entry.entry)

    def _send_updates(self, session: Session, documents: Documents) -> None:
        if not self._updated:
            return
        keys = sorted(self._updated)
        now = [documents.get(*key) for key in keys]
        session.run(
            "update_documents",
            (
                [patient for patient, _ in keys],
                [unique_id for _, unique_id in keys],
                [known.state.value for known in now],
                [known.replaced_by for known in now],
                [known.deletion for known in now],
            ),
        )
        for key, known in zip(keys, now, strict=True):
            if known.state is Life.DELETED:
                session.run("drop_entries", key)


def _copy(session: Session, name: str, rows: list[Row]) -> None:
    if rows:
        session.copy(name, rows)

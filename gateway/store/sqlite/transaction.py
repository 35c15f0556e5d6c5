"""Every SQL text of the store on SQLite: `gateway.store.transaction.Transaction` on one open transaction."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from gateway.model.event import Statement
from gateway.model.outcome import Outcome
from gateway.model.submission import Reception
from gateway.rules.deposit import Touched
from gateway.rules.opposition import Held, order_key, written
from gateway.rules.versions import Known, Life, Mark, State
from gateway.store import columns
from gateway.store.rows import BindingRow, DocumentRow, ReceiptRow, RecordRow, StoredDocument, instant_text
from gateway.store.sqlite.identities import Identities
from gateway.store.sqlite.lane_days import Lanes
from gateway.store.sqlite.merges import Merges
from gateway.store.sqlite.retention import Retention
from gateway.store.sqlite.stays import Stays
from gateway.store.sqlite.upkeep import Upkeep
from gateway.telemetry import points

_DOCUMENT: Final = (
    "SELECT unique_id, owner, set_id, version, state, digest, visibility, replaced_by, receipt, deletion FROM document"
    " WHERE patient = ? AND unique_id = ?"
)
_DOCUMENTS_OF_SET: Final = (
    "SELECT unique_id, owner, set_id, version, state, digest, visibility, replaced_by, receipt, deletion FROM document"
    " WHERE patient = ? AND owner = ? AND set_id = ?"
)
_MARKS: Final = "SELECT unique_id, owner, kind, by_id, receipt FROM mark WHERE patient = ? AND unique_id = ?"


class SqliteTransaction(Retention, Identities, Lanes, Merges, Stays, Upkeep):
    """
    The reads and writes of one transaction that holds the write lock (`BEGIN IMMEDIATE` is the lock, ARCHITECTURE.md).

    Args:
        connection: The writing connection, inside a transaction.
        at: The instant that this transaction's rows carry, ISO 8601 UTC.
    """

    # -- receipts

    def outcome_of(self, receipt: str) -> Outcome | None:
        """Return the committed outcome of a receipt (D-6)."""
        row = self._one("SELECT outcome FROM receipt WHERE id = ?", receipt)
        return None if row is None else columns.decode_outcome(row[0])

    def message_id_reused(self, reception: Reception) -> bool:
        """Tell whether this MSH-10 came from this establishment's application with another content (D-6)."""
        return bool(
            self._one(
                "SELECT EXISTS (SELECT 1 FROM receipt WHERE establishment = ? AND application = ? AND message_id = ?"
                " AND message_digest < ?) OR EXISTS (SELECT 1 FROM receipt WHERE establishment = ? AND application = ?"
                " AND message_id = ? AND message_digest > ?)",
                *(reception.establishment, reception.application, reception.message_id, reception.message_digest) * 2,
            )[0]
        )

    def applied_before(self, reception: Reception) -> list[str]:
        """Return the receipts of the same message that were applied, in the order of their commits (D-6)."""
        return [
            row[0]
            for row in self._all(
                "SELECT id FROM receipt WHERE establishment = ? AND application = ? AND message_id = ? AND message_digest = ?"
                " AND verdict = 'applied' ORDER BY decided_at, id",
                reception.establishment,
                reception.application,
                reception.message_id,
                reception.message_digest,
            )
        ]

    def statements_of(self, receipt: str) -> tuple[Statement, ...]:
        """Return the statements that came with a receipt, in their order."""
        rows = self._all("SELECT statement FROM statement WHERE receipt = ? ORDER BY sequence", receipt)
        return tuple(columns.decode_statement(row[0]) for row in rows)

    def write_receipt(self, row: ReceiptRow) -> None:
        """Write the outcome of a message; the id must be new."""
        self._do(
            "INSERT INTO receipt (id, received_at, decided_at, door, source, establishment, application, message_id,"
            " message_type, message_digest, act, verdict, codes, patient_authority, patient_value, document_ids, outcome)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *columns.of_receipt(row, self.at),
        )

    # -- patients, identifiers, records

    def patient_of(self, authority: str, value: str) -> int | None:
        """Return the patient that an identifier is known to belong to."""
        row = self._one("SELECT patient FROM identifier WHERE authority = ? AND value = ?", authority, value)
        return None if row is None else int(row[0])

    def identifiers_of(self, patient: int) -> list[tuple[str, str]]:
        """Return the (authority, value) of a patient."""
        return self._all("SELECT authority, value FROM identifier WHERE patient = ? ORDER BY authority, value", patient)

    def new_patient(self) -> int:
        """Create a patient without identifiers and without a record."""
        return self._do("INSERT INTO patient (created_at) VALUES (?)", self.at)

    def absorb(self, absorbed: int, into: int) -> None:
        """Say that a patient without INS and record turned out to be another one; what a person must look at goes along."""
        self._do("UPDATE patient SET merged_into = ? WHERE id = ?", into, absorbed)
        self._do("UPDATE task SET patient = ? WHERE patient = ? AND done_at IS NULL", into, absorbed)

    def rights_version(self, patient: int) -> int:
        """Return how many changes of rights and links a patient has seen."""
        return int(self._one("SELECT rights_version FROM patient WHERE id = ?", patient)[0])

    def record_of(self, patient: int) -> RecordRow | None:
        """Return the record of a patient."""
        row = self._one("SELECT state, opened_at, channel, closed_at FROM record WHERE patient = ?", patient)
        return None if row is None else columns.record(row)

    def open_record(self, patient: int, values: Sequence[object]) -> None:
        """Open or reopen a record: (channel, consent by, at, place, emergency access, traits as JSON)."""
        self._do(
            "INSERT INTO record (patient, state, opened_at, channel, consent_by, consent_at, consent_place, emergency_access,"
            " traits) VALUES (?, 'open', ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (patient) DO UPDATE SET state = 'open', closed_at = NULL, opened_at = excluded.opened_at,"
            " channel = excluded.channel, consent_by = excluded.consent_by, consent_at = excluded.consent_at,"
            " consent_place = excluded.consent_place, emergency_access = excluded.emergency_access",
            patient,
            self.at,
            *values,
        )

    def close_record(self, patient: int) -> None:
        """Close a record."""
        self._do("UPDATE record SET state = 'closed', closed_at = ? WHERE patient = ?", self.at, patient)

    # -- statements and bindings

    def write_statement(self, identifier: str, statement: Statement, reception: Reception) -> None:
        """Write a statement; it binds nobody before `bind`."""
        at = datetime.fromisoformat(self.at)
        received_at = datetime.fromisoformat(reception.received_at)
        held = Held(id=identifier, statement=statement, received_at=received_at, committed_at=at, sequence=0)
        self._do(
            "INSERT INTO statement (id, right, position, statement, ordered_at, written_at, received_at, committed_at, source,"
            " receipt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            identifier,
            statement.right.value,
            statement.position.value,
            msgspec.json.encode(statement).decode(),
            instant_text(order_key(held)[0]),
            instant_text(written(held)),
            reception.received_at,
            self.at,
            reception.source,
            reception.receipt,
        )

    def name_statement(self, identifier: str, authority: str, value: str) -> None:
        """Keep an identifier that a statement came with."""
        self._do("INSERT OR IGNORE INTO statement_identifier VALUES (?, ?, ?)", identifier, authority, value)

    def bind(self, identifier: str, patient: int, because: str, receipt: str) -> None:
        """Let a statement bind a patient from this commit on, that of the event of `receipt`."""
        self._do(
            "INSERT INTO binding (patient, statement, from_at, because, receipt) VALUES (?, ?, ?, ?, ?)"
            # A clock that stands still or goes back may give an instant twice: a binding that ended at it begins again.
            " ON CONFLICT (patient, statement, from_at) DO UPDATE SET to_at = NULL, ended_by = NULL",
            patient,
            identifier,
            self.at,
            because,
            receipt,
        )

    def bindings_of(self, patient: int) -> list[BindingRow]:
        """Return every statement that binds a patient now, in the order of their commits."""
        return [
            BindingRow(statement=row[0], because=row[1], from_at=row[2])
            for row in self._all(
                "SELECT b.statement, b.because, b.from_at FROM binding b JOIN statement s ON s.id = b.statement"
                " WHERE b.patient = ? AND b.to_at IS NULL ORDER BY s.sequence",
                patient,
            )
        ]

    def held_by(self, patients: Iterable[int]) -> tuple[Held, ...]:
        """Return the statements that bind any of the patients now, each once."""
        found: dict[str, Held] = {}
        for patient in patients:
            for row in self._all(
                "SELECT s.id, s.statement, s.received_at, s.committed_at, s.sequence FROM binding b"
                " JOIN statement s ON s.id = b.statement WHERE b.patient = ? AND b.to_at IS NULL ORDER BY s.sequence",
                patient,
            ):
                found[row[0]] = columns.held(row)
        return tuple(sorted(found.values(), key=lambda held: held.sequence))

    # -- documents

    def documents(self, patient: int, touched: Touched) -> State:
        """Return the documents and tombstones that a submission is decided on."""
        known: dict[str, Known] = {}
        marks: list[Mark] = []
        for unique_id in sorted(touched.unique_ids):
            for row in self._all(_DOCUMENT, patient, unique_id):
                known[row[0]] = columns.known(row)
            marks.extend(columns.mark(row) for row in self._all(_MARKS, patient, unique_id))
        for owner, set_id in sorted(touched.sets):
            for row in self._all(_DOCUMENTS_OF_SET, patient, owner, set_id):
                known[row[0]] = columns.known(row)
        return State(known=tuple(known.values()), marks=tuple(marks))

    def insert_document(self, patient: int, known: Known, row: DocumentRow) -> None:
        """Write a new document."""
        self._do(
            "INSERT INTO document (patient, unique_id, owner, set_id, version, state, replaced_by, deletion, act, digest,"
            " visibility, establishments, subject, withheld, entry_uuid, entry, source, receipt, part, committed_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)",
            patient,
            known.unique_id,
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
            self.at,
        )
        points.reach("store.write")
        self._connection.executemany(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)",
            [
                (patient, known.unique_id, number, str(uuid.UUID(bytes=entry.id)), entry.mapper_version, entry.entry)
                for number, entry in enumerate(row.entries, start=1)
            ],
        )

    def update_document(self, patient: int, known: Known) -> None:
        """Change the state of a document that is there."""
        self._do(
            "UPDATE document SET state = ?, replaced_by = ?, deletion = ? WHERE patient = ? AND unique_id = ?",
            known.state.value,
            known.replaced_by,
            known.deletion,
            patient,
            known.unique_id,
        )
        if known.state is Life.DELETED:
            self._do("DELETE FROM entry WHERE patient = ? AND unique_id = ?", patient, known.unique_id)

    def leave_mark(self, patient: int, mark: Mark) -> None:
        """Leave a tombstone for a document that is not there."""
        self._do(
            "INSERT OR IGNORE INTO mark VALUES (?, ?, ?, ?, ?, ?, ?)",
            patient,
            mark.unique_id,
            mark.owner,
            mark.kind.value,
            mark.by,
            mark.receipt,
            self.at,
        )

    def documents_since(self, patient: int, since: datetime, statement: str) -> list[StoredDocument]:
        """Return what was stored for a patient since an instant or a statement, is not deleted, and is not withheld yet."""
        rows = self._all(
            "SELECT unique_id, subject FROM document d WHERE patient = ? AND withheld = 0 AND state != 'deleted'"
            " AND (committed_at >= ? OR (SELECT max(sequence) FROM trace WHERE receipt = d.receipt AND document = d.unique_id)"
            " > (SELECT min(t.sequence) FROM statement s JOIN trace t ON t.receipt = s.receipt WHERE s.id = ?))"
            " ORDER BY unique_id",
            patient,
            instant_text(since),
            statement,
        )
        return [StoredDocument(unique_id=row[0], subject=columns.decode_subject(row[1])) for row in rows]

    def withhold(self, patient: int, unique_id: str) -> None:
        """Withhold a document: an opposition that was stated before its deposit became known after it (O-7)."""
        self._do("UPDATE document SET withheld = 1 WHERE patient = ? AND unique_id = ?", patient, unique_id)

    def write_source(self, receipt: str, carriers: str, parts: Iterable[tuple[int, str, int, bytes]]) -> None:
        """Write the bytes as received: (index, encoding, size, bytes) of each part."""
        self._do("INSERT INTO source_form VALUES (?, ?)", receipt, carriers)
        points.reach("store.write")
        self._connection.executemany(
            "INSERT INTO source_part VALUES (?, ?, ?, ?, ?)",
            [(receipt, n, encoding, size, raw) for n, encoding, size, raw in parts],
        )

    # -- refusals, tasks

    def write_refusal(self, receipt: str, values: Sequence[object]) -> None:
        """Write a refusal: (source, establishment, patient, document ids JSON, code, rule, statement)."""
        self._do("INSERT INTO refusal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", receipt, self.at, *values)

    def raise_task(self, kind: str, receipt: str, patient: int | None, document: str | None = None) -> None:
        """List something that a person must look at."""
        self._do(
            "INSERT INTO task (raised_at, kind, receipt, patient, document) VALUES (?, ?, ?, ?, ?)",
            self.at,
            kind,
            receipt,
            patient,
            document,
        )

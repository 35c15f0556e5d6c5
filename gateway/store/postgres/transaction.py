"""`gateway.store.transaction.Transaction` on PostgreSQL: a unit of work under the locks of its patients."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from gateway.model.event import Statement
from gateway.model.outcome import Outcome
from gateway.model.submission import Reception
from gateway.rules.deposit import Touched
from gateway.rules.opposition import Held, order_key, written
from gateway.rules.versions import Known, Mark, State
from gateway.store import columns
from gateway.store.postgres.identities import Identities, References
from gateway.store.postgres.lane_days import Lanes
from gateway.store.postgres.locking import Key, Unlocked
from gateway.store.postgres.merges import Merges
from gateway.store.postgres.reading import Documents, Receipts, Rights
from gateway.store.postgres.retention import Retention
from gateway.store.postgres.session import Session
from gateway.store.postgres.stays import Stays
from gateway.store.postgres.upkeep import Upkeep
from gateway.store.postgres.writing import Writes
from gateway.store.rows import BindingRow, DocumentRow, ReceiptRow, RecordRow, StoredDocument, instant_text


class PostgresTransaction(Retention, Identities, Lanes, Merges, Stays, Upkeep):
    """
    Reads what the locks protect, once for all its messages; writes documents, receipts and trace at the end.

    What only events change (patients, identifiers, records, statements) is written at once. A read that no lock protects is a
    fault of the program and raises `Unlocked`: nothing is ever decided on it.

    Args:
        session: Inside a transaction that holds the locks.
        at: The instant that the rows carry, read after the locks were granted.
        asked: Every identifier that the messages carry.
        patients: The patients that they lead to, as `locking.lock` returned them.
        receptions: Of the messages.
        touched: What the deposits touch, by patient.
        beside: Patients that are locked and to whom no identifier of the messages leads.
    """

    def __init__(
        self,
        session: Session,
        at: datetime,
        *,
        asked: Iterable[Key] = (),
        patients: Mapping[Key, int] | None = None,
        receptions: Sequence[Reception] = (),
        touched: Sequence[tuple[int, Touched]] = (),
        beside: Iterable[int] = (),
    ) -> None:
        """Read for all messages."""
        self._session = session
        self.at = instant_text(at)
        self._patients: dict[Key, int | None] = {**dict.fromkeys(asked), **(patients or {})}
        self._receipts = Receipts(receptions)
        locked = {*(patients or {}).values(), *beside}
        self._rights = Rights(session, locked)
        self._references = References(session, locked)
        self._documents = Documents(touched)
        parts = (self._receipts, self._rights, self._references, self._documents)
        found = session.together([request for part in parts for request in part.wanted()])
        for part in parts:
            part.take(found)
        self._writes = Writes(self.at)
        self._changed: set[int] = set()

    def flush(self) -> None:
        """Send what waits; the transaction is complete then."""
        self._writes.flush(self._session, self._documents)
        self._rights.flush_heads()

    # -- receipts

    def outcome_of(self, receipt: str) -> Outcome | None:
        """Return the committed outcome of a receipt (D-6)."""
        return self._receipts.outcome(receipt)

    def message_id_reused(self, reception: Reception) -> bool:
        """Tell whether this MSH-10 came from this establishment's application with another content (D-6)."""
        return self._receipts.reused(reception)

    def applied_before(self, reception: Reception) -> list[str]:
        """Return the receipts of the same message that were applied, in the order of their commits (D-6)."""
        key = (reception.establishment, reception.application, reception.message_id, reception.message_digest)
        return [row[0] for row in self._session.all("applied_before", key)]

    def statements_of(self, receipt: str) -> tuple[Statement, ...]:
        """Return the statements that came with a receipt, in their order."""
        return tuple(columns.decode_statement(row[0]) for row in self._session.all("statements_of_receipt", (receipt,)))

    def write_receipt(self, row: ReceiptRow) -> None:
        """Write the outcome of a message; the id must be new."""
        self._receipts.add(row)
        self._writes.receipt(row)

    # -- patients, identifiers, records

    def patient_of(self, authority: str, value: str) -> int | None:
        """Return the patient that an identifier is known to belong to."""
        if (authority, value) not in self._patients:
            raise Unlocked
        return self._patients[authority, value]

    def identifiers_of(self, patient: int) -> list[tuple[str, str]]:
        """Return the (authority, value) of a patient."""
        rows = self._session.all("identifiers_of_patient", (self._rights.require_lock(patient),))
        return [(row[0], row[1]) for row in rows]

    def new_patient(self) -> int:
        """Create a patient without identifiers and without a record."""
        (patient,) = self._session.one("new_patient", (self.at,)) or (0,)
        self._rights.add(patient)
        return int(patient)

    def absorb(self, absorbed: int, into: int) -> None:
        """Say that a patient without INS and record turned out to be another one; what a person must look at goes along."""
        self._rights.require_lock(into)
        self._session.run("merge_patient", (into, self._rights.require_lock(absorbed)))
        self._session.run("move_tasks", (into, absorbed))

    def rights_version(self, patient: int) -> int:
        """Return how many changes of rights and links a patient has seen."""
        return self._rights.version(patient)

    def record_of(self, patient: int) -> RecordRow | None:
        """Return the record of a patient."""
        return self._rights.record(patient)

    def open_record(self, patient: int, values: Sequence[object]) -> None:
        """Open or reopen a record: (channel, consent by, at, place, emergency access, traits as JSON)."""
        self._session.run("open_record", (self._rights.require_lock(patient), self.at, *values))
        self._rights.changed(patient)

    def close_record(self, patient: int) -> None:
        """Close a record."""
        self._session.run("close_record", (self.at, self._rights.require_lock(patient)))
        self._rights.changed(patient)

    # -- statements and bindings

    def write_statement(self, identifier: str, statement: Statement, reception: Reception) -> None:
        """Write a statement; it binds nobody before `bind`."""
        at = datetime.fromisoformat(self.at)
        received_at = datetime.fromisoformat(reception.received_at)
        held = Held(id=identifier, statement=statement, received_at=received_at, committed_at=at, sequence=0)
        self._session.run(
            "write_statement",
            (
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
            ),
        )

    def name_statement(self, identifier: str, authority: str, value: str) -> None:
        """Keep an identifier that a statement came with."""
        self._session.run("name_statement", (identifier, authority, value))

    def bind(self, identifier: str, patient: int, because: str, receipt: str) -> None:
        """Let a statement bind a patient from this commit on, that of the event of `receipt`."""
        self._session.run("bind", (self._rights.require_lock(patient), identifier, self.at, because, receipt))
        self._rights.changed(patient)

    def bindings_of(self, patient: int) -> list[BindingRow]:
        """Return every statement that binds a patient now, in the order of their commits."""
        rows = self._session.all("bindings_of_patient", (self._rights.require_lock(patient),))
        return [BindingRow(statement=row[0], because=row[1], from_at=row[2]) for row in rows]

    def held_by(self, patients: Iterable[int]) -> tuple[Held, ...]:
        """Return the statements that bind any of the patients now, each once."""
        return self._rights.held(patients)

    # -- documents

    def documents(self, patient: int, touched: Touched) -> State:
        """Return the documents and tombstones that a submission is decided on."""
        return self._documents.state(self._rights.require_lock(patient), touched)

    def insert_document(self, patient: int, known: Known, row: DocumentRow) -> None:
        """Write a new document."""
        self._documents.put(self._rights.require_lock(patient), known)
        self._writes.insert_document(patient, known, row)

    def update_document(self, patient: int, known: Known) -> None:
        """Change the state of a document that is there."""
        self._documents.put(self._rights.require_lock(patient), known)
        self._writes.update_document(patient, known)

    def leave_mark(self, patient: int, mark: Mark) -> None:
        """Leave a tombstone for a document that is not there."""
        if self._documents.mark(self._rights.require_lock(patient), mark):
            self._writes.mark(patient, mark)

    def documents_since(self, patient: int, since: datetime, statement: str) -> list[StoredDocument]:
        """Return what was stored for a patient since an instant or a statement, is not deleted, and is not withheld yet."""
        rows = self._session.all("documents_since", (self._rights.require_lock(patient), instant_text(since), statement))
        return [StoredDocument(unique_id=row[0], subject=columns.decode_subject(row[1])) for row in rows]

    def withhold(self, patient: int, unique_id: str) -> None:
        """Withhold a document: an opposition that was stated before its deposit became known after it (O-7)."""
        self._session.run("withhold", (self._rights.require_lock(patient), unique_id))

    def write_source(self, receipt: str, carriers: str, parts: Iterable[tuple[int, str, int, bytes]]) -> None:
        """Write the bytes as received: (index, encoding, size, bytes) of each part."""
        self._writes.source(receipt, carriers, parts)

    # -- refusals, tasks

    def write_refusal(self, receipt: str, values: Sequence[object]) -> None:
        """Write a refusal: (source, establishment, patient, document ids JSON, code, rule, statement)."""
        self._writes.refusal(receipt, values)

    def raise_task(self, kind: str, receipt: str, patient: int | None, document: str | None = None) -> None:
        """List something that a person must look at."""
        self._session.run("raise_task", (self.at, kind, receipt, patient, document))

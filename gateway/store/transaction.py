"""What deposits and events ask of an open transaction, whatever the database behind it: every read and write, named."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from gateway.model.event import Statement
from gateway.model.outcome import Outcome
from gateway.model.submission import Reception
from gateway.rules.deposit import Touched
from gateway.rules.opposition import Held
from gateway.rules.versions import Known, Mark, State
from gateway.store.retention import Keeping
from gateway.store.rows import BindingRow, DocumentRow, ReceiptRow, RecordRow, StoredDocument
from gateway.store.transaction_filing import Filing
from gateway.store.transaction_identity import IdentityRows
from gateway.store.transaction_lanes import Lanes
from gateway.store.transaction_stays import Stays
from gateway.store.transaction_upkeep import Upkeep


class Transaction(Filing, IdentityRows, Lanes, Stays, Upkeep, Keeping, Protocol):
    """
    The reads and writes of one transaction that holds the locks of the patients it decides on (ARCHITECTURE.md).

    A read sees what the same transaction wrote before it: a batch gives the result of one by one (D-13).
    """

    @property
    def at(self) -> str:
        """The instant that this transaction's rows carry, ISO 8601 UTC with microseconds."""
        ...

    # -- receipts

    def outcome_of(self, receipt: str) -> Outcome | None:
        """Return the committed outcome of a receipt (D-6)."""
        ...

    def message_id_reused(self, reception: Reception) -> bool:
        """Tell whether this MSH-10 came from this establishment's application with another content (D-6)."""
        ...

    def applied_before(self, reception: Reception) -> list[str]:
        """Return the receipts of the same message that were applied, in the order of their commits (D-6)."""
        ...

    def statements_of(self, receipt: str) -> tuple[Statement, ...]:
        """Return the statements that came with a receipt, in their order."""
        ...

    def write_receipt(self, row: ReceiptRow) -> None:
        """Write the outcome of a message; the id must be new."""
        ...

    # -- patients, identifiers, records

    def patient_of(self, authority: str, value: str) -> int | None:
        """Return the patient that an identifier is known to belong to."""
        ...

    def identifiers_of(self, patient: int) -> list[tuple[str, str]]:
        """Return the (authority, value) of a patient."""
        ...

    def new_patient(self) -> int:
        """Create a patient without identifiers and without a record."""
        ...

    def absorb(self, absorbed: int, into: int) -> None:
        """Say that a patient without INS and record turned out to be another one; what a person must look at goes along."""
        ...

    def rights_version(self, patient: int) -> int:
        """Return how many changes of rights and links a patient has seen."""
        ...

    def record_of(self, patient: int) -> RecordRow | None:
        """Return the record of a patient."""
        ...

    def open_record(self, patient: int, values: Sequence[object]) -> None:
        """Open or reopen a record: (channel, consent by, at, place, emergency access, traits as JSON)."""
        ...

    def close_record(self, patient: int) -> None:
        """Close a record."""
        ...

    # -- statements and bindings

    def write_statement(self, identifier: str, statement: Statement, reception: Reception) -> None:
        """Write a statement; it binds nobody before `bind`."""
        ...

    def name_statement(self, identifier: str, authority: str, value: str) -> None:
        """Keep an identifier that a statement came with."""
        ...

    def bind(self, identifier: str, patient: int, because: str, receipt: str) -> None:
        """Let a statement bind a patient from this commit on, that of the event of `receipt`."""
        ...

    def bindings_of(self, patient: int) -> list[BindingRow]:
        """Return every statement that binds a patient now, in the order of their commits."""
        ...

    def held_by(self, patients: Iterable[int]) -> tuple[Held, ...]:
        """Return the statements that bind any of the patients now, each once."""
        ...

    # -- documents

    def documents(self, patient: int, touched: Touched) -> State:
        """Return the documents and tombstones that a submission is decided on."""
        ...

    def insert_document(self, patient: int, known: Known, row: DocumentRow) -> None:
        """Write a new document."""
        ...

    def update_document(self, patient: int, known: Known) -> None:
        """Change the state of a document that is there."""
        ...

    def leave_mark(self, patient: int, mark: Mark) -> None:
        """Leave a tombstone for a document that is not there."""
        ...

    def documents_since(self, patient: int, since: datetime, statement: str) -> list[StoredDocument]:
        """
        Return what was stored for a patient since an instant, is not deleted, and is not withheld yet.

        What the trace places after the commit of `statement` was stored since it too, whatever the clock said.
        """
        ...

    def withhold(self, patient: int, unique_id: str) -> None:
        """Withhold a document: an opposition that was stated before its deposit became known after it (O-7)."""
        ...

    def write_source(self, receipt: str, carriers: str, parts: Iterable[tuple[int, str, int, bytes]]) -> None:
        """Write the bytes as received: (index, encoding, size, bytes) of each part."""
        ...

    # -- refusals, tasks

    def write_refusal(self, receipt: str, values: Sequence[object]) -> None:
        """Write a refusal: (source, establishment, patient, document ids JSON, code, rule, statement)."""
        ...

    def raise_task(self, kind: str, receipt: str, patient: int | None, document: str | None = None) -> None:
        """List something that a person must look at."""
        ...

"""Rows as the store reads and writes them, the same for every backend."""

from datetime import UTC, datetime

from gateway.model.base import Model
from gateway.model.outcome import Outcome
from gateway.model.submission import Reception
from gateway.rules.opposition import Subject


class RecordRow(Model, frozen=True, kw_only=True):
    """The record of a patient."""

    state: str
    opened_at: str
    channel: str
    closed_at: str | None = None


class BindingRow(Model, frozen=True, kw_only=True):
    """A statement that binds a patient, and since when."""

    statement: str
    because: str
    from_at: str


class EntryRow(Model, frozen=True, kw_only=True):
    """One entry of a document (D-14)."""

    #: Ordered by time: the bytes of a UUID of version 7.
    id: bytes
    mapper_version: int
    #: The entry as JSON.
    entry: str


class DocumentRow(Model, frozen=True, kw_only=True):
    """What is written of a new document beside what the rules know of it."""

    act: str
    #: Keys of every establishment that its deposit named (D-1).
    establishments: tuple[str, ...]
    #: What oppositions are tested on, should one begin to bind late (O-7).
    subject: Subject
    entry_uuid: str
    #: The document entry as JSON.
    entry: str
    source: str
    #: Index of its bytes among the parts of the deposit; None where they are not kept.
    part: int | None
    #: What was read out of it; none where its bytes are not kept.
    entries: tuple[EntryRow, ...] = ()


class StoredDocument(Model, frozen=True, kw_only=True):
    """What tells whether an opposition binds a document that is stored."""

    unique_id: str
    subject: Subject


class ReceiptRow(Model, frozen=True, kw_only=True):
    """What is written down of a decided message: ids and codes."""

    reception: Reception
    outcome: Outcome
    act: str | None = None
    #: (authority, value) shown in the operator's lists: the INS, else a local id.
    patient: tuple[str, str] | None = None
    document_ids: tuple[str, ...] = ()


class TraceRow(Model, frozen=True, kw_only=True):
    """One line of the trace: who did what to which record, and the rule that allowed or refused it."""

    #: Source id, or `operator`.
    actor: str
    action: str
    receipt: str
    patient: int | None = None
    document: str | None = None
    verdict: str | None = None
    rule: str | None = None
    statement: str | None = None
    rights_version: int | None = None


def instant_text(instant: datetime) -> str:
    """Return an aware instant as every row writes it, so that text sorts as time: ISO 8601, UTC, microseconds."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")

"""What the store shows to an operator: the rows and pages of the command line and, later, of the doors."""

from gateway.model.base import Model
from gateway.model.event import Statement
from gateway.model.outcome import Outcome
from gateway.rules.opposition import Standing


class DepositLine(Model, frozen=True, kw_only=True):
    """
    One line of `deposits list`: ids, codes and times.

    Source: ARCHITECTURE.md.
    """

    id: str
    received_at: str
    door: str
    source: str
    establishment: str
    message_id: str
    document_ids: tuple[str, ...]
    act: str | None
    #: `queued` until decided, then the verdict.
    state: str
    verdict: str | None
    codes: tuple[str, ...]
    #: INS or local id, for the operator.
    patient: str | None


class TraceLine(Model, frozen=True, kw_only=True):
    """One line of the trace of a deposit or a record."""

    sequence: int
    at: str
    actor: str
    action: str
    receipt: str
    document: str | None
    verdict: str | None
    rule: str | None
    statement: str | None


class DepositPage(Model, frozen=True, kw_only=True):
    """`deposits show ID`: the line, the whole outcome, and what was done."""

    deposit: DepositLine
    decided_at: str | None
    message_type: str | None
    outcome: Outcome | None
    trace: tuple[TraceLine, ...] = ()


class ParkedView(Model, frozen=True, kw_only=True):
    """What is parked: ids, codes and times; its bytes stay sealed, and are read by who judges it again alone (D-7)."""

    id: str
    parked_at: str
    received_at: str
    door: str
    source: str
    establishment: str
    message_id: str
    message_type: str | None
    #: INS or local id, for the operator.
    patient: str | None
    code: str
    #: Where in the program it failed: class of the error, file and line.
    place: str
    #: How often it was parked: once more each time that it was delivered again and failed again.
    attempts: int
    #: It is about to be judged again: its patient's rights changed, or it has just been parked.
    review: bool


class StatementLine(Model, frozen=True, kw_only=True):
    """A statement that binds the patient, and whether it is an opposition in force now."""

    id: str
    statement: Statement
    received_at: str
    committed_at: str
    bound_from: str
    because: str
    in_force: bool
    #: What it counts for now.
    standing: Standing
    #: Id of the statement that supersedes or lifts it.
    by: str | None = None


class DocumentLine(Model, frozen=True, kw_only=True):
    """A document of the record: metadata, never its bytes."""

    unique_id: str
    title: str
    type_code: str
    creation_time: str
    version: int | None
    state: str
    owner: str
    masked: bool
    hidden_from_patient: bool
    withheld: bool
    committed_at: str
    receipt: str


class RecordPage(Model, frozen=True, kw_only=True):
    """`record show`: who, the record's state, rights, documents."""

    identifiers: tuple[tuple[str, str], ...]
    state: str
    opened_at: str | None
    closed_at: str | None
    channel: str | None
    statements: tuple[StatementLine, ...]
    documents: tuple[DocumentLine, ...]
    tasks: tuple[str, ...]

"""What a transaction read after it had its locks: a statement each for the whole batch, grouped by patient in memory (D-13)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from gateway.model.outcome import Outcome
from gateway.model.submission import Reception
from gateway.rules.deposit import Touched
from gateway.rules.opposition import Held
from gateway.rules.versions import Known, Mark, State
from gateway.store import columns
from gateway.store.chain import Head, extend
from gateway.store.postgres.locking import Unlocked
from gateway.store.postgres.session import Request, Row, Session
from gateway.store.rows import ReceiptRow, RecordRow, TraceRow

#: (establishment, application, MSH-10).
_MessageId = tuple[str, str, str]
_MESSAGE_COLUMNS: Final = ("establishment", "application", "message_id", "message_digest")

#: What was read, by the name of its statement.
Rows = Mapping[str, Iterable[Row]]


class Receipts:
    """Outcomes and MSH-10 of messages: those of the database, and those that this transaction is about to write."""

    def __init__(self, receptions: Sequence[Reception]) -> None:
        """Keep which messages a transaction is about."""
        self._outcomes: dict[str, Outcome | None] = dict.fromkeys(reception.receipt for reception in receptions)
        self._named = [reception for reception in receptions if reception.message_id]
        self._reused: set[str] = set()
        self._digests: defaultdict[_MessageId, set[str]] = defaultdict(set)

    def wanted(self) -> Iterator[Request]:
        """Return what is to be read."""
        if self._outcomes:
            yield "read_receipts", (list(self._outcomes),)
        if self._named:
            columns = ([getattr(reception, name) for reception in self._named] for name in _MESSAGE_COLUMNS)
            yield "read_reused_message_ids", tuple(columns)

    def take(self, found: Rows) -> None:
        """Take what was read."""
        self._outcomes.update((row[0], columns.decode_outcome(row[1])) for row in found.get("read_receipts", ()))
        self._reused = {self._named[row[0] - 1].receipt for row in found.get("read_reused_message_ids", ())}

    def outcome(self, receipt: str) -> Outcome | None:
        """Return the outcome of a receipt of this transaction."""
        if receipt not in self._outcomes:
            raise Unlocked
        return self._outcomes[receipt]

    def reused(self, reception: Reception) -> bool:
        """Tell whether this MSH-10 came with another content."""
        before = self._digests.get(_message_id(reception), set())
        return reception.receipt in self._reused or any(digest != reception.message_digest for digest in before)

    def add(self, row: ReceiptRow) -> None:
        """Let a receipt that is about to be written count for what follows."""
        self._outcomes[row.reception.receipt] = row.outcome
        self._digests[_message_id(row.reception)].add(row.reception.message_digest)

    def remove(self, receipt: str) -> None:
        """Forget a receipt."""
        self._outcomes[receipt] = None


class Rights:
    """Records and statements of the locked patients; what this transaction changes is read again."""

    def __init__(self, session: Session, locked: Iterable[int]) -> None:
        """Keep who is locked."""
        self._session = session
        self._locked = set(locked)
        self._records: dict[int, tuple[int, RecordRow | None]] = {}
        self._held: dict[int, list[Held]] = {}
        #: Heads of the chains of the trace, as the database has them, and as this transaction leaves them.
        self._heads: dict[int, Head] = {}
        self._extended: dict[int, Head] = {}

    def wanted(self) -> Iterator[Request]:
        """Return what is to be read."""
        if self._locked:
            yield "read_records", (sorted(self._locked),)
            yield "read_statements", (sorted(self._locked),)

    def take(self, found: Rows) -> None:
        """Take what was read."""
        self._take_records(found.get("read_records", []))
        self._take_held(self._locked, found.get("read_statements", []))

    def require_lock(self, patient: int) -> int:
        """Return the patient, if this transaction holds its lock."""
        if patient not in self._locked:
            raise Unlocked
        return patient

    def add(self, patient: int) -> None:
        """Take a patient that this transaction made: nobody else sees it."""
        self._locked.add(patient)

    def record(self, patient: int) -> RecordRow | None:
        """Return the record of a patient."""
        return self._known(patient)[1]

    def version(self, patient: int) -> int:
        """Return how many changes of rights a patient has seen."""
        return self._known(patient)[0]

    def held(self, patients: Iterable[int]) -> tuple[Held, ...]:
        """Return the statements that bind any of the patients, each once, in the order of their commits."""
        asked = {self.require_lock(patient) for patient in patients}
        again = asked - self._held.keys()
        if again:
            self._take_held(again, self._session.all("read_statements", (sorted(again),)))
        found = {known.id: known for patient in asked for known in self._held[patient]}
        return tuple(sorted(found.values(), key=lambda known: known.sequence))

    def changed(self, patient: int) -> None:
        """Read a patient's record and statements again when they are asked for."""
        self._records.pop(patient, None)
        self._held.pop(patient, None)

    def extend(self, patient: int, at: str, row: TraceRow) -> Head:
        """Chain a line to the patient's trace and return its new head (R-35)."""
        if self.require_lock(patient) not in self._heads:
            self._take_records(self._session.all("read_records", ([patient],)))
        self._extended[patient] = head = extend(self._extended.get(patient, self._heads[patient]), at, row)
        return head

    def flush_heads(self) -> None:
        """Write the heads of the chains that grew, in one statement."""
        if self._extended:
            patients = sorted(self._extended)
            heads = [self._extended[patient] for patient in patients]
            lengths, hashes = [head.length for head in heads], [head.hash for head in heads]
            self._session.run("update_trace_heads", (patients, lengths, hashes))

    def _known(self, patient: int) -> tuple[int, RecordRow | None]:
        if self.require_lock(patient) not in self._records:
            self._take_records(self._session.all("read_records", ([patient],)))
        return self._records[patient]

    def _take_records(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._records[row[0]] = (row[1], None if row[4] is None else columns.record(row[4:]))
            self._heads.setdefault(row[0], Head(length=row[2], hash=row[3]))

    def _take_held(self, patients: Iterable[int], rows: Iterable[Row]) -> None:
        self._held.update({patient: [] for patient in patients})
        decoded: dict[str, Held] = {}
        for row in rows:
            if row[1] not in decoded:
                decoded[row[1]] = columns.held(row[1:])
            self._held[row[0]].append(decoded[row[1]])


class Documents:
    """Documents and tombstones that the deposits of a transaction touch, as the former ones of the batch leave them."""

    def __init__(self, touched: Sequence[tuple[int, Touched]]) -> None:
        """Keep which documents a transaction touches."""
        self._ids = {(patient, unique_id) for patient, each in touched for unique_id in each.unique_ids}
        self._sets = {(patient, *key) for patient, each in touched for key in each.sets}
        self._documents: dict[tuple[int, str], Known] = {}
        self._of_sets: defaultdict[tuple[int, str, str], set[str]] = defaultdict(set)
        self._marks: defaultdict[tuple[int, str], list[Mark]] = defaultdict(list)

    def wanted(self) -> Iterator[Request]:
        """Return what is to be read."""
        if self._ids:
            names = _columns(self._ids)
            yield "read_documents", names
            yield "read_marks", names
        if self._sets:
            yield "read_documents_of_sets", _columns(self._sets)

    def take(self, found: Rows) -> None:
        """Take what was read."""
        for row in (*found.get("read_documents", ()), *found.get("read_documents_of_sets", ())):
            self.put(row[0], columns.known(row[1:]))
        for row in found.get("read_marks", ()):
            self.mark(row[0], columns.mark(row[1:]))

    def state(self, patient: int, touched: Touched) -> State:
        """Return what a submission is decided on."""
        names = {(patient, unique_id) for unique_id in touched.unique_ids}
        sets = {(patient, *key) for key in touched.sets}
        if not (names <= self._ids and sets <= self._sets):
            raise Unlocked
        wanted = {*touched.unique_ids, *(unique_id for key in sets for unique_id in self._of_sets[key])}
        there = (self._documents.get((patient, unique_id)) for unique_id in sorted(wanted))
        marks = (known for key in sorted(names) for known in self._marks[key])
        return State(known=tuple(known for known in there if known is not None), marks=tuple(marks))

    def put(self, patient: int, known: Known) -> None:
        """Let a document that is about to be written count for what follows."""
        self._documents[patient, known.unique_id] = known
        if known.set_id is not None:
            self._of_sets[patient, known.owner, known.set_id].add(known.unique_id)

    def mark(self, patient: int, mark: Mark) -> bool:
        """Let a tombstone count for what follows; tell whether it is new."""
        there = self._marks[patient, mark.unique_id]
        if any((known.owner, known.kind) == (mark.owner, mark.kind) for known in there):
            return False
        there.append(mark)
        there.sort(key=lambda known: (known.owner, known.kind))
        return True

    def get(self, patient: int, unique_id: str) -> Known:
        """Return a document as it is now."""
        return self._documents[patient, unique_id]


def _columns(rows: Iterable[tuple[object, ...]]) -> tuple[list[object], ...]:
    """Return sorted rows as columns."""
    return tuple(list(column) for column in zip(*sorted(rows), strict=True))


def _message_id(reception: Reception) -> _MessageId:
    return (reception.establishment, reception.application, reception.message_id)

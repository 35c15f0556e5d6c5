"""
What the record must say after each step, told a second time and without the rules' code: a few dictionaries.

A person is a set of identifiers, with what was said about them and what was filed for them. Statements weigh by series, documents
by three facts (who names it, what stands above it in its set, whether it was deleted), receipts by their ids. Everything is put
in the order of commits; no clock but the instants handed in.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from gateway.model.event import (
    FileMerge,
    MergeUndo,
    PatientEvent,
    Position,
    RecordClosing,
    RecordEvent,
    RecordOpening,
    Scope,
    Side,
    Statement,
)
from gateway.model.patient import PatientId
from gateway.model.submission import Act, Deposit, Reception
from gateway.model.verdict import Verdict

Key = tuple[str, str]

_PARIS: Final = ZoneInfo("Europe/Paris")
_STRONGEST: Final = (Verdict.STORED, Verdict.REPLACED, Verdict.DELETED, Verdict.DUPLICATE)


class Expected(NamedTuple):
    """What became of a message; the code is that of a refusal."""

    verdict: Verdict
    code: str | None = None


@dataclass
class Said:
    """A statement with the instant that counts in its series."""

    id: str
    statement: Statement
    received_at: datetime
    instant: datetime
    #: What it came by.
    keys: frozenset[Key]
    #: The instant as it was written, though it lie ahead of the reception.
    written: datetime

    @property
    def opposes(self) -> bool:
        return self.statement.position is Position.OPPOSES

    @property
    def series(self) -> tuple[object, ...]:
        said = self.statement
        collector = said.collected_by if said.side is Side.ESTABLISHMENT else None
        return (said.right, said.side, collector, said.scope, self.about)

    @property
    def about(self) -> str | None:
        said = self.statement
        return said.scope_value or (said.collected_by if said.scope is Scope.ESTABLISHMENT else None)

    @property
    def weight(self) -> tuple[datetime, bool, datetime, str]:
        """At one instant the opposition is the later one."""
        return (self.instant, self.opposes, self.received_at, self.id)

    def answers(self, other: "Said") -> bool:
        """An allowance after an opposition; what was written and received later is no earlier word, whatever our clock says."""
        later = self.received_at > other.received_at or self.instant > other.written
        return not self.opposes and other.opposes and self.weight > other.weight and later

    def lifts(self, other: "Said") -> bool:
        """The patient's own later allowance that names an establishment, against what that establishment opposed as a whole."""
        mine, its = self.statement, other.statement
        return (
            not self.opposes
            and (mine.side, mine.scope, mine.scope_value) == (Side.PATIENT, Scope.ESTABLISHMENT, its.collected_by)
            and its.side is Side.ESTABLISHMENT
            and its.scope in {Scope.ALL, Scope.ESTABLISHMENT}
            and self.answers(other)
        )

    def binds(self, establishments: tuple[str, ...], type_code: str, class_code: str | None) -> bool:
        said = self.statement
        if said.side is Side.ESTABLISHMENT and said.collected_by not in establishments:
            return False
        match said.scope:
            case Scope.ALL:
                return True
            case Scope.ESTABLISHMENT:
                return self.about in establishments
            case Scope.CLASS:
                return class_code is not None and said.scope_value == class_code
            case Scope.TYPE:
                return said.scope_value == type_code


@dataclass
class Filed:
    """A document as the record holds it."""

    owner: str
    set_id: str | None
    version: int | None
    content: tuple[str, tuple[bool, bool, bool]]
    state: str


@dataclass
class Documents:
    """What is filed for one person, and what was asked of documents that may not be there yet, by (owner, id)."""

    filed: dict[str, Filed] = field(default_factory=dict)
    named: dict[Key, str] = field(default_factory=dict)
    deleted: set[Key] = field(default_factory=set)

    def copy(self) -> "Documents":
        filed = {name: dataclasses.replace(each) for name, each in self.filed.items()}
        return Documents(filed, dict(self.named), set(self.deleted))

    def states(self) -> dict[str, str]:
        return {name: filed.state for name, filed in self.filed.items()}


@dataclass(eq=False)
class Person:
    """Identifiers known to be one person's."""

    keys: set[Key] = field(default_factory=set)
    record: str | None = None
    said: dict[str, Said] = field(default_factory=dict)
    #: What ever bound this person, ended bindings included.
    ever: dict[str, Said] = field(default_factory=dict)
    #: Who this person turned out to be: by a link, or by the merge that is named.
    into: "Person | None" = None
    merge: str | None = None
    #: The merge that closed the record, if nothing else did since.
    closed_by: str | None = None
    #: How many messages came before the patient closed it.
    closed_after: int = 0
    documents: Documents = field(default_factory=Documents)

    def bind(self, said: dict[str, Said]) -> None:
        """Let statements bind this person from now on."""
        self.said |= said
        self.ever |= said

    def in_force(self, now: datetime) -> list[Said]:
        """The oppositions that count: latest of their series, and not lifted by the patient."""
        effective = [said for said in self.said.values() if said.opposes or said.instant <= now]
        latest: dict[tuple[object, ...], Said] = {}
        for said in sorted(effective, key=lambda each: each.weight):
            if said.opposes and any(each.series == said.series and each.answers(said) for each in effective):
                continue
            if said.opposes or not (said.series in latest and latest[said.series].opposes):
                latest[said.series] = said
        return [said for said in latest.values() if said.opposes and not any(each.lifts(said) for each in effective)]


class Reference:
    """The record as it must be."""

    def __init__(self, ins_authority: str) -> None:
        self._ins = ins_authority
        self.person: dict[Key, Person] = {}
        self.receipts: dict[str, Expected] = {}
        #: (establishment, application, MSH-10, digest) → receipts that were applied under it, with what they stated.
        self._applied: dict[tuple[str, ...], list[tuple[str, tuple[Statement, ...]]]] = {}

    # -- what is asked of it

    def known(self, identifiers: Iterable[PatientId]) -> list[Person]:
        """The persons that identifiers lead to, each once."""
        return list(dict.fromkeys(self.person[each.key] for each in identifiers if each.key in self.person))

    def partition(self) -> set[frozenset[Key]]:
        """Which identifiers are one person's."""
        return {frozenset(person.keys) for person in self.person.values()}

    def of(self, identifier: PatientId) -> Person | None:
        return self.person.get(identifier.key)

    def opposed(self, deposit: Deposit, now: datetime) -> bool:
        """Whether any document of the deposit would be refused by an opposition now."""
        submission = deposit.submission
        return any(
            self._opposed(deposit, document.entry.type_code.code, _class(document), now) for document in submission.documents
        )

    # -- deposits

    def deposit(self, deposit: Deposit, now: datetime) -> Expected:
        """Apply a deposit; a receipt that was decided, parked excepted, keeps its outcome."""
        receipt = deposit.reception.receipt
        before = self.receipts.get(receipt)
        if before is not None and before.verdict is not Verdict.PARKED:
            return before
        self.receipts[receipt] = expected = self._decide(deposit, now)
        return expected

    def park(self, receipt: str) -> Expected:
        """Keep a deposit that cannot be applied."""
        return self.receipts.setdefault(receipt, Expected(Verdict.PARKED))

    def reviewed(self, deposit: Deposit, now: datetime) -> Expected | None:
        """What would refuse a parked deposit now, if anything would."""
        expected = self._decide(deposit, now, keep=False)
        return expected if expected.verdict is Verdict.REFUSED else None

    def review(self, deposit: Deposit, now: datetime) -> Expected | None:
        """Judge a parked deposit again: refused for whatever reason, or it stays where it is."""
        receipt = deposit.reception.receipt
        refused = self.reviewed(deposit, now) if self.receipts.get(receipt) == Expected(Verdict.PARKED) else None
        if refused is not None:
            self.receipts[receipt] = refused
        return refused

    def _decide(self, deposit: Deposit, now: datetime, *, keep: bool = True) -> Expected:
        submission = deposit.submission
        ins = next((each for each in submission.patient.identifiers if each.authority == self._ins), None)
        person = None if ins is None else self.person.get(ins.key)
        trial = person.documents.copy() if person is not None else Documents()
        verdicts: list[Verdict] = []
        refused: str | None = None
        for document in submission.documents:
            found = self._document(deposit, document, person, trial, now)
            if isinstance(found, Verdict):
                verdicts.append(found)
            else:
                refused = refused or found
        if refused is not None:
            return Expected(Verdict.REFUSED, refused)
        if person is not None and keep:
            person.documents = trial
        return Expected(min(verdicts, key=_STRONGEST.index))

    def _opposed(self, deposit: Deposit, type_code: str, class_code: str | None, now: datetime) -> bool:
        establishments = deposit.submission.establishments
        return any(
            said.binds(establishments, type_code, class_code)
            for person in self.known(deposit.submission.identifiers)
            for said in person.in_force(now)
        )

    def _document(self, deposit, document, person: Person | None, filed: Documents, now: datetime) -> Verdict | str:
        """Return the verdict of one document, or the code that refuses it."""
        submission, entry = deposit.submission, document.entry
        owner, name, adds = submission.establishments[0], entry.unique_id, submission.act is not Act.DELETE
        there = filed.filed.get(name)
        content = (entry.digest, submission.flags.visibility)
        if adds and there is not None and there.owner == owner:
            return Verdict.DUPLICATE if there.content == content else "OTHER_CONTENT"
        if person is None or person.record is None:
            return "RECORD_ABSENT"
        if adds and person.record == "closed":
            return "RECORD_CLOSED"
        if adds and self._opposed(deposit, entry.type_code.code, _class(document), now):
            return "OPPOSED"
        if there is not None and there.owner != owner:
            return "NOT_AUTHOR"
        if not adds:
            return _delete(filed, owner, name)
        parents = [parent for parent in dict.fromkeys(entry.replaces) if parent != name]
        if any(parent in filed.filed and filed.filed[parent].owner != owner for parent in parents):
            return "NOT_AUTHOR"
        if any(filed.named.get((owner, parent), name) != name for parent in parents):
            return "VERSION_STALE"
        peers = [
            each for each in filed.filed.items() if entry.set_id and (each[1].owner, each[1].set_id) == (owner, entry.set_id)
        ]
        if entry.version is not None and any(peer.version == entry.version for _, peer in peers):
            return "VERSION_STALE"
        return _file(filed, name, parents, peers, Filed(owner, entry.set_id, entry.version, content, "current"))

    # -- events

    def event(self, reception: Reception, event: RecordEvent, now: datetime) -> Expected:
        """Apply an event; the same message again is a duplicate where it would say nothing new."""
        if reception.receipt in self.receipts:
            return self.receipts[reception.receipt]
        message = (reception.establishment, reception.application, reception.message_id, reception.message_digest)
        stated = event.statements if isinstance(event, PatientEvent) else ()
        if reception.message_id and self._repeated(message, stated, event, reception, now):
            expected = Expected(Verdict.DUPLICATE)
        else:
            match event:
                case PatientEvent():
                    expected = self._patient_event(reception, event)
                case RecordOpening():
                    expected = self._open(event)
                case RecordClosing():
                    expected = self._close(event)
                case FileMerge():
                    expected = self._merge(reception.receipt, event, now)
                case MergeUndo():
                    expected = self._undo(event, now)
                case _:
                    raise NotImplementedError(type(event).__name__)
            if expected.verdict is Verdict.APPLIED:
                self._applied.setdefault(message, []).append((reception.receipt, stated))
        self.receipts[reception.receipt] = expected
        return expected

    def _repeated(self, message: tuple[str, ...], stated, event: RecordEvent, reception: Reception, now: datetime) -> bool:
        before = [receipt for receipt, said in self._applied.get(message, ()) if said == stated]
        opposing = [n for n, statement in enumerate(stated, 1) if statement.position is Position.OPPOSES]
        persons = self.known(event.identifiers)
        return any(
            all(_says_nothing_new(person, f"{receipt}.{n}", reception, now) for person in persons for n in opposing)
            for receipt in before
        )

    def _patient_event(self, reception: Reception, event: PatientEvent) -> Expected:
        persons = self._persons(event)
        received = datetime.fromisoformat(reception.received_at)
        keys = frozenset(identifier.key for identifier in event.identifiers)
        for number, statement in enumerate(event.statements, 1):
            written = received if statement.collected_at is None else _span(statement.collected_at.written)[1]
            said = Said(f"{reception.receipt}.{number}", statement, received, _instant(statement, received), keys, written)
            for person in persons:
                person.bind({said.id: said})
        return Expected(Verdict.APPLIED)

    def _persons(self, event: PatientEvent) -> list[Person]:
        present = self.known(event.identifiers)
        if not event.links or not self._joined(event.identifiers, present):
            for identifier in event.identifiers:
                self.person.setdefault(identifier.key, Person({identifier.key}))
            return self.known(event.identifiers)
        target = next((person for person in present if self._anchored(person)), present[0] if present else Person())
        for person in present:
            if person is not target:
                self._move(person.keys, person, target)
                target.bind(person.said)
                person.into = target
        self._name(event.identifiers, target)
        return [target]

    def _name(self, identifiers: Iterable[PatientId], person: Person) -> int:
        """Let identifiers that lead nowhere name a person; return how many."""
        unknown = [each.key for each in identifiers if each.key not in self.person]
        self.person |= dict.fromkeys(unknown, person)
        person.keys |= set(unknown)
        return len(unknown)

    def _move(self, keys: set[Key], person: Person, to: Person) -> None:
        moved = set(keys)
        self.person |= dict.fromkeys(moved, to)
        person.keys -= moved
        to.keys |= moved

    def _anchored(self, person: Person) -> bool:
        return person.record is not None or any(authority == self._ins for authority, _ in person.keys)

    def _joined(self, identifiers: tuple[PatientId, ...], present: list[Person]) -> bool:
        """Whether a message may say that these are one person: never two INS, never two records."""
        anchored = [person for person in present if self._anchored(person)]
        held = {key for person in anchored for key in person.keys if key[0] == self._ins}
        arriving = {each.key for each in identifiers if each.authority == self._ins}
        return len(anchored) < 2 and (arriving <= held or len(held | arriving) < 2)

    def _merge(self, receipt: str, event: FileMerge, now: datetime) -> Expected:
        raise NotImplementedError

    def _undo(self, event: MergeUndo, now: datetime) -> Expected:
        raise NotImplementedError

    def _open(self, event: RecordOpening) -> Expected:
        (identifier,) = event.identifiers
        person = self.person.setdefault(identifier.key, Person({identifier.key}))
        before, person.record, person.closed_by = person.record, "open", None
        return Expected(Verdict.UNCHANGED if before == "open" else Verdict.APPLIED)

    def _close(self, event: RecordClosing) -> Expected:
        (identifier,) = event.identifiers
        person = self.person.get(identifier.key)
        if person is None or person.record is None:
            return Expected(Verdict.REFUSED, "RECORD_ABSENT")
        if person.record == "closed" and person.closed_by is None:
            return Expected(Verdict.UNCHANGED)
        # One that a merge closed is closed by the patient from now on.
        person.record, person.closed_by, person.closed_after = "closed", None, len(self.receipts)
        return Expected(Verdict.APPLIED)


def _says_nothing_new(person: Person, identifier: str, reception: Reception, now: datetime) -> bool:
    """Whether an opposition stated before still counts, or would not be moved by its new reception."""
    said = person.said.get(identifier)
    if said is None:
        return False
    in_force = any(each.id == identifier for each in person.in_force(now))
    return in_force or _instant(said.statement, datetime.fromisoformat(reception.received_at)) == said.instant


def _delete(filed: Documents, owner: str, name: str) -> Verdict | str:
    there = filed.filed.get(name)
    if (owner, name) in filed.deleted:
        return Verdict.DUPLICATE
    if (owner, name) in filed.named:
        return "VERSION_STALE"
    filed.deleted.add((owner, name))
    if there is not None:
        there.state = "deleted"
    return Verdict.DELETED


def _file(filed: Documents, name: str, parents: list[str], peers: list[tuple[str, Filed]], new: Filed) -> Verdict:
    owner = new.owner
    over_it = [other for other, peer in peers if None not in (peer.version, new.version) and peer.version > new.version]
    continues = any(other in parents and peer.state == "current" for other, peer in peers)
    if (owner, name) in filed.deleted:
        new.state = "deleted"
    elif (owner, name) in filed.named or (over_it and not continues):
        new.state = "replaced"
    for parent in parents:
        filed.named[owner, parent] = name
        if parent in filed.filed and filed.filed[parent].state == "current":
            filed.filed[parent].state = "replaced"
    for other, peer in peers:
        below = None not in (peer.version, new.version) and peer.version < new.version
        if below and peer.state == "current" and filed.named.get((owner, name)) != other:
            peer.state = "replaced"
    filed.filed[name] = new
    return {"current": Verdict.STORED, "replaced": Verdict.REPLACED, "deleted": Verdict.DELETED}[new.state]


def _class(document) -> str | None:
    return None if document.entry.class_code is None else document.entry.class_code.code


def _instant(statement: Statement, received: datetime) -> datetime:
    """An opposition counts from the last instant that its date can mean, at most its reception; an allowance from the first."""
    if statement.collected_at is None:
        return received
    first, last = _span(statement.collected_at.written)
    return min(last, received) if statement.position is Position.OPPOSES else first


def _span(written: str) -> tuple[datetime, datetime]:
    digits, sign, zone = written.partition("+")
    form = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}[len(digits)]
    first = datetime.strptime(digits, form).replace(tzinfo=UTC if sign else _PARIS)
    assert zone in {"", "0000"}
    if len(digits) == 14:
        return first.astimezone(UTC), first.astimezone(UTC)
    after = (first + timedelta(days=1)) if len(digits) == 8 else first.astimezone(UTC) + timedelta(minutes=1)
    return first.astimezone(UTC), after.astimezone(UTC) - timedelta(microseconds=1)

"""
The store and a reference of it, step by step, whatever comes: statements, links, merges, deposits, parking, deaths, clocks.

The reference (`tests/harness/reference.py`) knows nothing of the rules' code. After each step both agree on what was answered, on
whose identifiers are whose, on the state of every document, and on who is opposed.
"""

import itertools
import sqlite3
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from gateway.model.event import FileMerge, MergeUndo, Position, RecordEvent, Scope
from gateway.model.outcome import Outcome
from gateway.model.patient import PatientId
from gateway.model.ports import Unavailable
from gateway.model.submission import Act, Deposit, Flags, Reception
from gateway.model.verdict import Verdict
from gateway.store.port import Transient
from gateway.store.sqlite.store import SqliteStore
from gateway.telemetry import points
from tests.contract.store.backends import BACKENDS, EXAMPLES, SCRATCH, Bench, Postgres
from tests.harness.examples import examples
from tests.harness.merges import Merging
from tests.harness.reference import Expected, Filed, Person
from tests.strategies import records
from tests.strategies.records import ALICE, BORIS, H1, H2, adt, local, stated

PEOPLE = tuple((ins, local(H1, str(n)), local(H2, str(n))) for n, ins in enumerate((ALICE, BORIS), 1))
EVERY = tuple(itertools.chain.from_iterable(PEOPLE))
SCOPES = ((None, Scope.ESTABLISHMENT, H1), (None, Scope.CLASS, "60"), (None, Scope.TYPE, "51969-4"))
SAYING = ((H1, Scope.ALL, None), (H2, Scope.ALL, None), (None, Scope.ALL, None), *SCOPES)
DATES = st.one_of(st.none(), st.integers(-30, 30), st.sampled_from(("20260310", "20260311", "20620310")))

#: Where a process may die: in the transaction, at its end, behind it.
DEATHS = {
    "sqlite": ("store.lock.granted", "store.begun", "store.decided", "store.written", "store.commit.asked", "store.committed"),
    "postgres": ("sql.lock_patients", "store.begun", "store.decided", "store.written", "sql.commit", "store.committed"),
}


class Death(BaseException):
    """The process dies here."""


class Machine(RuleBasedStateMachine):
    """Two people, two establishments, and all that may happen to their records."""

    backend = "sqlite"

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=SCRATCH)
        self.bench: Bench = BACKENDS[self.backend](Path(self.folder.name), lasting=True)
        self.reference = Merging(ALICE.authority)
        #: Receipt → what was sent under it.
        self.sent: dict[str, Deposit | tuple[Reception, RecordEvent]] = {}
        self.dead: list[Any] = []
        self.looking: psycopg.Connection | None = None
        self.number = 0
        for person in PEOPLE:
            self.submit(records.opening(person[0]))

    def teardown(self) -> None:
        points.hooks.clear()
        if hasattr(self, "bench"):
            if self.looking is not None:
                self.looking.close()
            assert self.bench.against() == []
            self.bench.close()
            for store in self.dead:
                store.close()
            self.folder.cleanup()

    # -- what is asked of both

    def submit(self, event: RecordEvent, establishment: str = H1, **message: Any) -> Outcome:
        taken = records.reception(self.bench.receipt(), self.bench.clock.now(), establishment=establishment, **message)
        self.sent[taken.receipt] = (taken, event)
        return self.resubmit(taken, event)

    def resubmit(self, taken: Reception, event: RecordEvent) -> Outcome:
        outcome: Outcome = self.alive(lambda: self.bench.submit(taken, event))
        self.agree(outcome, self.reference.event(taken, event, _at(outcome)))
        return outcome

    def apply(self, *batch: Deposit) -> list[Outcome]:
        self.sent |= {each.reception.receipt: each for each in batch}
        outcomes: list[Outcome] = self.alive(lambda: self.bench.apply(*batch))
        for deposit, outcome in zip(batch, outcomes, strict=True):
            self.agree(outcome, self.reference.deposit(deposit, _at(outcome)))
        return outcomes

    def alive(self, call: Callable[[], Any]) -> Any:
        """Call, as a worker and a sender do: again after a death and while the store is away."""
        for _ in range(20):
            try:
                return call()
            except Death:
                self.die()
            except (Transient, Unavailable):
                points.hooks.clear()
        raise AssertionError("the store stays away")

    def die(self) -> None:
        """The process ends where it stands and another one opens what it left."""
        points.hooks.clear()
        self.dead.append(self.bench.store)
        self.bench.store = self.bench._start()
        if isinstance(self.dead[-1], SqliteStore):
            self.dead.pop().close()

    def agree(self, outcome: Outcome, expected: Expected) -> None:
        code = outcome.problems[0].code if outcome.verdict is Verdict.REFUSED else None
        assert Expected(outcome.verdict, code) == expected

    def deposit(self, carried: tuple[PatientId, ...], establishments: tuple[str, ...], **facts: Any) -> Deposit:
        return self.bench.deposit(patient=carried, establishments=establishments, **facts)

    # -- what happens

    @rule(who=st.sampled_from(PEOPLE), sure=st.integers(0, 4))
    def opens_or_closes(self, who: tuple[PatientId, ...], sure: int) -> None:
        self.submit(records.closing(who[0]) if sure == 0 else records.opening(who[0]))

    @rule(
        who=st.sampled_from(PEOPLE),
        which=st.sets(st.integers(0, 2), min_size=1),
        links=st.booleans(),
        says=st.sampled_from(SAYING),
        position=st.sampled_from((*Position, None)),
        date=DATES,
    )
    def states(self, *, who: Any, which: set[int], links: bool, says: Any, position: Any, date: Any) -> None:
        """An ADT: identifiers of one person, perhaps joined, perhaps a statement with a date behind or ahead, or none."""
        now = self.bench.clock.now()
        at = (now + timedelta(minutes=date)).strftime("%Y%m%d%H%M%S+0000") if isinstance(date, int) else date
        side, scope, value = says
        said = () if position is None else (stated(position, side, at=at, scope=scope, value=value),)
        self.submit(adt(*said, patient=tuple(who[n] for n in sorted(which)), links=links))

    @rule(named=st.lists(st.sampled_from(EVERY), min_size=2, max_size=3, unique=True))
    def mixes_up(self, named: list[PatientId]) -> None:
        """Identifiers of two people in one message."""
        self.submit(adt(patient=tuple(named)))

    @rule(data=st.data())
    def deposits(self, data: st.DataObject) -> None:
        self.apply(*(self.drawn(data) for _ in range(data.draw(st.integers(1, 3)))))

    def drawn(self, data: st.DataObject, **facts: Any) -> Deposit:
        """A deposit of few ids and versions of a person: duplicates, replacements and deletions meet."""
        draw = data.draw
        number = draw(st.integers(0, len(PEOPLE) - 1))
        who, one = PEOPLE[number], draw(st.integers(1, 4))
        act = draw(st.sampled_from((Act.ADD, Act.ADD, Act.REPLACE, Act.DELETE)))
        names = [f"1.{number}.{each}" for each in (one, one + 1)[: 1 + draw(st.booleans())]]
        sent = {
            "act": act,
            "documents": tuple((name, name.encode() + draw(st.sampled_from((b"", b"", b"!")))) for name in names),
            "set_id": draw(st.sampled_from((None, f"9.{number}"))) if len(names) == 1 else None,
            "version": draw(st.integers(1, 4)),
            "replaces": (f"1.{number}.{draw(st.integers(1, 4))}",) if act is Act.REPLACE else (),
            "type_code": draw(st.sampled_from(("11502-2", "51969-4"))),
            "class_code": draw(st.sampled_from((None, "60"))),
            "flags": Flags(masque_ps=draw(st.sampled_from((False, False, False, True)))),
        }
        carried = (who[0], *draw(st.lists(st.sampled_from(who[1:]), max_size=1)))
        establishments = draw(st.sampled_from(((H1,), (H1,), (H2,), (H1, H2))))
        return self.deposit(carried, establishments, **{**sent, **facts})

    @rule(number=st.integers(0, 10_000), copies=st.integers(1, 2))
    def comes_again(self, number: int, copies: int) -> None:
        """Something that was sent before, under its own receipt or, resent by its sender, under a new one."""
        receipt = list(self.sent)[number % len(self.sent)]
        again = self.sent[receipt]
        for _ in range(copies):
            if isinstance(again, Deposit):
                self.apply(again)
            else:
                self.resubmit(*again)

    @rule(number=st.integers(0, 10_000))
    def is_resent(self, number: int) -> None:
        """A message that its sender sends once more: another receipt, the same message."""
        again = self.sent[list(self.sent)[number % len(self.sent)]]
        now = self.bench.clock.now().isoformat(timespec="microseconds")
        receipt = self.bench.receipt()
        if isinstance(again, Deposit):
            taken = msgspec.structs.replace(again.reception, receipt=receipt, received_at=now)
            self.apply(msgspec.structs.replace(again, reception=taken))
        elif not isinstance(again[1], FileMerge | MergeUndo):
            taken = msgspec.structs.replace(again[0], receipt=receipt, received_at=now)
            self.sent[receipt] = (taken, again[1])
            self.resubmit(taken, again[1])

    # -- parking

    @rule(data=st.data())
    def is_parked(self, data: st.DataObject) -> None:
        parked = self.drawn(data)
        self.sent[parked.reception.receipt] = parked
        self.agree(self.alive(lambda: self.bench.park(parked)), self.reference.park(parked.reception.receipt))

    @rule()
    def what_is_parked_is_judged(self) -> None:
        for receipt, _ in self.bench.store.awaiting_review(20):
            parked = self.sent[receipt]
            assert isinstance(parked, Deposit)
            before = self.bench.clock.now()
            outcome = self.bench.store.review(parked)
            expected = self.reference.review(parked, before)
            assert (None if outcome is None else outcome.verdict) == (None if expected is None else expected.verdict)

    # -- two files of one person

    @rule(kept=st.sampled_from(EVERY), gone=st.sampled_from(EVERY), signed=st.booleans())
    def become_one(self, kept: PatientId, gone: PatientId, *, signed: bool) -> None:
        if kept != gone:
            before = self.documents()
            self.submit(FileMerge(trigger="A40", identifiers=(kept,), absorbed=(gone,), signed_by=("a", "b") if signed else ()))
            self.refile(before)

    @rule(says=st.sampled_from(SAYING[:4]), first=st.integers(0, 1))
    def become_one_of_two_minds(self, says: Any, first: int) -> None:
        """One opposed, the other allowed the same later; two persons sign that they are one."""
        side, scope, value = says
        for who, position in zip((PEOPLE[first], PEOPLE[1 - first]), Position, strict=True):
            said = stated(position, side, at=None, scope=scope, value=value)
            self.submit(adt(said, patient=who[:1]))
        self.become_one(PEOPLE[0][0], PEOPLE[1][0], signed=True)

    @precondition(lambda self: getattr(self, "reference", None) and self.reference.merges)
    @rule(number=st.integers(0, 100))
    def become_two(self, number: int) -> None:
        before = self.documents()
        merged = list(self.reference.merges.values())[number % len(self.reference.merges)]
        named = tuple(PatientId(authority=authority, value=value) for authority, value in sorted(merged.survivor.keys))
        if named:
            self.submit(MergeUndo(identifiers=named, merge=merged.id, signed_by=("a", "b")))
            self.refile(before)

    def refile(self, before: dict[Person, dict[str, str]]) -> None:
        """None is lost and none changes its state; in whose record each lies now, the reference takes over."""
        after = self.documents()
        # One that both sides had stays with each: it is seen once as long as they are one.
        assert {each for states in after.values() for each in states.items()} == {
            each for states in before.values() for each in states.items()
        }
        marks = self.rows("SELECT patient, unique_id, owner, kind, by_id FROM mark")
        patients = dict(self.patients())
        for patient, person in patients.items():
            person.documents.filed.clear()
            person.documents.named = {(o, n): by for p, n, o, kind, by in marks if p == patient and kind == "replaced"}
            person.documents.deleted = {(o, n) for p, n, o, kind, _ in marks if p == patient and kind == "deleted"}
        for patient, name, owner, set_id, version, state, by, digest, masked in self.rows(
            "SELECT patient, unique_id, owner, set_id, version, state, replaced_by, digest, visibility FROM document"
        ):
            if patient not in patients:
                continue
            person = patients[patient]
            flags = tuple(flag == "Y" for flag in masked)
            person.documents.filed[name] = Filed(owner, set_id, version, (digest, flags), state)
            person.documents.named.pop((owner, name), None)
            person.documents.deleted.discard((owner, name))
            if by is not None:
                person.documents.named[owner, name] = by
            if state == "deleted":
                person.documents.deleted.add((owner, name))

    # -- deaths and clocks

    @rule(point=st.integers(0, 5), data=st.data(), cut=st.booleans())
    def dies_with_a_batch(self, point: int, data: st.DataObject, *, cut: bool) -> None:
        self.falls(DEATHS[self.backend][point], cut=cut)
        self.apply(self.drawn(data), self.drawn(data))
        points.hooks.clear()

    @rule(position=st.sampled_from(Position), who=st.sampled_from(PEOPLE), late=st.booleans(), cut=st.booleans())
    def dies_with_a_statement(self, position: Position, who: Any, *, late: bool, cut: bool) -> None:
        inside = "store.commit.asked" if self.backend == "sqlite" else "sql.commit"
        self.falls("event.committed" if late else inside, cut=cut)
        self.submit(adt(stated(position, H1, at=None), patient=(who[0],)))
        points.hooks.clear()

    def falls(self, point: str, *, cut: bool) -> None:
        """Die at a point; or, on a server, lose every connection there, and live."""

        def fall() -> None:
            points.hooks.clear()
            if cut and isinstance(self.bench, Postgres):
                self.rows(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            else:
                raise Death

        points.hooks[point] = fall

    @rule(minutes=st.one_of(st.integers(1, 40), st.integers(-40, -1), st.just(1500)))
    def the_clock_jumps(self, minutes: int) -> None:
        self.bench.clock.pass_by(minutes=minutes)

    # -- what they must agree on

    @invariant()
    def the_same_are_opposed(self) -> None:
        """Documents that were never sent before, of several kinds of sender, in one batch."""
        if not hasattr(self, "bench"):
            return
        batch = []
        for who, establishments in itertools.product(PEOPLE, ((H1,), (H2,))):
            self.number += 1
            name = f"1.9.{self.number}"
            kinds = {"type_code": "51969-4"} if self.number % 5 == 0 else {"class_code": "60"} if self.number % 3 == 0 else {}
            carried = who[: 1 + self.number % 3]
            batch.append(self.deposit(carried, establishments, documents=((name, name.encode()),), **kinds))
        self.apply(*batch)

    @invariant()
    def the_same_are_one_person(self) -> None:
        if hasattr(self, "bench"):
            found: dict[int, set[tuple[str, str]]] = {}
            for patient, authority, value in self.rows("SELECT patient, authority, value FROM identifier"):
                found.setdefault(patient, set()).add((authority, value))
            assert {frozenset(keys) for keys in found.values()} == self.reference.partition()

    @invariant()
    def the_same_is_filed(self) -> None:
        if hasattr(self, "bench"):
            assert self.documents() == {
                person: person.documents.states() for _, person in self.patients() if person.documents.filed
            }

    def documents(self) -> dict[Person, dict[str, str]]:
        """The states of the documents of every person that an identifier leads to."""
        persons, found = dict(self.patients()), {}
        for patient, name, state in self.rows("SELECT patient, unique_id, state FROM document"):
            if patient in persons:
                found.setdefault(persons[patient], {})[name] = state
        return found

    def patients(self) -> list[tuple[int, Person]]:
        rows = self.rows("SELECT patient, authority, value FROM identifier")
        return [(patient, self.reference.person[authority, value]) for patient, authority, value in rows]

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        if isinstance(self.bench, Postgres):
            self.looking = self.looking or psycopg.connect(self.bench.url, autocommit=True)
            return self.looking.execute(text).fetchall()
        connection = sqlite3.connect(f"{self.bench.path.as_uri()}?mode=ro", uri=True)
        try:
            return connection.execute(text).fetchall()
        finally:
            connection.close()


def _at(outcome: Outcome) -> datetime:
    return datetime.fromisoformat(outcome.committed_at or "")


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_store_and_its_reference_agree(backend: str) -> None:
    kind = type("MachineOf", (Machine,), {"backend": backend})
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=examples(EXAMPLES[backend] * 2 // 3),
            stateful_step_count=25,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )

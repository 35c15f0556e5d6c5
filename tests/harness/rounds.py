"""
F19 at random: deposits, statements, merges, links and repetitions of one patient at once, free, with small pauses at the points.

A seed decides what meets and how long each pauses; who comes first is the machine's. What must hold whoever came first: the DPO's
query is empty; what began after the answer to an opposition is refused; a repetition has the first one's outcome; nobody fails.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from gateway.model.event import FileMerge, Position, RecordEvent
from gateway.model.outcome import Outcome
from gateway.model.patient import PatientId
from gateway.model.verdict import Verdict
from gateway.store.port import Store
from gateway.store.postgres.store import PostgresStore
from gateway.telemetry import points
from tests.contract.store.backends import BACKENDS, Bench, Postgres
from tests.harness.cast import Cast
from tests.harness.worlds import NIGHT
from tests.strategies import records
from tests.strategies.records import adt, opening, stated

IO, INO = Position.OPPOSES, Position.ALLOWS
#: How often a point pauses, and how long at most, in seconds.
_CHANCE: Final = 0.08
_PAUSE: Final = 0.003
#: How many of the deposits begin after everything that is said was answered.
_AFTER: Final = 0.3
_SECONDS: Final = 30.0
#: After so many rounds the query of all that was stored is asked, and what it looks through begins anew.
ASKED_EVERY: Final = 100


@dataclass
class Tally:
    """What was done and found."""

    rounds: int = 0
    deposits: int = 0
    stored: int = 0
    refused: int = 0
    events: int = 0
    #: Deposits that began after the answer to an opposition that bound them.
    after_an_answer: int = 0
    violations: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return the line of a report."""
        return (
            f"{self.rounds} rounds: {self.deposits} deposits ({self.stored} stored, {self.refused} refused,"
            f" {self.after_an_answer} begun after the answer to an opposition), {self.events} events,"
            f" {len(self.violations)} violations"
        )


@dataclass
class _Did:
    """Something that was done: when it began, when it was answered."""

    what: str
    began: float = 0.0
    answered: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    failure: BaseException | None = None
    over: threading.Event = field(default_factory=threading.Event)
    #: What it waits for before it begins: it comes after their answers.
    after: tuple["_Did", ...] = ()


class Rounds:
    """
    Rounds on one database: on PostgreSQL two stores, as of two gateways; on SQLite the one that owns the file.

    Args:
        backend: Of `BACKENDS`.
        folder: For a file.
        seed: Decides what meets.
    """

    def __init__(self, backend: str, folder: Path, seed: int) -> None:
        self.tally = Tally()
        self._chance = random.Random(seed)
        self.bench: Bench = BACKENDS[backend](folder, lasting=True)
        self._stores: list[Store] = [self.bench.store]
        if isinstance(self.bench, Postgres):
            self._stores.append(PostgresStore(self.bench.url, self.bench.clock))
        self._number = 0

    def close(self) -> None:
        """Ask the query a last time, close the stores."""
        try:
            self._ask()
        finally:
            for store in self._stores[1:]:
                store.close()
            self.bench.close()

    def run(self, until: float, rounds: int) -> Tally:
        """Run rounds until there are enough or it is `time.monotonic` `until`."""
        before = dict(points.hooks)
        pauses = random.Random(self._chance.random())

        def pause() -> None:
            if pauses.random() < _CHANCE:
                time.sleep(pauses.random() * _PAUSE)

        points.hooks.update(dict.fromkeys({*NIGHT["postgres"], *NIGHT["sqlite"]}, pause))
        try:
            while self.tally.rounds < rounds and time.monotonic() < until:
                self._round()
                if self.tally.rounds % ASKED_EVERY == 0:
                    self._ask()
        finally:
            points.hooks.clear()
            points.hooks.update(before)
        return self.tally

    def _ask(self) -> None:
        self.tally.violations += [f"stored against an opposition: {each}" for each in self.bench.against()]

    # -- one round

    def _round(self) -> None:
        self._number += 1
        self.tally.rounds += 1
        cast, chance = Cast(self._number), self._chance
        self._event(cast, "opening", opening(cast.ins()), 0)
        self._event(cast, "link", adt(patient=(cast.ins(), cast.ipp())), 0)
        through_another = chance.random() < 0.4
        said = chance.choice(((IO,), (IO,), (IO, INO), (INO, IO)))
        who = (cast.ipp(1),) if through_another else chance.choice(((cast.ins(),), (cast.ipp(),), (cast.ins(), cast.ipp())))
        todo: list[tuple[_Did, Callable[[], list[Outcome]]]] = []
        for number, position in enumerate(said):
            # An allowance is of a later day than an opposition, so that it lifts it whoever comes first.
            event = adt(stated(position, at=None if position is IO else "20260311"), patient=who, links=len(who) > 1)
            todo.append((_Did(position.value), self._doing(cast, f"s{number}", event)))
        joining = chance.choice(("link", "merge"))
        if through_another:
            joined: RecordEvent = (
                adt(patient=(cast.ins(), cast.ipp(1)))
                if joining == "link"
                else FileMerge(trigger="A40", identifiers=(cast.ipp(),), absorbed=(cast.ipp(1),))
            )
            todo.append((_Did(joining), self._doing(cast, "j", joined)))
        batches = [self._batch(cast, f"d{number}") for number in range(chance.randint(1, 3))]
        events = tuple(did for did, _ in todo)
        todo += [(_Did("deposit", after=events if chance.random() < _AFTER else ()), self._applying(batch)) for batch in batches]
        if chance.random() < 0.5:
            todo.append((_Did("replay"), self._applying(batches[0])))
        chance.shuffle(todo)
        self._at_once(todo, [chance.choice((0.0, 0.0, 0.001, 0.003, 0.006)) for _ in todo])
        self._judge(cast, [did for did, _ in todo], lifted=INO in said, through_another=through_another)

    def _batch(self, cast: Cast, name: str) -> list[Any]:
        whose: tuple[PatientId, ...] = self._chance.choice(((cast.ins(),), (cast.ins(), cast.ipp())))
        return [
            records.deposit(
                f"{cast.prefix}{name}.{n}",
                self.bench.clock.now(),
                patient=whose,
                documents=((f"1.2.{self._number}.{name}.{n}", b"<doc/>"),),
            )
            for n in range(self._chance.randint(1, 3))
        ]

    def _event(self, cast: Cast, name: str, event: RecordEvent, store: int) -> Outcome:
        taken = records.reception(cast.prefix + name, self.bench.clock.now(), message_type="ADT^A01")
        self.tally.events += 1
        return self._stores[store].submit(taken, event, self.bench.clock.now() + timedelta(days=1))

    def _doing(self, cast: Cast, name: str, event: RecordEvent) -> Callable[[], list[Outcome]]:
        store = self._chance.randrange(len(self._stores))
        return lambda: [self._event(cast, name, event, store)]

    def _applying(self, batch: list[Any]) -> Callable[[], list[Outcome]]:
        store = self._chance.choice(self._stores)
        return lambda: store.apply(batch)

    def _at_once(self, todo: list[tuple[_Did, Callable[[], list[Outcome]]]], delays: list[float]) -> None:
        together = threading.Barrier(len(todo))

        def run(did: _Did, act: Callable[[], list[Outcome]], delay: float) -> None:
            together.wait(_SECONDS)
            for each in did.after:
                each.over.wait(_SECONDS)
            time.sleep(delay)
            did.began = time.monotonic()
            try:
                did.outcomes = act()
            except BaseException as failure:  # noqa: BLE001 - judged below
                did.failure = failure
            did.answered = time.monotonic()
            did.over.set()

        threads = [
            threading.Thread(target=run, args=(did, act, delay), daemon=True)
            for (did, act), delay in zip(todo, delays, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_SECONDS)
        if any(thread.is_alive() for thread in threads):
            self._breach("somebody is stuck")

    # -- what must hold

    def _judge(self, cast: Cast, dids: list[_Did], *, lifted: bool, through_another: bool) -> None:
        for did in dids:
            if did.failure is not None:
                self._breach(f"{did.what} failed: {did.failure!r}")
        done: dict[str, list[_Did]] = {}
        for did in dids:
            done.setdefault(did.what, []).append(did)
        applied = (*done["deposit"], *done.get("replay", ()))
        self._count([outcome for did in applied for outcome in did.outcomes])
        self._same_outcomes(applied)
        bound = self._bound(done, through_another=through_another)
        if bound is None or lifted:
            return
        # What is repeated begins with the first of its deliveries.
        begun: dict[str, float] = {}
        for did in applied:
            for outcome in did.outcomes:
                begun[outcome.receipt] = min(did.began, begun.get(outcome.receipt, did.began))
        late = [outcome for did in done["deposit"] for outcome in did.outcomes if begun[outcome.receipt] > bound]
        self.tally.after_an_answer += len(late)
        if any(outcome.verdict is Verdict.STORED for outcome in late):
            self._breach("stored, and begun after the answer to the opposition")
        after = records.deposit(f"{cast.prefix}after", self.bench.clock.now(), patient=(cast.ins(),))
        if self._stores[0].apply([after])[0].codes[:1] != ("OPPOSED",):
            self._breach("stored after everybody was answered")

    def _count(self, outcomes: list[Outcome]) -> None:
        self.tally.deposits += len(outcomes)
        for outcome in outcomes:
            self.tally.stored += outcome.verdict is Verdict.STORED
            self.tally.refused += outcome.codes[:1] == ("OPPOSED",)
            if outcome.verdict is not Verdict.STORED and outcome.codes[:1] != ("OPPOSED",):
                self._breach(f"a deposit came to {outcome.verdict.value} {outcome.codes}")

    def _bound(self, done: dict[str, list[_Did]], *, through_another: bool) -> float | None:
        """When the opposition was bound to whom the deposits are for, as their senders could know; None if it may never be."""
        (opposed,) = done[IO.value]
        if not through_another:
            return opposed.answered
        (joined,) = done.get("link") or done["merge"]
        # A merge names a file that nobody knows if it came before the opposition.
        if "merge" in done and joined.began < opposed.answered:
            return None
        return max(opposed.answered, joined.answered)

    def _same_outcomes(self, applied: tuple[_Did, ...]) -> None:
        told: dict[str, Outcome] = {}
        for did in applied:
            for outcome in did.outcomes:
                first = told.setdefault(outcome.receipt, outcome)
                if (first.verdict, first.codes, first.committed_at) != (outcome.verdict, outcome.codes, outcome.committed_at):
                    self._breach("one receipt has two outcomes")

    def _breach(self, text: str) -> None:
        self.tally.violations.append(f"round {self._number}: {text}")


def rounds(backend: str, folder: Path, seed: int, *, until: float, most: int = 1_000_000) -> Tally:
    """Run rounds on a fresh database; return what was done and found."""
    made = Rounds(backend, folder, seed)
    try:
        made.run(until, most)
    finally:
        made.close()
    return made.tally

"""
The two properties of D-5, and that neither the cut into batches (D-13) nor a redelivery (D-6) changes a row.

Property 1: where rights, record and links stay as they are, and each replacement or deletion names what was latest when it was
sent, every order of arrival ends in the same documents, versions and entries. Property 2: statements, links and merges of local
files that come in any order leave the same in force.
"""

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.document import Entry
from gateway.model.event import FileMerge, MergeUndo, RecordEvent, Statement
from gateway.model.outcome import Outcome
from gateway.model.patient import PatientId
from gateway.model.submission import Act, Deposit, Reception
from tests.contract.store.backends import BACKENDS, EXAMPLES, Bench
from tests.contract.store.test_batches import SLOW, TIMES, fresh
from tests.harness.examples import examples
from tests.strategies import records
from tests.strategies.records import ALICE, BORIS, CARLA, H1, H2, START, adt, ins, local

#: Many patients of one store: each takes the same messages in an order of its own.
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Sent:
    """A deposit as it was sent, whoever it is about."""

    act: Act
    owner: str
    names: tuple[str, ...]
    set_id: str | None = None
    version: int | None = None
    replaces: tuple[str, ...] = ()

    def of(self, receipt: str, carried: tuple[PatientId, ...]) -> Deposit:
        content = tuple((name, f"<doc>{name}</doc>".encode()) for name in self.names)
        entries = tuple(Entry(kind="laboratory-result", content=f'"{n} of {self.names[0]}"') for n in range(2))
        return records.deposit(
            receipt,
            START,
            patient=carried,
            establishments=(self.owner,),
            act=self.act,
            documents=content,
            set_id=self.set_id,
            version=self.version,
            replaces=self.replaces,
            entries=entries,
        )


@dataclass
class Chain:
    owner: str
    set_id: str
    head: str
    version: int = 1


@dataclass
class History:
    """What was sent, in the order of sending, and what strangers to its documents sent beside it."""

    sent: list[Sent] = field(default_factory=list)
    strangers: list[Sent] = field(default_factory=list)


@st.composite
def histories(draw: st.DrawFn, most: int = 9) -> History:
    """Chains of versions of two establishments; messages sent again; pairs; two documents that one replaces; deletions."""
    made, chains = History(), list[Chain]()
    for number in range(draw(st.integers(2, most))):
        name, owner = f"D{number}", draw(st.sampled_from((H1, H1, H2)))
        kind = draw(st.sampled_from(("new", "pair", "replace", "replace", "replace", "version", "both", "delete", "again")))
        mine = [chain for chain in chains if chain.owner == owner]
        if kind == "again" and made.sent:
            made.sent.append(draw(st.sampled_from(made.sent)))
        elif kind == "pair":
            made.sent.append(Sent(Act.ADD, owner, (name, f"{name}b")))
        elif kind in {"new", "again"} or not mine:
            chains.append(Chain(owner, f"S{number}", name))
            made.sent.append(Sent(Act.ADD, owner, (name,), f"S{number}", 1))
        else:
            chain = draw(st.sampled_from(mine))
            if kind == "delete":
                made.sent.append(Sent(Act.DELETE, owner, (chain.head,)))
                chains.remove(chain)
                continue
            others = [each for each in mine if each is not chain] if kind == "both" else []
            absorbed = draw(st.sampled_from(others)) if others else None
            named = () if kind == "version" else (chain.head,) if absorbed is None else (chain.head, absorbed.head)
            chain.head, chain.version = name, chain.version + draw(st.integers(1, 3))
            act = Act.ADD if kind == "version" else Act.REPLACE
            made.sent.append(Sent(act, owner, (name,), chain.set_id, chain.version, named))
            if absorbed is not None:
                chains.remove(absorbed)
    for number in range(draw(st.integers(0, 2))):
        target = draw(st.sampled_from(made.sent))
        act = draw(st.sampled_from((Act.DELETE, Act.REPLACE)))
        names = (target.names[0],) if act is Act.DELETE else (f"X{number}",)
        stranger = H2 if target.owner == H1 else H1
        made.strangers.append(Sent(act, stranger, names, replaces=() if act is Act.DELETE else (target.names[0],)))
    return made


def filed(bench: Bench, patient: PatientId) -> dict[str, Any]:
    """Documents, versions and entries of a patient, without their instants, receipts and, where deleted, bytes."""
    tables = bench.tables()
    (key,) = [row["patient"] for row in tables["identifier"] if (row["authority"], row["value"]) == patient.key]
    names = ("owner", "set_id", "version", "state", "replaced_by", "digest", "visibility", "establishments", "entry")
    found: dict[str, Any] = {
        row["unique_id"]: (*(row[name] for name in names), row["deletion"] is not None)
        for row in tables["document"]
        if row["patient"] == key
    }
    entries = sorted((row["unique_id"], row["n"], str(row["entry"])) for row in tables["entry"] if row["patient"] == key)
    return {**found, "entries": [each for each in entries if found[each[0]][3] != "deleted"]}


class Patients:
    """Patients of one store, made as they are asked for."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def one(self) -> tuple[PatientId, ...]:
        number = next(_NUMBERS)
        carried = (ins(f"27501{number:08}"), local(H1, f"a{number}"), local(H2, f"b{number}"))
        self.bench.open(carried[0])
        self.bench.event(adt(patient=carried))
        return carried

    def ended(self, arriving: list[Sent], chance: random.Random, *, cut: bool) -> dict[str, Any]:
        """Let messages arrive for a patient of its own; some are parked first, some come twice."""
        carried = self.one()
        made = [
            each.of(self.bench.receipt(), (carried[0], *chance.sample(carried[1:], chance.choice((0, 1))))) for each in arriving
        ]
        later: list[Deposit] = []
        if cut:
            later = [each for each in made if chance.random() < 0.1]
            for each in later:
                self.bench.park(each)
            made = [each for each in made if each not in later] + later
            made += [each for each in made if chance.random() < 0.15]
        while made:
            size = chance.randint(1, 5) if cut else 1
            self.bench.apply(*made[:size])
            made = made[size:]
        return filed(self.bench, carried[0])


@contextmanager
def patients(backend: str) -> Iterator[Patients]:
    with fresh(backend) as bench:
        yield Patients(bench)
        assert bench.against() == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_documents_end_the_same_in_every_order_of_arrival(backend: str) -> None:
    @settings(max_examples=examples(EXAMPLES[backend] // 2), suppress_health_check=SLOW)
    @given(history=histories(), chance=st.randoms(use_true_random=False))
    def holds(history: History, chance: random.Random) -> None:
        with patients(backend) as many:
            first = many.ended(history.sent, chance, cut=False)
            for _ in range(3):
                order = [*history.sent]
                chance.shuffle(order)
                assert many.ended(order, chance, cut=True) == first

    holds()


def test_documents_end_the_same_in_all_orders_of_few() -> None:
    """Every permutation, not some; each for a patient of its own, one store for all."""

    @settings(max_examples=examples(12), suppress_health_check=SLOW)
    @given(history=histories(most=4))
    def holds(history: History) -> None:
        with patients("sqlite") as many:
            ends = [many.ended(list(order), random.Random(1), cut=False) for order in itertools.permutations(history.sent)]
            assert all(end == ends[0] for end in ends)

    holds()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stranger_changes_nothing_of_what_others_own(backend: str) -> None:
    """Whether its deletion or replacement comes first and leaves a mark, or late and is refused."""

    @settings(max_examples=examples(EXAMPLES[backend] // 2), suppress_health_check=SLOW)
    @given(history=histories(most=6), chance=st.randoms(use_true_random=False))
    def holds(history: History, chance: random.Random) -> None:
        with patients(backend) as many:
            alone = many.ended(history.sent, chance, cut=False)
            for _ in range(2):
                order = [*history.sent, *history.strangers]
                chance.shuffle(order)
                beside = many.ended(order, chance, cut=True)
                assert {name: beside[name] for name in alone if name != "entries"} == {
                    name: found for name, found in alone.items() if name != "entries"
                }
                assert set(alone["entries"]) <= set(beside["entries"])

    holds()


# -- property 2


@dataclass(frozen=True)
class Said:
    """An event about numbers of one person: a statement under some, a link, a merge of two local files."""

    kind: str
    #: Places of the numbers among the person's.
    which: tuple[int, ...]
    links: bool
    statement: Statement
    at: datetime

    def of(self, carried: tuple[PatientId, ...]) -> RecordEvent:
        named = tuple(carried[each] for each in self.which)
        if self.kind == "merges":
            one, other = carried[1:] if self.links else carried[:0:-1]
            return FileMerge(trigger="A40", identifiers=(one,), absorbed=(other,))
        said = (self.statement,) if self.kind == "says" else ()
        return adt(*said, patient=named, links=self.links or self.kind == "links")


SAYINGS = st.lists(
    st.builds(
        Said,
        st.sampled_from(("says", "says", "says", "links", "merges")),
        st.lists(st.integers(0, 2), min_size=1, max_size=2, unique=True).map(tuple),
        st.booleans(),
        records.statements(),
        st.integers(0, 5).map(lambda hours: START + timedelta(hours=hours)),
    ),
    min_size=2,
    max_size=7,
)


def in_force(bench: Bench, order: list[tuple[int, Said]]) -> tuple[object, ...]:
    """Say it all of a person of its own, in this order; return what is in force at last, and what is stored and refused."""
    number = next(_NUMBERS)
    carried = (ins(f"27501{number:08}"), local(H1, f"a{number}"), local(H2, f"b{number}"))
    bench.clock.set(START + timedelta(hours=6))
    bench.open(carried[0])
    for place, said in order:
        bench.submit(records.reception(f"{number}-{place}", said.at), said.of(carried))
    bench.clock.set(START + timedelta(days=3))
    # What was never joined is joined now: everything that was said counts for the record.
    bench.event(adt(patient=carried))
    page = bench.record(carried[0])
    assert page is not None
    kinds = ({}, {"establishments": (H2,)}, {"class_code": "60"}, {"type_code": "51969-4"})
    verdicts = [bench.send(patient=carried[:1], documents=((f"1.{n}", b"x"),), **facts) for n, facts in enumerate(kinds)]
    return (
        sorted((line.id.partition("-")[2], line.in_force) for line in page.statements),
        [(known.verdict, (known.statement or "").partition("-")[2], known.rule) for known in verdicts],
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_statements_links_and_merges_in_any_order_leave_the_same_in_force(backend: str) -> None:
    @settings(max_examples=examples(EXAMPLES[backend]), suppress_health_check=SLOW)
    @given(said=SAYINGS, chance=st.randoms(use_true_random=False))
    def holds(said: list[Said], chance: random.Random) -> None:
        with fresh(backend) as bench:
            order = list(enumerate(said))
            first = in_force(bench, order)
            for _ in range(3):
                chance.shuffle(order)
                assert in_force(bench, order) == first
            assert bench.against() == []

    holds()


# -- batches and redeliveries

Step = Deposit | tuple[Reception, RecordEvent]


@st.composite
def courses(draw: st.DrawFn) -> tuple[list[Step], list[int]]:
    """Deposits of few ids, replaced across establishments, among links, merges, closings; some parked before they come."""
    steps: list[Step] = [
        (records.reception(f"o{n}", START), records.opening(who))
        for n, who in enumerate((ALICE, BORIS, CARLA)[: draw(st.integers(1, 3))])
    ]
    merges: list[str] = []
    for number in range(draw(st.integers(5, 14))):
        kind = draw(st.sampled_from("ddddddreemu"))
        deposits = [step for step in steps if isinstance(step, Deposit)]
        taken = records.reception(f"e{number:03}", START + timedelta(minutes=number))
        if kind == "r" and deposits:
            steps.append(draw(st.sampled_from(deposits)))  # the same receipt once more
        elif kind == "m":
            signed = draw(st.booleans())
            one, other = (ALICE, BORIS) if signed else (local(H1, "10"), local(H1, "11"))
            by = ("a", "b") if signed else ()
            steps.append((taken, FileMerge(trigger="A40", identifiers=(one,), absorbed=(other,), signed_by=by)))
            merges.append(taken.receipt)
        elif kind == "u" and merges:
            steps.append((taken, MergeUndo(merge=draw(st.sampled_from(merges)), signed_by=("a", "b"))))
        elif kind == "e":
            steps.append((taken, draw(records.record_events())))
        else:
            steps.append(draw(records.deposits(f"d{number:03}")))
    return steps, draw(st.lists(st.integers(1, 8), min_size=len(steps), max_size=len(steps)))


def run(bench: Bench, steps: list[Step], sizes: list[int]) -> dict[str, list[Outcome]]:
    """Apply a course: deposits in batches of these sizes, events where they stand."""
    found: dict[str, list[Outcome]] = {}
    waiting: list[Deposit] = []
    cuts = iter(sizes)
    size = next(cuts)

    def flush() -> None:
        nonlocal size
        if waiting:
            for deposit, outcome in zip(waiting, bench.store.apply(waiting), strict=True):
                found.setdefault(deposit.reception.receipt, []).append(outcome)
            waiting.clear()
            size = next(cuts)

    for step in steps:
        if isinstance(step, Deposit):
            waiting.append(step)
            if len(waiting) >= size:
                flush()
        else:
            flush()
            found.setdefault(step[0].receipt, []).append(bench.submit(*step))
    flush()
    return found


def timeless(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Every row without the times of its commit and what is numbered by itself; outcomes are compared by themselves."""

    def kept(key: str) -> bool:
        return key not in {*TIMES, "outcome", "id"} and (key in {"ordered_at", "received_at"} or not key.endswith("_at"))

    return {
        name: sorted(({key: value for key, value in row.items() if kept(key)} for row in rows), key=repr)
        for name, rows in tables.items()
    }


@pytest.mark.parametrize("backend", BACKENDS)
def test_neither_batches_nor_redeliveries_change_a_row(backend: str) -> None:
    @settings(max_examples=examples(EXAMPLES[backend]), suppress_health_check=[*SLOW, HealthCheck.filter_too_much])
    @given(course=courses(), chance=st.randoms(use_true_random=False))
    def holds(course: tuple[list[Step], list[int]], chance: random.Random) -> None:
        steps, sizes = course
        deposits = [step for step in steps if isinstance(step, Deposit)]
        parked = [each for each in deposits if chance.random() < 0.15]
        with fresh(backend) as one, fresh(backend) as many:
            for bench in (one, many):
                for each in parked:
                    bench.park(each)
            single = run(one, steps, [1] * (len(steps) + 1))
            batched = run(many, steps, [*sizes, 1])
            assert {r: [_what(o) for o in each] for r, each in single.items()} == {
                r: [_what(o) for o in each] for r, each in batched.items()
            }
            assert timeless(many.tables()) == timeless(one.tables())
            assert one.against() == many.against() == []
            before = many.tables()
            again = [*steps]
            chance.shuffle(again)
            told = run(many, again, [*sizes, 1])
            assert {r: each[-1] for r, each in told.items()} == {r: each[-1] for r, each in batched.items()}
            assert many.tables() == before

    holds()


def _what(outcome: Outcome) -> Outcome:
    return msgspec.structs.replace(outcome, committed_at=None)

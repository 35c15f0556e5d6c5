"""A batch gives the result of one by one (D-13); statements in any order leave the same in force (property 2)."""

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.event import RecordEvent
from gateway.model.outcome import Outcome
from gateway.model.submission import Deposit
from gateway.model.verdict import Verdict
from tests.contract.store.backends import BACKENDS, EXAMPLES, SCRATCH, Bench
from tests.strategies import records
from tests.strategies.records import ALICE, BORIS, CARLA, H1, H2, START

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]

#: Columns that tell when a row was committed.
TIMES = {
    "at",
    "created_at",
    "since",
    "opened_at",
    "closed_at",
    "committed_at",
    "from_at",
    "decided_at",
    "refused_at",
    "raised_at",
    "due_at",
    # A line of the trace is hashed with its instant.
    "hash",
    "trace_head",
}


@contextmanager
def fresh(backend: str) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        bench = BACKENDS[backend](Path(folder), lasting=True)
        try:
            yield bench
        finally:
            bench.close()


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Deposit | RecordEvent], list[int]]:
    """Deposits and events, and where the deposits between two events are cut into batches."""
    steps: list[Deposit | RecordEvent] = [records.opening(patient) for patient in (ALICE, BORIS, CARLA)][
        : draw(st.integers(1, 3))
    ]
    for number in range(draw(st.integers(4, 16))):
        kind = draw(st.sampled_from("dddrre"))
        sent = [step for step in steps if isinstance(step, Deposit)]
        if kind == "r" and sent:
            again = draw(st.sampled_from(sent))
            resent = msgspec.structs.replace(again.reception, receipt=f"d{number:03}")
            steps.append(msgspec.structs.replace(again, reception=resent))
        elif kind == "e":
            steps.append(draw(records.record_events()))
        else:
            steps.append(draw(records.deposits(f"d{number:03}")))
    return steps, draw(st.lists(st.integers(1, 8), min_size=len(steps), max_size=len(steps)))


def apply(bench: Bench, steps: list[Deposit | RecordEvent], sizes: list[int]) -> list[Outcome]:
    """Apply a history: deposits in batches of these sizes, events where they stand."""
    outcomes: list[Outcome] = []
    waiting: list[Deposit] = []
    cuts = iter(sizes)
    size = next(cuts)
    for number, step in enumerate(steps):
        if isinstance(step, Deposit):
            waiting.append(step)
        if waiting and (not isinstance(step, Deposit) or len(waiting) >= size):
            outcomes += bench.store.apply(waiting)
            waiting, size = [], next(cuts)
        if not isinstance(step, Deposit):
            taken = records.reception(f"e{number:03}", START + timedelta(minutes=number))
            outcomes.append(bench.submit(taken, step))
    return outcomes + (bench.store.apply(waiting) if waiting else [])


def timeless(outcome: Outcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in outcome.__struct_fields__ if name != "committed_at"}


def rows(bench: Bench) -> dict[str, list[dict[str, Any]]]:
    """Every row without the times of its commit; outcomes are compared by themselves, an end by whether there is one."""
    return {
        table: [
            {name: value is None if name == "to_at" else value for name, value in row.items() if name not in {*TIMES, "outcome"}}
            for row in found
        ]
        for table, found in bench.tables().items()
    }


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_is_as_one_by_one(backend: str) -> None:
    @settings(max_examples=EXAMPLES[backend], suppress_health_check=SLOW)
    @given(history=histories())
    def holds(history: tuple[list[Deposit | RecordEvent], list[int]]) -> None:
        steps, sizes = history
        with fresh(backend) as one, fresh(backend) as many:
            single = apply(one, steps, [1] * (len(steps) + 1))
            batched = apply(many, steps, [*sizes, 1])
            assert [timeless(outcome) for outcome in batched] == [timeless(outcome) for outcome in single]
            assert rows(many) == rows(one)
            assert one.against() == many.against() == []

    holds()


@pytest.mark.parametrize("backend", BACKENDS)
def test_statements_in_any_order_leave_the_same_in_force(backend: str) -> None:
    """Each was received when its door received it; only the order of the commits differs."""

    @settings(max_examples=EXAMPLES[backend], suppress_health_check=SLOW)
    @given(
        said=st.lists(st.tuples(records.statements(), st.integers(0, 5)), min_size=1, max_size=6),
        shuffle=st.randoms(use_true_random=False),
    )
    def holds(said: list[Any], shuffle: random.Random) -> None:
        received = [(number, statement, START + timedelta(hours=hours)) for number, (statement, hours) in enumerate(said)]
        kinds = ({}, {"establishments": (H2,)}, {"establishments": (H1, H2)}, {"class_code": "60"}, {"type_code": "51969-4"})
        seen = []
        for _ in range(2):
            with fresh(backend) as bench:
                bench.open()
                for number, statement, at in received:
                    bench.submit(records.reception(f"s{number}", at), records.adt(statement))
                bench.clock.set(START + timedelta(days=3))
                page = bench.record()
                assert page is not None
                in_force = {line.id for line in page.statements if line.in_force}
                verdicts = [bench.send(documents=((f"1.2.{n}", b"x"),), **facts) for n, facts in enumerate(kinds)]
                seen.append((in_force, [(known.verdict, known.statement, known.rule) for known in verdicts]))
                assert bench.against() == []
            shuffle.shuffle(received)
        assert seen[0] == seen[1]

    holds()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_is_whole_or_nothing(backend: str) -> None:
    with fresh(backend) as bench:
        bench.open()
        before = bench.tables()
        good = [bench.deposit(documents=((f"1.2.{n}", b"x"),)) for n in range(4)]
        poison = bench.deposit(documents=(("1.2.9", b"x"),), version=2**63)
        with pytest.raises(OverflowError):
            bench.store.apply([*good[:2], poison, *good[2:]])
        assert bench.tables() == before
        assert {outcome.verdict for outcome in bench.store.apply(good)} == {Verdict.STORED}

"""Merges, their undo, moves, deposits and oppositions at once: no circle of waiting, no document against an opposition."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from gateway.model.event import DocumentMove, MergeUndo, Position, TaskEnding
from gateway.model.verdict import Verdict
from gateway.store import checks
from gateway.store.postgres.reader import PostgresReader
from gateway.store.postgres.store import PostgresStore
from gateway.telemetry import points
from tests.contract.store.backends import Postgres
from tests.contract.store.files import BOTH, IPP, OTHER, a40, names, places, signed, undo
from tests.strategies.records import ALICE, BORIS, CARLA, H1, H2, START, adt, local, reception, stated
from tests.unit.store.postgres.test_concurrency import Gate, threads, waiting

IO, INO = Position.OPPOSES, Position.ALLOWS
SECONDS = 20
LATER = START + timedelta(days=1)


@pytest.fixture
def other(bench: Postgres) -> Iterator[PostgresStore]:
    """A second store on the same database, as of another process."""
    with bench._connected() as connection:
        # The server counts for the database's whole life, and other tests make deadlocks on purpose.
        connection.execute("SELECT pg_stat_reset()")
    made = PostgresStore(bench.url, bench.clock)
    yield made
    points.hooks.clear()
    made.close()


def deadlocks(bench: Postgres) -> int:
    with bench._connected() as connection:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        ((count,),) = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchall()
    return int(count)


def test_two_that_merge_the_same_files_crosswise(bench: Postgres, other: PostgresStore) -> None:
    bench.open(BORIS)
    for turn in range(8):
        start = threading.Barrier(2)

        def merge(store: PostgresStore, event: object, number: str, start: threading.Barrier = start) -> Verdict:
            start.wait(SECONDS)
            return store.submit(reception(number, bench.clock.now()), event, LATER).verdict  # type: ignore[arg-type]

        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(merge, bench.store, signed(ALICE, BORIS), f"a{turn}")  # type: ignore[arg-type]
            second = pool.submit(merge, other, signed(BORIS, ALICE), f"b{turn}")
            ended = {first.result(SECONDS), second.result(SECONDS)}
        assert ended == {Verdict.APPLIED, Verdict.UNCHANGED}
        (made,) = bench.rows("merge", undone_at=None)
        assert undo(bench, made["id"]).verdict is Verdict.APPLIED
    assert deadlocks(bench) == 0


def test_a_merge_waits_for_the_batch_in_hand_and_takes_its_document_along(bench: Postgres, other: PostgresStore) -> None:
    bench.open(BORIS)
    gate = Gate("store.decided")
    with threads() as submit:
        stored = submit(bench.store.apply, [bench.deposit(patient=(BORIS,))])
        assert gate.arrived.wait(SECONDS)
        merged = submit(other.submit, reception("merge", bench.clock.now()), signed(ALICE, BORIS), LATER)
        waiting(bench)
        gate.open.set()
        assert stored.result(SECONDS)[0].verdict is Verdict.STORED
        assert merged.result(SECONDS).verdict is Verdict.APPLIED
    assert places(bench) == {"1.2.3": [names(bench)[ALICE.key]]}


def test_a_batch_that_waited_for_a_merge_is_refused_by_the_other_side_s_opposition(bench: Postgres, other: PostgresStore) -> None:
    bench.open(BORIS)
    bench.event(adt(stated(IO, at=None), patient=(BORIS,)))
    gate = Gate("sql.commit")
    with threads() as submit:
        merged = submit(other.submit, reception("merge", bench.clock.now()), signed(ALICE, BORIS), LATER)
        assert gate.arrived.wait(SECONDS)
        batch = submit(bench.store.apply, [bench.deposit()])
        waiting(bench)
        gate.open.set()
        merged.result(SECONDS)
        assert batch.result(SECONDS)[0].codes == ("OPPOSED",)


def test_an_undo_locks_the_one_that_no_identifier_leads_to(bench: Postgres, other: PostgresStore) -> None:
    """A deposit under the old INS waits for the undo on the one that stayed, starts over, and is filed where it leads now."""
    bench.open(BORIS)
    merge = bench.event(signed(ALICE, BORIS))
    both = sorted(row["id"] for row in bench.rows("patient"))
    locked = []

    def look() -> None:
        with bench._connected() as connection:
            rows = connection.execute("SELECT id FROM patient FOR NO KEY UPDATE SKIP LOCKED").fetchall()
            locked.extend(sorted(set(both) - {row[0] for row in rows}))

    points.hooks["sql.read_merge"] = look
    gate = Gate("sql.commit")
    with threads() as submit:
        undone = submit(other.submit, reception("undo", bench.clock.now()), MergeUndo(merge=merge.receipt, signed_by=BOTH), LATER)
        assert gate.arrived.wait(SECONDS)
        batch = submit(bench.store.apply, [bench.deposit(patient=(BORIS,))])
        waiting(bench)
        gate.open.set()
        assert undone.result(SECONDS).verdict is Verdict.APPLIED
        assert batch.result(SECONDS)[0].verdict is Verdict.STORED
    assert locked[:2] == both
    assert places(bench) == {"1.2.3": [names(bench)[BORIS.key]]}


def test_a_task_that_a_merge_carries_along_is_ended_under_its_new_patient(bench: Postgres, other: PostgresStore) -> None:
    """Its patient was found before the merge was committed: the verb starts over."""
    bench.open(BORIS)
    bench.execute("INSERT INTO task (raised_at, kind, receipt, patient) VALUES ('', 'x', 'r', ?)", names(bench)[BORIS.key])
    gate = Gate("sql.commit")
    with threads() as submit:
        merged = submit(other.submit, reception("merge", bench.clock.now()), signed(ALICE, BORIS), LATER)
        assert gate.arrived.wait(SECONDS)
        ended = submit(bench.store.submit, reception("done", bench.clock.now()), TaskEnding(task=1, done_by="A. Martin"), LATER)
        waiting(bench)
        gate.open.set()
        merged.result(SECONDS)
        assert ended.result(SECONDS).verdict is Verdict.APPLIED
    assert [row["patient"] for row in bench.rows("trace", action="task.done")] == [names(bench)[ALICE.key]]


def test_many_threads_merge_move_deposit_and_oppose(bench: Postgres, other: PostgresStore) -> None:
    for patient in (BORIS, CARLA):
        bench.open(patient)
    for number in range(6):
        bench.event(adt(patient=(local(H1, f"{number}"),)))
    people, stores = (ALICE, BORIS, CARLA), (bench.store, other)
    start = threading.Barrier(6)
    deposits = {
        worker: [
            bench.deposit(
                patient=(people[(worker + turn) % 3], local(H1, f"{turn % 6}")),
                establishments=((H1,), (H2,))[turn % 2],
                documents=((f"1.{worker}.{turn}", b"x"),),
            )
            for turn in range(14)
        ]
        for worker in range(2)
    }

    def deposit(worker: int) -> None:
        start.wait(SECONDS)
        for made in deposits[worker]:
            stores[worker].apply([made])

    def oppose(worker: int) -> None:
        start.wait(SECONDS)
        for turn in range(14):
            said = stated((IO, INO)[turn % 2], (H1, H2)[turn % 2], at=None)
            who = (people[turn % 3],) if turn % 2 else (local(H1, f"{turn % 6}"),)
            stores[worker].submit(reception(f"o{worker}.{turn}", bench.clock.now()), adt(said, patient=who), LATER)

    def watch(worker: int) -> None:
        chance = random.Random(worker)
        start.wait(SECONDS)
        for turn in range(12):
            number = f"w{worker}.{turn}"
            one, two = chance.sample(people, 2)
            event = chance.choice((
                signed(one, two),
                a40((local(H1, f"{chance.randrange(6)}"),), (local(H1, f"{chance.randrange(6)}"),)),
                DocumentMove(identifiers=(one,), to=(two,), unique_id=f"1.{worker}.{turn}", signed_by=BOTH),
                MergeUndo(merge=f"w{chance.randrange(2)}.{chance.randrange(max(1, turn))}", signed_by=BOTH),
            ))  # fmt: skip
            stores[worker].submit(reception(number, bench.clock.now()), event, LATER)

    with ThreadPoolExecutor(6) as pool:
        for each in [pool.submit(work, worker) for work in (deposit, oppose, watch) for worker in range(2)]:
            each.result(60)
    assert deadlocks(bench) == 0
    assert bench.rows("merge") != []
    with PostgresReader(bench.url) as reader:
        assert checks.check(reader, bench.clock.now()) == []


def test_a_local_merge_beside_its_reverse(bench: Postgres, other: PostgresStore) -> None:
    """Two numbers that nobody knows: both messages would make the patient."""
    gate = Gate("sql.commit")
    with threads() as submit:
        first = submit(bench.store.submit, reception("a", START), a40((IPP,), (OTHER,)), LATER)
        assert gate.arrived.wait(SECONDS)
        second = submit(other.submit, reception("b", START), a40((OTHER,), (IPP,)), LATER)
        waiting(bench)
        gate.open.set()
        assert [first.result(SECONDS).verdict, second.result(SECONDS).verdict] == [Verdict.APPLIED, Verdict.UNCHANGED]
    assert names(bench)[IPP.key] == names(bench)[OTHER.key]

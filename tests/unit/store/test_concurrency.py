"""One lock: an opposition waits for the batch that holds it, then nothing more is stored (ARCHITECTURE.md; D-2, D-12)."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest

from gateway.model.event import Position
from gateway.model.ports import Unavailable
from gateway.model.verdict import Verdict
from gateway.store.port import Transient
from gateway.telemetry import points
from tests.contract.store.backends import Sqlite
from tests.strategies.records import ALICE, BORIS, CARLA, H1, H2, adt, local, opening, reception, stated

IO, INO = Position.OPPOSES, Position.ALLOWS
SECONDS = 10


class Gate:
    """Holds whoever reaches a point for the first time until it is opened."""

    def __init__(self, point: str) -> None:
        self.arrived, self.open = threading.Event(), threading.Event()
        self._first = True
        points.hooks[point] = self._hold

    def _hold(self) -> None:
        if self._first:
            self._first = False
            self.arrived.set()
            assert self.open.wait(SECONDS)


@contextmanager
def threads() -> Iterator[Callable[..., Future[object]]]:
    with ThreadPoolExecutor(16) as pool:
        yield pool.submit


def queued(bench: Sqlite, jobs: int) -> None:
    """Wait until so many jobs wait for the writer."""
    deadline = threading.Event()
    for _ in range(1000):
        if bench.store._jobs.qsize() == jobs:  # type: ignore[attr-defined]
            return
        deadline.wait(0.005)
    pytest.fail("the jobs never came")


@pytest.mark.parametrize("point", ["store.begun", "store.resolved", "store.decided", "store.written"])
def test_an_opposition_waits_for_the_batch_in_hand_and_nothing_is_stored_after_it(bench: Sqlite, point: str) -> None:
    batch = [bench.deposit(documents=((f"1.2.{n}", b"x"),)) for n in range(3)]
    after = [bench.deposit(documents=((f"1.3.{n}", b"x"),)) for n in range(3)]
    gate = Gate(point)
    with threads() as submit:
        first = submit(bench.store.apply, batch)
        assert gate.arrived.wait(SECONDS)
        second = submit(bench.store.apply, after)
        opposed = submit(bench.event, adt(stated(IO, at=None)))
        queued(bench, 2)
        assert not opposed.done()
        assert bench.rows("statement") == bench.rows("document") == []
        gate.open.set()
        stored, io, refused = first.result(SECONDS), opposed.result(SECONDS), second.result(SECONDS)
    assert {outcome.verdict for outcome in stored} == {Verdict.STORED}
    assert {outcome.codes for outcome in refused} == {("OPPOSED",)}
    assert max(outcome.committed_at for outcome in stored) < io.committed_at < min(outcome.committed_at for outcome in refused)


def test_events_go_ahead_of_waiting_batches(bench: Sqlite) -> None:
    gate = Gate("store.begun")
    batches = [[bench.deposit(documents=((f"1.{b}.{n}", b"x"),)) for n in range(2)] for b in (1, 2, 3)]
    with threads() as submit:
        running = submit(bench.store.apply, batches[0])
        assert gate.arrived.wait(SECONDS)
        waiting = [submit(bench.store.apply, batch) for batch in batches[1:]]
        queued(bench, 2)
        event = submit(bench.event, adt(stated(IO, at=None)))
        queued(bench, 3)
        gate.open.set()
        assert event.result(SECONDS).verdict is Verdict.APPLIED
        verdicts = [{outcome.verdict for outcome in each.result(SECONDS)} for each in (running, *waiting)]
    assert verdicts == [{Verdict.STORED}, {Verdict.REFUSED}, {Verdict.REFUSED}]


def test_a_deadline_that_passes_in_the_line_is_never_begun(bench: Sqlite) -> None:
    gate = Gate("store.begun")
    with threads() as submit:
        running = submit(bench.store.apply, [bench.deposit()])
        assert gate.arrived.wait(SECONDS)
        soon = bench.clock.now() + timedelta(seconds=1)
        late = submit(bench.store.submit, reception("io", bench.clock.now()), adt(stated(IO)), soon)
        queued(bench, 1)
        bench.clock.pass_by(seconds=2)
        gate.open.set()
        with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
            late.result(SECONDS)
        running.result(SECONDS)
    assert bench.rows("statement") == bench.rows("receipt", id="io") == []


def test_many_threads_at_once(bench: Sqlite) -> None:
    """Deposits of three people by many threads while their oppositions come and go: the query stays empty, no outcome is lost."""
    for patient in (BORIS, CARLA):
        bench.open(patient)
    people = (ALICE, BORIS, CARLA)
    start = threading.Barrier(9)
    numbers = iter(range(10**6))
    lock = threading.Lock()

    def number() -> int:
        with lock:
            return next(numbers)

    def deposit_many(worker: int) -> list[str]:
        start.wait(SECONDS)
        done = []
        for turn in range(12):
            with lock:
                batch = [
                    bench.deposit(
                        patient=(people[(worker + turn + n) % 3],),
                        establishments=((H1,), (H2,))[n % 2],
                        documents=((f"1.{worker}.{turn}.{n}", b"x"),),
                    )
                    for n in range(4)
                ]
            done += [outcome.receipt for outcome in bench.store.apply(batch)]
        return done

    def state_many(worker: int) -> list[str]:
        start.wait(SECONDS)
        done = []
        for turn in range(20):
            event = adt(stated((IO, INO)[turn % 2], (H1, H2)[worker % 2], at=None), patient=(people[turn % 3],))
            taken = reception(f"e{number()}", bench.clock.now())
            done.append(bench.submit(taken, event).receipt)
        return done

    with threads() as submit:
        work = [submit(deposit_many, n) for n in range(5)] + [submit(state_many, n) for n in range(4)]
        receipts = [receipt for each in work for receipt in each.result(60)]
    assert len(receipts) == len(set(receipts)) == 5 * 12 * 4 + 4 * 20
    rows = {row["id"]: row["verdict"] for row in bench.rows("receipt")}
    assert set(receipts) <= set(rows)
    assert {"stored", "refused", "applied"} <= set(rows.values())


def test_a_closed_store_takes_nothing_and_finishes_what_waits(bench: Sqlite) -> None:
    gate = Gate("store.begun")
    with threads() as submit:
        running = submit(bench.store.apply, [bench.deposit(documents=(("1.2.1", b"x"),))])
        assert gate.arrived.wait(SECONDS)
        waiting = submit(bench.store.apply, [bench.deposit(documents=(("1.2.2", b"x"),))])
        queued(bench, 1)
        closing = submit(bench.store.close)
        queued(bench, 2)
        gate.open.set()
        closing.result(SECONDS)
        assert [each.result(SECONDS)[0].verdict for each in (running, waiting)] == [Verdict.STORED, Verdict.STORED]
    with pytest.raises(Transient):
        bench.store.apply([bench.deposit()])
    with pytest.raises(Unavailable):
        bench.event(adt())
    bench.store.close()


def test_callers_that_race_with_the_close_are_never_left_waiting(bench: Sqlite) -> None:
    def deposit_until_closed(worker: int) -> int:
        for turn in range(100_000):
            try:
                bench.store.apply([])
            except Transient:
                return turn
        return -1

    with threads() as submit:
        work = [submit(deposit_until_closed, n) for n in range(8)]
        bench.store.close()
        assert all(each.result(SECONDS) >= 0 for each in work)


def test_a_link_waits_for_the_batch_too(bench: Sqlite) -> None:
    """The batch resolved an identifier before the link: the link withholds what that batch stored."""
    ipp = local(H1, "100")
    bench.event(adt(stated(IO, at=None), patient=(ipp,), links=False))
    gate = Gate("store.resolved")
    with threads() as submit:
        running = submit(bench.store.apply, [bench.deposit()])
        assert gate.arrived.wait(SECONDS)
        link = submit(bench.event, adt(patient=(ALICE, ipp)))
        queued(bench, 1)
        gate.open.set()
        assert running.result(SECONDS)[0].verdict is Verdict.STORED
        link.result(SECONDS)
    assert bench.tasks() == ["document.withheld"]


def test_an_opening_waits_for_nobody_and_a_record_opens_once(bench: Sqlite) -> None:
    with threads() as submit:
        verdicts = [each.result(SECONDS).verdict for each in [submit(bench.event, opening(BORIS)) for _ in range(1)]]
        with ThreadPoolExecutor(4) as pool:
            taken = [reception(f"o{n}", bench.clock.now()) for n in range(4)]
            verdicts += [outcome.verdict for outcome in pool.map(lambda each: bench.submit(each, opening(BORIS)), taken)]
    assert verdicts == [Verdict.APPLIED, *[Verdict.UNCHANGED] * 4]

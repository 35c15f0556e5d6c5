"""Two stores on one database, as of two processes: whoever waits for a lock sees what was committed meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest

from gateway.model.event import Position
from gateway.model.patient import PatientId
from gateway.model.ports import Unavailable
from gateway.model.verdict import Verdict
from gateway.store.port import Transient
from gateway.store.postgres.connection import connected
from gateway.store.postgres.locking import Unlocked
from gateway.store.postgres.store import PostgresStore
from gateway.store.postgres.transaction import PostgresTransaction
from gateway.telemetry import points
from tests.contract.store.backends import Postgres
from tests.strategies.records import ALICE, BORIS, CARLA, H1, H2, START, adt, local, opening, reception, stated

IO, INO = Position.OPPOSES, Position.ALLOWS
SECONDS = 20


class Gate:
    """Holds the n-th that reaches a point until it is opened."""

    def __init__(self, point: str, nth: int = 1) -> None:
        self.arrived, self.open = threading.Event(), threading.Event()
        self._left = nth
        points.hooks[point] = self._hold

    def _hold(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.arrived.set()
            assert self.open.wait(SECONDS)


@contextmanager
def threads() -> Iterator[Callable[..., Future]]:
    with ThreadPoolExecutor(16) as pool:
        yield pool.submit


@pytest.fixture
def other(bench: Postgres) -> Iterator[PostgresStore]:
    """A second store on the same database, as of another process."""
    made = PostgresStore(bench.url, bench.clock)
    yield made
    points.hooks.clear()
    made.close()


def waiting(bench: Postgres, sessions: int = 1) -> None:
    """Wait until so many sessions wait for a lock."""
    until = time.monotonic() + SECONDS
    with bench._connected() as connection:
        while time.monotonic() < until:
            (count,) = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone()
            if count >= sessions:
                return
            time.sleep(0.005)
    pytest.fail("nobody came to wait")


@pytest.mark.parametrize(
    "point", ["sql.confirm_identifiers", "store.resolved", "store.decided", "sql.copy_receipts", "store.written", "sql.commit"]
)
def test_an_opposition_waits_for_the_batch_in_hand_and_nothing_is_stored_after_it(
    bench: Postgres, other: PostgresStore, point: str
) -> None:
    batch = [bench.deposit(documents=((f"1.2.{n}", b"x"),)) for n in range(3)]
    gate = Gate(point)
    with threads() as submit:
        first = submit(bench.store.apply, batch)
        assert gate.arrived.wait(SECONDS)
        opposed = submit(other.submit, reception("io", bench.clock.now()), adt(stated(IO, at=None)), START + timedelta(days=1))
        waiting(bench)
        assert not opposed.done() and bench.rows("statement") == bench.rows("document") == []
        gate.open.set()
        stored, io = first.result(SECONDS), opposed.result(SECONDS)
    assert {outcome.verdict for outcome in stored} == {Verdict.STORED}
    assert max(outcome.committed_at for outcome in stored) < io.committed_at
    assert bench.send(documents=(("1.3", b"x"),)).codes == ("OPPOSED",)


@pytest.mark.parametrize("patient", [(ALICE,), (ALICE, local(H1, "1")), (ALICE, local(H1, "unknown"))])
def test_a_batch_that_waited_for_an_opposition_is_refused(bench: Postgres, other: PostgresStore, patient: tuple) -> None:
    bench.event(adt(patient=(ALICE, local(H1, "1"))))
    gate = Gate("sql.commit")
    with threads() as submit:
        opposed = submit(other.submit, reception("io", START), adt(stated(IO, at=None)), START + timedelta(days=1))
        assert gate.arrived.wait(SECONDS)
        batch = submit(bench.store.apply, [bench.deposit(patient=patient), bench.deposit(documents=(("1.2.4", b"x"),))])
        waiting(bench)
        gate.open.set()
        assert opposed.result(SECONDS).verdict is Verdict.APPLIED
        assert {outcome.codes for outcome in batch.result(SECONDS)} == {("OPPOSED",)}


def test_an_opposition_under_an_identifier_that_nobody_knew_is_waited_for(bench: Postgres, other: PostgresStore) -> None:
    """The deposit carries a local number that leads nowhere yet; its patient is made, and opposed, in the same moment."""
    ipp = local(H1, "never seen")
    gate = Gate("sql.commit")
    with threads() as submit:
        event = adt(stated(IO, at=None), patient=(ipp,), links=False)
        opposed = submit(other.submit, reception("io", START), event, START + timedelta(days=1))
        assert gate.arrived.wait(SECONDS)
        batch = submit(bench.store.apply, [bench.deposit(patient=(ALICE, ipp))])
        waiting(bench)
        gate.open.set()
        opposed.result(SECONDS)
        assert batch.result(SECONDS)[0].codes == ("OPPOSED",)


def test_a_patient_is_not_made_beside_a_deposit_that_found_nobody(bench: Postgres, other: PostgresStore) -> None:
    ipp = local(H1, "never seen")
    gate = Gate("store.decided")
    with threads() as submit:
        batch = submit(bench.store.apply, [bench.deposit(patient=(ALICE, ipp))])
        assert gate.arrived.wait(SECONDS)
        event = adt(stated(IO, at=None), patient=(ipp,), links=False)
        opposed = submit(other.submit, reception("io", START), event, START + timedelta(days=1))
        waiting(bench)
        assert not opposed.done()
        gate.open.set()
        stored, io = batch.result(SECONDS)[0], opposed.result(SECONDS)
    assert stored.verdict is Verdict.STORED and stored.committed_at < io.committed_at


def test_a_link_that_is_committed_while_a_batch_waits_makes_it_start_over(bench: Postgres, other: PostgresStore) -> None:
    """The batch locked the patient that the local number led to; meanwhile it leads to another, whose opposition counts."""
    ipp = local(H1, "1")
    bench.event(adt(stated(IO, at=None), patient=(ipp,), links=False))
    resolved = []
    points.hooks["sql.resolve_identifiers"] = lambda: resolved.append(1)
    gate = Gate("sql.commit")
    with threads() as submit:
        link = submit(other.submit, reception("link", START), adt(patient=(ALICE, ipp)), START + timedelta(days=1))
        assert gate.arrived.wait(SECONDS)
        batch = submit(bench.store.apply, [bench.deposit(patient=(ALICE, ipp))])
        waiting(bench)
        gate.open.set()
        link.result(SECONDS)
        (outcome,) = batch.result(SECONDS)
    assert outcome.codes == ("OPPOSED",)
    assert len(resolved) == 3  # the link's, the batch's, and the batch's again


def test_two_that_make_one_patient_make_one(bench: Postgres, other: PostgresStore) -> None:
    gate = Gate("sql.commit")
    with threads() as submit:
        deadline = START + timedelta(days=1)
        first = submit(other.submit, reception("a", START), opening(BORIS), deadline)
        assert gate.arrived.wait(SECONDS)
        second = submit(bench.store.submit, reception("b", START), opening(BORIS), deadline)
        waiting(bench)
        gate.open.set()
        assert [each.result(SECONDS).verdict for each in (first, second)] == [Verdict.APPLIED, Verdict.UNCHANGED]
    assert len(bench.rows("patient")) == len(bench.rows("record")) == 2


def test_one_batch_by_two_workers_is_applied_once(bench: Postgres, other: PostgresStore) -> None:
    """A worker that was taken for dead wakes up: both get the same outcomes, even of what leads to no patient."""
    batch = [
        *(bench.deposit(documents=((f"1.2.{n}", b"x"),)) for n in range(5)),
        *(bench.deposit(patient=(CARLA,), documents=((f"1.3.{n}", b"x"),)) for n in range(5)),
    ]
    for nobody_known in (batch, [bench.deposit(patient=(CARLA,), documents=(("1.4", b"x"),))]):
        gate = Gate("sql.commit")
        with threads() as submit:
            first = submit(bench.store.apply, nobody_known)
            assert gate.arrived.wait(SECONDS)
            second = submit(other.apply, nobody_known)
            waiting(bench)
            gate.open.set()
            assert first.result(SECONDS) == second.result(SECONDS)
    assert len(bench.rows("document")) == 5


def test_a_deadline_that_passes_in_the_line_is_never_begun(bench: Postgres) -> None:
    gate = Gate("store.decided")
    with threads() as submit:
        running = submit(bench.store.apply, [bench.deposit()])
        assert gate.arrived.wait(SECONDS)
        soon = bench.clock.now() + timedelta(seconds=0.5)
        late = submit(bench.store.submit, reception("io", bench.clock.now()), adt(stated(IO)), soon)
        waiting(bench)
        bench.clock.pass_by(seconds=2)
        with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
            late.result(SECONDS)  # while the batch still holds the lock
        gate.open.set()
        running.result(SECONDS)
    assert bench.rows("statement") == bench.rows("receipt", id="io") == []


def test_batches_of_others_never_stand_before_an_event(bench: Postgres) -> None:
    """Every connection for batches is taken, by batches of another patient."""
    bench.open(BORIS)
    gate = Gate("store.decided", nth=1)
    with threads() as submit:
        held = submit(bench.store.apply, [bench.deposit()])
        assert gate.arrived.wait(SECONDS)
        queued = [submit(bench.store.apply, [bench.deposit(documents=((f"1.9.{n}", b"x"),))]) for n in range(5)]
        waiting(bench, 2)
        assert bench.event(adt(stated(IO, at=None), patient=(BORIS,))).verdict is Verdict.APPLIED
        gate.open.set()
        assert all(each.result(SECONDS)[0].verdict is Verdict.STORED for each in (held, *queued))


def test_many_threads_of_two_stores_at_once(bench: Postgres, other: PostgresStore) -> None:
    """Deposits of three people while oppositions come and go: the query stays empty, no outcome is lost, nobody deadlocks."""
    with bench._connected() as connection:
        # The server counts for the database's whole life, and other tests make deadlocks on purpose.
        connection.execute("SELECT pg_stat_reset()")
    for patient in (BORIS, CARLA):
        bench.open(patient)
    people = (ALICE, BORIS, CARLA)

    def numbered(person: int, number: int) -> tuple[PatientId, PatientId]:
        """A person with one of their local numbers, most of them never seen before."""
        return (people[person], local(H1, f"{person}{number}"))

    start = threading.Barrier(8)
    stores = (bench.store, other)
    made = {
        worker: [
            [
                bench.deposit(
                    patient=numbered((worker + turn + n) % 3, turn),
                    establishments=((H1,), (H2,))[n % 2],
                    documents=((f"1.{worker}.{turn}.{n}", b"x"),),
                )
                for n in range(6)
            ]
            for turn in range(8)
        ]
        for worker in range(4)
    }

    def deposit_many(worker: int) -> list[str]:
        start.wait(SECONDS)
        return [outcome.receipt for batch in made[worker] for outcome in stores[worker % 2].apply(batch)]

    def state_many(worker: int) -> list[str]:
        start.wait(SECONDS)
        done = []
        for turn in range(12):
            said = stated((IO, INO)[turn % 2], (H1, H2)[worker % 2], at=None)
            who = numbered(turn % 3, turn % 8)[: 1 + turn % 2]
            taken = reception(f"e{worker}.{turn}", bench.clock.now())
            done.append(stores[worker % 2].submit(taken, adt(said, patient=who), START + timedelta(days=1)).receipt)
        return done

    with threads() as submit:
        work = [submit(deposit_many, n) for n in range(4)] + [submit(state_many, n) for n in range(4)]
        receipts = [receipt for each in work for receipt in each.result(90)]
    assert len(receipts) == len(set(receipts)) == 4 * 8 * 6 + 4 * 12
    rows = {row["id"]: row["verdict"] for row in bench.rows("receipt")}
    assert set(receipts) <= set(rows) and {"stored", "refused", "applied"} <= set(rows.values())
    with bench._connected() as connection:
        assert connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone() == (0,)


def test_nothing_is_decided_on_what_no_lock_protects(bench: Postgres) -> None:
    with connected(bench.url, application="test") as session:
        tx = PostgresTransaction(session, START)
        for read in (
            lambda: tx.patient_of(*ALICE.key),
            lambda: tx.record_of(1),
            lambda: tx.held_by((1,)),
            lambda: tx.rights_version(1),
            lambda: tx.outcome_of("r"),
            lambda: tx.bindings_of(1),
            lambda: tx.identifiers_of(1),
            lambda: tx.documents_since(1, START, "s"),
        ):
            with pytest.raises(Unlocked):
                read()


def test_a_closed_store_takes_nothing_and_finishes_what_was_begun(bench: Postgres) -> None:
    gate = Gate("store.decided")
    with threads() as submit:
        running = submit(bench.store.apply, [bench.deposit()])
        assert gate.arrived.wait(SECONDS)
        closing = submit(bench.store.close)
        time.sleep(0.05)
        assert not closing.done()
        gate.open.set()
        closing.result(SECONDS)
        assert running.result(SECONDS)[0].verdict is Verdict.STORED
    with pytest.raises(Transient):
        bench.store.apply([bench.deposit()])
    with pytest.raises(Unavailable):
        bench.event(adt())

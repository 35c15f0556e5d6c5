"""The answer to COMMIT is cut, the server is killed: nothing twice, nothing lost, nothing promised (D-2, D-6, D-9)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from gateway.model.event import Position
from gateway.model.outcome import Rejection
from gateway.model.ports import Unavailable
from gateway.model.problem import Problem
from gateway.model.verdict import Verdict
from gateway.store.port import Transient
from gateway.store.postgres import notes
from gateway.store.postgres.errors import Ambiguous
from gateway.store.postgres.store import PostgresStore
from gateway.telemetry import points
from tests.contract.store.backends import Postgres
from tests.harness.cutting import Cutting
from tests.harness.postgres import Cluster
from tests.strategies import records
from tests.strategies.records import START, Ticking, adt, opening, reception, stated

IO = Position.OPPOSES
LATER = START + timedelta(days=1)


@pytest.fixture
def proxy(bench: Postgres) -> Iterator[tuple[Cutting, PostgresStore]]:
    """A store that reaches the database through a line that can be cut."""
    cutting = Cutting(int(psycopg.conninfo.conninfo_to_dict(bench.url)["port"]))
    store = PostgresStore(psycopg.conninfo.make_conninfo(bench.url, port=cutting.port), bench.clock)
    # Every connection is made by now: what is cut is the one that is used.
    store._events.wait(10)
    store._batches.wait(10)
    yield cutting, store
    points.hooks.clear()
    store.close()
    cutting.close()


@pytest.mark.faults
def test_a_batch_whose_commit_was_not_answered_is_applied_once(bench: Postgres, proxy: tuple[Cutting, PostgresStore]) -> None:
    """F7: the server committed, the client never learnt: the same batch again gets the committed outcomes."""
    cutting, store = proxy
    for turn in range(50):
        batch = [bench.deposit(documents=((f"1.{turn}.{n}", b"x"),)) for n in range(3)]
        points.hooks["sql.commit"] = lambda: (points.hooks.clear(), cutting.arm())
        outcomes = store.apply(batch)
        assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED] * 3
        assert bench.apply(*batch) == outcomes
    assert cutting.cuts == 50
    assert len(bench.rows("document")) == 150
    assert len(bench.rows("trace", verdict="stored")) == 150


@pytest.mark.faults
def test_an_event_whose_commit_was_not_answered_is_answered_as_committed(
    bench: Postgres, proxy: tuple[Cutting, PostgresStore]
) -> None:
    cutting, store = proxy
    for turn in range(10):
        points.hooks["sql.commit"] = lambda: (points.hooks.clear(), cutting.arm())
        assert store.submit(reception(f"io{turn}", bench.clock.now()), adt(stated(IO, at=None)), LATER).verdict is Verdict.APPLIED
    assert cutting.cuts == 10
    assert len(bench.rows("statement")) == 10


@pytest.mark.faults
@pytest.mark.parametrize(
    "point", ["sql.begin", "sql.lock_patients", "sql.read_statements", "sql.copy_documents", "sql.copy_trace"]
)
def test_a_line_that_is_cut_before_the_commit_leaves_nothing(
    bench: Postgres, proxy: tuple[Cutting, PostgresStore], point: str
) -> None:
    cutting, store = proxy
    batch = [bench.deposit()]
    points.hooks[point] = lambda: (points.hooks.clear(), cutting.arm())
    with pytest.raises(Transient) as caught:
        store.apply(batch)
    assert not isinstance(caught.value, Ambiguous)
    assert bench.rows("document") == []
    assert store.apply(batch)[0].verdict is Verdict.STORED


def test_a_receipt_that_another_wrote_meanwhile_is_seen_by_another_try(bench: Postgres) -> None:
    """Nothing locks a deposit that leads to no patient: its receipt's key does."""
    made = bench.deposit(patient=(records.CARLA,))
    beside = []

    def apply_beside() -> None:
        points.hooks.clear()
        beside.extend(bench.store.apply([made]))

    points.hooks["sql.copy_refusals"] = apply_beside
    assert bench.store.apply([made]) == beside


@pytest.mark.faults
def test_a_server_that_is_killed_and_comes_back_loses_nothing_that_was_answered() -> None:
    """F6, with a batch open: the batch waits, and is applied once when the server is back."""
    cluster, clock = Cluster(), Ticking()
    try:
        url = cluster.lend()
        store = PostgresStore(url, clock)
        try:
            assert store.submit(reception("o", START), opening(), LATER).verdict is Verdict.APPLIED
            for turn in range(1):
                answered = store.apply([records.deposit(f"a{turn}", START, documents=((f"1.{turn}", b"x"),))])
                batch = [records.deposit(f"b{turn}.{n}", START, documents=((f"2.{turn}.{n}", b"x"),)) for n in range(5)]
                points.hooks["store.written"] = lambda: (points.hooks.clear(), cluster.kill())
                with pytest.raises(Transient):
                    store.apply(batch)
                with pytest.raises(Unavailable):
                    store.submit(reception("io", START), adt(stated(IO)), clock.now() + timedelta(seconds=1))
                cluster.start()
                assert [outcome.verdict for outcome in applied(store, batch)] == [Verdict.STORED] * 5
                assert [outcome.verdict for outcome in answered] == [Verdict.STORED]
            with psycopg.connect(url) as connection:
                assert connection.execute("SELECT count(*) FROM document").fetchone() == (6,)
                assert connection.execute("SELECT count(*) FROM statement").fetchone() == (0,)
        finally:
            store.close()
    finally:
        cluster.close()


def applied(store: PostgresStore, batch: list) -> list:
    """As a worker does: the same batch until the store takes it."""
    for _ in range(50):
        try:
            return store.apply(batch)
        except Transient:
            continue
    pytest.fail("the store never came back")


def test_a_session_that_waits_too_long_for_a_lock_gives_up(bench: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.postgres.session.LOCK_TIMEOUT_MS", 20)
    bench.restart()
    with bench._connected() as holder, holder.transaction():
        holder.execute("SELECT id FROM patient FOR NO KEY UPDATE")
        with pytest.raises(Transient, match="55P03"):
            bench.send()
        with pytest.raises(Unavailable):
            bench.event(adt(stated(IO)))
    assert bench.send().verdict is Verdict.STORED


def note(bench: Postgres, number: int, message_id: str = "m") -> None:
    rejection = Rejection(verdict=Verdict.REJECTED, patient="x", document_ids=("1.2",), problems=(Problem(code="INS_KEY"),))
    bench.store.note(reception(f"n{number:05}", START, message_id=message_id), rejection)


def test_notes_are_written_down_once(bench: Postgres) -> None:
    for number in (1, 2, 2):
        note(bench, number)
    bench.restart()
    assert [row["id"] for row in bench.rows("receipt", verdict="rejected")] == ["n00001", "n00002"]
    assert bench.rows("trace", receipt="n00001") == []


def test_a_note_that_cannot_be_written_takes_no_other_along(bench: Postgres) -> None:
    for number in range(8):
        note(bench, number, message_id="\0" if number == 3 else "m")
    bench.store.close()
    assert bench.store.notes_dropped == 1  # type: ignore[attr-defined]
    assert len(bench.rows("receipt", verdict="rejected")) == 7


def test_notes_beyond_the_limit_are_counted(bench: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "NOTES_LIMIT", 0)
    note(bench, 1)
    assert bench.store.notes_dropped == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("point", ["store.begun", "store.resolved", "store.decided", "store.written", "sql.commit"])
def test_a_failure_anywhere_leaves_nothing(bench: Postgres, point: str) -> None:
    before = bench.tables()
    batch = [bench.deposit(documents=((f"1.2.{n}", b"x"),)) for n in range(3)]

    def fail() -> None:
        raise ZeroDivisionError

    points.hooks[point] = fail
    with pytest.raises(ZeroDivisionError):
        bench.store.apply(batch)
    points.hooks.clear()
    assert bench.tables() == before
    assert {outcome.verdict for outcome in bench.store.apply(batch)} == {Verdict.STORED}


def test_a_store_that_many_call_while_it_closes_leaves_nobody_waiting(bench: Postgres) -> None:
    def deposit_until_closed(worker: int) -> int:
        for turn in range(100_000):
            try:
                bench.store.apply([])
            except Transient:
                return turn
        return -1

    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(deposit_until_closed, n) for n in range(8)]
        bench.store.close()
        assert all(each.result(20) >= 0 for each in work)

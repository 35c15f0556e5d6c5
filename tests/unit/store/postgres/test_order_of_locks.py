"""Whoever waits holds only what comes before what it waits for: patients and keys in one order, so nobody waits in a circle."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.model.problem import Problem
from gateway.model.verdict import Verdict
from gateway.store.postgres import store as module
from gateway.store.postgres.store import PostgresStore
from gateway.telemetry import points
from tests.contract.store.backends import Postgres
from tests.strategies.records import ALICE, ins

SECONDS = 20
PEOPLE = (ALICE, *(ins(f"27501630123{n:02}") for n in range(50, 57)))


@pytest.mark.parametrize("held", [0, 3, len(PEOPLE) - 1])
def test_patients_are_locked_in_the_order_of_their_keys(bench: Postgres, held: int) -> None:
    """A batch that waits for a patient has every one that comes before, and none that comes after."""
    for patient in PEOPLE[1:]:
        bench.open(patient)
    batch = [bench.deposit(patient=(patient,), documents=((f"1.{n}", b"x"),)) for n, patient in enumerate(reversed(PEOPLE))]
    with bench._connected() as holder, bench._connected() as observer, ThreadPoolExecutor(1) as pool:
        ids = [row[0] for row in observer.execute("SELECT id FROM patient ORDER BY id")]
        assert len(ids) == len(PEOPLE)
        with holder.transaction():
            holder.execute("SELECT id FROM patient WHERE id = %s FOR NO KEY UPDATE", (ids[held],))
            work = pool.submit(bench.store.apply, batch)
            until = time.monotonic() + SECONDS
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            while observer.execute(waiting).fetchone() == (0,) and time.monotonic() < until:
                time.sleep(0.005)
            free = {row[0] for row in observer.execute("SELECT id FROM patient FOR NO KEY UPDATE SKIP LOCKED")}
            assert sorted(set(ids) - free) == ids[: held + 1]
        assert {outcome.verdict for outcome in work.result(SECONDS)} == {Verdict.STORED}


@pytest.mark.parametrize("table", ["refusal", "receipt"])
def test_keys_are_written_in_their_order(bench: Postgres, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same receipts in two batches, turned round, each row slowly: the second waits for the first, neither is a victim."""
    bench.execute("CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END'")
    bench.execute(f"CREATE TRIGGER slowly BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION slowly()")
    met: list[str | None] = []
    inner = module.failed
    monkeypatch.setattr(module, "failed", lambda failure, **more: met.append(failure.sqlstate) or inner(failure, **more))
    # Nothing but their receipts is locked: nobody knows the patient, or they are notes of what was rejected.
    batch = [bench.deposit(patient=(PEOPLE[1],)) for _ in range(5)]
    other = PostgresStore(bench.url, bench.clock)
    start = threading.Barrier(2)

    def write(store: PostgresStore, these: list) -> None:
        start.wait(SECONDS)
        if table == "refusal":
            assert {outcome.verdict for outcome in store.apply(these)} == {Verdict.REFUSED}
            return
        rejection = module.Rejection(verdict=Verdict.REJECTED, problems=(Problem(code="INS_KEY"),))
        store._write_notes([(made.reception, rejection) for made in these])

    try:
        with ThreadPoolExecutor(2) as pool:
            work = [pool.submit(write, bench.store, batch), pool.submit(write, other, batch[::-1])]
            for each in work:
                each.result(SECONDS)
    finally:
        points.hooks.clear()
        other.close()
        bench.execute("DROP FUNCTION slowly CASCADE")
    assert met, "they did not meet: the test shows nothing"
    assert "40P01" not in met
    assert len(bench.rows("receipt", verdict="refused" if table == "refusal" else "rejected")) == len(batch)

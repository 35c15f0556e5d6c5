"""
Six natural ways to code the check of an opposition: four of them store against one that is committed (ARCHITECTURE.md).

In each the opposition's transaction holds the lock first; the deposit's comes to wait for it; the opposition commits; the deposit
goes on, reads what is in force, and stores unless it finds an opposition. What it must find was committed before it got the lock.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.harness import postgres

SECONDS = 10
RC, RR = psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ

IN_FORCE = "SELECT count(*) FROM binding WHERE patient = 1"
ROW = "SELECT id FROM patient WHERE id = 1 FOR NO KEY UPDATE"
ADVISORY = "SELECT pg_advisory_xact_lock(1)"
#: What makes the row that is locked where there may be none.
UPSERT = "INSERT INTO patient (id, created_at) VALUES (1, '') ON CONFLICT (id) DO NOTHING"
TOGETHER = f"WITH locked AS MATERIALIZED ({ROW}) SELECT (SELECT count(*) FROM binding WHERE patient = locked.id) FROM locked"

#: Coding → (isolation, whether the patient's row is there before, the deposit's statements, the last of which tells; the lock of
#: the opposition; whether it is right).
CODINGS = {
    "lock and check in one statement": (RC, True, (TOGETHER,), (ROW,), False),
    "a row that is not there yet": (RC, False, (ROW, IN_FORCE), (ROW,), False),
    "repeatable read, row lock": (RR, True, (ROW, IN_FORCE), (ROW,), False),
    "repeatable read, advisory lock": (RR, True, (ADVISORY, IN_FORCE), (ADVISORY,), False),
    "read committed, advisory lock": (RC, False, (ADVISORY, IN_FORCE), (ADVISORY, UPSERT), True),
    "read committed, upsert, row lock": (RC, False, (UPSERT, ROW, IN_FORCE), (UPSERT, ROW), True),
}
#: What the opposition writes under its lock.
STATED = """
    INSERT INTO patient (id, created_at) VALUES (1, '') ON CONFLICT (id) DO NOTHING;
    INSERT INTO statement (id, "right", "position", statement, ordered_at, written_at, received_at, committed_at, source,
        receipt)
        VALUES ('io', 'feeding', 'opposes', '{}', '', '', '', '', '', '');
    INSERT INTO binding (patient, statement, from_at, because, receipt) VALUES (1, 'io', '', 'statement', '')
"""
STORED = """
    INSERT INTO document (patient, unique_id, owner, state, act, digest, visibility, establishments, entry_uuid, entry, source,
        receipt, committed_at) VALUES (1, '1.2.3', 'h1', 'current', 'add', '', 'NNN', '[]', '', '{}', '', 'r', '')
"""


@pytest.fixture
def database() -> Iterator[str]:
    server = postgres.for_contracts()
    url = server.lend(clean=False)
    yield url
    server.give_back(url, thoroughly=False)


def wait_until_waiting(observer: psycopg.Connection, pid: int) -> bool:
    """Whether a session comes to wait for a lock, before a moment has passed."""
    until = time.monotonic() + 1
    while time.monotonic() < until:
        (waits,) = observer.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", (pid,)).fetchone()
        if waits:
            return True
        time.sleep(0.005)
    return False


def race(url: str, coding: str, *, counted: bool = False) -> tuple[bool, bool]:
    """Let an opposition and a deposit meet; return whether the deposit waited, and whether its document was stored."""
    isolation, there, reading, locking, _ = CODINGS[coding]
    committed = threading.Event()
    with (
        psycopg.connect(url, autocommit=True) as observer,
        psycopg.connect(url) as opposing,
        psycopg.connect(url) as depositing,
        ThreadPoolExecutor(1) as pool,
    ):
        if there:
            observer.execute(UPSERT)
        opposing.isolation_level = depositing.isolation_level = isolation

        def deposit() -> None:
            for statement in reading[:-1]:
                depositing.execute(statement)
            row = depositing.execute(reading[-1]).fetchone()
            # Whoever was not made to wait is decided by now; the opposition is committed and answered before its document is.
            assert committed.wait(SECONDS)
            if row is None or row[0] == 0:
                depositing.execute(STORED)
            depositing.commit()

        for statement in locking:
            opposing.execute(statement)
        opposing.execute(STATED)
        if counted:
            opposing.execute("UPDATE patient SET rights_version = rights_version + 1 WHERE id = 1")
        deciding = pool.submit(deposit)
        waited = wait_until_waiting(observer, depositing.info.backend_pid)
        opposing.commit()
        committed.set()
        deciding.result(SECONDS)
        (stored,) = observer.execute("SELECT count(*) FROM document").fetchone()
        return waited, stored > 0


@pytest.mark.parametrize("coding", CODINGS)
def test_which_codings_store_against_a_committed_opposition(database: str, coding: str) -> None:
    """The opposition is committed before the deposit: four codings store it all the same."""
    right = CODINGS[coding][-1]
    waited, stored = race(database, coding)
    # A row that is not there locks nothing: nobody waits.
    assert waited is (coding != "a row that is not there yet")
    assert stored is not right


def test_the_counted_change_makes_repeatable_read_fail_instead(database: str) -> None:
    """Where the opposition also updates the row, repeatable read stores nothing, and applies nothing either."""
    with pytest.raises(psycopg.errors.SerializationFailure):
        race(database, "repeatable read, row lock", counted=True)


def test_the_store_is_coded_as_the_one_that_finds_it() -> None:
    """What the gateway itself sends is the last of the six, with the gate for a row that is not there yet."""
    from gateway.store.postgres.statements import STATEMENTS

    assert STATEMENTS["begin"].text.startswith(b"BEGIN ISOLATION LEVEL READ COMMITTED")
    assert STATEMENTS["lock_patients"].text.endswith(b"ORDER BY id FOR NO KEY UPDATE")

"""
F19: every interleaving of two transactions that meet on one patient, on both stores; and wrong codings, each of which is found.

Held against the order of the commits as the scheduler saw it, the DPO's query, and every row that the serial run of that order
leaves. No deadlock, nobody stuck, nothing failed inside.
"""

import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.store import columns
from gateway.store.postgres import session as session_module
from gateway.store.postgres import store as postgres_store
from gateway.store.postgres.locking import Key, Moved
from gateway.store.postgres.session import Session
from gateway.store.postgres.statements import STATEMENTS
from gateway.store.sqlite.store import SqliteStore
from gateway.store.sqlite.transaction import SqliteTransaction
from tests.contract.store.backends import BACKENDS, SCRATCH
from tests.harness.breach import Breach
from tests.harness.scenes import SCENES, Scene, all_interleavings, replayed
from tests.harness.stepping import Actor, Stage, at_random, explore, following
from tests.harness.worlds import World

BY_NAME = {scene.name: scene for scene in SCENES}


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a folder: a schedule is a few commits, and there are hundreds."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as made:
        yield Path(made)


#: A slow machine plays as many as it can; `make proof ONLY=F19` plays all, whatever it takes.
LONGEST_SECONDS = 60.0
LEAST = 10


@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_all_interleavings(backend: str, scene: Scene, folder: Path) -> None:
    with World.made(backend, folder) as world:
        judge = all_interleavings(scene, world, time.monotonic() + LONGEST_SECONDS)
    told = "all" if judge.whole else "the first"
    print(f"{scene.name}, {backend}: {told} {judge.played} schedules, by the order of commits {judge.orders}")
    assert judge.played >= LEAST
    if not judge.whole:
        pytest.skip("out of time, and no breach among the schedules that were played: `make proof ONLY=F19` plays all")
    assert set(judge.orders) == set(scene.ends)
    # Fewer would mean that the actors no longer stop where they meet.
    assert min(judge.orders.values()) >= 10


# -- the scheduler itself


class Nobody:
    """Nobody waits."""

    def attach(self, stage: Stage) -> None:
        pass

    def waits(self, actor: Actor) -> bool:
        return False

    def freed(self, actor: Actor) -> bool:
        return False


def two_by_three(log: list[str]) -> Callable[[Callable[[int, str], str]], Any]:
    """Two actors with three steps each, which nothing stops."""
    from gateway.telemetry import points

    def act(letter: str) -> None:
        for number in range(2):
            points.reach("store.read")
            log.append(f"{letter}{number}")
        points.reach("store.commit.asked")

    def play(choose: Callable[[int, str], str]) -> Any:
        stage = Stage(Nobody(), ("store.read", "store.commit.asked"), "store.commit.asked")
        return stage.play([Actor(letter, lambda letter=letter: act(letter)) for letter in "ab"], choose)

    return play


def test_every_schedule_is_played_once() -> None:
    log: list[str] = []
    schedules = [played.schedule for played in explore(two_by_three(log))]
    # Three steps each: 6 over 3.
    assert len(schedules) == len(set(schedules)) == 20
    assert {"".join(sorted(schedule)) for schedule in schedules} == {"aaabbb"}


def test_a_schedule_is_followed() -> None:
    log: list[str] = []
    played = two_by_three(log)(following("baabab"))
    assert log == ["b0", "a0", "a1", "b1"]
    assert (played.schedule, played.order) == ("baabab", "ab")
    assert str(played).splitlines()[:2] == ["schedule 'baabab':", "  b leaves store.read"]


def test_a_seed_gives_one_schedule() -> None:
    twice = {two_by_three([])(at_random(7)).schedule for _ in range(2)}
    assert len(twice) == 1
    assert len({two_by_three([])(at_random(seed)).schedule for seed in range(10)}) > 3


def test_who_cannot_take_a_step_is_told() -> None:
    with pytest.raises(Breach, match="'c' cannot take a step here, only 'ab'"):
        two_by_three([])(following("abc"))


# -- wrong codings


def found(backend: str, scene: str, folder: Path) -> str:
    """Run all schedules of a scene on a wrong coding; return the breach, which comes again when its schedule is played again."""
    with World.made(backend, folder) as world:
        with pytest.raises(Breach) as first:
            all_interleavings(BY_NAME[scene], world)
        schedule = re.search(r"schedule '(\w+)'", str(first.value))
        if schedule is not None:
            with pytest.raises(Breach):
                replayed(BY_NAME[scene], world, schedule[1])
        world.bench.execute("DELETE FROM document")
    return str(first.value)


def test_a_check_in_the_statement_of_the_lock_is_found(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    text = (
        b"WITH locked AS MATERIALIZED (SELECT id FROM patient WHERE id = ANY (%s::bigint[]) ORDER BY id FOR NO KEY UPDATE)"
        b" SELECT b.patient, s.id, s.statement, s.received_at, s.committed_at, s.sequence FROM locked"
        b" JOIN binding b ON b.patient = locked.id AND b.to_at IS NULL JOIN statement s ON s.id = b.statement"
    )
    together, original = Session.together, Session._execute

    def execute(self: Session, name: str, parameters: Any) -> Any:
        cursor = original(self, name, parameters)
        if name == "lock_patients":
            # What came with the lock is what will be decided on.
            self._came = cursor.fetchall()
        return cursor

    monkeypatch.setattr(
        session_module,
        "STATEMENTS",
        {**STATEMENTS, "lock_patients": STATEMENTS["lock_patients"].__class__(name="lock_patients", text=text, hot=True)},
    )
    monkeypatch.setattr(Session, "_execute", execute)
    monkeypatch.setattr(
        Session,
        "together",
        lambda self, requests: {
            **together(self, requests),
            **({"read_statements": self._came} if hasattr(self, "_came") else {}),
        },
    )
    assert "('stored', 'applied', 'OPPOSED') where ('OPPOSED', 'applied', 'OPPOSED')" in found(
        "postgres", "a deposit, an opposition", folder
    )


@pytest.mark.parametrize(
    ("scene", "told"),
    [
        # Each changes the patient (its rights, the head of its trace): the lock itself fails, and everything is done twice.
        ("a deposit, an opposition", "['40001'] inside"),
        # Nothing changed in the slot that stands in for a patient: an old view of the world decides.
        ("a deposit, an opposition under a number that nobody knows", "('stored', 'applied') where ('OPPOSED', 'applied')"),
    ],
)
def test_repeatable_read_is_found(monkeypatch: pytest.MonkeyPatch, folder: Path, scene: str, told: str) -> None:
    begin = STATEMENTS["begin"]
    text = begin.text.replace(b"READ COMMITTED", b"REPEATABLE READ")
    assert text != begin.text
    wrong = begin.__class__(name="begin", text=text, hot=begin.hot)
    monkeypatch.setattr(session_module, "STATEMENTS", {**STATEMENTS, "begin": wrong})
    assert told in found("postgres", scene, folder)


def test_a_lock_without_its_row_is_found(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    run = Session.run
    monkeypatch.setattr(Session, "run", lambda self, name, parameters=(): name == "share_gate" or run(self, name, parameters))
    assert "('stored', 'applied') where ('OPPOSED', 'applied')" in found(
        "postgres", "a deposit, an opposition under a number that nobody knows", folder
    )


def test_locks_in_no_order_are_found(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def unsorted_lock(session: Session, identifiers: Any, *, creates: bool) -> dict[Key, int]:
        keys = list(dict.fromkeys(identifiers))
        asked = ([authority for authority, _ in keys], [value for _, value in keys])
        known = {(row[0], row[1]): row[2] for row in session.all("resolve_identifiers", asked)}
        for key in keys:
            if key in known:
                session.run("lock_patients", ([known[key]],))
        if {(row[0], row[1]): row[2] for row in session.all("confirm_identifiers", asked)} != known:
            raise Moved
        return known

    monkeypatch.setattr(postgres_store, "lock", unsorted_lock)
    assert found("postgres", "two batches that name two patients in opposite orders", folder).startswith("deadlock: all wait")


def test_rights_that_were_read_before_the_lock_are_found(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    transact, early = SqliteStore._transact, threading.local()

    def reads_first(self: SqliteStore, run: Any, deadline: Any = None) -> Any:
        rows = self._connection.execute(
            "SELECT b.patient, s.id, s.statement, s.received_at, s.committed_at, s.sequence FROM binding b"
            " JOIN statement s ON s.id = b.statement"
        ).fetchall()
        early.held = [(row[0], columns.held(row[1:])) for row in rows]
        return transact(self, run, deadline)

    def held(self: SqliteTransaction, patients: Any) -> Any:
        return tuple(known for patient, known in early.held if patient in set(patients))

    monkeypatch.setattr(SqliteStore, "_transact", reads_first)
    monkeypatch.setattr(SqliteTransaction, "held_by", held)
    assert "where" in found("sqlite", "a deposit, an opposition", folder)


def test_a_transaction_that_asks_for_its_lock_late_is_found(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """`BEGIN` alone: what was read is stale when the first write asks for the lock, and SQLite refuses it."""

    class Deferred:
        def __init__(self, connection: Any) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

        def execute(self, text: str, *values: Any) -> Any:
            return self._connection.execute("BEGIN" if text == "BEGIN IMMEDIATE" else text, *values)

    begin = SqliteStore._begin

    def deferred(self: SqliteStore) -> None:
        self._connection = Deferred(self._connection)
        begin(self)

    monkeypatch.setattr(SqliteStore, "_begin", deferred)
    assert "o failed: Unavailable('STORE_UNAVAILABLE')" in found("sqlite", "a deposit, an opposition", folder)

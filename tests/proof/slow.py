"""
F14: the record is slow, ten and a hundred times, or stands still: its tables are locked, or the server's own process is frozen.

Doors go on answering what they can (deposits AA: they are durable in the queue; an event that is not committed in time AR).
Workers keep their batch and try again in place: none dies, none loses its connection to the broker, and when the record answers
again it goes on within ten seconds. While one patient alone is held, the lanes of the other worker go on.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psycopg

from tests.harness.broker_rig import BrokerRig
from tests.harness.load import Load
from tests.proof.broker import Trouble, troubled
from tests.proof.line import Line, Run

#: What one transaction takes on an idle machine, roughly: ten and a hundred times of it are slept.
_TRANSACTION_SECONDS: Final = 0.005
#: A line of the log that tells of a connection to the broker, or of a process, that ended.
_LOST: Final = ('"process.ended"', '"queue.problem"')
#: Whoever waits for something waits so long.
_WAIT_SECONDS: Final = 60.0


@contextmanager
def _undisturbed(rig: BrokerRig) -> Iterator[None]:
    """See to it that no process ends meanwhile, and none loses the broker."""
    workers, length = rig.pids("worker"), rig.log.stat().st_size
    yield
    if rig.pids("worker") != workers:
        rig.slow.append("a worker died of a slow record")
    with rig.log.open("rb") as log:
        log.seek(length)
        said = log.read().decode("utf-8", "replace").splitlines()
    rig.slow.extend(f"log: {line[:300]}" for line in said if any(lost in line for lost in _LOST))


def slowed(factor: int, seconds: float) -> Trouble:
    """Every transaction that decides something takes so many times as long."""

    def happens(rig: BrokerRig, load: Load, _chance: random.Random) -> None:
        wait = factor * _TRANSACTION_SECONDS
        with _undisturbed(rig), psycopg.connect(rig.database, autocommit=True) as connection:
            connection.execute(
                "CREATE FUNCTION proof_slow() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN PERFORM pg_sleep({wait}); RETURN NULL; END $$".encode()
            )
            try:
                connection.execute(
                    b"CREATE TRIGGER proof_slow BEFORE INSERT ON receipt FOR EACH STATEMENT EXECUTE FUNCTION proof_slow()"
                )
                rig.wait_written(load, _WAIT_SECONDS)  # slowly, and yet
                time.sleep(seconds)
            finally:
                connection.execute(b"DROP FUNCTION proof_slow CASCADE")
        rig.wait_written(load)

    return happens


def locked(seconds: float) -> Trouble:
    """Nobody reads or writes receipts for a while; one table, since whoever locks two may be in a circle with a worker."""

    def happens(rig: BrokerRig, load: Load, _chance: random.Random) -> None:
        with _undisturbed(rig):
            with psycopg.connect(rig.database) as connection:
                connection.execute("LOCK TABLE receipt IN ACCESS EXCLUSIVE MODE")
                accepted = load.accepted_at
                time.sleep(seconds)
                limit = time.monotonic() + _WAIT_SECONDS
                while load.accepted_at <= accepted and time.monotonic() < limit:
                    time.sleep(0.01)
                if load.accepted_at <= accepted:
                    rig.slow.append("no AA while the record was locked: a deposit needs the queue alone")
                connection.rollback()
            rig.wait_written(load)

    return happens


def frozen(seconds: float) -> Trouble:
    """The server's process of one of our sessions stands still, with whatever it holds."""

    def happens(rig: BrokerRig, load: Load, chance: random.Random) -> None:
        with psycopg.connect(rig.database, autocommit=True) as connection:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )
            pids = [row[0] for row in found]
        if not pids:
            rig.slow.append("no session of the gateway was there to be frozen")
            return
        with _undisturbed(rig):
            pid = chance.choice(pids)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
            try:
                time.sleep(seconds)
            finally:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            rig.wait_written(load)

    return happens


def one_patient(seconds: float) -> Trouble:
    """One patient is held by somebody else; others, in lanes of the other worker, go on."""

    def happens(rig: BrokerRig, load: Load, chance: random.Random) -> None:
        with _undisturbed(rig), psycopg.connect(rig.database) as connection:
            patients = [row[0] for row in connection.execute("SELECT id FROM patient ORDER BY id").fetchall()]
            connection.rollback()
            connection.execute("SELECT id FROM patient WHERE id = %s FOR UPDATE", (chance.choice(patients),))
            time.sleep(seconds)
            rig.wait_written(load, _WAIT_SECONDS)
            connection.rollback()

    return happens


def _long(folder: Path, seed: int, number: int, end: float) -> Run:
    """Each kind by turns, as long as a release asks: 60 s."""
    seconds = 60.0 if end - time.monotonic() > 240 else 20.0
    kinds: tuple[Callable[[], list[Trouble]], ...] = (
        lambda: [slowed(10, seconds), slowed(100, seconds)],
        lambda: [locked(seconds), one_patient(seconds / 2)],
        lambda: [frozen(seconds)] * 2,
    )
    return troubled(folder, seed, kinds[number % len(kinds)](), until=end - 20)


LINES: Final = (
    Line(
        name="F14",
        what="the record ten and a hundred times slower, locked, or frozen for up to 60 s",
        unit="faults",
        night=50,
        share=2,
        least_seconds=150,
        run=_long,
        units=lambda run: run.faults,
    ),
)

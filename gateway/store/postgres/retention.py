"""The upkeep on PostgreSQL: one at a time whatever the machine, under the role that may take rows away."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final, TypeVar

import psycopg

from gateway.model.ports import Clock
from gateway.store.port import Contended
from gateway.store.postgres.connection import connected
from gateway.store.postgres.errors import Ambiguous, failed
from gateway.store.postgres.reading import Rights
from gateway.store.postgres.session import Session
from gateway.store.retention import Busy, JobDone, LastRun, Periods, run

_T = TypeVar("_T")

#: Key of the advisory lock that one upkeep holds; it dies with its connection.
_ONE_UPKEEP: Final = 0x646D7067_7775706B
#: How often a transaction is begun again where another one was in the way.
_TRIES: Final = 5


class Retention:
    """What `gateway.store.retention.Keeping` asks for."""

    _session: Session
    _rights: Rights

    def keep(self, name: str, /, **values: object) -> list[Any]:
        """Run a statement of `retention.sql` and return its rows."""
        return self._session.all(f"retention_{name}", values)

    def hold(self, patients: Iterable[int]) -> None:
        """Lock patients, in order, before anything of theirs is read."""
        held = sorted(set(patients))
        if held:
            self._session.run("lock_patients", (held,))
        for patient in held:
            self._rights.add(patient)


class Runs:
    """The part of the reader that tells when the upkeep ran."""

    def _reading(self) -> AbstractContextManager[Session]:
        raise NotImplementedError

    def upkeep_runs(self) -> list[LastRun]:
        """Return when each job ran to its end last; see `Reader.upkeep_runs`."""
        with self._reading() as session:
            return [LastRun(job=row[0], ran_at=row[1], rows=row[2]) for row in session.all("retention_last_runs")]


def retain(url: str, clock: Clock, periods: Periods, *, dry_run: bool, stopping: Callable[[], bool]) -> tuple[JobDone, ...]:
    """
    Run every job to its end on a connection of its own; see `gateway.store.retention.run`.

    Raises:
        Busy: another upkeep is under way.
        DatabaseUnusable: the database cannot be reached.
        Transient: it went away; what was done stays done.
    """
    with connected(url, application="dmp-gateway upkeep", role="dmp_gateway_erase") as session:
        try:
            (free,) = session.one("one_upkeep", (_ONE_UPKEEP,)) or (False,)
        except psycopg.Error as failure:
            raise failed(failure) from None
        if not free:
            raise Busy
        return run(lambda job: _transact(session, clock.now, job), periods, clock.now(), dry_run=dry_run, stopping=stopping)


def _transact(session: Session, now: Callable[[], datetime], job: Callable[[Any], _T]) -> _T:
    from gateway.store.postgres.transaction import PostgresTransaction

    for left in reversed(range(_TRIES)):
        committing = False
        try:
            session.run("begin")
            tx = PostgresTransaction(session, now())
            result = job(tx)
            tx.flush()
            committing = True
            session.commit()
        except psycopg.Error as failure:
            told = failed(failure, committing=committing)
            if not left or not isinstance(told, Contended | Ambiguous):
                raise told from None
        else:
            return result
        finally:
            session.abandon()
    raise AssertionError

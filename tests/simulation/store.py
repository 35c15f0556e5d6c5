"""The real store in memory, run in its caller's thread, with a log of its own of every commit."""

import functools
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from gateway.model.event import RecordEvent
from gateway.model.outcome import Outcome
from gateway.model.submission import Deposit, Reception
from gateway.store.port import Parked
from gateway.store.sqlite import connection as opening
from gateway.store.sqlite.line import Kind
from gateway.store.sqlite.reader import STORED_AGAINST_AN_OPPOSITION
from gateway.store.sqlite.store import SqliteStore


class SimClock:
    """A clock that moves by a millisecond each time it is read, unless it is held, and jumps when told."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self.held: datetime | None = None

    def now(self) -> datetime:
        if self.held is not None:
            return self.held
        self._now += timedelta(milliseconds=1)
        return self._now

    def pass_by(self, seconds: float) -> None:
        """Let time pass, or go back."""
        self._now += timedelta(seconds=seconds)


class Committed(NamedTuple):
    """One commit, in the order of commits: what was asked, the instant of its rows, what was answered."""

    kind: str
    asked: Any
    at: str
    outcomes: list[Outcome | None]

    @property
    def each(self) -> list[tuple[Any, Outcome | None]]:
        """What was asked, one by one, with what was answered."""
        return list(zip(self.asked if self.kind == "apply" else [self.asked], self.outcomes, strict=True))


@functools.cache
def _empty() -> bytes:
    """A database of the present schema, made once."""
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.execute("PRAGMA foreign_keys=ON")
    for number, text in opening.migrations():
        made.executescript(f"BEGIN IMMEDIATE;\n{text}\nPRAGMA user_version={number};\nCOMMIT;")
    return made.serialize()


class InlineStore(SqliteStore):
    """
    Every transaction of `SqliteStore`, in the thread of whoever asks.

    Args:
        clock: The time, injected.
        after_commit: Runs behind each COMMIT, before the caller learns of it; what it raises cuts the answer.
    """

    def __init__(self, clock: SimClock, after_commit: Callable[[], None] = lambda: None) -> None:
        self.log: list[Committed] = []
        self._after_commit = after_commit
        self._asked: tuple[str, Any] | None = None
        self._seen: Committed | None = None
        super().__init__(Path(":memory:"), clock)

    def _open(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path.name, isolation_level=None, check_same_thread=False)
        connection.deserialize(_empty())
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    def _begin(self) -> None:
        """No thread: each job runs where it is asked for."""

    def apply(self, batch: Sequence[Deposit]) -> list[Outcome]:
        self._asked = ("apply", list(batch))
        return super().apply(batch)

    def submit(self, reception: Reception, event: RecordEvent, deadline: datetime) -> Outcome:
        self._asked = ("submit", (reception, event))
        return super().submit(reception, event, deadline)

    def park(self, parked: Parked) -> Outcome:
        self._asked = ("park", parked)
        return super().park(parked)

    def review(self, deposit: Deposit) -> Outcome | None:
        self._asked = ("review", deposit)
        return super().review(deposit)

    def awaiting_review(self, limit: int) -> list[tuple[str, bytes]]:
        self._asked = None  # it reads
        return super().awaiting_review(limit)

    def set_aside(self, receipt: str) -> None:
        self._asked = ("set_aside", receipt)
        super().set_aside(receipt)

    def close(self) -> None:
        self._connection.close()

    def _put(self, _: Kind, job: Any) -> bool:
        asked, run = self._asked, job.run

        def seen(tx: Any) -> Any:
            result = run(tx)
            self._seen = None if asked is None else Committed(*asked, tx.at, result if isinstance(result, list) else [result])
            return result

        job.run = seen
        self._perform(job)
        return True

    def _transact(self, run: Callable[[Any], Any], deadline: datetime | None = None) -> Any:
        result = super()._transact(run, deadline)
        if self._seen is not None:
            self.log.append(self._seen)
        self._after_commit()
        return result

    # -- for the judge

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(text).fetchall()

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every table, every row, every column."""
        names = [name for (name,) in self.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: sorted(self.rows(f"SELECT * FROM {name}"), key=repr) for name in names}

    def against(self) -> list[tuple[Any, ...]]:
        """The DPO's query."""
        return self.rows(STORED_AGAINST_AN_OPPOSITION)

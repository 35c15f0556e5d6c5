"""
The journal of answers: what was acknowledged, kept outside the record store, so that a restore's loss can be told (D-2).

One file a day below `answers/` of the data directory, a line for each positive answer, written before the answer leaves: ids,
codes and times, never anything of a patient. Several processes may append to one file: each line begins on a line of its own,
whatever half a line another one left.
"""

import contextlib
import errno
import os
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from gateway.model.event import IdentifierChange, PatientEvent, Position, RecordEvent
from gateway.model.outcome import Outcome
from gateway.model.ports import Clock, Unavailable
from gateway.model.submission import Reception
from gateway.model.verdict import Verdict
from gateway.store.answers import Acknowledged
from gateway.store.port import Store
from gateway.telemetry import events

#: What ends an event without a positive answer.
_NOT_ACKNOWLEDGED: Final = frozenset({Verdict.REFUSED, Verdict.REJECTED, Verdict.PARKED})
_ENDING: Final = ".jsonl"


def acknowledges(outcome: Outcome) -> bool:
    """Tell whether the outcome of an event is answered positively."""
    return outcome.verdict not in _NOT_ACKNOWLEDGED


class Answers:
    """
    Appends to the journal, from any thread.

    Args:
        folder: `answers/` of the data directory; made at the first line.
        clock: The time.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Keep the folder; nothing is touched yet."""
        self._folder = folder
        self._clock = clock
        self._keep: timedelta | None = None
        self._day: date | None = None
        self._file = -1
        self._written = self._synced = 0
        #: Lines up to this one were written and are not on disk: after a failed fsync the next one says nothing about them.
        self._lost = 0
        self._write_lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._failed_since: float | None = None

    def keep(self, span: timedelta) -> None:
        """Forget days that are older, now and at each new day; never the last so many that there are, whatever the clock says."""
        self._keep = span
        self._forget(self._clock.now())

    def deposit(self, reception: Reception) -> None:
        """
        Note a deposit that is durable in the queue and about to be acknowledged.

        It is acknowledged even where this cannot be written: the queue and the store have it; the failure is logged and counted.
        """
        try:
            self._append(self._line(reception, "deposit", None))
        except OSError as failure:
            self._failed(failure, "deposit")

    def event(self, reception: Reception, event: RecordEvent) -> None:
        """
        Note an event that is committed and about to be acknowledged; one that states something is on disk when this returns.

        Raises:
            OSError: it states something and cannot be written: it must not be acknowledged, the sender sends it again.
        """
        stated = _stated(event)
        try:
            place = self._append(self._line(reception, "event", stated))
            if stated is not None:
                self._sync(place)
        except OSError as failure:
            self._failed(failure, "event")
            if stated is not None:
                raise

    def close(self) -> None:
        """Close the day's file."""
        with self._sync_lock, self._write_lock:
            self._shut()

    def _line(self, reception: Reception, kind: str, stated: str | None) -> Acknowledged:
        return Acknowledged(
            at=self._clock.now().astimezone(UTC).isoformat(timespec="milliseconds"),
            receipt=reception.receipt,
            received_at=reception.received_at,
            source=reception.source,
            establishment=reception.establishment,
            application=reception.application,
            message_id=reception.message_id,
            digest=reception.message_digest,
            kind=kind,
            stated=stated,
        )

    def _append(self, line: Acknowledged) -> int:
        """Write a line in one call of the system; return its number, for `_sync`."""
        # A line break before it, too: a process that died or a full disk may have left half a line, of this process or another.
        data = b"\n" + msgspec.json.encode(line) + b"\n"
        day = date.fromisoformat(line.at[:10])
        if day != self._day:
            with self._sync_lock, self._write_lock:
                self._open(day)
        with self._write_lock:
            if os.write(self._file, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._written += 1
            place = self._written
        if self._failed_since is not None:
            begun, self._failed_since = self._failed_since, None
            events.AnswersRecovered(seconds=time.monotonic() - begun).emit()
        return place

    def _sync(self, place: int) -> None:
        """Wait until a line is on disk; those that wait together share one call."""
        with self._sync_lock:
            if self._synced < place:
                self._make_durable()
            if place <= self._lost:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _make_durable(self) -> None:
        reached = self._written
        try:
            os.fsync(self._file)
        except OSError:
            self._lost = reached
            raise
        self._synced = reached

    def _open(self, day: date) -> None:
        if day == self._day:
            return
        self._shut()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{day.isoformat()}{_ENDING}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        _sync_folder(self._folder)
        self._day = day
        self._forget(datetime(day.year, day.month, day.day, tzinfo=UTC))

    def _shut(self) -> None:
        if self._file >= 0:
            # What was written and not yet synchronised belongs to somebody who waits for it.
            self._make_durable()
            os.close(self._file)
        self._file, self._day = -1, None

    def _forget(self, now: datetime) -> None:
        if self._keep is None:
            return
        last = (now - self._keep).date()
        # By their number, too: a clock that jumps ahead must not take the whole journal away.
        for day, path in _days(self._folder)[: -self._keep.days]:
            if day < last:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _failed(self, failure: OSError, kind: str) -> None:
        """Count each line that is missing; say once that lines are missing."""
        unnoted = events.AnswerUnnoted(reason=kind, error=errno.errorcode.get(failure.errno or 0, "OSError"))
        if self._failed_since is None:
            self._failed_since = time.monotonic()
            unnoted.emit()
        else:
            unnoted.count_up()


class _Noting:
    """A store whose events are noted after their commit and before anybody is told; everything else is the store's own."""

    def __init__(self, store: Store, answers: Answers) -> None:
        self._store = store
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def submit(self, reception: Reception, event: RecordEvent, deadline: datetime) -> Outcome:
        outcome = self._store.submit(reception, event, deadline)
        self._note(reception, event, outcome)
        return outcome

    def submit_all(self, requests: Sequence[tuple[Reception, RecordEvent]], deadline: datetime) -> list[Outcome]:
        outcomes = self._store.submit_all(requests, deadline)
        for request, outcome in zip(requests, outcomes, strict=True):
            self._note(*request, outcome)
        return outcomes

    def _note(self, reception: Reception, event: RecordEvent, outcome: Outcome) -> None:
        if not acknowledges(outcome):
            return
        try:
            self._answers.event(reception, event)
        except OSError as failure:
            # It is committed: sent again it is recognised, and noted then (D-6).
            code = "STORE_UNAVAILABLE"
            raise Unavailable(code) from failure


def noting(store: Store, answers: Answers) -> Store:
    """Return the store with its events noted; what states something and cannot be noted is `Unavailable` (D-2)."""
    return cast("Store", _Noting(store, answers))


class Journal:
    """
    The journal as it was written, for reading.

    Args:
        folder: `answers/` of a data directory; need not be there.
    """

    def __init__(self, folder: Path) -> None:
        """Keep the folder."""
        self._folder = folder
        #: Lines that could not be read: a write that was cut off.
        self.unreadable = 0

    @property
    def days(self) -> tuple[date, ...]:
        """The days that have a file, in order."""
        return tuple(day for day, _ in _days(self._folder))

    def lines(self, since: datetime) -> Iterator[Acknowledged]:
        """
        Yield the lines since an instant, in the order in which they were written.

        Raises:
            OSError: a file cannot be read.
        """
        begin = since.astimezone(UTC).isoformat(timespec="milliseconds")
        for day, path in _days(self._folder):
            if day < since.astimezone(UTC).date():
                continue
            with path.open("rb") as file:
                for text in file:
                    if not text.strip():
                        continue
                    try:
                        line = msgspec.json.decode(text, type=Acknowledged)
                    except msgspec.DecodeError:
                        self.unreadable += 1
                        continue
                    if line.at >= begin:
                        yield line


def _stated(event: RecordEvent) -> str | None:
    statements = event.statements if isinstance(event, (PatientEvent, IdentifierChange)) else ()
    if not statements:
        return None
    return "opposition" if any(each.position is Position.OPPOSES for each in statements) else "lifting"


def _days(folder: Path) -> list[tuple[date, Path]]:
    found = []
    for path in folder.glob(f"*{_ENDING}"):
        with contextlib.suppress(ValueError):
            found.append((date.fromisoformat(path.name.removesuffix(_ENDING)), path))
    return sorted(found)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

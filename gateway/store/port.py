"""What the store is to the rooms above, whatever the database behind it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from gateway.model.base import Model
from gateway.model.event import RecordEvent
from gateway.model.lane_day import LaneDay, LanePassed
from gateway.model.outcome import Outcome, Rejection
from gateway.model.submission import Deposit, Reception
from gateway.store.retention import JobDone, Periods


class Transient(Exception):
    """The database is away, full or busy: keep the batch and try again (D-9). Its text names no value."""


class Contended(Transient):
    """Other transactions were in the way, again and again: the same later, or less of it now."""


class Stalled(Transient):
    """The database ended a transaction in which nothing was said for too long: the machine stood still, or a deposit did."""


class StoreUnusable(Exception):
    """The record store cannot be opened or read; the text says which and why, for an operator, and never a value."""


class Parked(Model, frozen=True, kw_only=True):
    """What is kept of a deposit that could not be applied: ids and codes in clear, the deposit sealed (D-7)."""

    reception: Reception
    code: str
    place: str
    #: (authority, value) of every identifier, so that a later opposition finds it.
    identifiers: tuple[tuple[str, str], ...]
    sealed: bytes


class Store(Protocol):
    """The writing side: each call is one transaction."""

    def apply(self, batch: Sequence[Deposit]) -> list[Outcome]:
        """
        Apply deposits in order, in one transaction; the result is that of one by one (D-13).

        Returns:
            One outcome per deposit; a receipt that was decided before gets the committed outcome and writes nothing (D-6).

        Raises:
            Transient: nothing was written; the same batch may be tried again.
            Exception: nothing was written; one of the batch cannot be applied (halve it, D-13).
        """
        ...

    def submit(self, reception: Reception, event: RecordEvent, deadline: datetime) -> Outcome:
        """
        Apply an event ahead of waiting batches, in a transaction of its own (D-2).

        Raises:
            gateway.model.ports.Unavailable: STORE_UNAVAILABLE; it was not begun before the deadline, or the database is away.
        """
        ...

    def submit_all(self, requests: Sequence[tuple[Reception, RecordEvent]], deadline: datetime) -> list[Outcome]:
        """
        Apply events of different patients in order, in one transaction, behind the single ones: an import.

        Raises:
            gateway.model.ports.Unavailable: STORE_UNAVAILABLE; nothing was written, or nobody knows: repeating is harmless.
        """
        ...

    def note(self, reception: Reception, rejection: Rejection) -> None:
        """Write down a rejection or an ignored message when there is time; never waits."""
        ...

    def park(self, parked: Parked) -> Outcome:
        """Keep a sealed deposit for an operator, in a transaction of its own (D-7)."""
        ...

    def awaiting_review(self, limit: int) -> list[tuple[str, bytes]]:
        """
        Return the receipt and the sealed bytes of what is parked and to be judged again, the longest parked first (D-7).

        Raises:
            Transient: the database is away.
        """
        ...

    def review(self, deposit: Deposit) -> Outcome | None:
        """
        Judge a parked deposit again, in a transaction of its own; harmless where it was judged meanwhile.

        Returns:
            The refusal, where an opposition in force refuses it now: what was kept of it is erased. None where it stays parked.

        Raises:
            Transient: nothing was written.
            Exception: nothing was written; it cannot be judged.

        Source: D-7, R-13.
        """
        ...

    def set_aside(self, receipt: str) -> None:
        """Leave a parked deposit that cannot be opened or judged to a person: it stays, and a task says so."""
        ...

    def pass_lanes(self, passed: Sequence[LanePassed]) -> None:
        """
        Note the days that lanes have passed; a lane never goes back (D-7).

        Raises:
            Transient: nothing was written.
        """
        ...

    def first_parked(self) -> datetime | None:
        """
        Return when the first of what is parked was parked; None if nothing is.

        Raises:
            Transient: the database is away.
        """
        ...

    def parked(self) -> int:
        """
        Return how many deposits are parked.

        Raises:
            Transient: the database is away.
        """
        ...

    def lanes_passed(self) -> list[LaneDay]:
        """
        Return the last day that each lane has passed.

        Raises:
            Transient: the database is away.
        """
        ...

    def retain(
        self, periods: Periods, *, dry_run: bool = False, stopping: Callable[[], bool] = lambda: False
    ) -> tuple[JobDone, ...]:
        """
        Take away what has been kept long enough, in small transactions; see `gateway.store.retention.run`.

        Raises:
            Busy: another upkeep is under way.
            Transient, StoreUnusable: the database is away; what was done stays done, the rest is due at the next run.
        """
        ...

    def close(self) -> None:
        """Finish what was begun, checkpoint, close."""
        ...

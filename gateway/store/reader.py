"""What an operator reads of the record store, whatever the database behind it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, Self

from gateway.model.lane_day import LaneDay
from gateway.store.answers import Acknowledged
from gateway.store.chain import TraceOf
from gateway.store.checks import Bounds
from gateway.store.reader_watch import Watch
from gateway.store.retention import LastRun
from gateway.store.views import DepositLine, DepositPage, ParkedView, RecordPage


class Reader(Watch, Protocol):
    """A connection that can only read."""

    def __enter__(self) -> Self:
        """Return the reader."""
        ...

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        ...

    def deposits(self, filters: dict[str, str], *, limit: int) -> list[DepositLine]:
        """
        Return decided messages, newest first.

        Args:
            filters: Of `state`, `source`, `establishment`, `patient`, `message`, `document`, `code`, `since`, `until`.
            limit: How many at most.
        """
        ...

    def deposit(self, receipt: str) -> DepositPage | None:
        """Return all that is known of one message."""
        ...

    def parked(self, filters: Mapping[str, str] = {}, *, limit: int = 1000) -> list[ParkedView]:
        """
        Return what is parked, the longest first.

        Args:
            filters: Of `receipt`, `source`, `establishment`, `patient`, `message`, `code`, `since`, `until` (when it was parked).
            limit: How many at most.
        """
        ...

    def record(self, authority: str, value: str, now: datetime) -> RecordPage | None:
        """Return the page of the patient that an identifier names; None if it is unknown here."""
        ...

    def counts(self) -> dict[str, int]:
        """Return how many messages ended in each verdict."""
        ...

    def stored_against_an_opposition(self) -> list[tuple[str, str]]:
        """
        Return (receipt, statement) of every document stored against a binding opposition: the DPO's query, expected empty.

        Source: ARCHITECTURE.md (why rights do not converge).
        """
        ...

    def opposed_scopes(self) -> list[tuple[str, str, int]]:
        """Return (scope, what it names, how many patients) of the oppositions to feeding that their own side has not lifted."""
        ...

    def violations(self, name: str, bounds: Bounds) -> list[str]:
        """
        Return what breaks an invariant, expected empty: receipts, ids of statements or entries, numbers of patients.

        Args:
            name: Of `gateway.store.checks.INVARIANTS`.
            bounds: Instants that some of the queries need.
        """
        ...

    def trace_of(self, patient: int) -> TraceOf | None:
        """Return the whole trace of a patient by its internal id, to be verified (R-35); None if there is no such patient."""
        ...

    def traces(self) -> Iterator[TraceOf]:
        """Return the trace of each patient, one at a time, in the order of the ids."""
        ...

    def upkeep_runs(self) -> list[LastRun]:
        """Return when each job of the upkeep ran to its end last (`gateway.store.retention.JOBS`)."""
        ...

    def lanes_passed(self) -> list[LaneDay]:
        """Return the last day that each lane of the queue has passed (D-7)."""
        ...

    def known_receipts(self, receipts: Sequence[str]) -> set[str]:
        """Return those of the receipts that are there."""
        ...

    def came_again(self, answers: Sequence[Acknowledged]) -> set[str]:
        """
        Return the receipts of those whose message came again after them, the same (D-6), and was not rejected.

        A command is the same if the same was typed again.
        """
        ...

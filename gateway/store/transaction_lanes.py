"""What the record of passed lanes asks of an open transaction and of a reader, whatever the database behind it (D-7)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from gateway.model.lane_day import LaneDay, LanePassed


class Lanes(Protocol):
    """A part of `gateway.store.transaction.Transaction`."""

    def pass_lane(self, passed: LanePassed) -> None:
        """Note that a lane has passed a day; a lane never goes back."""
        ...

    def lanes_passed(self) -> list[LaneDay]:
        """Return the last day that each lane has passed."""
        ...

    def count_parked(self) -> int:
        """Return how many deposits are parked."""
        ...

    def first_parked(self) -> str | None:
        """Return when the first of what is parked was parked, ISO 8601 UTC; None if nothing is."""
        ...


def lane_days(rows: Iterable[Any]) -> list[LaneDay]:
    """Return rows (lane, day, instant) as what they mean."""
    return [LaneDay(lane=lane, day=day, passed_at=datetime.fromisoformat(at)) for lane, day, at in rows]

"""Which days the lanes of a queue have passed, on SQLite (D-7)."""

import sqlite3

from gateway.model.lane_day import LaneDay, LanePassed
from gateway.store.sqlite.base import Base
from gateway.store.transaction_lanes import lane_days

_PASSED = "SELECT lane, day, passed_at FROM lane_day ORDER BY lane"


class Lanes(Base):
    """What `gateway.store.transaction_lanes.Lanes` asks for."""

    def pass_lane(self, passed: LanePassed) -> None:
        """Note that a lane has passed a day; a lane never goes back."""
        self._do(
            "INSERT INTO lane_day (lane, day, passed_at) VALUES (?, ?, ?) ON CONFLICT (lane) DO UPDATE"
            " SET day = excluded.day, passed_at = excluded.passed_at WHERE lane_day.day < excluded.day",
            passed.lane,
            passed.day,
            self.at,
        )

    def lanes_passed(self) -> list[LaneDay]:
        """Return the last day that each lane has passed."""
        return lane_days(self._all(_PASSED))

    def count_parked(self) -> int:
        """Return how many deposits are parked."""
        found: int = self._one("SELECT count(*) FROM parked")[0]
        return found

    def first_parked(self) -> str | None:
        """Return when the first of what is parked was parked, ISO 8601 UTC; None if nothing is."""
        found: str | None = self._one("SELECT min(parked_at) FROM parked")[0]
        return found


class LanesRead:
    """The part of the reader that tells which days the lanes have passed."""

    _connection: sqlite3.Connection

    def lanes_passed(self) -> list[LaneDay]:
        """Return the last day that each lane has passed; see `Reader.lanes_passed`."""
        return lane_days(self._connection.execute(_PASSED))

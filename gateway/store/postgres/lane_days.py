"""Which days the lanes of a queue have passed, on PostgreSQL (D-7)."""

from contextlib import AbstractContextManager

from gateway.model.lane_day import LaneDay, LanePassed
from gateway.store.postgres.session import Session
from gateway.store.transaction_lanes import lane_days


class Lanes:
    """What `gateway.store.transaction_lanes.Lanes` asks for."""

    at: str
    _session: Session

    def pass_lane(self, passed: LanePassed) -> None:
        """Note that a lane has passed a day; a lane never goes back."""
        self._session.run("pass_lane", (passed.lane, passed.day, self.at))

    def lanes_passed(self) -> list[LaneDay]:
        """Return the last day that each lane has passed."""
        return lane_days(self._session.all("lanes_passed"))

    def count_parked(self) -> int:
        """Return how many deposits are parked."""
        found: tuple[int] = self._session.one("count_parked") or (0,)
        return found[0]

    def first_parked(self) -> str | None:
        """Return when the first of what is parked was parked, ISO 8601 UTC; None if nothing is."""
        found: tuple[str | None] = self._session.one("first_parked") or (None,)
        return found[0]


class LanesRead:
    """The part of the reader that tells which days the lanes have passed."""

    def _reading(self) -> AbstractContextManager[Session]:
        raise NotImplementedError

    def lanes_passed(self) -> list[LaneDay]:
        """Return the last day that each lane has passed; see `Reader.lanes_passed`."""
        with self._reading() as session:
            return lane_days(session.all("lanes_passed"))

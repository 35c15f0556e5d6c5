"""Clocks that jump, stand still or go back, between transactions and inside them (F13)."""

import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.telemetry import points
from tests.strategies.records import Ticking

#: What a clock may do at once.
JUMPS: Final = tuple(
    timedelta(**{unit: sign * much}) for unit, much in (("hours", 1), ("days", 1), ("seconds", 1)) for sign in (1, -1)
)

#: Where a clock is worth watching: both changes of the hour in Paris, a leap day, the end of a year.
BEGINNINGS: Final = {
    "summer time begins": datetime(2026, 3, 29, 0, 59, 50, tzinfo=UTC),
    "summer time ends": datetime(2026, 10, 25, 0, 59, 50, tzinfo=UTC),
    "leap day": datetime(2028, 2, 28, 22, 59, 50, tzinfo=UTC),
    "new year": datetime(2026, 12, 31, 22, 59, 50, tzinfo=UTC),
}

#: Inside a transaction, on either store.
INSIDE: Final = (
    "event.received",
    "store.lock.asked",
    "store.lock.granted",
    "store.resolved",
    "store.decided",
    "store.commit.asked",
)


class Back(Ticking):
    """Goes back a second each time it is read."""

    def now(self) -> datetime:
        with self._lock:
            self._now -= timedelta(seconds=1)
            return self._now


class Still(Ticking):
    """Stands still: the same instant again and again."""

    def now(self) -> datetime:
        with self._lock:
            return self._now


class Jumping(Ticking):
    """Jumps by chance each time it is read."""

    def __init__(self, start: datetime, seed: int) -> None:
        super().__init__(start)
        self._chance = random.Random(seed)
        self._mutex = threading.Lock()
        self.jumps = 0

    def now(self) -> datetime:
        self.jump(0.2)
        return super().now()

    def jump(self, chance: float) -> None:
        """Perhaps jump."""
        with self._mutex:
            if self._chance.random() < chance:
                self.jumps += 1
                self.pass_by(seconds=self._chance.choice(JUMPS).total_seconds())


def inside(clock: Jumping) -> None:
    """Let the clock jump at the points inside transactions, too."""
    points.hooks.update({name: lambda: clock.jump(0.2) for name in INSIDE})

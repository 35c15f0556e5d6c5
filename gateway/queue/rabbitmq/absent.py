"""Lanes that are not on the broker: which, since when, and what to do."""

import time
from collections.abc import Iterable
from typing import Final

from gateway.telemetry.events import LanesMissed, LanesRecovered
from gateway.telemetry.outage import REMINDER_SECONDS

#: The verb that makes them.
VERB: Final = "queue setup"


class Absent:
    """
    Says of the lanes that a consumer lacks: once when one is found missing, each minute while one is, and when one is back.

    Args:
        role: Which process it is, for the log.
    """

    def __init__(self, role: str) -> None:
        """Begin with every lane there."""
        self._role = role
        self._since: dict[str, float] = {}
        self._said_at = 0.0

    def look(self, missing: Iterable[str]) -> None:
        """Take note of the lanes that are missing now."""
        now, found = time.monotonic(), set(missing)
        back = {lane: self._since.pop(lane) for lane in self._since.keys() - found}
        if back:
            LanesRecovered(lanes=tuple(sorted(back)), seconds=now - min(back.values()), role=self._role).emit()
        new = found - self._since.keys()
        self._since |= dict.fromkeys(new, now)
        if new or (found and now - self._said_at >= REMINDER_SECONDS):
            self._said_at = now
            LanesMissed(lanes=tuple(sorted(found)), verb=VERB, role=self._role).emit()

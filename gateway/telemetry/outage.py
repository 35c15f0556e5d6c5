"""Something that is away: said once, again each minute while it is, and once when it is back."""

import threading
import time
from collections.abc import Callable
from typing import Final

from gateway.telemetry.event import Event

#: How often what is still away is said again.
REMINDER_SECONDS: Final = 60.0


class Outage:
    """
    Keeps one event per change of state out of however many tries notice it. Any thread may tell.

    Args:
        back: Makes the event of its end from how long it was away, in seconds.
        monotonic: Seconds since some instant, whatever the clock is set to.
    """

    def __init__(self, back: Callable[[float], Event], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin with everything there."""
        self._back = back
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._since: float | None = None
        self._said_at = 0.0

    @property
    def since(self) -> float | None:
        """Since when it is away, in the seconds of `monotonic`; None while it is there."""
        return self._since

    def away(self, problem: Event, *, since: float | None = None) -> None:
        """
        Take note that it is away: the event is emitted where that is new, or was said a minute ago.

        Args:
            problem: What to say.
            since: Since when, where that was noticed earlier; now if None.
        """
        now = self._monotonic()
        with self._lock:
            if self._since is None:
                self._since = now if since is None else since
            elif now - self._said_at < REMINDER_SECONDS:
                return
            self._said_at = now
        problem.emit()

    def over(self, *, at: float | None = None) -> None:
        """Take note that it is there, now or since `at`; said if it was away."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            self._back((self._monotonic() if at is None else at) - since).emit()

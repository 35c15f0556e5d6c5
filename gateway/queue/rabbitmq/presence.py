"""Whether a process has its broker: said when it is lost, when it is back, and each minute in between."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from gateway.telemetry.event import located
from gateway.telemetry.events import QueueProblem, QueueRecovered
from gateway.telemetry.outage import REMINDER_SECONDS, Outage

#: How long a process may take to reach the broker at its start before that is worth a line.
CONNECT_SECONDS: Final = 10.0
#: What came back counts as there after so long: a channel that the broker closes at once is not.
SETTLED_SECONDS: Final = 1.0


class Presence:
    """
    All connections of a process together: it has its broker while each of them has a channel and none is blocked.

    Called on the broker's loop only, after `begin`.

    Args:
        loop: The broker's.
        role: Which process it is: `door`, or `worker` and its number.
        monotonic: Seconds since some instant, whatever the clock is set to.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, role: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing there yet."""
        self._monotonic = monotonic
        self._loop = loop
        self._role = role
        #: What is missing, by connection and kind of trouble, and the class of the error.
        self._missing: dict[tuple[object, str], str] = {}
        self._outage = Outage(lambda seconds: QueueRecovered(seconds=seconds, role=role), monotonic=monotonic)
        self._begun = self._monotonic()
        self._was_there = False
        self._timer: asyncio.TimerHandle | None = None
        self._back_at = 0.0
        self._over = False

    def away(self, link: object, reason: BaseException | str | None = None) -> None:
        """Take note that a connection has no channel, and why if that is known."""
        self._note(link, "lost", located(reason)[0] if isinstance(reason, BaseException) else reason or "")

    def there(self, link: object) -> None:
        """Take note that a connection has a channel."""
        self._clear(link, "lost")

    def blocked(self, link: object, *, by_broker: bool) -> None:
        """Take note that the broker reads nothing of a connection, or reads it again."""
        if by_broker:
            self._note(link, "blocked", "")
        else:
            self._clear(link, "blocked")

    def end(self) -> None:
        """Say nothing more: the process lets go of the broker."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()

    def _note(self, link: object, kind: str, error: str) -> None:
        if self._over:
            return
        known = (link, kind) in self._missing
        self._missing[link, kind] = error or self._missing.get((link, kind), "")
        if not known:
            self._say()

    def _clear(self, link: object, kind: str) -> None:
        if self._over or self._missing.pop((link, kind), None) is None or self._missing:
            return
        self._back_at = self._monotonic()
        self._later(SETTLED_SECONDS)

    def _say(self) -> None:
        """Say what is missing, unless the process is only starting; look again when it is due to be said again."""
        if not self._was_there and (left := self._begun + CONNECT_SECONDS - self._monotonic()) > 0:
            self._later(left)
            return
        kind, error = next(((kind, error) for (_, kind), error in self._missing.items() if kind == "lost"), ("blocked", ""))
        reason = kind if self._was_there or kind == "blocked" else "connect"
        problem = QueueProblem(reason=reason, error=error or None, role=self._role)
        self._outage.away(problem, since=None if self._was_there else self._begun)
        self._later(REMINDER_SECONDS)

    def _later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._over:
            return
        if self._missing:
            self._say()
        else:
            self._was_there = True
            self._outage.over(at=self._back_at)

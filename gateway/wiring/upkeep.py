"""The upkeep of a running gateway: at its start and then daily, in the background, whatever the doors do (D-7, R-09)."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import msgspec

from gateway.config.settings import Retention
from gateway.model.ports import Clock
from gateway.store.port import Store, StoreUnusable, Transient
from gateway.store.retention import Busy, Periods
from gateway.telemetry import events

#: From one run to the next, and to the next try where the store was away.
DAILY: Final = timedelta(days=1)
AGAIN: Final = timedelta(minutes=10)
#: How often the clock is looked at, in seconds: it may be set.
LOOK_SECONDS: Final = 30.0
#: A clock that has gone so much further, or so much less, than the time that has passed was set, or jumped.
JUMP: Final = timedelta(days=3)


def periods(retention: Retention) -> Periods:
    """Return how long things are kept, as the configuration says."""
    return Periods(**msgspec.structs.asdict(retention))


class _Doubt:
    """
    Whether the clock may be gone by: what a year's jump ahead would take away does not come back when the clock does.

    Args:
        clock: The time.
        passed: Seconds that have passed since some instant, whatever the clock was set to.
    """

    def __init__(self, clock: Clock, passed: Callable[[], float]) -> None:
        self._clock = clock
        self._passed = passed
        self._apart = self._difference()
        self._until: float | None = None

    def doubted(self) -> bool:
        """Tell whether the clock jumped within the last day; one that then goes on for a day is believed."""
        apart = self._difference()
        if abs(apart - self._apart) > JUMP.total_seconds():
            events.UpkeepDelayed(seconds=apart - self._apart).emit()
            self._apart, self._until = apart, self._passed() + DAILY.total_seconds()
        if self._until is not None and self._passed() >= self._until:
            self._until = None
        return self._until is not None

    def _difference(self) -> float:
        return self._clock.now().timestamp() - self._passed()


def _passed() -> float:
    """Return the seconds since the machine was started, those that it slept included where the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Upkeep:
    """
    Runs the jobs of `gateway.store.retention` on a thread of its own.

    Args:
        store: The record store.
        kept: How long things are kept.
        clock: The time.
        passed: Seconds that have passed since some instant, whatever the clock was set to.
    """

    def __init__(self, store: Store, kept: Periods, clock: Clock, passed: Callable[[], float] = _passed) -> None:
        """Keep the rooms; `start` begins."""
        self._store = store
        self._kept = kept
        self._clock = clock
        self._doubt = _Doubt(clock, passed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin with a run."""
        self._thread.start()

    def stop(self, deadline_seconds: float) -> bool:
        """Finish the transaction in hand; the rest is due at the next start. Returns whether it stopped in time."""
        self._stopping.set()
        if self._thread.ident is not None:  # it was started
            self._thread.join(deadline_seconds)
        return not self._thread.is_alive()

    def once(self) -> bool:
        """Run every job; tell of each that took something. Returns whether they came to their end."""
        begun = time.monotonic()
        try:
            done = self._store.retain(self._kept, stopping=self._stopping.is_set)
        except Busy:
            return True  # another machine of the same database is at it
        except (Transient, StoreUnusable):
            events.StoreProblem(reason="upkeep").emit()
            return False
        except Exception as failure:  # noqa: BLE001 - the gateway serves on, and the next run tries again
            events.InternalError.of(failure, reason="upkeep").emit()
            return False
        for job in done:
            if job.rows:
                events.UpkeepErased(job=job.job, count=job.rows).emit()
        events.UpkeepEnded(count=sum(job.rows for job in done), seconds=time.monotonic() - begun).emit()
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            due = self._clock.now() + (DAILY if not self._doubt.doubted() and self.once() else AGAIN)
            while (self._doubt.doubted() or self._clock.now() < due) and not self._stopping.wait(LOOK_SECONDS):
                pass

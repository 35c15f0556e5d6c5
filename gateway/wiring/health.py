"""What a process shows of itself: its metrics, whether each part of it does its work, and what a person should know."""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from prometheus_client import CollectorRegistry

from gateway.model.base import Model
from gateway.model.ports import Clock, Unavailable
from gateway.queue import markers
from gateway.queue.errors import KeysUnusable
from gateway.queue.keys import Keys
from gateway.queue.rabbitmq.setup import BrokerUnusable
from gateway.store.port import StoreUnusable, Transient
from gateway.telemetry import events, metrics
from gateway.wiring.ready import version

#: Tells what is missing, in words without any value of a message; None where nothing is.
Check = Callable[[], str | None]
#: Asks somebody else for a number, and shows it.
Look = Callable[[], None]

#: How often others are asked for what only they know, in seconds.
ASK_SECONDS: Final = 30.0


class Shown(Model, frozen=True, kw_only=True):
    """How a process is."""

    #: What is missing, by check, in words.
    missing: dict[str, str]
    #: What a person should know, though nothing is missing.
    notes: tuple[str, ...] = ()


class Showing(Protocol):
    """Who has something to show: a process, or several together."""

    registry: CollectorRegistry

    def look(self) -> Shown:
        """Bring what `registry` holds up to now, and tell how it is."""
        ...


class Health:
    """
    One process.

    Args:
        checks: What must be there, by the name that `ready{check}` has.
        notes: Tell what a person should know.
        before: Called before it is shown: brings gauges up to now.
    """

    def __init__(
        self, checks: Mapping[str, Check], *, notes: Callable[[], Sequence[str]] = tuple, before: Look = lambda: None
    ) -> None:
        """Keep the checks."""
        self.registry = metrics.REGISTRY
        self._checks = checks
        self._notes = notes
        self._before = before
        metrics.BUILD.labels(version()).set(1)

    def look(self) -> Shown:
        """Look at everything; see `Showing.look`."""
        self._before()
        missing: dict[str, str] = {}
        for name, check in self._checks.items():
            words = check()
            metrics.READY.labels(name).set(0 if words else 1)
            if words:
                missing[name] = words
        return Shown(missing=missing, notes=tuple(self._notes()))


class Lookout:
    """
    Asks broker and store, on a thread of its own, for what only they know: a page must not wait for them.

    Args:
        looks: Each shows what it found; where it fails, `unknown` takes its place.
    """

    def __init__(self, looks: Sequence[tuple[Look, Look]]) -> None:
        """Keep what is asked; `start` begins."""
        self._looks = tuple(looks)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)

    def start(self) -> None:
        """Begin with a look."""
        self._thread.start()

    def stop(self, deadline_seconds: float) -> None:
        """Ask no more; whoever is being asked is waited for, for so long."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(deadline_seconds)

    def once(self) -> None:
        """Ask everybody once; who does not answer is away, and said to be by those who work with them."""
        for look, unknown in self._looks:
            try:
                look()
            except (Unavailable, Transient, StoreUnusable, BrokerUnusable):
                unknown()
            except Exception as failure:  # noqa: BLE001 - a number less is no reason to end
                unknown()
                events.InternalError.of(failure, reason="lookout").emit()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.once()
            self._stopping.wait(ASK_SECONDS)


def show_age(lane: str, oldest: str | None, clock: Clock) -> None:
    """Show how long the first of a lane has waited; 0 where nothing waits there, or nobody says since when."""
    try:
        since = datetime.fromisoformat(oldest) if oldest else None
    except ValueError:  # a stranger's
        since = None
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    age = (clock.now() - since).total_seconds() if since is not None else 0.0
    metrics.LANE_OLDEST_AGE.labels(lane).set(max(0.0, age))


def promise(keys: Keys, clock: Clock) -> tuple[str, ...]:
    """Tell since when the promise of 48 hours is not kept on this machine (D-7); nothing while it is."""
    try:
        since = markers.broken_since(keys.held(), clock.now())
    except (KeysUnusable, OSError):
        return ()
    if since is None:
        return ()
    at = since.isoformat(timespec="seconds")
    return (f"since {at} what was received more than 48 hours ago can be read: `dmp-gateway keys status` names the lane",)

"""What the end of a day asks of a process with keys: the next key, the markers, and the end of the keys behind them (D-7)."""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from gateway.model.lane_day import LaneDay
from gateway.model.ports import Clock, Unavailable
from gateway.queue import markers
from gateway.queue.errors import KeysUnusable
from gateway.queue.key_files import Ring, date_of, day_of, midnight
from gateway.queue.keys import Keys
from gateway.queue.markers import Marked
from gateway.queue.request import Erasable
from gateway.store.port import Store, StoreUnusable, Transient
from gateway.telemetry import events, metrics

#: How often it is looked whether something is due, in seconds.
LOOK_SECONDS: Final = 30.0
#: How often a promise that is not kept is said.
_SAID: Final = timedelta(hours=1)


class Midnight:
    """
    Brings the keys of a process forward, publishes markers, and erases what every lane has passed. Several may do so at once.

    Args:
        keys: Of this machine.
        clock: The time.
        queue: Where markers are published.
        erasable: Tells which keys may go.
        passed: What is on record of the lanes; None: this process cannot know, and marks every lane once.
        door: The process opens nothing of a past day: it holds today's key only.
        given_up: Told up to which day every lane has passed: what cannot be opened since is in nobody's way.
    """

    def __init__(
        self,
        keys: Keys,
        clock: Clock,
        queue: Marked,
        erasable: Callable[[], Erasable],
        *,
        passed: Callable[[], Iterable[LaneDay]] | None = None,
        door: bool = False,
        given_up: Callable[[int], int] | None = None,
    ) -> None:
        """Keep the rooms; `start` begins."""
        self._keys = keys
        self._clock = clock
        self._queue = queue
        self._erasable = erasable
        self._passed = passed
        self._door = door
        self._given_up = given_up
        self._marked: dict[str, int] = {}
        self._said: datetime | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="midnight", daemon=True)

    def start(self) -> None:
        """Begin with a look."""
        self._thread.start()

    def stop(self, deadline_seconds: float) -> bool:
        """Finish what is being done; the rest is due at the next start. Returns whether it stopped in time."""
        self._stopping.set()
        if self._thread.ident is not None:  # it was started
            self._thread.join(deadline_seconds)
        return not self._thread.is_alive()

    def once(self) -> None:
        """Do whatever is due; what cannot be done now is tried at the next look."""
        for reason, step in (("forward", self._forward), ("mark", self._mark), ("erase", self._erase)):
            try:
                step()
            except KeysUnusable:
                events.KeysProblem(reason=reason).emit()
            except (Unavailable, Transient, StoreUnusable):
                # The queue and the store say themselves that they are away.
                continue
            except Exception as failure:  # noqa: BLE001 - the gateway serves on, and the next look tries again
                events.InternalError.of(failure, reason="midnight").emit()
        self._tell()

    def _forward(self) -> None:
        self._keys.ratchet()
        if self._door:
            # What a worker with a slow clock seals may still come.
            self._keys.forget(day_of(self._clock.now() - markers.MARGIN))

    def _mark(self) -> None:
        """Put the marker of the last day that is over into each lane that has not passed it, once, where a key waits for it."""
        day = markers.last_ended(self._clock.now())
        if self._keys.held()[0] > day:
            return
        passed = {row.lane: row.day for row in self._passed()} if self._passed is not None else {}
        due = [lane for lane in self._queue.marked_lanes if max(passed.get(lane, -1), self._marked.get(lane, -1)) < day]
        if due:
            self._marked.update(dict.fromkeys(self._queue.mark(due, day), day))

    def _erase(self) -> None:
        today = day_of(self._clock.now())
        if self._passed is None and all(day >= today for day in self._keys.held()):
            return  # a worker would be asked for nothing
        found = self._erasable()
        for ring, through in ((Ring.FLOW, found.flow), (Ring.PARKING, found.parking)):
            gone = self._keys.erase(ring, through) if through is not None else []
            if gone:
                events.KeysErased(ring=ring.name.lower(), day=date_of(gone[-1]).isoformat(), count=len(gone)).emit()
        if self._given_up is not None and found.flow is not None:
            for _ in range(self._given_up(found.flow)):
                events.QueueProblem(reason="late").emit()

    def _tell(self) -> None:
        """Tell from when on what was received can be read; once an hour, that it is longer than promised."""
        now = self._clock.now()
        try:
            held = self._keys.held()
            metrics.KEYS_OLDEST.set(midnight(held[0]).timestamp())
            since = markers.broken_since(held, now)
            if since is None or (self._said is not None and now - self._said < _SAID):
                return
            rows = list(self._passed()) if self._passed is not None else []
        except (KeysUnusable, OSError, Transient, StoreUnusable):
            return  # said by the steps before
        self._said = now
        found = markers.waits(held, rows, self._queue.marked_lanes, now) if self._passed is not None else []
        lane = found[0].lane if found else ""
        events.KeysRetained(day=date_of(held[0]).isoformat(), lane=lane, seconds=(now - since).total_seconds()).emit()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.once()
            self._stopping.wait(LOOK_SECONDS)


def erasable(store: Store, queue: Marked, clock: Clock, parked_days: int) -> Erasable:
    """
    Return which keys may go, as the store has it on record.

    Args:
        store: Where the lanes' days are.
        queue: Whose lanes count.
        clock: The time.
        parked_days: How long what is parked is kept.

    Raises:
        Transient: the store is away.
    """
    now = clock.now()
    return Erasable(
        flow=markers.erasable(store.lanes_passed(), queue.marked_lanes, now),
        parking=markers.parking_erasable(now, parked_days, store.first_parked()),
    )

"""A process that works: it takes from the broker and writes the store, and has no door (D-12)."""

import math
import os
import threading
import time
from collections.abc import Callable
from typing import Final

from gateway.config.load import Loaded
from gateway.model.base import Model
from gateway.model.ports import Clock, Unavailable
from gateway.queue.keys import Keys
from gateway.queue.lanes import CARRYING
from gateway.queue.rabbitmq.consumer import Share
from gateway.queue.rabbitmq.queue import RabbitQueue
from gateway.queue.rabbitmq.queue import Settings as QueueLimits
from gateway.queue.rabbitmq.setup import lanes_of
from gateway.queue.rabbitmq.topology import declared
from gateway.queue.rabbitmq.workers import holdings
from gateway.queue.request import Erasable
from gateway.store.port import Transient
from gateway.telemetry import events, metrics
from gateway.wiring.data import DataDirectory
from gateway.wiring.database import open_store
from gateway.wiring.gateway import (
    DRAIN_SECONDS,
    batch_limits,
    parked_look,
    parked_open,
    parked_seal,
    unopened,
    worker_checks,
)
from gateway.wiring.health import Health, Look, Lookout, promise, show_age
from gateway.wiring.midnight import Midnight, erasable
from gateway.wiring.outlet import Outlet
from gateway.wiring.upkeep import Upkeep, periods
from gateway.worker.consume import Worker
from gateway.worker.hands import Hands
from gateway.worker.passing import on_record, record, store_outage

#: A worker whose store is away for so long ends: the broker gives its deliveries, in order, to one that may have a store.
GIVE_BACK_SECONDS: Final = 20 * 60.0
#: Exit status of one that gave back.
GAVE_BACK: Final = 75
#: Exit status of one whose worker did not come back from a deposit, or whose thread ended.
HUNG: Final = 70

_LOOK_SECONDS: Final = 1.0
#: A main thread that has not looked for so long hangs.
_HANGS_SECONDS: Final = 20.0


class Working(Model, frozen=True, kw_only=True):
    """A worker that is ready."""

    pid: int
    worker: int
    of: int


class WorkerProcess:
    """
    One worker over a broker.

    Args:
        loaded: The settings and where they came from.
        directory: The data directory: the keys.
        broker: The broker's URL.
        clock: The time.
        share: Which worker of how many it is.
        outlet: Where it shows how it is.
    """

    def __init__(
        self,
        loaded: Loaded,
        directory: DataDirectory,
        broker: str,
        clock: Clock,
        share: Share,
        *,
        outlet: Outlet | None = None,
    ) -> None:
        """Keep the settings; `run` opens the rooms."""
        self._outlet = outlet or Outlet()
        self._settings = loaded.settings
        self._directory = directory
        self._broker = broker
        self._clock = clock
        self._share = share
        self._worker: Worker | None = None
        self._looked = time.monotonic()

    def run(self, ready: Callable[[Working], None], stop: threading.Event) -> None:
        """
        Open the rooms, work until `stop` is set, finish and acknowledge the batch in hand.

        The connection that consumes is not closed but let go: a polite close would hand later deposits out first (D-9).

        Args:
            ready: Called once the broker hands out deposits.
            stop: Set to stop.

        Raises:
            KeysUnusable, BrokerUnusable, StoreUnusable: it cannot be opened.
        """
        keys = Keys.open(self._directory.keys, self._clock)
        store = open_store(self._directory, self._clock)
        try:
            limits = QueueLimits(sealed_limit_bytes=self._settings.queue.sealed_limit_bytes)
            queue = RabbitQueue(self._broker, keys, limits, share=self._share, unopened=unopened)
            try:
                parked_days = self._settings.retention.parked_days

                def last() -> Erasable:
                    try:
                        return erasable(store, queue, self._clock, parked_days)
                    except Transient:
                        raise Unavailable("STORE_UNAVAILABLE") from None

                away = store_outage()
                serving = queue.serve(
                    self._clock, store.submit, store.note, passing=lambda passed: on_record(store, passed, away), last=last
                )
                hands = Hands(self._directory.hands)
                hands.report_crashes()
                worker = Worker(
                    queue,
                    store,
                    lambda delivery: parked_seal(keys, delivery),
                    batch_limits(self._settings),
                    unseal=lambda receipt, sealed: parked_open(keys, receipt, sealed),
                    passing=lambda: record(queue, store, away),
                    store_away=away,
                    hands=hands,
                )
                midnight = Midnight(keys, self._clock, queue, last, passed=store.lanes_passed, given_up=queue.give_up)
                upkeep = Upkeep(store, periods(self._settings.retention), self._clock)
                # One of several asks what all would be told.
                lookout = Lookout([parked_look(store), self._lanes_look()] if self._share.number == 0 else [])
                worker.start()
                self._worker = worker
                upkeep.start()
                midnight.start()
                try:
                    self._outlet.open(self._health(worker, queue, keys), self.pulse)
                    if self._outlet.is_used:
                        lookout.start()
                    while not queue.connected(_LOOK_SECONDS) and not stop.is_set():
                        self._looked = time.monotonic()
                    ready(Working(pid=os.getpid(), worker=self._share.number + 1, of=self._share.of))
                    self._watch(worker, stop, hands)
                finally:
                    worker.stop(0)  # it finishes its batch while the others end: whoever waits for all of them waits no longer
                    self._outlet.close()
                    lookout.stop(DRAIN_SECONDS)
                    midnight.stop(DRAIN_SECONDS)
                    if worker.stop(DRAIN_SECONDS):
                        hands.close()
                    serving.stop()
                    upkeep.stop(DRAIN_SECONDS)
            finally:
                queue.close()
        finally:
            store.close()

    def pulse(self) -> str | None:
        """Tell how it is, for the service manager; None: a thread of it ended or hangs."""
        if self._worker is None:
            return "starting"
        if not self._worker.alive or time.monotonic() - self._looked > _HANGS_SECONDS:
            return None
        return "at work" if self._worker.away_since is None else "the record store is away: it keeps its batch and tries again"

    def _health(self, worker: Worker, queue: RabbitQueue, keys: Keys) -> Health:
        def lanes() -> str | None:
            missing = queue.missing_lanes()
            return f"{', '.join(missing)} missing: `dmp-gateway queue setup` makes them" if missing else None

        def show_held() -> None:
            held = {each.lane: each for each in holdings(queue.unacknowledged())}
            for lane in CARRYING:
                found = held.get(lane)
                metrics.LANE_MESSAGES.labels(lane, "unacknowledged").set(found.count if found is not None else 0)
                show_age(lane, found.oldest if found is not None else None, self._clock)

        checks = {"queue": lambda: "; ".join(queue.stopped_by()) or None, "lanes": lanes, **worker_checks(worker)}
        return Health(checks, notes=lambda: promise(keys, self._clock), before=show_held)

    def _lanes_look(self) -> tuple[Look, Look]:
        """Return what shows how many messages of each lane are ready at the broker, and what shows that nobody knows."""

        def look() -> None:
            for each in lanes_of(self._broker):
                metrics.LANE_MESSAGES.labels(each.lane, "ready").set(math.nan if each.ready is None else each.ready)

        def unknown() -> None:
            for each in declared():
                metrics.LANE_MESSAGES.labels(each.lane or "dead", "ready").set(math.nan)

        return look, unknown

    def _watch(self, worker: Worker, stop: threading.Event, hands: Hands) -> None:
        """Wait for the end; give everything back where the store stays away (D-9), end where the worker hangs (F16)."""
        while not stop.wait(_LOOK_SECONDS):
            self._looked = time.monotonic()
            away = worker.away_since
            if away is not None and time.monotonic() - away > GIVE_BACK_SECONDS:
                events.StoreProblem(reason="gave_back").emit()
                hands.close()  # no deposit is to blame
                os._exit(GAVE_BACK)
            if worker.hangs:
                hands.accuse()
                events.InternalError.of(TimeoutError(), reason="hangs").emit()
                os._exit(HUNG)
            if not worker.alive:  # its last words are in the log; another process takes its lanes
                events.InternalError.of(RuntimeError(), reason="ended").emit()
                os._exit(HUNG)

"""The embedded gateway: one process owns doors, queue, worker and store (D-12, D-15)."""

import asyncio
import math
import os
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from gateway.adapters.http.server import HttpDoor
from gateway.adapters.mllp.server import MllpDoor
from gateway.adapters.mllp.spec import Spec
from gateway.config.load import Loaded
from gateway.config.settings import Settings
from gateway.model.ports import Clock
from gateway.model.submission import Deposit
from gateway.queue.embedded.queue import EmbeddedQueue
from gateway.queue.embedded.queue import Settings as QueueLimits
from gateway.queue.keys import Keys, Ring
from gateway.queue.port import Delivery
from gateway.queue.receipt import NO_RECEIPT
from gateway.queue.seal import open_sealed, seal
from gateway.queue.wire import decode, encode
from gateway.store.port import Store
from gateway.telemetry import events, metrics
from gateway.wiring.control import ControlServer
from gateway.wiring.data import DataDirectory
from gateway.wiring.health import Check, Health, Look, Lookout, promise, show_age
from gateway.wiring.http import DoorHealth, door_check, http_door
from gateway.wiring.midnight import Midnight, erasable
from gateway.wiring.naming import Names
from gateway.wiring.outlet import Outlet
from gateway.wiring.ports import QueuedDeposits, StoredEvents
from gateway.wiring.ready import Ready, started
from gateway.wiring.rooms import Rooms, opened
from gateway.wiring.trust import notes, tls_address, tls_files
from gateway.wiring.upkeep import Upkeep, periods
from gateway.wiring.verbs import Verbs
from gateway.worker.consume import BatchLimits, Worker
from gateway.worker.hands import Hands
from gateway.worker.passing import record, store_outage

#: How long a stop waits for what was fully received, and for the batch in hand.
DRAIN_SECONDS: Final = 20.0


class Gateway:
    """
    The whole product in one process.

    Args:
        loaded: The settings and where they came from.
        directory: The data directory, not owned yet.
        clock: The time.
        say: Told one line for the operator when something was made or begins.
    """

    def __init__(self, loaded: Loaded, directory: DataDirectory, clock: Clock, say: Callable[[str], None]) -> None:
        """Keep the settings; `run` opens the rooms."""
        self._loaded = loaded
        self._settings = loaded.settings
        self._directory = directory
        self._clock = clock
        self._say = say
        self._pulse: Callable[[], str | None] = lambda: "starting"
        self._reload: Callable[[], None] = lambda: None

    async def run(self, ready: Callable[[Ready], None], stop: asyncio.Event) -> None:
        """
        Own the directory, open the rooms, serve until `stop` is set, then drain: doors first, store last.

        Args:
            ready: Called once every door listens.
            stop: Set to stop.

        Raises:
            Owned: another process owns the data directory.
            KeysUnusable, NewerSchema, LayoutNewer, TlsUnusable, OSError, sqlite3.Error: it cannot be opened.
        """
        with self._directory.owned() as owner, opened(self._directory, self._clock, self._made) as rooms:
            limits = QueueLimits(
                limit_messages=self._settings.queue.limit_messages, sealed_limit_bytes=self._settings.queue.sealed_limit_bytes
            )
            queue = EmbeddedQueue(self._directory.queue, rooms.keys, limits, unopened=unopened)
            hands = Hands(self._directory.hands)
            hands.report_crashes()
            away = store_outage()
            worker = Worker(
                queue,
                rooms.store,
                lambda delivery: parked_seal(rooms.keys, delivery),
                batch_limits(self._settings),
                unseal=lambda receipt, sealed: parked_open(rooms.keys, receipt, sealed),
                passing=lambda: record(queue, rooms.store, away),
                store_away=away,
                hands=hands,
            )
            midnight = Midnight(
                rooms.keys,
                self._clock,
                queue,
                lambda: erasable(rooms.store, queue, self._clock, self._settings.retention.parked_days),
                passed=rooms.store.lanes_passed,
            )
            rooms.answers.keep(timedelta(days=self._settings.answers.keep_days))
            kept = periods(self._settings.retention)
            upkeep = Upkeep(rooms.store, kept, self._clock)
            stored = StoredEvents(rooms.store, self._clock)
            health, door, http = self._doors(rooms, queue, worker, stored)
            doors = (door,) if http is None else (door, http)
            names = Names(self._settings.directory, self._settings.environment.value)
            verbs = Verbs(rooms.store, self._clock, rooms.receipts, names, lambda: _status(queue, doors), kept=kept)
            control = ControlServer(Path(owner.socket), verbs.run)
            outlet, lookout = Outlet.of(self._loaded), Lookout([parked_look(rooms.store)])
            worker.start()
            begun = time.monotonic()
            try:
                await control.open()
                for each in doors:
                    await each.open()
                self._pulse = lambda: _pulse(worker, queue, door)
                self._reload = lambda: _reload(doors)
                ready(started(self._loaded, self._directory, door, http, outlet.open(health, self.pulse)))
                if outlet.is_used:
                    lookout.start()
                upkeep.start()
                midnight.start()
                await stop.wait()
                begun = time.monotonic()
            finally:
                await asyncio.gather(*(each.stop(DRAIN_SECONDS) for each in doors))
                await asyncio.to_thread(outlet.close)
                await asyncio.to_thread(lookout.stop, DRAIN_SECONDS)
                stored.close()
                verbs.stop()
                await control.close()
                await asyncio.to_thread(midnight.stop, DRAIN_SECONDS)
                if await asyncio.to_thread(worker.stop, DRAIN_SECONDS):
                    hands.close()
                await asyncio.to_thread(upkeep.stop, DRAIN_SECONDS)
                queue.close()
        events.GatewayStopped(reason="asked", seconds=time.monotonic() - begun).emit()

    def _doors(
        self, rooms: Rooms, queue: EmbeddedQueue, worker: Worker, stored: StoredEvents
    ) -> tuple[Health, MllpDoor, HttpDoor | None]:
        """Return the doors, not opened yet, and what shows how they and the rooms behind them are."""
        deposits = QueuedDeposits(queue, rooms.store, rooms.answers)
        door = MllpDoor(mllp_spec(self._settings), deposits=deposits, events=stored, receipts=rooms.receipts, clock=self._clock)
        doors: list[MllpDoor | HttpDoor] = [door]
        checks: dict[str, Check] = {
            "door": lambda: door_check("MLLP", door),
            "queue": lambda: "; ".join(queue.stopped_by()) or None,
            **worker_checks(worker),
        }
        health = Health(
            checks,
            notes=lambda: (
                *promise(rooms.keys, self._clock),
                *dict.fromkeys(note for each in doors for note in notes(self._settings, each.contexts, self._clock)),
            ),
            before=lambda: _show_lanes(queue, self._clock),
        )
        http = None
        if self._settings.processes.http:
            http = http_door(
                self._settings,
                self._directory,
                DoorHealth(health, self.pulse),
                deposits=deposits,
                events=stored,
                receipts=rooms.receipts,
                clock=self._clock,
            )
            doors.append(http)
            checks["http"] = partial(door_check, "HTTP", http)
        return health, door, http

    def pulse(self) -> str | None:
        """Tell how it is, for the service manager; None: its worker has ended."""
        return self._pulse()

    def reload(self) -> None:
        """Look at the files of `[tls]` now (SIGHUP)."""
        self._reload()

    def _made(self, keys: str) -> None:
        self._say(f"Made the first keys in {keys}: keep this folder out of every backup.")


def batch_limits(settings: Settings) -> BatchLimits:
    """Return the size of a batch, as the configuration says."""
    batch = settings.batch
    return BatchLimits(submissions=batch.submissions, bytes=batch.bytes, wait_seconds=batch.wait_seconds)


def mllp_spec(settings: Settings, *, reuse_port: bool = False) -> Spec:
    """
    Return what the HL7v2 door is given.

    Args:
        settings: The configuration.
        reuse_port: Other processes listen on the same port.
    """
    mllp = settings.mllp
    where = tls_address(mllp.tls_listen)
    return Spec(
        host=mllp.host,
        port=mllp.port,
        reuse_port=reuse_port,
        tls_host=None if where is None else where[0],
        tls_port=0 if where is None else where[1],
        tls=None if where is None else tls_files(settings),
        plaintext_networks=settings.tls.plaintext_networks,
        frame_limit_bytes=mllp.frame_limit_bytes,
        idle_timeout_seconds=mllp.idle_timeout_seconds,
        connection_limit=mllp.connection_limit,
        ack_wait_seconds=mllp.ack_wait_seconds,
        batch_limit_messages=mllp.batch_limit_messages,
        environment=settings.environment.value,
        directory=settings.directory,
        connections=settings.connections,
    )


def unopened(receipt: str, reason: str) -> None:
    """Say by id which deposit stays queued unopened."""
    events.QueueProblem(reason="unopened", error=reason, receipt=None if receipt == NO_RECEIPT else receipt).emit()


def parked_seal(keys: Keys, delivery: Delivery) -> bytes:
    """Return a delivery sealed again, for the table of what is parked (D-7)."""
    return seal(encode(delivery.deposit), keys=keys, lane="parked", receipt=delivery.receipt, ring=Ring.PARKING)


def parked_open(keys: Keys, receipt: str, sealed: bytes) -> Deposit:
    """Return what was parked under a receipt; raises where it cannot be opened here."""
    return decode(open_sealed(sealed, keys=keys, lane="parked", receipt=receipt, ring=Ring.PARKING))


def worker_checks(worker: Worker) -> dict[str, Check]:
    """Return what must be so of a worker and of the store that it writes."""

    def works() -> str | None:
        if not worker.alive:
            return "its thread ended: the log tells why"
        return "it does not come back from a deposit" if worker.hangs else None

    def has_store() -> str | None:
        away = worker.away_since
        return None if away is None else f"the record store is away since {time.monotonic() - away:.0f} s: nothing is applied"

    return {"worker": works, "store": has_store}


def parked_look(store: Store) -> tuple[Look, Look]:
    """Return what shows how many deposits are parked, and what shows that nobody knows."""
    return lambda: metrics.PARKED.set(store.parked()), lambda: metrics.PARKED.set(math.nan)


def _show_lanes(queue: EmbeddedQueue, clock: Clock) -> None:
    for each in queue.depth():
        metrics.LANE_MESSAGES.labels(each.lane, "ready").set(each.waiting - each.in_hand)
        metrics.LANE_MESSAGES.labels(each.lane, "unacknowledged").set(each.in_hand)
        show_age(each.lane, each.oldest, clock)


def _pulse(worker: Worker, queue: EmbeddedQueue, door: MllpDoor) -> str | None:
    if not worker.alive or worker.hangs:
        return None
    problem = queue.problem() or ("the record store is away" if worker.away_since is not None else None)
    return f"MLLP {door.host}:{door.port}, {problem or 'at work'}"


def _reload(doors: Sequence[MllpDoor | HttpDoor]) -> None:
    for door in doors:
        door.reload()


def _status(queue: EmbeddedQueue, doors: Sequence[MllpDoor | HttpDoor]) -> bytes:
    return msgspec.json.encode(
        {
            "running": True,
            "pid": os.getpid(),
            "lanes": [msgspec.structs.asdict(lane) for lane in queue.depth()],
            "doors": [msgspec.structs.asdict(door.probe()) for door in doors],
            "queue_problem": queue.problem(),
            "metrics": metrics.snapshot(),
        }
    )

"""Several machines over one broker, all in memory but the keys: doors, workers, clocks that differ, days that pass (D-7)."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.model.lane_day import LaneDay, LanePassed
from gateway.model.ports import Unavailable
from gateway.queue import key_files, lanes
from gateway.queue.errors import Unopened
from gateway.queue.key_copy import export, join
from gateway.queue.keys import Keys, Ring, initialise
from gateway.queue.rabbitmq.consumer import Taken
from gateway.queue.rabbitmq.door import DoorLimits, DoorSide
from gateway.queue.rabbitmq.marks import Marks
from gateway.queue.rabbitmq.publisher import Message
from gateway.queue.rabbitmq.queue import RabbitQueue
from gateway.queue.request import Erasable
from gateway.queue.seal import label, open_sealed
from gateway.wiring.midnight import Midnight, erasable
from gateway.worker.passing import record, store_outage
from tests.strategies.submissions import deposit, outcome

PARKED_DAYS = 30


class World:
    """The true time, the broker, and the record of what lanes have passed."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
        self.lanes: dict[str, list[Entry]] = {lane: [] for lane in lanes.MARKED}
        self.owners: dict[str, Worker | None] = dict.fromkeys(lanes.MARKED)
        self.days: dict[str, LaneDay] = {}
        #: Sealed deposits as somebody could have copied them on their way: (lane, receipt, bytes).
        self.captured: list[tuple[str, str, bytes]] = []
        self.acknowledged: set[str] = set()
        self.settled: set[str] = set()
        self.given_up: list[str] = []
        #: Called on a message's way, before the broker has it and after: time may pass there.
        self.on_the_way: deque[timedelta] = deque()

    def enqueue(self, lane: str, receipt: str, body: bytes) -> None:
        self.lanes[lane].append(Entry(lane, receipt, body))

    def pass_by(self, **more: float) -> None:
        self.at += timedelta(**more)

    # -- the store's part

    def pass_lanes(self, passed: Sequence[LanePassed]) -> None:
        for each in passed:
            known = self.days.get(each.lane)
            if known is None or known.day < each.day:
                self.days[each.lane] = LaneDay(lane=each.lane, day=each.day, passed_at=self.at)

    def lanes_passed(self) -> list[LaneDay]:
        return list(self.days.values())

    def first_parked(self) -> None:
        return None


@dataclass(eq=False)
class Entry:
    """A message in a lane."""

    lane: str
    receipt: str
    body: bytes
    settled: bool = False


@dataclass
class Clock:
    """The clock of a machine: apart from the true time by less than a minute."""

    world: World
    apart: timedelta = timedelta(0)

    def now(self) -> datetime:
        return self.world.at + self.apart


class Wire:
    """The publisher of a door: time may pass before the broker has a message, and before the confirm."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, message: Message) -> bool:
        way = self._world.on_the_way
        self._world.at += way.popleft() if way else timedelta(0)
        self._world.enqueue(message.lane, message.receipt, message.body)
        self._world.at += way.popleft() if way else timedelta(0)
        message.told(taken=True)
        return True

    def withdraw(self, _message: Message) -> bool:
        return False


class NoReplies:
    """Nobody waits for an outcome."""

    queue = None


class Machine:
    """A machine with its keys: what doors and workers have in common."""

    def __init__(self, world: World, folder: Path, apart: float, copied: bytes | None) -> None:
        self.world = world
        self.folder = folder
        self.clock = Clock(world, timedelta(seconds=apart))
        if copied is None:
            initialise(folder, self.clock)
        else:
            join(folder, copied, self.clock)
        self.running = False
        self.start()

    def start(self) -> None:
        """Start a process anew."""
        self.keys = Keys.open(self.folder, self.clock)
        door = DoorSide.__new__(DoorSide)
        door._keys, door._limits, door._closed, door.keys_failed = self.keys, DoorLimits(), False, False
        door.publisher, door.replies = Wire(self.world), NoReplies()
        self.queue = RabbitQueue.__new__(RabbitQueue)
        self.queue._keys, self.queue.door, self.queue._lock = self.keys, door, threading.Lock()
        self.queue._in_hand, self.queue._unopened, self.queue._marks, self.queue._closed = {}, {}, Marks(), False
        self.queue._unopened_seen = lambda *_: None
        self.queue._consumer = None
        self.running = True
        self.midnight = self._midnight()

    def _midnight(self) -> Midnight:
        raise NotImplementedError

    def stop(self) -> None:
        """Stop, or be killed: what was in hand is at the broker."""
        self.running = False

    def look(self) -> None:
        """What runs every half minute."""
        if self.running:
            self.midnight.once()


class Door(Machine):
    """A machine that publishes and has no store: it asks a worker."""

    def __init__(
        self, world: World, folder: Path, apart: float, copied: bytes | None, asks: Callable[[], "Worker | None"]
    ) -> None:
        self._asks = asks
        super().__init__(world, folder, apart, copied)

    def _midnight(self) -> Midnight:
        return Midnight(self.keys, self.clock, self.queue, self._erasable, door=True)

    def _erasable(self) -> Erasable:
        worker = self._asks()
        if worker is None:
            raise Unavailable("STORE_UNAVAILABLE")
        return worker.erasable()

    def publish(self, number: int) -> bool:
        """Publish a deposit; tell whether it was acknowledged to its sender."""
        made = deposit(number, door="feed" if number % 5 == 0 else "mllp")
        before = {lane: len(found) for lane, found in self.world.lanes.items()}
        try:
            asyncio.run(self.queue.publish(made, waits=False))
        except Unavailable:
            acknowledged = False
        else:
            acknowledged = True
            self.world.acknowledged.add(made.reception.receipt)
        for lane, found in self.world.lanes.items():
            self.world.captured += [(lane, entry.receipt, entry.body) for entry in found[before[lane] :]]
        return acknowledged


class Deliveries:
    """The consumer of a worker: one a lane at a time, in order; what was not acknowledged comes again to the next."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._numbers: dict[int, Entry] = {}
        self._next = 0
        self.epoch = 1
        #: Its channel is dead and it does not know.
        self.cut = False

    def next(self, limit: int, _byte_limit: int, _deadline: float) -> list[Taken]:
        world, found = self._worker.world, []
        if self.cut:
            return []
        held = set(map(id, self._numbers.values()))
        for lane, entries in world.lanes.items():
            if world.owners[lane] is not self._worker:
                continue
            for entry in entries:
                if not entry.settled and id(entry) not in held and len(found) < limit:
                    self._next += 1
                    self._numbers[self._next] = entry
                    found.append(
                        Taken(
                            id=self._next, tag=self._next, epoch=self.epoch, lane=lane, receipt=entry.receipt, reply_to=None,
                            received_at="", body=entry.body,
                        )
                    )  # fmt: skip
        return found

    def acknowledge(self, settled: Sequence[Taken]) -> None:
        for taken in settled:
            entry = self._numbers.get(taken.id)
            if entry is not None and taken.epoch == self.epoch and not self.cut:
                entry.settled = True

    def dead_letter(self, taken: Taken) -> None:
        if taken.epoch == self.epoch and not self.cut:
            self._numbers[taken.id].settled = True
            self._worker.world.given_up.append(taken.receipt)

    def flush(self, _seconds: float) -> bool:
        return not self.cut

    def give_back(self, _batch: Sequence[Taken]) -> None:
        raise AssertionError("nothing fails here")


class Worker(Machine):
    """A machine that takes, settles, and has the store."""

    def _midnight(self) -> Midnight:
        return Midnight(
            self.keys, self.clock, self.queue, self.erasable, passed=self.world.lanes_passed, given_up=self.queue.give_up
        )

    def start(self) -> None:
        super().start()
        self.deliveries = Deliveries(self)
        self.queue._consumer = self.deliveries
        self.batch = []

    def stop(self) -> None:
        super().stop()
        self._lose_lanes()

    def _lose_lanes(self) -> None:
        for lane, owner in self.world.owners.items():
            if owner is self:
                self.world.owners[lane] = None

    def freeze(self) -> None:
        """Its lanes go to another; it knows nothing of that, and keeps what it has in hand."""
        self.deliveries.cut = True
        self._lose_lanes()

    def wake(self) -> None:
        """It sees that its channel is gone, and opens another."""
        self.deliveries.cut = False
        self.deliveries.epoch += 1
        self.deliveries._numbers.clear()

    def own(self) -> None:
        """Become the consumer of each lane that has none."""
        if self.running and not self.deliveries.cut:
            for lane, owner in self.world.owners.items():
                if owner is None:
                    self.world.owners[lane] = self

    def take(self, limit: int) -> None:
        """Take a batch, unless one is in hand."""
        if self.running and not self.batch:
            self.batch = self.queue.take(limit, 1 << 30, 0)

    def settle(self) -> None:
        """Settle the batch in hand, then put on record what is passed."""
        if not self.running:
            return
        if self.batch:
            self.queue.settle([(each, outcome(each.deposit)) for each in self.batch])
            self.world.settled.update(each.receipt for each in self.batch)
            self.batch = []
        record(self.queue, self.world, store_outage())

    def erasable(self) -> Erasable:
        return erasable(self.world, self.queue, self.clock, PARKED_DAYS)


class Installation:
    """Two machines with doors, two with workers; the secret was drawn on one and taken over by the others."""

    def __init__(self, folder: Path, apart: tuple[float, float, float, float] = (0, 0, 0, 0)) -> None:
        self.world = World()
        first = Worker(self.world, folder / "w0", apart[2], None)
        copied = export(first.keys)
        self.workers = [first, Worker(self.world, folder / "w1", apart[3], copied)]
        self.doors = [Door(self.world, folder / f"d{number}", apart[number], copied, self._any_worker) for number in range(2)]
        self.machines: list[Machine] = [*self.doors, *self.workers]

    def _any_worker(self) -> Worker | None:
        return next((worker for worker in self.workers if worker.running), None)

    def take_over(self) -> None:
        for worker in self.workers:
            worker.own()

    def missing(self) -> list[str]:
        """Acknowledged deposits that wait, and whose key a machine with a worker has not any more: lost."""
        held = [set(worker.keys.held()) for worker in self.workers]
        first = [min(days) for days in held]
        return [
            entry.receipt
            for entries in self.world.lanes.values()
            for entry in entries
            if entry.receipt in self.world.acknowledged - self.world.settled
            and any(label(entry.body).day < begun for begun in first)
        ]

    def readable(self) -> list[str]:
        """Captured deposits that what is left in all folders opens, whatever is computed from it."""
        found = []
        for machine in self.machines:
            for path in machine.folder.glob("*"):
                assert not path.name.startswith("."), f"{path} was left"
            keys = Keys.open(machine.folder, machine.clock)
            for lane, receipt, body in self.world.captured:
                try:
                    open_sealed(body, keys=keys, lane=lane, receipt=receipt)
                except Unopened:
                    continue
                found.append(receipt)
        return found

    def finish(self) -> None:
        """Everybody is back; two quiet days pass."""
        for machine in self.machines:
            if not machine.running:
                machine.start()
        for worker in self.workers:
            worker.settle()
            worker.wake()
        morning = datetime(self.world.at.year, self.world.at.month, self.world.at.day, tzinfo=UTC)
        for hours in (0.5, 2, 24.5, 27, 48.5, 51, 53):
            self.world.at = max(self.world.at + timedelta(minutes=1), morning + timedelta(hours=hours))
            self.take_over()
            for machine in self.machines:
                machine.look()
            for worker in self.workers:
                worker.take(1000)
                worker.settle()

    def days(self, ring: Ring = Ring.FLOW) -> list[list[int]]:
        return [key_files.days_in(machine.folder, ring) for machine in self.machines]

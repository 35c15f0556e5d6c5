"""
One history against the adversary: real worker, real store, one thread, one clock; the same seed gives the same run.

Where a worker would wait, is frozen, or stands before its transaction, the rest of the world goes on inside that very call: other
clients send, another worker takes its lanes, an opposition is committed. Then the call returns, and the worker goes on with what
it had.
"""

import random
import sqlite3
import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import Final

import msgspec

from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable
from gateway.model.submission import Deposit
from gateway.queue import wire
from gateway.telemetry import points
from gateway.worker.consume import BatchLimits, Worker
from tests.simulation.history import Message
from tests.simulation.queue import POWERS, Broker, Consumer
from tests.simulation.store import InlineStore, SimClock
from tests.strategies.records import START

#: What the machine may do besides, each at a point of the way.
FAULTS: Final = ("kill", "freeze", "away", "cut", "late", "jump")

#: Points inside a transaction, or on the way to it, where a process can die and a database can fail.
_POINTS: Final = tuple(point for point in points.POINTS if point.startswith(("store.", "event.")))
#: Where a worker may be frozen: no transaction is open, so that others can go on.
_STILL: Final = ("store.lock.asked", "store.committed")

_DEEPEST: Final = 2
_STEPS: Final = 3000
_WAITS: Final = 200
#: Steps of rest in which a worker looks at what is parked.
_IDLE: Final = 25


class Killed(BaseException):
    """A process dies here."""


class Stuck(BaseException):
    """Faults have ended and the world does not come to its end."""


class _Pause(threading.Event):
    """What a worker waits on: while it waits, the world goes on."""

    def __init__(self, world: "World", hand: "Hand") -> None:
        super().__init__()
        self._world, self._hand = world, hand
        self._waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self._waits += 1
        if self._waits > _WAITS:
            raise Stuck(f"a worker waited {_WAITS} times")
        self._world.clock.pass_by(timeout or 0)
        self._world.meanwhile(self._hand)
        return self.is_set()


class Hand:
    """A worker's process: it may be busy, frozen, dead."""

    def __init__(self, world: "World") -> None:
        self.consumer = Consumer(world.broker, world.power)
        self.pause = _Pause(world, self)
        limits = BatchLimits(submissions=world.chance.choice((1, 3, 8, 100)))
        self.worker = Worker(
            self.consumer,
            world.store,
            lambda delivery: wire.encode(delivery.deposit),
            limits,
            self.pause,
            unseal=lambda _, sealed: wire.decode(sealed),
        )
        self.busy = False


class Client:
    """Sends its messages one after the other, each until it is answered."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages = messages
        self.next = 0

    @property
    def done(self) -> bool:
        return self.next >= len(self.messages)


class World:
    """
    One run.

    Args:
        seed: Decides everything that the history does not.
        histories: The messages of each client.
    """

    def __init__(self, seed: int, histories: list[list[Message]]) -> None:
        self.chance = random.Random(f"world {seed}")
        self.clock = SimClock(START)
        self.store = InlineStore(self.clock, self._after_commit)
        self.faults: Counter[str] = Counter()
        #: How likely each is in this run: many runs know few faults, some know all, some none.
        kinds = (*POWERS, *FAULTS)
        used = self.chance.sample(kinds, self.chance.choice((0, 2, 4, len(kinds))))
        self._odds = {kind: self.chance.choice((0.02, 0.1, 0.3)) for kind in used}
        self._left = self.chance.randint(3, 25)
        #: How eager clients are, beside workers: batches grow with it.
        self._eager = self.chance.choice((0.5, 0.8, 0.95))
        self.broker = Broker(self.chance, self.power, self._committed)
        self.clients = [Client(messages) for messages in histories]
        self.hands = [Hand(self) for _ in range(self.chance.choice((1, 1, 2)))]
        #: Receipt → what was promised by AA, and what was sent under it.
        self.acknowledged: dict[str, Message] = {}
        self.sends = 0
        self._depth = 0
        self._receipts = 0
        self._acting: list[Hand | None] = []

    # -- what may go wrong

    def power(self, kind: str) -> bool:
        """Whether a fault takes place now; only so many of them in one run."""
        odds = self._odds.get(kind, 0)
        if not odds or self._left <= 0 or self.chance.random() >= odds:
            return False
        self._left -= 1
        self.faults[kind] += 1
        return True

    def _at(self, point: str) -> None:
        inside = point.startswith("store.") and point not in _STILL
        if self._rare(point) and self.power("kill"):
            raise Killed
        if inside and self._rare(point) and self.power("away"):
            full = sqlite3.OperationalError("full")
            full.sqlite_errorcode, full.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
            raise full
        if point in _STILL and self._acting and self._acting[-1] is not None:
            if self.power("freeze"):
                self._replaced(self._acting[-1])
                self._others()
            elif point == "store.lock.asked" and self.chance.random() < 0.4:
                self.meanwhile(self._acting[-1])

    def _rare(self, point: str) -> bool:
        """Points that are passed many times in one transaction are not where every fault takes place."""
        return point not in {"store.read", "store.write"} or self.chance.random() < 0.1

    def _after_commit(self) -> None:
        if self.power("cut"):
            cut = sqlite3.OperationalError("cut")
            cut.sqlite_errorcode, cut.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
            raise cut

    def _committed(self, receipt: str) -> Outcome | None:
        found = self.store.rows(f"SELECT outcome FROM receipt WHERE id = '{receipt}'")
        return msgspec.json.decode(found[0][0], type=Outcome) if found else None

    # -- who acts

    def run(self) -> None:
        """Until everything was answered and nothing waits; then some of it is sent again, without a fault (L9)."""
        points.hooks.update({point: self._hook(point) for point in _POINTS})
        try:
            if self.chance.random() < 0.8:
                # Mostly the records are open before anything else is sent.
                others, self.clients = self.clients[1:], self.clients[:1]
                self._drain()
                self.clients = others
            self._drain()
            self._left = 0
            self.clients = [Client(self.chance.sample(sent, min(4, len(sent)))) for sent in [[*self.acknowledged.values()]]]
            self._drain()
            for _ in range(_IDLE):
                self.act()
        finally:
            for point in _POINTS:
                points.hooks.pop(point, None)

    def _drain(self) -> None:
        for _ in range(_STEPS):
            if all(client.done for client in self.clients) and not self.broker.undone():
                return
            self.act()
        raise Stuck(f"no end after {_STEPS} steps: {self.broker.undone()} deposits wait")

    def _hook(self, point: str):
        return lambda: self._at(point)

    def meanwhile(self, hand: Hand) -> None:
        """The world goes on while a worker waits; it may be taken for dead."""
        if not hand.consumer.replaced and self.power("replace"):
            self._replaced(hand)
        self._others()
        if hand.consumer.replaced:
            hand.pause.set()

    def _others(self) -> None:
        if self._depth >= _DEEPEST:
            return
        self._depth += 1
        try:
            for _ in range(self.chance.randint(1, 6)):
                self.act()
        finally:
            self._depth -= 1

    def act(self) -> None:
        """One step of somebody."""
        self.broker.passes()
        free = [hand for hand in self.hands if not hand.busy]
        sending = [client for client in self.clients if not client.done]
        if sending and (not free or self.chance.random() < self._eager):
            self._send(self.chance.choice(sending))
        elif free:
            self._work(self.chance.choice(free))
        if self.power("jump"):
            self.clock.pass_by(self.chance.choice((-3600, -60, -1, 60, 7200, 86_400)))
        elif self.chance.random() < 0.2:
            self.clock.pass_by(self.chance.randint(1, 90))

    def _work(self, hand: Hand) -> None:
        self._share()
        hand.busy = True
        self._acting.append(hand)
        try:
            hand.worker.step()
        except Killed:
            self._replaced(hand)
        finally:
            self._acting.pop()
            hand.busy = False
        if hand.consumer.replaced and hand in self.hands:
            self.hands.remove(hand)

    def _share(self) -> None:
        """Each lane has one consumer; a lane of nobody goes to somebody."""
        consumers = [hand.consumer for hand in self.hands]
        for name in self.broker.lanes:
            if self.broker.owners.get(name) not in consumers:
                self.broker.owners[name] = self.chance.choice(consumers)

    def _replaced(self, hand: Hand) -> None:
        """Another process takes over; what this one still does, it does as a zombie."""
        hand.consumer.close()
        if hand in self.hands:
            self.hands.remove(hand)
            self.hands.append(Hand(self))
        for name, owner in list(self.broker.owners.items()):
            if owner is hand.consumer:
                del self.broker.owners[name]

    def _send(self, client: Client) -> None:
        message = client.messages[client.next]
        self.sends += 1
        self._receipts += 1
        receipt = f"r{self._receipts:04}"
        at = self.clock.now()
        taken = message.received(receipt, at.isoformat(timespec="microseconds"))
        self._acting.append(None)
        try:
            answered = self._answered(message, taken, at)
        except Killed:
            answered = False
        finally:
            self._acting.pop()
        if answered and not self.power("late"):
            self.acknowledged[receipt] = message
            client.next += 1

    def _answered(self, message: Message, taken, at: datetime) -> bool:
        if isinstance(message.body, Deposit):
            return self.broker.publish(msgspec.structs.replace(message.body, reception=taken))
        try:
            self.store.submit(taken, message.body, at + timedelta(seconds=5))
        except Unavailable:
            return False
        return True

"""
The queue as an adversary: a third implementation of `gateway.queue.port`, which does all that the port allows and nothing else.

What it may do (docs/proof.md, The simulation), each by a name in `POWERS`:

- *lose*: a publish that was not confirmed is not there;
- *keep*: a publish that was not confirmed is there all the same;
- *copy*: a deposit is queued a second time, under the same receipt, anywhere behind the first;
- *delay*: a lane hands nothing out for a while, what is behind in it included;
- *short*: fewer deliveries are handed out than are there;
- *replace*: a worker that does not answer loses its lanes to another; what it had comes again, in order, from the first that is
  not acknowledged. If it comes back, it goes on with what it had: its acknowledgements are refused, or lost without a word;
- *unsettled*: a removal fails, and may be tried again.

What it may not: lose what was confirmed, hand out a lane's deliveries in another order, hand out behind one that is not
acknowledged and not in hand, remove what nobody acknowledged.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable
from gateway.model.submission import Deposit
from gateway.model.verdict import Verdict
from gateway.queue.lanes import lane
from gateway.queue.port import Delivery, Depth

POWERS = ("lose", "keep", "copy", "delay", "short", "replace", "unsettled")


@dataclass
class Queued:
    """A deposit in a lane."""

    id: int
    lane: str
    deposit: Deposit
    settled: bool = False


class Broker:
    """
    The lanes, and who consumes them.

    Args:
        chance: Decides what the adversary does.
        power: (name) → whether it is used now.
        committed: (receipt) → the committed outcome, read past the store's code.
    """

    def __init__(self, chance: random.Random, power: Callable[[str], bool], committed: Callable[[str], Outcome | None]) -> None:
        self._chance = chance
        self._power = power
        self._committed = committed
        self.lanes: dict[str, list[Queued]] = {}
        #: Lane → the consumer that alone gets its deliveries.
        self.owners: dict[str, Consumer] = {}
        self.delayed: dict[str, int] = {}
        self.breaches: list[str] = []
        self._count = 0

    def publish(self, deposit: Deposit) -> bool:
        """Take a deposit; return whether it is confirmed."""
        if self._power("lose"):
            return False
        self._queue(deposit)
        if self._power("copy"):
            self._queue(deposit)
        if self._power("delay"):
            self.delayed[lane(deposit, 0)] = self._chance.randint(1, 12)
        return not self._power("keep")

    def _queue(self, deposit: Deposit) -> None:
        self._count += 1
        name = lane(deposit, 0)
        self.lanes.setdefault(name, []).append(Queued(self._count, name, deposit))

    def waiting(self, name: str) -> list[Queued]:
        return [each for each in self.lanes.get(name, ()) if not each.settled]

    def undone(self) -> int:
        return sum(len(self.waiting(name)) for name in self.lanes)

    def passes(self) -> None:
        """A step of the world: what is delayed comes nearer."""
        self.delayed = {name: left - 1 for name, left in self.delayed.items() if left > 1}

    def deliveries(self, consumer: "Consumer", limit: int) -> list[Queued]:
        """What a consumer gets next: of each of its lanes an unbroken run from the first that is not settled, by arrival."""
        ready = [
            each
            for name, owner in self.owners.items()
            if owner is consumer and name not in self.delayed
            for each in self.waiting(name)
        ]
        count = self._chance.randint(1, limit) if self._power("short") else limit
        return sorted(ready, key=lambda each: each.id)[:count]

    def settle(self, consumer: "Consumer", queued: Queued, outcome: Outcome) -> None:
        """Remove one, if its consumer still holds it."""
        committed = self._committed(queued.deposit.reception.receipt)
        # One that was parked may have been judged since: a zombie still calls it parked.
        if committed is None or outcome.verdict not in {committed.verdict, Verdict.PARKED}:
            self.breaches.append(f"I8 {queued.deposit.reception.receipt} was acknowledged and is not committed")
        if self.owners.get(queued.lane) is consumer:
            queued.settled = True


class Consumer:
    """One worker's end of the queue: `Queue`, as long as its connection is the lane's."""

    def __init__(self, broker: Broker, power: Callable[[str], bool]) -> None:
        self._broker = broker
        self._power = power
        self._in_hand: dict[int, Queued] = {}
        #: Another has its lanes: what it acknowledges does nothing.
        self.replaced = False

    async def publish(self, deposit: Deposit) -> Awaitable[Outcome]:
        """Doors publish at the broker; a worker never does."""
        raise NotImplementedError

    def take(self, limit: int, byte_limit: int, wait_seconds: float) -> list[Delivery]:
        del byte_limit, wait_seconds
        if any(not each.settled for each in self._in_hand.values()):
            raise RuntimeError("the batch before is not settled")
        if self.replaced:
            raise Unavailable("QUEUE_UNAVAILABLE")
        found = self._broker.deliveries(self, limit)
        self._in_hand = {each.id: each for each in found}
        return [
            Delivery(id=each.id, receipt=each.deposit.reception.receipt, lane=each.lane, size=0, deposit=each.deposit)
            for each in found
        ]

    def settle(self, settled: Sequence[tuple[Delivery, Outcome]]) -> None:
        if any(delivery.id not in self._in_hand for delivery, _ in settled):
            raise ValueError("not in hand")
        if self._power("unsettled") or (self.replaced and self._power("replace")):
            raise Unavailable("QUEUE_UNAVAILABLE")
        for delivery, outcome in settled:
            self._broker.settle(self, self._in_hand[delivery.id], outcome)
            del self._in_hand[delivery.id]

    def depth(self) -> tuple[Depth, ...]:
        return tuple(Depth(lane=name, waiting=len(self._broker.waiting(name))) for name in self._broker.lanes)

    def problem(self) -> str | None:
        return None

    def close(self) -> None:
        self.replaced = True

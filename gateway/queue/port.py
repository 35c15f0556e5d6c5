"""The queue as its users see it: the same for the embedded file and for a broker (D-15)."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

import msgspec

from gateway.model.outcome import Outcome
from gateway.model.submission import Deposit


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit handed out, opened, and not yet settled."""

    #: Place in the queue: grows with every deposit that was made durable, never given twice.
    id: int
    receipt: str
    lane: str
    #: Bytes as queued, sealed.
    size: int
    deposit: Deposit


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """How much a lane holds, handed out or not."""

    lane: str
    waiting: int
    #: Reception of the one that has waited longest, ISO 8601, UTC.
    oldest: str | None = None
    #: Those of them that were handed out.
    in_hand: int = 0


class Queue(Protocol):
    """
    Durable between a door and the store: what was confirmed comes out until it is settled (D-2).

    Where a file and a broker differ by their nature is told in docs/broker.md: order is kept in a lane; over a broker a settle is
    durable once the broker has read it, and what was handed out by a connection that is lost comes again, settled or not.
    """

    async def publish(self, deposit: Deposit) -> Awaitable[Outcome]:
        """
        Make a deposit durable; return once it is.

        Args:
            deposit: What a mapper read, with the facts of its reception.

        Returns:
            An awaitable of its outcome, for whoever waits; it raises `Unavailable` if the queue closes first. Dropping it costs
            nothing.

        Raises:
            Unavailable: QUEUE_UNAVAILABLE: not confirmed, closed, full, or silent for the confirm timeout. It may be there all
                the same, and is never published again by the gateway: the sender does (D-2).
            Unreadable: TOO_LARGE: over the cap of the sealed form (D-11).
        """
        ...

    def take(self, limit: int, byte_limit: int, wait_seconds: float) -> list[Delivery]:
        """
        Hand out the next deposits, in order; nothing is acknowledged.

        One batch at a time: what was handed out is kept by the caller until it is settled, and comes again, in order, only after
        a restart. A deposit that cannot be opened is left out and stays queued; over a broker, one that no door of ours sealed
        is given up.

        Args:
            limit: At most so many deliveries.
            byte_limit: At most so many sealed bytes, the first delivery excepted.
            wait_seconds: How long to wait for a first one; blocks the thread.

        Returns:
            At least one delivery, or none when the time is up or the queue closes meanwhile.

        Raises:
            Unavailable: QUEUE_UNAVAILABLE: closed, or unreadable at present.
            RuntimeError: the batch before is not settled.
        """
        ...

    def settle(self, settled: Sequence[tuple[Delivery, Outcome]]) -> None:
        """
        Remove deliveries durably, then give their outcomes to whoever waits for them.

        Args:
            settled: Deliveries of the batch in hand with their committed outcomes; the rest of the batch stays in hand.

        Raises:
            Unavailable: QUEUE_UNAVAILABLE: not removed; settle them again, or they come again after a restart (D-6).
            ValueError: a delivery that is not in hand.
        """
        ...

    def depth(self) -> tuple[Depth, ...]:
        """
        Return what every lane that carries deposits holds; over a broker, what this process holds and what nobody does.

        Raises:
            Unavailable: QUEUE_UNAVAILABLE: the broker cannot be asked.
        """
        ...

    def problem(self) -> str | None:
        """Return what keeps the queue from its work, in ids and codes, or None."""
        ...

    def close(self) -> None:
        """Finish what is being written, let the waiting go with `Unavailable`, give back the files."""
        ...

"""The markers that a worker has taken, and what stands before them: whether a lane has passed a day (D-7)."""

import threading
from collections.abc import Collection, Sequence

import msgspec

from gateway.model.lane_day import LanePassed
from gateway.queue.rabbitmq.consumer import Taken


class _Held(msgspec.Struct, frozen=True):
    """A delivery that is kept unacknowledged, and the day that counts of it."""

    taken: Taken
    #: Of a marker the day that it ends; of a deposit the day that it was sealed on.
    day: int
    #: Its key is not here.
    keyless: bool = False


class Marks:
    """Markers and deposits that wait unacknowledged beside the batch in hand. Any thread may ask."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._marks: list[_Held] = []
        self._unopened: list[_Held] = []

    def take(self, taken: Taken, day: int) -> None:
        """Keep a marker of a day."""
        with self._lock:
            self._marks.append(_Held(taken, day))

    def keep(self, taken: Taken, day: int | None) -> None:
        """
        Keep a deposit that cannot be opened here: no marker of its day, or of a later one, counts behind it.

        Args:
            taken: The deposit.
            day: The day that it was sealed on, where its key is what is missing; None: it was written by a newer gateway, which
                will need the key.
        """
        with self._lock:
            self._unopened.append(_Held(taken, -1 if day is None else day, day is not None))

    def drop(self, batch: Collection[Taken]) -> None:
        """Forget deliveries that are handed back, to be taken again."""
        ids = {taken.id for taken in batch}
        with self._lock:
            self._marks = [held for held in self._marks if held.taken.id not in ids]
            self._unopened = [held for held in self._unopened if held.taken.id not in ids]

    def any(self, epoch: int) -> bool:
        """Tell whether markers wait that came by the present channel; those of another one come again."""
        with self._lock:
            self._marks = [held for held in self._marks if held.taken.epoch == epoch]
            self._unopened = [held for held in self._unopened if held.taken.epoch == epoch]
            return bool(self._marks)

    def ready(self, epoch: int, today: int, in_hand: Collection[Taken]) -> list[tuple[Taken, int]]:
        """
        Return the markers that count, with their days.

        Args:
            epoch: The present channel.
            today: By this machine's clock: a marker of a day that is not over here counts for nothing.
            in_hand: Deposits that are not settled.
        """
        with self._lock:
            return [
                (mark.taken, mark.day)
                for mark in self._marks
                if mark.taken.epoch == epoch
                and mark.day < today
                and not any(taken.lane == mark.taken.lane and taken.id < mark.taken.id for taken in in_hand)
                and not any(
                    kept.taken.lane == mark.taken.lane and kept.taken.id < mark.taken.id and kept.day <= mark.day
                    for kept in self._unopened
                )
            ]

    def of(self, passed: Sequence[LanePassed]) -> list[Taken]:
        """Forget and return the markers of days that are on record, for their lanes."""
        days = {each.lane: each.day for each in passed}
        with self._lock:
            gone = [held.taken for held in self._marks if held.day <= days.get(held.taken.lane, -1)]
            self._marks = [held for held in self._marks if held.day > days.get(held.taken.lane, -1)]
            return gone

    def kept(self, epoch: int) -> list[Taken]:
        """Return the deposits that are kept and came by the present channel."""
        with self._lock:
            return [held.taken for held in self._unopened if held.taken.epoch == epoch]

    def late(self, through: int) -> list[Taken]:
        """Forget and return deposits without a key whose day every lane has passed: nobody was told that we have them."""
        with self._lock:
            gone = [held.taken for held in self._unopened if held.keyless and held.day <= through]
            self._unopened = [held for held in self._unopened if not held.keyless or held.day > through]
            return gone

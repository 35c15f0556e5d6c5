"""The line before the writer: events go ahead of batches, batches of notes, and yet each has its turn (D-2, D-12)."""

import enum
import threading
from collections import deque
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")

#: As many of one kind go ahead in a row, then one that waits behind them has its turn: however many events come, deposits go on.
IN_A_ROW: Final = 16


class Kind(enum.IntEnum):
    """What waits, in the order in which it goes ahead."""

    EVENT = 0
    BATCH = 1
    NOTE = 2
    #: The end: behind all that was put before.
    STOP = 3


class Line(Generic[_T]):
    """Jobs of several kinds, each kind in its order; any thread may put and get."""

    def __init__(self) -> None:
        """Make an empty line."""
        self._changed = threading.Condition()
        self._waiting: dict[Kind, deque[_T]] = {kind: deque() for kind in Kind}
        #: How many of each kind went ahead since one behind them had its turn.
        self._ahead = dict.fromkeys(Kind, 0)

    def put(self, kind: Kind, job: _T) -> None:
        """Add a job behind those of its kind."""
        with self._changed:
            self._waiting[kind].append(job)
            self._changed.notify()

    def get(self) -> tuple[Kind, _T]:
        """Wait for a job; return whose turn it is."""
        with self._changed:
            while not any(self._waiting.values()):
                self._changed.wait()
            waiting = [kind for kind in Kind if self._waiting[kind]]
            kind = self._turn(waiting)
            for passed in Kind:
                if passed < kind:
                    self._ahead[passed] = 0
            self._ahead[kind] = self._ahead[kind] + 1 if kind is not waiting[-1] else 0
            return kind, self._waiting[kind].popleft()

    def qsize(self) -> int:
        """Return how many wait."""
        with self._changed:
            return sum(map(len, self._waiting.values()))

    def _turn(self, waiting: list[Kind]) -> Kind:
        # The end waits for all the others.
        behind = [kind for kind in waiting if kind is not Kind.STOP]
        return next((kind for kind in behind[:-1] if self._ahead[kind] < IN_A_ROW), (behind or waiting)[-1])

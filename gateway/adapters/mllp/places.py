"""Who gives up a place where all are taken: nobody who merely connects keeps the others out."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Protocol, TypeVar


class Seated(Protocol):
    """A connection that has a place."""

    @property
    def peer(self) -> str:
        """Address of the machine."""
        ...

    @property
    def has_spoken(self) -> bool:
        """Whether a whole message of it was received."""
        ...

    @property
    def working(self) -> bool:
        """Whether it waits for an answer of ours."""
        ...


Connection = TypeVar("Connection", bound=Seated)


def who_gives_way(connections: Collection[Connection], address: str, limit: int) -> Connection | None:
    """
    Return the connection that makes place for one more machine; None: nobody does, and that one is refused.

    Args:
        connections: Those that have a place, oldest first.
        address: Where the new one comes from.
        limit: How many places there are.

    Returns:
        The oldest that never sent a whole message, of the machine that has most of those; where there is none, the oldest that
        waits for nothing, of a machine that has more than half of all places, unless the new one is of that machine, too.
    """
    silent = [each for each in connections if not each.has_spoken and not each.working]
    if silent:
        return _oldest_of(_most(silent), silent)
    hog = _most(connections)
    if hog == address or sum(each.peer == hog for each in connections) <= limit // 2:
        return None
    return _oldest_of(hog, (each for each in connections if not each.working))


def _most(connections: Iterable[Connection]) -> str:
    """Return the address that has most of them; the one that came first, of several."""
    ((address, _),) = Counter(each.peer for each in connections).most_common(1)
    return address


def _oldest_of(address: str, connections: Iterable[Connection]) -> Connection | None:
    return next((each for each in connections if each.peer == address), None)

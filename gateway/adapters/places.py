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
        Another one of a machine that has half of all places takes only the place of one of its own that never sent a whole
        message. Any other takes a place of whoever has more than half (one that never sent a whole message first, then the oldest
        that waits for nothing), else that of the oldest that never sent a whole message, of the machine that has most of those.
    """
    half = limit // 2
    counts = Counter(each.peer for each in connections)
    silent = [each for each in connections if not each.has_spoken and not each.working]
    if counts[address] >= max(1, half):
        return _oldest_of(address, silent)
    hog = _most(connections)
    if counts[hog] > half:
        return _oldest_of(hog, silent) or _oldest_of(hog, (each for each in connections if not each.working))
    return _oldest_of(_most(silent), silent) if silent else None


def _most(connections: Iterable[Connection]) -> str:
    """Return the address that has most of them; the one that came first, of several."""
    ((address, _),) = Counter(each.peer for each in connections).most_common(1)
    return address


def _oldest_of(address: str, connections: Iterable[Connection]) -> Connection | None:
    return next((each for each in connections if each.peer == address), None)

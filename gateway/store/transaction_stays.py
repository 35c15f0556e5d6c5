"""What statements on consultation ask of an open transaction: which visits are known, and how they ended (O-16)."""

from collections.abc import Iterable
from typing import Protocol

from gateway.rules.stays import Said


class Stays(Protocol):
    """A part of `gateway.store.transaction.Transaction`."""

    def stays_of(self, patients: Iterable[int]) -> tuple[Said, ...]:
        """Return the last word on every visit of the patients."""
        ...

    def keep_stay(self, patient: int, said: Said) -> None:
        """Keep what was said of a visit, unless what is known of it has the last word (`rules.stays.later`)."""
        ...

    def carry_stays(self, patient: int, into: int) -> None:
        """Let what is known of a patient's visits count for another one too: the two are one person, or were."""
        ...

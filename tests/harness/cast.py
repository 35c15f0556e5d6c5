"""The people of one playing of a scene: numbers and receipts of their own, so that hundreds share one database."""

from dataclasses import dataclass

from gateway.model.patient import PatientId
from gateway.store.postgres.locking import slot
from tests.strategies import records
from tests.strategies.records import H1, local


@dataclass(frozen=True)
class Cast:
    """The people of one playing, and the receipts of what is done to them."""

    number: int

    @property
    def prefix(self) -> str:
        """What every receipt begins with."""
        return f"s{self.number:07}."

    def ins(self, who: int = 0) -> PatientId:
        """The INS of one of them."""
        return records.ins(f"2{who}501{self.number:08}")

    def ipp(self, which: int = 0) -> PatientId:
        """A local number."""
        return local(H1, f"{self.number:08}-{which}")

    @property
    def names(self) -> dict[str, str]:
        """Every number of theirs, and what stands for it."""
        every = [(f"ins{who}", self.ins(who).value) for who in range(2)] + [(f"ipp{n}", self.ipp(n).value) for n in range(3)]
        return {value: name for name, value in every}

    @property
    def apart(self) -> bool:
        """Whether no two of their numbers share a slot of the gate: else two strangers would wait for each other."""
        keys = [known.key for known in (self.ins(0), self.ins(1), self.ipp(0), self.ipp(1), self.ipp(2))]
        slots = [slot(key) for key in keys]
        return len(set(slots)) == len(slots) and slots == sorted(slots)

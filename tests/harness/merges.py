"""The reference of two files that become one, and of one that becomes two again (D-1)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from gateway.model.event import FileMerge, MergeUndo
from gateway.model.patient import PatientId
from gateway.model.verdict import Verdict
from tests.harness.reference import Expected, Key, Person, Reference, Said


@dataclass
class Merged:
    """A merge: whose keys went to whom, and whether it was undone."""

    id: str
    absorbed: Person
    survivor: Person
    keys: set[Key]
    #: How many messages came before it.
    after: int
    undone: bool = False


class Merging(Reference):
    """With two files that become one, and one that becomes two again."""

    def __init__(self, ins_authority: str) -> None:
        super().__init__(ins_authority)
        self.merges: dict[str, Merged] = {}

    def _joined(self, identifiers: tuple[PatientId, ...], present: list[Person]) -> bool:
        """Whom two persons separated no message joins again, an ADT no more than an A40."""
        now = [{self._now(m.survivor), self._now(m.absorbed)} for m in self.merges.values() if m.undone]
        parted = any(len(both) > 1 and all(person in present for person in both) for both in now)
        return not parted and super()._joined(identifiers, present)

    @staticmethod
    def _now(person: Person) -> Person:
        while person.into is not None:
            person = person.into
        return person

    def _merge(self, receipt: str, event: FileMerge, now: datetime) -> Expected:
        kept, gone = self.known(event.identifiers), self.known(event.absorbed)
        if event.signed_by and not (kept and gone):
            return Expected(Verdict.REFUSED, "IDENTIFIER_UNKNOWN")
        everyone = list(dict.fromkeys((*kept, *gone)))
        joined = self._joined((*event.identifiers, *event.absorbed), everyone)
        if not event.signed_by and not joined:
            return Expected(Verdict.UNCHANGED)
        by_rank = sorted(everyone, key=lambda person: (person.record is None, not self._anchored(person)))
        survivor = (by_rank if any(map(self._anchored, everyone)) else everyone or [Person()])[0]
        new = self._name(event.identifiers, kept[0] if kept else survivor)
        new += self._name(event.absorbed, gone[0] if gone else survivor)
        absorbed = [person for person in everyone if person is not survivor]
        for number, person in enumerate(absorbed, 1):
            merged = receipt if number == 1 else f"{receipt}.{number}"
            self._absorb(merged, person, survivor, now, protects=not joined)
        return Expected(Verdict.APPLIED if absorbed or new else Verdict.UNCHANGED)

    def _absorb(self, merge: str, person: Person, into: Person, now: datetime, *, protects: bool) -> None:
        self.merges[merge] = Merged(merge, person, into, set(person.keys), len(self.receipts))
        sides = [(held.in_force(now), set(held.said)) for held in (person, into)] if protects else []
        self._move(person.keys, person, into)
        into.bind(person.said)
        for opposed, own in sides:
            self._protect(into, opposed, own)
        if person.record == "closed" and into.record == "open":
            into.record, into.closed_by = "closed", merge
        person.into, person.merge = into, merge

    @staticmethod
    def _protect(person: Person, opposed: Iterable[Said], own: set[str]) -> None:
        """No allowance of the other side outweighs what a side opposed, neither now nor when its date comes."""
        for opposition in opposed:
            for said in list(person.said.values()):
                lifts = said.lifts(opposition) or said.series == opposition.series
                if not said.opposes and said.id not in own and lifts and said.weight > opposition.weight:
                    del person.said[said.id]

    @staticmethod
    def _said_by(said: Said, person: Person, beside: Person) -> bool:
        """What came by the numbers of both is of neither."""
        return bool(said.keys & person.keys) and not said.keys & beside.keys

    def _undo(self, event: MergeUndo, now: datetime) -> Expected:
        merged = self.merges.get(event.merge)
        if merged is None:
            return Expected(Verdict.REFUSED, "MERGE_UNKNOWN")
        if merged.undone:
            return Expected(Verdict.UNCHANGED)
        holder = merged.survivor
        while holder.into is not None:
            if holder.merge is not None:
                return Expected(Verdict.REFUSED, "MERGE_FOLLOWED")
            holder = holder.into
        self._move(merged.keys & holder.keys, holder, merged.absorbed)
        every = merged.absorbed.ever | holder.ever
        for person, beside in ((merged.absorbed, holder), (holder, merged.absorbed)):
            person.bind(every)
            own = {each.id: each for each in every.values() if each.opposes or self._said_by(each, person, beside)}
            self._protect(person, Person(said=own).in_force(now), set(own))
        self._reopen(merged, holder)
        merged.undone, merged.absorbed.into, merged.absorbed.merge = True, None, None
        return Expected(Verdict.APPLIED)

    def _reopen(self, merged: Merged, holder: Person) -> None:
        """What this merge alone closed is open again; what the patient closed since is closed on both sides."""
        if holder.closed_by == merged.id:
            others = [m for m in self.merges.values() if m is not merged and m.survivor is holder and not m.undone]
            holder.closed_by = next((m.id for m in others if m.absorbed.record == "closed"), None)
            holder.record = "open" if holder.closed_by is None else "closed"
        elif holder.record == "closed" and holder.closed_by is None and holder.closed_after > merged.after:
            merged.absorbed.record = merged.absorbed.record and "closed"

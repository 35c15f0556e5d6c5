"""
Traffic for a record store alone: scenes of a few steps, each of people of its own, the same for the same seed.

Together the scenes lead a store through every statement that deposits and events send. A step carries its own instant and
receipts: taken again after a death it is the same step, and rows after any number of deaths are those of one clean run.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from gateway.model.code import Identifier
from gateway.model.document import Entry
from gateway.model.event import (
    DocumentMove,
    DocumentRelease,
    FileMerge,
    IdentifierChange,
    MergeUndo,
    Position,
    RecordEvent,
    Right,
    Stay,
    StayState,
)
from gateway.model.outcome import Outcome
from gateway.model.patient import PatientId, PatientIdentity, Traits
from gateway.model.ports import Unavailable
from gateway.model.submission import Act, Deposit, Flags, Reception
from gateway.model.when import When
from gateway.store.port import Parked, Store, Transient
from tests.strategies import records
from tests.strategies.records import H1, H2, START

TWO: Final = tuple(Entry(kind="laboratory-result", content=f'{{"value":"{n}.10"}}') for n in range(2))
ASKED: Final = Flags(ack_reception=True)
IO, INO = Position.OPPOSES, Position.ALLOWS
#: How often a step is tried while the store is away, and the pause between two tries.
TRIES: Final = 400
PAUSE_SECONDS: Final = 0.02


@dataclass(frozen=True, kw_only=True)
class Step:
    """One call of the store: a batch, an event, the parking of a deposit, or its review."""

    number: int
    scene: str
    at: datetime
    batch: tuple[Deposit, ...] = ()
    event: tuple[Reception, RecordEvent] | None = None
    parked: Parked | None = None
    review: Deposit | None = None


class Stepped:
    """A clock that stands at the instant of the step in hand."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at


@dataclass
class Scene:
    """Writes the steps of one scene: people, documents and receipts are its own."""

    name: str
    number: int
    chance: random.Random
    first: int
    steps: list[Step] = field(default_factory=list)

    @property
    def at(self) -> datetime:
        """When the next step is taken."""
        return START + timedelta(seconds=10 * (self.first + len(self.steps)))

    def person(self, which: int = 0) -> PatientId:
        """An INS that no other scene has."""
        return records.ins(f"1400175{self.number:05}{which}")

    def local(self, value: str = "a", establishment: str = H1) -> PatientId:
        """A local identifier that no other scene has."""
        return records.local(establishment, f"{self.number}{value}")

    def document(self, name: str = "1") -> str:
        """A document's id that no other scene has."""
        return f"1.2.{self.number}.{name}"

    def receipt(self) -> str:
        """The receipt of the next message."""
        return f"r{self.first + len(self.steps):07}"

    def deposit(self, unique_id: str, content: bytes = b"<doc/>", *, beside: int = 0, **facts: object) -> Deposit:
        """A deposit of one document, of the scene's first person unless others are named."""
        facts.setdefault("patient", (self.person(),))
        return records.deposit(f"{self.receipt()}.{beside}", self.at, documents=((unique_id, content),), **facts)

    def apply(self, *batch: Deposit) -> None:
        """Take a step: a batch."""
        self._step(batch=batch)

    def state(self, event: RecordEvent, **message: object) -> str:
        """Take a step: an event; return its receipt."""
        taken = records.reception(self.receipt(), self.at, message_type="ADT^A01", **message)
        self._step(event=(taken, event))
        return taken.receipt

    def review(self, made: Deposit) -> None:
        """Take a step: what is parked and waits for it is judged again."""
        self._step(review=made)

    def park(self, made: Deposit) -> None:
        """Take a step: a deposit is parked."""
        keys = tuple(known.key for known in made.submission.patient.identifiers)
        self._step(parked=Parked(reception=made.reception, code="INTERNAL", place="x at y:1", identifiers=keys, sealed=b"sealed"))

    def _step(self, **what: object) -> None:
        self.steps.append(Step(number=self.first + len(self.steps), scene=self.name, at=self.at, **what))


# -- the scenes


def feeding(scene: Scene) -> None:
    """A record opens, documents come in a batch, once more, with other bytes, in versions, with an MSH-10 used before."""
    scene.state(records.opening(scene.person()))
    first = [scene.deposit(scene.document(f"{n}"), bytes([65 + n]) * 40, beside=n, entries=TWO) for n in range(3)]
    scene.apply(*first)
    scene.apply(*first)
    scene.apply(
        scene.deposit(scene.document("0"), b"A" * 40, beside=0),
        scene.deposit(scene.document("1"), b"other", beside=1),
        scene.deposit(scene.document("v2"), b"two", beside=2, set_id=scene.document("set"), version=2, message_id="015"),
    )
    scene.apply(scene.deposit(scene.document("v1"), b"one", set_id=scene.document("set"), version=1, message_id="015"))


def rectifying(scene: Scene) -> None:
    """Replaced, deleted, deleted before it came, by another establishment."""
    scene.state(records.opening(scene.person()))
    scene.apply(scene.deposit(scene.document("1"), beside=0), scene.deposit(scene.document("2"), beside=1, entries=TWO))
    scene.apply(scene.deposit(scene.document("3"), b"new", act=Act.REPLACE, replaces=(scene.document("1"),)))
    scene.apply(scene.deposit(scene.document("2"), act=Act.DELETE, establishments=(H2,)))
    scene.apply(
        scene.deposit(scene.document("2"), act=Act.DELETE, beside=0), scene.deposit(scene.document("4"), act=Act.DELETE, beside=1)
    )
    scene.apply(scene.deposit(scene.document("4"), b"late", beside=0), scene.deposit(scene.document("2"), beside=1))


def opposing(scene: Scene) -> None:
    """Opposed, refused, stated again, allowed, stored, opposed by the patient."""
    scene.state(records.opening(scene.person()))
    said = records.adt(records.stated(IO, at=None), patient=(scene.person(),))
    scene.state(said, message_id=f"m{scene.number}", digest="d" * 64)
    scene.apply(*(scene.deposit(scene.document(f"{n}"), beside=n, flags=Flags(masque_ps=bool(n))) for n in range(2)))
    scene.state(said, message_id=f"m{scene.number}", digest="d" * 64)
    scene.state(records.adt(records.stated(INO, at=None), patient=(scene.person(),)))
    scene.apply(scene.deposit(scene.document("2")))
    scene.state(records.adt(records.stated(IO, None, at=None), patient=(scene.person(),)), establishment=H2)
    scene.apply(scene.deposit(scene.document("3")), scene.deposit(scene.document("2"), act=Act.DELETE, beside=1))


def linking(scene: Scene) -> None:
    """Opposed under a local number that nobody knows, stored under the INS, then both are one person: late, and withheld."""
    scene.state(records.opening(scene.person()))
    scene.state(records.adt(records.stated(IO, at=None), patient=(scene.local(),)))
    scene.state(records.adt(records.stated(IO, at=None), patient=(scene.local("b"), scene.local("c")), links=False))
    scene.apply(scene.deposit(scene.document("1")), scene.deposit(scene.document("2"), establishments=(H2,), beside=1))
    scene.state(records.adt(patient=(scene.person(), scene.local())))
    scene.state(DocumentRelease(identifiers=(scene.person(),), unique_id=scene.document("1"), released_by="desk"))
    scene.apply(scene.deposit(scene.document("3"), patient=(scene.person(), scene.local())))
    scene.apply(scene.deposit(scene.document("4"), patient=(scene.person(), scene.local()), establishments=(H2,)))


def conflicting(scene: Scene) -> None:
    """Two INS in one event: nothing is joined, a person must look; a deposit that names another's document."""
    scene.state(records.opening(scene.person()))
    scene.state(records.opening(scene.person(1)))
    scene.state(records.adt(patient=(scene.person(), scene.person(1))))
    scene.apply(scene.deposit(scene.document("1"), beside=0), scene.deposit(scene.document("1"), establishments=(H2,), beside=1))


def closing(scene: Scene) -> None:
    """A deposit before the record, opened, closed, opened again."""
    scene.apply(scene.deposit(scene.document("1")))
    scene.state(records.opening(scene.person()))
    scene.apply(scene.deposit(scene.document("1")))
    scene.state(records.closing(scene.person()))
    scene.apply(scene.deposit(scene.document("2")), scene.deposit(scene.document("1"), act=Act.DELETE, beside=1))
    scene.state(records.opening(scene.person()))
    scene.apply(scene.deposit(scene.document("3")))


def parking(scene: Scene) -> None:
    """Parked, and judged again on the rights of then."""
    scene.state(records.opening(scene.person()))
    made = scene.deposit(scene.document("1"))
    scene.park(made)
    scene.park(made)
    scene.apply(made)


def reviewing(scene: Scene) -> None:
    """Parked, then opposed: judged again, and erased; another is parked and stays."""
    scene.state(records.opening(scene.person()))
    made = scene.deposit(scene.document("1"), flags=Flags(ack_reception=True))
    scene.park(made)
    scene.state(records.adt(records.stated(IO, at=None), patient=(scene.person(),)))
    scene.review(made)
    scene.park(scene.deposit(scene.document("2"), establishments=(H2,)))


def merging(scene: Scene) -> None:
    """Two records with documents and oppositions are merged by two persons, told apart again, and a document is moved."""
    scene.state(records.opening(scene.person()))
    scene.state(records.opening(scene.person(1)))
    scene.state(records.adt(patient=(scene.person(1), scene.local())))
    for which, name in enumerate(("1", "2")):
        scene.apply(scene.deposit(scene.document(name), patient=(scene.person(which),), entries=TWO, flags=ASKED))
        scene.apply(scene.deposit(scene.document(f"{name}d"), patient=(scene.person(which),), act=Act.DELETE))
    scene.state(records.adt(records.stated(IO, at=None), patient=(scene.person(1),)))
    merge = scene.state(
        FileMerge(
            trigger="command", identifiers=(scene.person(),), absorbed=(scene.person(1),), signed_by=("A. Martin", "B. Petit")
        )
    )
    scene.state(DocumentRelease(identifiers=(scene.person(),), unique_id=scene.document("1"), released_by="desk"))
    scene.apply(scene.deposit(scene.document("3"), patient=(scene.person(1),)))
    scene.state(MergeUndo(merge=merge, signed_by=("A. Martin", "B. Petit")))
    moved = DocumentMove(
        identifiers=(scene.person(),), to=(scene.person(1),), unique_id=scene.document("1"), signed_by=("A. Martin", "B. Petit")
    )
    scene.state(moved)
    scene.apply(scene.deposit(scene.document("4")))


def joining(scene: Scene) -> None:
    """An establishment joins two local files (A40), again, and one of them is known by another number (A47)."""
    scene.state(records.adt(records.stated(IO, at=None), patient=(scene.local(),)))
    scene.state(records.adt(patient=(scene.local("b"),)))
    scene.state(FileMerge(trigger="A40", identifiers=(scene.local("b"),), absorbed=(scene.local(),)))
    named = PatientIdentity(identifiers=(scene.local("c"),))
    scene.state(IdentifierChange(trigger="A47", identifiers=(scene.local("c"),), former=(scene.local("b"),), identity=named))
    scene.state(records.opening(scene.person()))
    scene.apply(scene.deposit(scene.document("1"), patient=(scene.person(), scene.local("c"))))


def doubting(scene: Scene) -> None:
    """The identity of a record is told, told otherwise, taken back by an establishment, and confirmed."""
    who = (scene.person(), scene.local())
    told = [records.adt(patient=who), records.adt(records.stated(IO, at=None), patient=who)]
    traits = [
        Traits(birth_name=name, first_given_name="ANNE", given_names="ANNE", birth_date=When.read("19800101"), sex="F")
        for name in ("A", "B")
    ]
    scene.state(records.opening(scene.person()))
    for event, trait in zip(told, traits, strict=True):
        identity = PatientIdentity(identifiers=who, traits=trait)
        scene.state(msgspec.structs.replace(event, identity=identity))
    back = PatientIdentity(identifiers=(scene.local(),))
    scene.state(
        IdentifierChange(trigger="A47", identifiers=(scene.local(),), former=(scene.person(),), withdrawn=True, identity=back)
    )
    scene.apply(scene.deposit(scene.document("1")))
    scene.state(msgspec.structs.replace(told[0], identity=PatientIdentity(identifiers=who, traits=traits[0])))


def staying(scene: Scene) -> None:
    """Consultation is refused for a visit, which ends; its file is merged into another one."""
    scene.state(records.opening(scene.person()))
    visit = Identifier(value=f"v{scene.number}")
    refused = records.stated(IO, at=None, right=Right.CONSULTATION, visit=visit.value)
    for state, said in ((StayState.OPEN, (refused,)), (StayState.ENDED, ())):
        stay = Stay(establishment=H1, visit=visit, state=state, stated_at=When.read("20260310"))
        event = records.adt(*said, patient=(scene.local(),))
        scene.state(msgspec.structs.replace(event, stay=stay))
    scene.state(records.adt(patient=(scene.person(), scene.local())))


#: Every scene by its name.
SCENES: Final[dict[str, Callable[[Scene], None]]] = {
    each.__name__: each
    for each in (
        *(feeding, rectifying, opposing, linking, conflicting, closing, parking),
        *(reviewing, merging, joining, doubting, staying),
    )
}


def written(names: Sequence[str], seed: int) -> list[Step]:
    """Return the steps of scenes, one after the other."""
    steps: list[Step] = []
    for number, name in enumerate(names):
        scene = Scene(name=name, number=number, chance=random.Random(f"{seed}/{number}"), first=len(steps))
        SCENES[name](scene)
        steps += scene.steps
    return steps


def shuffled(seed: int) -> Iterator[str]:
    """Yield names of scenes, without an end: each comes in every round."""
    chance = random.Random(seed)
    while True:
        yield from chance.sample(sorted(SCENES), len(SCENES))


def taken(store: Store, step: Step, again: Callable[[], None]) -> list[Outcome]:
    """
    Take a step as a worker and a door do: until the store takes it.

    Args:
        store: With a `Stepped` clock that stands at the step.
        step: The step.
        again: Called before each further try.

    Raises:
        TimeoutError: the store never came back.
    """
    for _ in range(TRIES):
        try:
            if step.event is not None:
                return [store.submit(*step.event, step.at + timedelta(days=1))]
            if step.review is not None:
                waiting = [receipt for receipt, _ in store.awaiting_review(100)]
                judged = store.review(step.review) if step.review.reception.receipt in waiting else None
                return [] if judged is None else [judged]
            return [store.park(step.parked)] if step.parked is not None else store.apply(step.batch)
        except (Transient, Unavailable):
            again()
    raise TimeoutError(f"step {step.number} ({step.scene}) was never taken")

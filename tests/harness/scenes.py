"""
Scenes: two or three transactions on one patient that meet, what may come of them in each order of their commits, and the look
into every table afterwards.

Each playing has people of its own, so that hundreds share one database. What it leaves must be, row by row, what the serial run
leaves in which the commits have the same order.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.model.event import FileMerge, MergeUndo, Position, RecordEvent
from gateway.model.outcome import Outcome
from gateway.model.patient import PatientId
from tests.harness.breach import Breach
from tests.harness.cast import Cast
from tests.harness.stepping import Actor, Played, explore, following
from tests.harness.worlds import World
from tests.strategies.records import adt, opening, stated

IO, INO = Position.OPPOSES, Position.ALLOWS

#: A transaction that failed so was in a circle, or waited too long: none ever may.
FORBIDDEN: Final = frozenset({"40P01", "40001", "55P03", "57014", "25P03"})


@dataclass(frozen=True, kw_only=True)
class Scene:
    """
    What meets.

    Attributes:
        before: (world, cast) → what was there.
        acts: Letter → what the actor of this letter does, with the store of its place.
        ends: Order of the commits → what each came to, in the order of `acts`, then what `after` came to.
        after: What a deposit afterwards comes to.
    """

    name: str
    before: Callable[[World, Cast], object]
    acts: Mapping[str, Callable[[World, Cast, int], list[Outcome]]]
    ends: Mapping[str, tuple[str, ...]]
    after: Callable[[World, Cast], list[Outcome]] | None = None

    def play(self, world: World, choose: Callable[[int, str], str]) -> tuple[Played, Cast]:
        """Play it once, with people of its own."""
        cast = world.cast()
        self.before(world, cast)
        actors = []
        for place, (letter, act) in enumerate(self.acts.items()):
            where = place % 2
            actors.append(Actor(letter, _of(act, world, cast, where), world.threads(where)))
        return world.stage.play(actors, choose), cast

    def told(self, world: World, played: Played, cast: Cast) -> tuple[str, ...]:
        """What each came to, in words."""
        words = [" ".join(map(word, played.result(letter))) for letter in self.acts]
        if self.after is not None:
            words.append(" ".join(map(word, self.after(world, cast))))
        return tuple(words)


def _of(act: Callable[[World, Cast, int], list[Outcome]], world: World, cast: Cast, where: int) -> Callable[[], list[Outcome]]:
    return lambda: act(world, cast, where)


def word(outcome: Outcome) -> str:
    """What an outcome says: its first code where it was refused, else its verdict."""
    refused = outcome.verdict.value in {"refused", "rejected"}
    return outcome.codes[0] if refused and outcome.codes else outcome.verdict.value


@dataclass
class Judge:
    """Holds every playing of a scene against the serial runs."""

    scene: Scene
    world: World
    serial: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    played: int = 0
    orders: dict[str, int] = field(default_factory=dict)
    #: Whether every schedule was played.
    whole: bool = True

    def begin(self) -> None:
        """Run the serial orders: one wholly after the other."""
        for order in self.scene.ends:
            # Who is named first takes every step that there is for it.
            played, cast = self.scene.play(self.world, lambda _, able, order=order: min(able, key=order.index))
            assert played.order == order, played
            self._ends(played, cast)
            self.serial[order] = self.world.look(cast)

    def judge(self, played: Played, cast: Cast) -> None:
        """
        Hold one playing against what may be.

        Raises:
            Breach: names the schedule.
        """
        self.played += 1
        self.orders[played.order] = self.orders.get(played.order, 0) + 1
        for letter in self.scene.acts:
            played.result(letter)
        if played.order not in self.serial:
            raise Breach(f"{self.scene.name}: commits in the order {played.order!r}\n{played}")
        self._ends(played, cast)
        found, expected = self.world.look(cast), self.serial[played.order]
        for table in sorted(found.keys() | expected.keys()):
            if found.get(table) != expected.get(table):
                raise Breach(
                    f"{self.scene.name}: {table} is not what the serial run {played.order!r} leaves\n"
                    f"  found    {found.get(table)}\n  expected {expected.get(table)}\n{played}"
                )

    def end(self) -> None:
        """Ask the DPO's query, and what failed inside."""
        against = self.world.bench.against()
        if against:
            raise Breach(f"{self.scene.name}: stored against an opposition: {against}")
        failures = set(getattr(self.world.waits, "failures", ()))
        if failures & FORBIDDEN:
            raise Breach(f"{self.scene.name}: {sorted(failures & FORBIDDEN)} inside")

    def _ends(self, played: Played, cast: Cast) -> None:
        found, expected = self.scene.told(self.world, played, cast), self.scene.ends[played.order]
        if found != expected:
            raise Breach(f"{self.scene.name}: {found} where {expected} was to come\n{played}")


# -- the scenes


def _open(world: World, cast: Cast) -> None:
    world.event(cast, "opening", opening(cast.ins()))


def _open_two(world: World, cast: Cast) -> None:
    _open(world, cast)
    world.event(cast, "opening2", opening(cast.ins(1)))


def _opposed_under_a_number(world: World, cast: Cast) -> None:
    _open(world, cast)
    world.event(cast, "io", adt(stated(IO, at=None), patient=(cast.ipp(),), links=False))


def _opposed(world: World, cast: Cast) -> None:
    _open(world, cast)
    world.event(cast, "io", adt(stated(IO, at="20260309"), patient=(cast.ins(),)))


def _two_files(world: World, cast: Cast) -> None:
    """One file with a record, and another number, opposed, that is of the same person."""
    _open(world, cast)
    world.event(cast, "link", adt(patient=_numbered(cast)))
    world.event(cast, "io", adt(stated(IO, at=None), patient=(cast.ipp(1),), links=False))


def _two_records(world: World, cast: Cast) -> None:
    _open_two(world, cast)
    world.event(cast, "io", adt(stated(IO, at=None), patient=(cast.ins(1),)))


def _merged(world: World, cast: Cast) -> None:
    _two_records(world, cast)
    world.event(cast, "merge", _merge_of_records(cast))


def _merge_of_files(cast: Cast) -> FileMerge:
    return FileMerge(trigger="A40", identifiers=(cast.ipp(),), absorbed=(cast.ipp(1),))


def _merge_of_records(cast: Cast) -> FileMerge:
    return FileMerge(trigger="merge", identifiers=_one(cast), absorbed=_other(cast), signed_by=("A. Martin", "B. Durand"))


def _merge_undone(cast: Cast) -> MergeUndo:
    return MergeUndo(identifiers=_one(cast), merge=f"{cast.prefix}merge", signed_by=("A. Martin", "B. Durand"))


def _deposits(*patients: Callable[[Cast], tuple[PatientId, ...]], name: str = "d") -> Callable[[World, Cast, int], list[Outcome]]:
    """Return the act that applies one batch: a document for each, of the patient that it names."""

    def act(world: World, cast: Cast, where: int) -> list[Outcome]:
        batch = [
            world.deposit(cast, f"{name}{n}", patient=who(cast), documents=((f"1.2.{name}.{n}", b"<doc/>"),))
            for n, who in enumerate(patients)
        ]
        return world.stores[where].apply(batch)

    return act


def _says(event: Callable[[Cast], RecordEvent], name: str) -> Callable[[World, Cast, int], list[Outcome]]:
    return lambda world, cast, where: [world.event(cast, name, event(cast), where)]


def _one(cast: Cast) -> tuple[PatientId, ...]:
    return (cast.ins(),)


def _other(cast: Cast) -> tuple[PatientId, ...]:
    return (cast.ins(1),)


def _numbered(cast: Cast) -> tuple[PatientId, ...]:
    return (cast.ins(), cast.ipp())


def _afterwards(world: World, cast: Cast) -> list[Outcome]:
    return _deposits(_one, name="after")(world, cast, 0)


SCENES: Final = (
    Scene(
        name="a deposit, an opposition",
        before=_open,
        acts={"d": _deposits(_one), "o": _says(lambda cast: adt(stated(IO, at=None), patient=_one(cast)), "o")},
        ends={"do": ("stored", "applied", "OPPOSED"), "od": ("OPPOSED", "applied", "OPPOSED")},
        after=_afterwards,
    ),
    Scene(
        name="a batch, an opposition",
        before=_open_two,
        acts={
            "d": _deposits(_one, _other, _one, _other),
            "o": _says(lambda cast: adt(stated(IO, at=None), patient=_one(cast)), "o"),
        },
        ends={"do": ("stored stored stored stored", "applied"), "od": ("OPPOSED stored OPPOSED stored", "applied")},
    ),
    Scene(
        name="a deposit, a link to a number that is opposed",
        before=_opposed_under_a_number,
        acts={"d": _deposits(_one), "l": _says(lambda cast: adt(patient=_numbered(cast)), "l")},
        ends={"dl": ("stored", "applied", "OPPOSED"), "ld": ("OPPOSED", "applied", "OPPOSED")},
        after=_afterwards,
    ),
    Scene(
        name="a deposit, a merge with a file that is opposed",
        before=_two_files,
        acts={"d": _deposits(_one), "m": _says(_merge_of_files, "m")},
        ends={"dm": ("stored", "applied", "OPPOSED"), "md": ("OPPOSED", "applied", "OPPOSED")},
        after=_afterwards,
    ),
    Scene(
        name="a deposit, a merge with a record that is opposed",
        before=_two_records,
        acts={"d": _deposits(_one), "m": _says(_merge_of_records, "m")},
        ends={"dm": ("stored", "applied", "OPPOSED"), "md": ("OPPOSED", "applied", "OPPOSED")},
        after=_afterwards,
    ),
    Scene(
        name="an opposition under a number, a merge of its file",
        before=lambda world, cast: (_open(world, cast), world.event(cast, "link", adt(patient=_numbered(cast)))),
        acts={
            "o": _says(lambda cast: adt(stated(IO, at=None), patient=(cast.ipp(1),), links=False), "o"),
            "m": _says(_merge_of_files, "m"),
        },
        ends={"om": ("applied", "applied", "OPPOSED"), "mo": ("applied", "applied", "OPPOSED")},
        after=_afterwards,
    ),
    Scene(
        name="a deposit, the undoing of a merge",
        before=_merged,
        acts={"d": _deposits(_one), "u": _says(_merge_undone, "u")},
        ends={"du": ("OPPOSED", "applied", "OPPOSED"), "ud": ("OPPOSED", "applied", "OPPOSED")},
        after=_afterwards,
    ),
    Scene(
        name="a deposit, an opposition under a number that nobody knows",
        before=_open,
        acts={
            "d": _deposits(_numbered),
            "o": _says(lambda cast: adt(stated(IO, at=None), patient=(cast.ipp(),), links=False), "o"),
        },
        ends={"do": ("stored", "applied"), "od": ("OPPOSED", "applied")},
    ),
    Scene(
        name="a deposit under both numbers, an opposition that links them",
        before=_open,
        acts={"d": _deposits(_numbered), "o": _says(lambda cast: adt(stated(IO, at=None), patient=_numbered(cast)), "o")},
        ends={"do": ("stored", "applied", "OPPOSED"), "od": ("OPPOSED", "applied", "OPPOSED")},
        after=_afterwards,
    ),
    Scene(
        name="an opposition, a later lifting",
        before=_open,
        acts={
            "o": _says(lambda cast: adt(stated(IO, at="20260308"), patient=_one(cast)), "o"),
            "i": _says(lambda cast: adt(stated(INO, at="20260309"), patient=_one(cast)), "i"),
        },
        ends={"oi": ("applied", "applied", "stored"), "io": ("applied", "applied", "stored")},
        after=_afterwards,
    ),
    Scene(
        name="an opposition, a lifting of the same day",
        before=_open,
        acts={
            "o": _says(lambda cast: adt(stated(IO, at="20260309"), patient=_one(cast)), "o"),
            "i": _says(lambda cast: adt(stated(INO, at="20260309"), patient=_one(cast)), "i"),
        },
        ends={"oi": ("applied", "applied", "OPPOSED"), "io": ("applied", "applied", "OPPOSED")},
        after=_afterwards,
    ),
    Scene(
        name="a deposit, a lifting",
        before=_opposed,
        acts={"d": _deposits(_one), "i": _says(lambda cast: adt(stated(INO, at="20260310"), patient=_one(cast)), "i")},
        ends={"di": ("OPPOSED", "applied", "stored"), "id": ("stored", "applied", "stored")},
        after=_afterwards,
    ),
    Scene(
        name="a deposit, the opening of a record for somebody unknown",
        before=lambda world, cast: None,
        acts={"d": _deposits(_one), "r": _says(lambda cast: opening(cast.ins()), "r")},
        ends={"dr": ("RECORD_ABSENT", "applied", "stored"), "rd": ("stored", "applied", "stored")},
        after=_afterwards,
    ),
    Scene(
        name="two batches that name two patients in opposite orders",
        before=_open_two,
        acts={"d": _deposits(_one, _other), "e": _deposits(_other, _one, name="e")},
        ends={"de": ("stored stored", "stored stored"), "ed": ("stored stored", "stored stored")},
    ),
    Scene(
        name="a batch, the same batch delivered again",
        before=_open_two,
        acts={"d": _deposits(_one, _other), "z": _deposits(_one, _other)},
        ends={"dz": ("stored stored", "stored stored"), "zd": ("stored stored", "stored stored")},
    ),
    Scene(
        name="a deposit for nobody, the same deposit delivered again",
        before=lambda world, cast: None,
        acts={"d": _deposits(_one), "z": _deposits(_one)},
        ends={"dz": ("RECORD_ABSENT", "RECORD_ABSENT"), "zd": ("RECORD_ABSENT", "RECORD_ABSENT")},
    ),
)


def all_interleavings(scene: Scene, world: World, until: float = math.inf) -> Judge:
    """
    Play every schedule of a scene and hold each against the serial runs.

    Args:
        scene: What meets.
        world: Where.
        until: `time.monotonic` at which to stop before its end; `Judge.whole` tells.

    Raises:
        Breach: names the schedule.
    """
    judge = Judge(scene, world)
    judge.begin()
    casts: list[Cast] = []

    def play(choose: Callable[[int, str], str]) -> Played:
        played, cast = scene.play(world, choose)
        casts.append(cast)
        return played

    for played in explore(play):
        judge.judge(played, casts.pop())
        if time.monotonic() > until:
            judge.whole = False
            break
    judge.end()
    return judge


def replayed(scene: Scene, world: World, schedule: str) -> Played:
    """Play one schedule again and judge it."""
    judge = Judge(scene, world)
    judge.begin()
    played, cast = scene.play(world, following(schedule))
    judge.judge(played, cast)
    judge.end()
    return played

"""
The campaigns: one call is one run in a fresh folder, from one seed, judged at its end.

Each returns the same kind of report, so that slices of them run under pytest and the whole of them by `make proof`.
"""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.harness.load import Load
from tests.harness.rig import Rig
from tests.harness.traffic import AUBIER, DEPOSITS, STATEMENTS, VALMONT, Step, Traffic
from tests.proof.line import Line, Run

#: How many of the messages that took effect are sent once more at the end (L9).
_RESENT: Final = 60
#: How often a gateway is killed at one point.
LIVES: Final = 3


class _Kept:
    """Keeps the steps that a load took, so that they can be sent again."""

    def __init__(self, strands: Callable[[], list[Step] | None]) -> None:
        self._strands = strands
        self._lock = threading.Lock()
        self.taken: list[Step] = []

    def strand(self) -> list[Step] | None:
        strand = self._strands()
        with self._lock:
            self.taken += strand or []
        return strand

    def again(self, rig: Rig, chance: random.Random) -> list[Step]:
        """Return some of the steps that took effect."""
        took = rig.took_effect()
        steps = [step for step in self.taken if step.id in took and step.kind in (*DEPOSITS, *STATEMENTS)]
        return chance.sample(steps, min(_RESENT, len(steps)))


def random_kills(
    folder: Path, seed: int, *, cycles: int = 20, longest: float = 2.0, until: float = 0.0, database: str | None = None
) -> Run:
    """
    F1: `kill -9` at a random moment after the first answer, again and again, on one folder.

    Args:
        folder: Empty.
        seed: Decides traffic and moments.
        cycles: How many kills.
        longest: Seconds after the first answer, at most.
        until: `time.monotonic` at which to stop early; 0 for never.
        database: Where the record is, empty, if not in the folder's file.
    """
    begun, chance = time.monotonic(), random.Random(seed)
    traffic = Traffic(seed, people=chance.randint(10, 40))
    kept, rig = _Kept(traffic.strand), Rig(folder, database=database)
    rig.open_records(traffic.patients)
    load = Load(kept.strand, rig.ledgers, connections=8)
    rig.start()
    try:
        load.start(rig.gateway.port)
        load.wait_heard(rig.gateway.port, 30)
        for _ in range(cycles):
            time.sleep(longest * chance.random())
            rig.kill(load)
            rig.restart(load)
            if until and time.monotonic() > until:
                break
        return _ended(rig, load, kept, chance, begun)
    finally:
        rig.gateway.kill()


def point_kills(folder: Path, seed: int, *, point: str, lives: int = LIVES) -> Run:
    """F2: killed at a named point at random hits, `lives` times on one folder."""
    begun, chance = time.monotonic(), random.Random(seed)
    traffic = Traffic(seed, people=chance.randint(10, 40))
    kept, rig = _Kept(traffic.strand), Rig(folder)
    rig.open_records(traffic.patients)
    load = Load(kept.strand, rig.ledgers, connections=16)
    missed = []
    rig.start(f"{point}:{chance.randint(1, 60)}")
    try:
        load.start(rig.gateway.port)
        for left in reversed(range(lives)):
            if isinstance(death := rig.wait_killed(load, 60), str):
                missed.append(f"{point} was not reached as often as drawn: {death}")
                break
            if left and rig.start(f"{point}:{chance.randint(1, 60)}"):
                load.listening(rig.gateway.port)
        if rig.gateway.running:
            rig.kill(load)
        rig.restart(load)
        run = _ended(rig, load, kept, chance, begun)
        run.failures += missed
        return run
    finally:
        rig.gateway.kill()


def duplicates(folder: Path, seed: int, *, strands: int = 300, kills: int = 2) -> Run:
    """F17: each message one to five times, shuffled over the connections, with kills; in half of the runs with oppositions."""
    begun, chance = time.monotonic(), random.Random(seed)
    traffic = Traffic(seed, people=chance.randint(10, 40), opposing=chance.choice((0.0, 0.15)))
    steps = [step for _ in range(strands) for step in traffic.strand()]
    copies = [step for step in steps for _ in range(chance.randint(1, 5))]
    chance.shuffle(copies)
    supply, lock = iter(copies), threading.Lock()

    def strand() -> list[Step] | None:
        with lock:
            step = next(supply, None)
        return None if step is None else [step]

    kept, rig = _Kept(strand), Rig(folder)
    rig.open_records(traffic.patients)
    load = Load(kept.strand, rig.ledgers, connections=8)
    rig.start()
    try:
        load.start(rig.gateway.port)
        for n in range(1, kills + 1):
            while load.alive and load.answered < len(copies) * n // (kills + 1):
                time.sleep(0.01)
            if not load.alive:
                break
            rig.kill(load)
            rig.restart(load)
        while load.alive:
            time.sleep(0.01)
        run = _ended(rig, load, kept, chance, begun)
        run.faults += len(copies) - len(steps)
        return run
    finally:
        rig.gateway.kill()


def races(folder: Path, seed: int, *, rounds: int = 60) -> Run:
    """F19, at random: oppositions, allowances and deposits of one patient at once on several connections."""
    begun, chance = time.monotonic(), random.Random(seed)
    traffic = Traffic(seed, people=10)
    kept, rig = _Kept(_races(traffic, chance, rounds)), Rig(folder)
    rig.open_records(traffic.patients)
    load = Load(kept.strand, rig.ledgers, connections=8)
    rig.start()
    try:
        load.start(rig.gateway.port)
        while load.alive:
            time.sleep(0.01)
        run = _ended(rig, load, kept, chance, begun)
        run.faults += rounds
        return run
    finally:
        rig.gateway.kill()


def _races(traffic: Traffic, chance: random.Random, rounds: int) -> Callable[[], list[Step] | None]:
    """Return the strands of rounds: in each, some statements and more deposits of one patient, shuffled."""
    planned: list[list[Step]] = []
    for number in range(rounds):
        patient = traffic.patients[number % len(traffic.patients)]
        where = VALMONT if chance.random() < 0.8 else AUBIER
        stated = [
            [traffic.statement(patient, where, chance.choice(STATEMENTS), provisional=chance.random() < 0.25)]
            for _ in range(chance.randint(1, 3))
        ]
        deposited = [[traffic.deposit(patient, where)] for _ in range(chance.randint(4, 12))]
        both = stated + deposited
        chance.shuffle(both)
        planned += both
    supply, lock = iter(planned), threading.Lock()

    def strand() -> list[Step] | None:
        with lock:
            return next(supply, None)

    return strand


def _ended(rig: Rig, load: Load, kept: _Kept, chance: random.Random, begun: float) -> Run:
    """Finish the load, send some of it again, judge."""
    load.finish()
    rig.drained()
    wrong = rig.resend(kept.again(rig, chance))
    found = rig.judged()
    return Run(
        judgement=found,
        kills=rig.kills,
        faults=rig.kills,
        recoveries=rig.recoveries,
        failures=[*load.failures, *wrong],
        seconds=time.monotonic() - begun,
    )


LINES: Final = (
    Line(
        name="F17",
        what="each message one to five times, shuffled over connections, with kills",
        unit="messages",
        night=20_000_000,
        share=2,
        least_seconds=15,
        run=lambda folder, seed, _, end: duplicates(folder, seed, strands=300 if end > time.monotonic() + 40 else 60),
        units=lambda run: run.judgement.sends,
    ),
)

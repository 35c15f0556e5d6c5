"""
F3, F13 and F19 on the stores themselves: frozen writers, clocks, every interleaving and races at random.

Each run says what it did: attempts, faults, violations; each violation names how to come to it again.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.contract.store.backends import BACKENDS, SCRATCH
from tests.harness.breach import Breach
from tests.harness.clocks import clock_histories
from tests.harness.judge import Judgement
from tests.harness.revival import revivals
from tests.harness.rounds import rounds
from tests.harness.scenes import SCENES, all_interleavings
from tests.harness.stepping import Stuck
from tests.harness.worlds import NIGHT, World
from tests.proof.campaigns import races
from tests.proof.line import Line, Run

_BACKENDS: Final = tuple(BACKENDS)
#: One after the other: every schedule of every scene on a store, then rounds on each, then what goes through the door.
_SITTINGS: Final = 5
#: Seconds of a sitting of rounds.
_ROUNDS_SECONDS: Final = 30.0


@dataclass
class Told(Run):
    """A run that says itself what it did."""

    text: str = ""
    units: int = 0

    def line(self) -> str:
        """Return the line of the report."""
        return self.text


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        yield Path(folder)


def interleavings(backend: str, until: float) -> Told:
    """F19: every schedule of every scene on one store, at every point; as far as the time goes."""
    begun, played, whole = time.monotonic(), 0, 0
    failures = []
    for scene in SCENES:
        if time.monotonic() > until:
            break
        with _scratch() as folder, World.made(backend, folder, NIGHT) as world:
            try:
                judge = all_interleavings(scene, world, until)
            except (Breach, Stuck) as breach:
                failures.append(str(breach))
            else:
                played += judge.played
                whole += judge.whole
    text = (
        f"interleavings, {backend}: {played} schedules, all of {whole} of {len(SCENES)} scenes; attempts {2 * played},"
        f" faults {played}, violations {len(failures)}"
    )
    return Told(
        judgement=Judgement(attempt=2 * played, sends=2 * played),
        faults=played,
        failures=failures,
        seconds=time.monotonic() - begun,
        text=text,
        units=played,
    )


def at_random(folder: Path, backend: str, seed: int, until: float) -> Told:
    """F19: rounds of three and more at once."""
    begun = time.monotonic()
    with _scratch() as scratch:
        tally = rounds(backend, scratch, seed, until=min(until, begun + _ROUNDS_SECONDS))
    attempts = tally.deposits + tally.events
    text = f"at random, {backend}: {tally.line()}; attempts {attempts}, faults {tally.rounds}"
    return Told(
        judgement=Judgement(attempt=attempts, sends=attempts),
        faults=tally.rounds,
        failures=tally.violations,
        seconds=time.monotonic() - begun,
        text=text,
        units=tally.rounds,
    )


def opposed_races(folder: Path, seed: int, number: int, until: float) -> Run:
    """F19: the sittings by turns."""
    turn = number % _SITTINGS
    if turn < len(_BACKENDS):
        return interleavings(_BACKENDS[turn], until)
    if turn < 2 * len(_BACKENDS):
        return at_random(folder, _BACKENDS[turn - len(_BACKENDS)], seed, until)
    return races(folder, seed)


def frozen(folder: Path, seed: int, until: float) -> Told:
    """F3: a writer frozen at each point of its transaction, in an order of its own."""
    begun = time.monotonic()
    found = revivals(folder, seed, most=1_000, until=until - 10)
    text = f"frozen: {found.line()}; attempts {found.deposits}, faults {found.frozen}"
    return Told(
        judgement=Judgement(attempt=found.deposits, sends=found.deposits),
        faults=found.frozen,
        failures=found.violations,
        seconds=time.monotonic() - begun,
        text=text,
        units=found.frozen,
    )


def clocks(seed: int, number: int, until: float) -> Told:
    """F13: histories under clocks that jump, on each store by turns."""
    begun, backend = time.monotonic(), _BACKENDS[number % len(_BACKENDS)]
    with _scratch() as scratch:
        found = clock_histories(backend, scratch, seed, most=10, until=until)
    text = f"clocks, {backend}: {found.line()}; attempts {found.messages}, faults {found.jumps}"
    return Told(
        judgement=Judgement(attempt=found.messages, sends=found.messages),
        faults=found.jumps,
        failures=found.violations,
        seconds=time.monotonic() - begun,
        text=text,
        units=found.histories,
    )


def _units(run: Run) -> int:
    return run.units if isinstance(run, Told) else run.faults


LINES: Final = (
    Line(
        name="F3",
        what="a writer frozen at each point of its transaction, and woken beside another one",
        unit="freezes",
        night=500,
        share=1,
        least_seconds=10,
        run=lambda folder, seed, _, end: frozen(folder, seed, end),
        units=_units,
        counted=False,
    ),
    Line(
        name="F13",
        what="clocks that jump, stand still or go back, between transactions and inside them",
        unit="histories",
        night=500,
        share=1,
        least_seconds=5,
        run=lambda _, seed, number, end: clocks(seed, number, end),
        units=_units,
    ),
    Line(
        name="F19",
        what="every interleaving of two transactions; oppositions, liftings, merges, links, repetitions and deposits at random",
        unit="schedules and races",
        night=1_000_000,
        share=3,
        least_seconds=10,
        run=opposed_races,
        units=_units,
    ),
)

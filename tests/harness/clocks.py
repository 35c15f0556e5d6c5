"""F13 at random: one history under a steady clock and under one that jumps; what may not depend on the clock must be the same."""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.model.event import Position
from gateway.model.submission import Act
from gateway.telemetry import points
from tests.contract.store.backends import BACKENDS, Bench
from tests.harness.jumping import BEGINNINGS, Back, Jumping, Still, inside
from tests.strategies.records import ALICE, BORIS, H1, H2, START, Ticking, adt, local, stated

IO, INO = Position.OPPOSES, Position.ALLOWS
_IPP = local(H1, "100")


@dataclass
class Clocks:
    """What was done and found."""

    histories: int = 0
    messages: int = 0
    jumps: int = 0
    violations: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return the line of a report."""
        return (
            f"{self.histories} histories of {self.messages} messages under clocks that jumped {self.jumps} times,"
            f" {len(self.violations)} violations"
        )


def _history(seed: int) -> list[tuple[str, dict[str, Any]]]:
    """Return a history whose outcome the clock has no say in: statements carry dates that are past under every clock."""
    chance = random.Random(seed)
    steps: list[tuple[str, dict[str, Any]]] = []
    days = iter(range(1, 28))
    for number in range(24):
        roll = chance.random()
        if roll < 0.25:
            said = stated(chance.choice((IO, INO)), chance.choice((H1, H1, H2)), at=f"202501{next(days):02}")
            steps.append(("event", {"said": said, "patient": chance.choice(((ALICE,), (_IPP,), (ALICE, _IPP)))}))
        else:
            steps.append(
                (
                    "deposit",
                    {
                        "patient": (chance.choice((ALICE, ALICE, BORIS)),),
                        "act": chance.choice((Act.ADD, Act.ADD, Act.DELETE)),
                        "documents": ((f"1.2.{chance.randint(1, 9)}", chance.choice((b"<a/>", b"<b/>"))),),
                        "establishments": (chance.choice((H1, H2)),),
                        "message_id": f"m{number}",
                    },
                )
            )
    return steps


def _played(backend: str, folder: Path, seed: int, clock: Ticking) -> tuple[Any, list[tuple[str, str]]]:
    """Play a history under a clock; return what must not depend on it, and the DPO's answer."""
    bench: Bench = BACKENDS[backend](folder, lasting=True)
    try:
        bench.clock = bench.store._clock = clock  # type: ignore[attr-defined]
        if isinstance(clock, Jumping):
            inside(clock)
        bench.open(ALICE)
        bench.open(BORIS)
        said = []
        for kind, facts in _history(seed):
            if kind == "event":
                outcome = bench.event(adt(facts["said"], patient=facts["patient"], links=len(facts["patient"]) > 1))
            else:
                outcome = bench.send(**facts)
            said.append((outcome.verdict.value, outcome.codes, outcome.rule))
        documents = sorted((row["patient"], row["unique_id"], row["state"], row["digest"]) for row in bench.rows("document"))
        statements = [(row["id"], row["position"]) for row in sorted(bench.rows("statement"), key=lambda row: row["sequence"])]
        return (said, documents, statements), bench.against()
    finally:
        points.hooks.clear()
        bench.close()


def clock_histories(backend: str, folder: Path, seed: int, *, most: int, until: float = float("inf")) -> Clocks:
    """Play histories under a steady clock and under others; compare."""
    found = Clocks()
    while found.histories < most and time.monotonic() < until:
        number = seed + found.histories
        chance = random.Random(number)
        found.histories += 1
        start = chance.choice((START, *BEGINNINGS.values()))
        places = iter(range(10))
        expected, _ = _played(backend, _made(folder, number, next(places)), number, Ticking(start))
        for clock in (Jumping(start, number), Back(start), Still(start)):
            left, against = _played(backend, _made(folder, number, next(places)), number, clock)
            found.messages += len(left[0])
            found.jumps += clock.jumps if isinstance(clock, Jumping) else len(left[0])
            for name, mine, others in zip(("outcomes", "documents", "statements"), left, expected, strict=True):
                if mine != others:
                    found.violations.append(f"seed {number}, {type(clock).__name__}: {name} {mine} where {others}")
            found.violations += [f"seed {number}, {type(clock).__name__}: stored against {each}" for each in against]
    return found


def _made(folder: Path, number: int, place: int) -> Path:
    made = folder / f"{number}-{place}"
    made.mkdir(parents=True)
    return made

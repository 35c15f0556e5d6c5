"""
F1, F4, F5, F8 over a broker: doors and workers are killed, the broker dies, stops, stays away, the line to it drops.

The gateway is the real one: `serve` with its processes, over a node and a database of the tests' own. What was answered is judged
against the record, as everywhere.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.harness import postgres, rabbitmq
from tests.harness.broker_rig import BrokerRig
from tests.harness.broker_stack import stack
from tests.harness.load import Load
from tests.proof.line import Line, Run

#: Where in a frame of AMQP a line is cut: at its type, in channel and size, in its body; then anywhere.
_CLASSES: Final = (0, 1, 3, 6, 8, 12)

#: The long absence of F5.
_LONG_SECONDS: Final = 300.0

#: What happens to a gateway under load.
Trouble = Callable[[BrokerRig, Load, random.Random], None]


def kill(rig: BrokerRig, _load: Load, chance: random.Random) -> None:
    """A door or a worker dies at a random moment."""
    time.sleep(chance.random())
    rig.kill_one(chance)


def die(rig: BrokerRig, load: Load, chance: random.Random) -> None:
    """The broker dies and is started again."""
    time.sleep(chance.random())
    rig.lose_broker(kill=True)
    rig.wait_accepted(load)


def restart(rig: BrokerRig, load: Load, chance: random.Random) -> None:
    """The broker is stopped in order and started again."""
    time.sleep(chance.random())
    rig.lose_broker(kill=False)
    rig.wait_accepted(load)


def away(seconds: float) -> Trouble:
    """The broker is away for a while."""

    def happens(rig: BrokerRig, load: Load, _chance: random.Random) -> None:
        rig.lose_broker(kill=True, seconds=seconds)
        rig.wait_accepted(load)
        time.sleep(min(10.0, seconds / 5))

    return happens


def drop(rig: BrokerRig, _load: Load, chance: random.Random) -> None:
    """One of the lines to the broker is cut at some byte of either way."""
    after = chance.choice((*_CLASSES, chance.randrange(100), chance.randrange(4_000)))
    cuts = rig.line.cuts
    rig.line.arm(answers=chance.random() < 0.5, after=after)
    limit = time.monotonic() + 5
    while rig.line.cuts == cuts and time.monotonic() < limit:
        time.sleep(0.01)
    time.sleep(0.3 * chance.random())


def troubled(
    folder: Path,
    seed: int,
    troubles: list[Trouble],
    *,
    node: rabbitmq.Node | None = None,
    connections: int = 16,
    doors: int = 2,
    workers: int = 2,
    patience: float = 1.0,
    until: float = 0.0,
) -> Run:
    """
    Put a gateway under load and let things happen to it, one after the other; then judge.

    Args:
        folder: Empty.
        seed: Decides traffic and moments.
        troubles: What happens.
        node: The broker; None: one of the run's own.
        connections: How many send.
        doors: How many MLLP processes.
        workers: How many workers.
        patience: How many times longer than promised a recovery or an answer may take.
        until: `time.monotonic` at which to stop early; 0 for never.
    """
    server = postgres.shared()
    with stack(
        folder, seed, node=node, server=server, doors=doors, workers=workers, connections=connections, patience=patience
    ) as made:
        made.start()
        for trouble in troubles:
            trouble(made.rig, made.load, made.chance)
            made.faults += 1
            if until and time.monotonic() > until:
                break
        time.sleep(0.3)
        run = made.judged()
        run.failures += made.rig.answered_wrong()
        if made.rig.absences and not made.rig.refused_meanwhile():
            run.failures.append("nobody was answered AR while the broker was away: nothing was tried")
        return run


def _many(trouble: Trouble, seconds: float, most: int) -> Callable[[Path, int, int, float], Run]:
    """Return the run of one trouble again and again, as often as fits."""

    def run(folder: Path, seed: int, _number: int, end: float) -> Run:
        left = max(0.0, end - time.monotonic() - 30)
        return troubled(folder, seed, [trouble] * max(1, min(most, int(left / seconds))), until=end - 20)

    return run


LINES: Final = (
    Line(
        name="KILLS",
        what="kill -9 of a door or a worker at random moments, over a broker and a database",
        unit="kills",
        night=3_000,
        share=2,
        least_seconds=40,
        run=_many(kill, 1.5, 30),
        units=lambda run: run.kills,
    ),
    Line(
        name="F4",
        what="the broker killed, or stopped in order, and started again, under load",
        unit="deaths",
        night=200,
        share=2,
        least_seconds=50,
        run=lambda folder, seed, number, end: _many((die, restart)[number % 2], 10, 8)(folder, seed, number, end),
        units=lambda run: run.faults,
    ),
    Line(
        name="F5",
        what="the broker away for 20 s: AR within 10 s and no AA meanwhile, then it goes on",
        unit="absences",
        night=20,
        share=1,
        least_seconds=70,
        run=lambda folder, seed, _number, _end: troubled(folder, seed, [away(20)]),
        units=lambda run: run.faults,
    ),
    Line(
        name="ABSENCES",
        what="F5 in full: the broker away for 5 min, with everything that F5 asks",
        unit="absences of 5 min",
        night=3,
        share=1,
        least_seconds=_LONG_SECONDS + 150,
        run=lambda folder, seed, _number, _end: troubled(folder, seed, [away(_LONG_SECONDS)]),
        units=lambda run: run.faults,
    ),
    Line(
        name="DROPS",
        what="the lines to the broker dropped in either direction, at every class of byte",
        unit="drops",
        night=20_000,
        share=2,
        least_seconds=40,
        run=_many(drop, 0.6, 100),
        units=lambda run: run.faults,
    ),
)

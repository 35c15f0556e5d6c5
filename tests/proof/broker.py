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
from tests.harness.load import Load
from tests.harness.traffic import Traffic
from tests.proof.line import Line, Run

#: Where in a frame of AMQP a line is cut: at its type, in channel and size, in its body; then anywhere.
_CLASSES: Final = (0, 1, 3, 6, 8, 12)

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
        time.sleep(seconds / 5)

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
        until: `time.monotonic` at which to stop early; 0 for never.
    """
    begun, chance = time.monotonic(), random.Random(seed)
    traffic = Traffic(seed, people=chance.randint(10, 20))
    own = None if node else rabbitmq.Node()
    broker, server = node or own, postgres.shared()
    assert broker is not None
    broker.empty()
    database = server.lend(clean=False)
    rig = BrokerRig(folder, broker, database, doors=doors, workers=workers)
    happened = 0
    try:
        rig.open_records(traffic.patients)
        load = Load(traffic.strand, rig.ledgers, connections=connections)
        rig.start()
        load.start(rig.gateway.port)
        load.wait_heard(rig.gateway.port, 30)
        for trouble in troubles:
            trouble(rig, load, chance)
            happened += 1
            if until and time.monotonic() > until:
                break
        time.sleep(0.3)
        load.finish()
        found = rig.judged()
        run = Run(
            judgement=found,
            kills=rig.kills,
            faults=happened,
            recoveries=rig.recoveries,
            failures=[*load.failures, *rig.answered_wrong()],
            seconds=time.monotonic() - begun,
        )
        if rig.absences and not rig.refused_meanwhile():
            run.failures.append("nobody was answered AR while the broker was away: nothing was tried")
        return run
    finally:
        rig.close()
        server.give_back(database, thoroughly=False)
        if own is not None:
            own.close()
        else:
            broker.empty()


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
        what="the broker away: AR within 10 s and no AA meanwhile, then it goes on (20 s; 5 min in every eighth run)",
        unit="absences",
        night=3,
        share=1,
        least_seconds=70,
        run=lambda folder, seed, number, end: troubled(
            folder, seed, [away(300 if number % 8 == 7 and end > time.monotonic() + 400 else 20)]
        ),
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

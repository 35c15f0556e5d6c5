"""
F6, F7, F8 of a gateway over a broker: its database dies or starts again, answers to COMMIT are cut, the line to it drops.

Doors take deposits all the while, for these stand in the broker; an event, which needs the database, is answered AR. When the
database is there again, outcomes come within ten seconds.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.harness import postgres, rabbitmq
from tests.harness.broker_stack import Stack, stack
from tests.harness.cutting_commits import CuttingCommits
from tests.proof.line import Line, Run

#: Where in a message of the protocol a line is cut: at its type, in its length, at the begin of its body; then anywhere.
_CLASSES: Final = (0, 1, 3, 5)
_CUT_SECONDS: Final = 10.0

Fault = Callable[[Stack], None]


def die(made: Stack) -> None:
    """Every process of the server is killed; it starts again."""
    made.server.kill()
    time.sleep(made.chance.random())
    made.server.start()
    _recovered(made)


def restart(made: Stack) -> None:
    """The server is stopped fast, and started again."""
    made.server.stop()
    made.server.start()
    _recovered(made)


def lose_session(made: Stack) -> None:
    """One session's process is killed: the server ends all others and recovers by itself."""
    made.server.kill_session(made.chance)
    _recovered(made)


def _recovered(made: Stack) -> None:
    made.faults += 1
    made.rig.wait_written(made.load)


def cut_commits(number: int) -> Fault:
    """Of every second COMMIT the answer is cut, so many times."""

    def happens(made: Stack) -> None:
        leg = made.leg
        assert isinstance(leg, CuttingCommits)
        before, limit = leg.commits_cut, time.monotonic() + _CUT_SECONDS + number
        leg.share = 0.5
        while leg.commits_cut < before + number and time.monotonic() < limit and made.load.alive:
            time.sleep(0.01)
        leg.share = 0.0
        made.faults += leg.commits_cut - before

    return happens


def drop(made: Stack) -> None:
    """One of the lines to the database is cut at some byte of either way."""
    cuts, limit = made.leg.cuts, time.monotonic() + _CUT_SECONDS
    after = made.chance.choice((*_CLASSES, made.chance.randrange(60), made.chance.randrange(2_000)))
    made.leg.arm(answers=made.chance.random() < 0.5, after=after)
    while made.leg.cuts == cuts and time.monotonic() < limit and made.load.alive:
        time.sleep(0.005)
    made.faults += made.leg.cuts - cuts
    time.sleep(0.1 * made.chance.random())


def on_database(
    folder: Path,
    seed: int,
    faults: list[Fault],
    *,
    node: rabbitmq.Node | None = None,
    server: postgres.Cluster | None = None,
    patience: float = 1.0,
    until: float = 0.0,
) -> Run:
    """
    Let things happen to the database of a gateway under load, one after the other; then judge.

    Args:
        folder: Empty.
        seed: Decides traffic and moments.
        faults: What happens.
        node: The broker; None: one of the run's own.
        server: The database server; None: one of the run's own, which may die.
        patience: How many times longer than promised a recovery may take.
        until: `time.monotonic` at which to stop early; 0 for never.
    """
    with stack(folder, seed, node=node, server=server, patience=patience, legs=CuttingCommits) as made:
        made.start()
        for fault in faults:
            time.sleep(0.2 * made.chance.random())
            fault(made)
            if until and time.monotonic() > until:
                break
        return made.judged()


def _deaths(folder: Path, seed: int, _number: int, end: float) -> Run:
    chance = random.Random(seed)
    faults = [chance.choice((die, restart, lose_session)) for _ in range(20)]
    return on_database(folder, seed, faults, node=rabbitmq.shared(), until=min(end - 60, time.monotonic() + 120))


def _cuts(fault: Fault) -> Callable[[Path, int, int, float], Run]:
    def run(folder: Path, seed: int, _number: int, end: float) -> Run:
        until = min(end - 60, time.monotonic() + 120)
        return on_database(folder, seed, [fault] * 200, node=rabbitmq.shared(), server=postgres.shared(), until=until)

    return run


LINES: Final = (
    Line(
        name="DEATHS",
        what="F6 over a broker: the database server killed, started again, or a session of it lost, under doors and workers",
        unit="deaths",
        night=200,
        share=1,
        least_seconds=100,
        run=_deaths,
        units=lambda run: run.faults,
    ),
    Line(
        name="COMMITS",
        what="F7 over a broker: the answer to COMMIT of workers cut",
        unit="cuts",
        night=5_000,
        share=1,
        least_seconds=90,
        run=_cuts(cut_commits(5)),
        units=lambda run: run.faults,
    ),
    Line(
        name="LEGS",
        what="F8 over a broker: the line of workers to the database dropped in either direction, at every class of byte",
        unit="drops",
        night=20_000,
        share=1,
        least_seconds=90,
        run=_cuts(drop),
        units=lambda run: run.faults,
    ),
)

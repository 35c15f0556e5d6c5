"""
F20 over a broker: two or three faults at once, begun one after the other and released in another order, both drawn from the seed.

A schedule says what is begun when and released when; it is printed, and the same seed makes the same one. At which instruction a
process was is the machine's.
"""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.harness import postgres, rabbitmq
from tests.harness.broker_stack import Stack, stack
from tests.harness.cutting_commits import CuttingCommits
from tests.harness.orders import DOOR, WORKER
from tests.proof.line import Line, Run

#: Points where a process is killed while something else is out of order.
_POINTS: Final = (
    *((DOOR, point) for point in ("broker.publish", "broker.published", "broker.confirmed", "door.answered")),
    *((DOOR, point) for point in ("broker.request.waited", "broker.reply.received")),
    *((WORKER, point) for point in ("queue.taken", "store.written", "store.committed", "broker.ack", "broker.acked")),
    *((WORKER, point) for point in ("event.committed", "broker.request.answered", "broker.delivered")),
)
_LONGEST: Final = 8.0

Release = Callable[[], None]


def _nothing() -> None:
    """There is nothing to release."""


def _kill(made: Stack, chance: random.Random) -> Release:
    made.rig.kill_one(chance)
    return _nothing


def _kill_at(made: Stack, chance: random.Random) -> Release:
    made.orders.kill(*chance.choice(_POINTS), chance.randint(1, 20))

    def release() -> None:
        made.rig.kills += made.orders.wait(0.0) is not None

    return release


def _freeze(role: str) -> Callable[[Stack, random.Random], Release]:
    def begin(made: Stack, chance: random.Random) -> Release:
        pids = made.wait_there(role)
        if not pids:
            return _nothing
        pid = chance.choice(pids)
        made.orders.stop(pid)
        return lambda: made.orders.wake(pid)

    return begin


def _drop_broker(made: Stack, chance: random.Random) -> Release:
    made.rig.line.arm(answers=chance.random() < 0.5, after=chance.randrange(4_000))
    return made.rig.line.cut


def _swallow_broker(made: Stack, chance: random.Random) -> Release:
    """A black hole in one way; what was swallowed is missing, so the lines end when it is released."""
    answers = chance.random() < 0.5
    made.rig.line.swallow(answers=answers)

    def release() -> None:
        made.rig.line.cut()
        made.rig.line.swallow(answers=answers, on=False)

    return release


def _drop_database(made: Stack, chance: random.Random) -> Release:
    made.leg.arm(answers=chance.random() < 0.5, after=chance.randrange(2_000))
    return made.leg.cut


def _cut_commits(made: Stack, chance: random.Random) -> Release:
    leg = made.leg
    assert isinstance(leg, CuttingCommits)
    leg.share = chance.uniform(0.2, 0.6)

    def release() -> None:
        leg.share = 0.0

    return release


def _broker_dies(made: Stack, chance: random.Random) -> Release:
    (made.node.kill if chance.random() < 0.5 else made.node.stop)()
    return made.node.start


def _database_dies(made: Stack, chance: random.Random) -> Release:
    (made.server.kill if chance.random() < 0.5 else made.server.stop)()
    return made.server.start


#: Name → what begins it. Of each kind there is one at a time.
FAULTS: Final[dict[str, Callable[[Stack, random.Random], Release]]] = {
    "kill": _kill,
    "kill at a point": _kill_at,
    "freeze a worker": _freeze(WORKER),
    "freeze a door": _freeze(DOOR),
    "drop the broker's line": _drop_broker,
    "swallow the broker's line": _swallow_broker,
    "drop the database's line": _drop_database,
    "cut commits": _cut_commits,
    "broker dies": _broker_dies,
    "database dies": _database_dies,
}
#: Those that end a server: for a run with servers of its own.
OF_SERVERS: Final = frozenset({"broker dies", "database dies"})


@dataclass(frozen=True)
class Act:
    """
    One group of faults that overlap.

    Attributes:
        begun: Names and seeds, in the order of their beginning.
        pauses: Seconds before each, and before each release.
        released: Places in `begun`, in the order of release.
    """

    begun: tuple[tuple[str, int], ...]
    pauses: tuple[float, ...]
    released: tuple[int, ...]

    def line(self) -> str:
        """Return it for a person."""
        names = [name for name, _ in self.begun]
        return f"{' + '.join(names)}, released {' · '.join(names[place] for place in self.released)}"


def schedule(seed: int, acts: int, *, faults: tuple[str, ...] = tuple(FAULTS), longest: float = _LONGEST) -> list[Act]:
    """
    Return what happens, by the seed alone.

    Args:
        seed: Decides everything.
        acts: How many groups.
        faults: Names to draw from.
        longest: Seconds that a group lasts, at most, beside what its servers need.
    """
    chance, made = random.Random(seed), []
    for _ in range(acts):
        names = chance.sample(sorted(faults), min(len(faults), chance.choice((2, 2, 3))))
        released = list(range(len(names)))
        chance.shuffle(released)
        pauses = [chance.uniform(0, longest / (2 * len(names))) for _ in range(2 * len(names))]
        made.append(Act(tuple((name, chance.randrange(1 << 30)) for name in names), tuple(pauses), tuple(released)))
    return made


def perform(made: Stack, act: Act) -> None:
    """Begin the faults of a group, release them in their order, and wait until there is an AA again."""
    pauses, releases = iter(act.pauses), []
    try:
        for name, seed in act.begun:
            time.sleep(next(pauses))
            releases.append(FAULTS[name](made, random.Random(seed)))
            made.faults += 1
    finally:
        for place in act.released:
            if place < len(releases):
                time.sleep(next(pauses, 0.0))
                releases[place]()
        made.orders.withdraw()
    made.rig.wait_accepted(made.load, 20.0)


def combined(
    folder: Path,
    seed: int,
    acts: int,
    *,
    faults: tuple[str, ...] = tuple(FAULTS),
    longest: float = _LONGEST,
    node: rabbitmq.Node | None = None,
    server: postgres.Cluster | None = None,
    patience: float = 1.0,
    until: float = 0.0,
) -> tuple[Run, list[Act]]:
    """
    Let groups of faults happen under load, one after the other; then judge.

    Args:
        folder: Empty.
        seed: Decides traffic and schedule.
        acts: How many groups.
        faults: Names to draw from.
        longest: Seconds of a group at most.
        node: The broker; None: one of the run's own, which may die.
        server: The database server; None: one of the run's own, which may die.
        patience: How many times longer than promised a recovery may take.
        until: `time.monotonic` at which to stop early; 0 for never.

    Returns:
        The run, and what happened in it.
    """
    done: list[Act] = []
    with stack(folder, seed, node=node, server=server, patience=patience, legs=CuttingCommits, standby=2.0) as made:
        made.start()
        for number, act in enumerate(schedule(seed, acts, faults=faults, longest=longest)):
            print(f"seed {seed}, group {number}: {act.line()}", flush=True)
            perform(made, act)
            done.append(act)
            if until and time.monotonic() > until:
                break
        for pid in made.rig.pids():
            made.rig.signal(pid, signal.SIGCONT)
        return made.judged(), done


def _line(folder: Path, seed: int, _number: int, end: float) -> Run:
    return combined(folder, seed, 1_000, until=min(end - 90, time.monotonic() + 240))[0]


LINES: Final = (
    Line(
        name="F20",
        what="two or three faults at once over a broker and a database, begun and released in any order",
        unit="faults",
        night=3_000,
        share=3,
        least_seconds=150,
        run=_line,
        units=lambda run: run.faults,
    ),
)

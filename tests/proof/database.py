"""
F1 and F2 on both stores; F6, F7, F8: the database server dies or starts again, the answer to COMMIT is cut, the line drops.

The store takes a seeded traffic meanwhile, every step until it is answered; then its rows are compared with those of one clean
run (`tests.harness.lives`). F6 also with a whole gateway whose record is in the database.
"""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

from gateway.store.postgres.statements import STATEMENTS
from gateway.store.postgres.store import PostgresStore
from gateway.telemetry import points
from gateway.telemetry.points import POINTS
from tests.harness import holding, lives, postgres
from tests.harness.cutting import Cutting
from tests.harness.ledger import Ledger
from tests.harness.lives import Kill
from tests.harness.load import Load
from tests.harness.rig import Rig
from tests.harness.store_traffic import SCENES, Stepped, shuffled, written
from tests.harness.traffic import Traffic
from tests.proof import campaigns
from tests.proof.campaigns import LIVES
from tests.proof.line import Line, Run

#: Where in a message of the protocol a line is cut: at its type, in its length, at the begin of its body; then anywhere.
_CLASSES: Final = (0, 1, 3, 5)


#: The first outcome after the database answers again (L8).
RECOVERY_SECONDS: Final = 10.0
#: Seeds of every named point and statement that a release asks for.
_SEEDS: Final = 20


@contextmanager
def lent() -> Iterator[str]:
    """Lend an empty store."""
    server = postgres.shared()
    url = server.lend(clean=False)
    try:
        yield url
    finally:
        server.give_back(url, thoroughly=False)


def store_kills(folder: Path, seed: int, *, rounds: int = 2, kills: int = 40) -> Run:
    """F2 of the store alone: killed at points and statements, at random hits, on one database."""
    begun, chance = time.monotonic(), random.Random(seed)
    scenes = tuple(itertools.islice(shuffled(seed), rounds * len(SCENES)))
    # In the order in which they come, so that each life reaches its own in the steps that are left.
    reached = lives.reached(scenes, seed)
    chosen = sorted(chance.sample(range(len(reached)), min(kills, len(reached))))
    order = list(reached)
    planned = [Kill(order[place], chance.choice((1, 1, 1, 2))) for place in chosen]
    with lent() as url:
        missed = lives.live(url, scenes, planned, folder / "ledger", seed=seed)
        if missed and planned:
            # A second hit that the steps left did not hold: the others count.
            missed = [each for each in missed if not each.endswith(": 0")]
        found = lives.judged(url, scenes, folder / "ledger", seed=seed)
    return Run(judgement=found, kills=len(planned), faults=len(planned), failures=missed, seconds=time.monotonic() - begun)


def server_faults(folder: Path, seed: int, *, rounds: int = 2, faults: int = 4) -> Run:
    """F6 of the store alone: the server is killed, started again, or loses a session to `kill -9`, while batches run."""
    begun, chance = time.monotonic(), random.Random(seed)
    scenes = tuple(itertools.islice(shuffled(seed), rounds * len(SCENES)))
    steps = written(scenes, seed)
    at = set(chance.sample(range(len(steps)), faults))
    cluster = postgres.Cluster()
    try:
        url = cluster.lend(clean=False)
        clock, troubles = Stepped(), Troubles(cluster, chance)
        store = PostgresStore(url, clock)
        try:
            with Ledger(folder / "ledger") as ledger:
                for step in steps:
                    if step.number in at:
                        troubles.make()
                    lives.take(store, clock, [step], ledger)
            troubles.end()
        finally:
            points.hooks.clear()
            troubles.end()
            store.close()
        found = lives.judged(url, scenes, folder / "ledger", seed=seed)
    finally:
        cluster.close()
    found.recovered = troubles.made
    return Run(judgement=found, faults=troubles.made, seconds=time.monotonic() - begun)


class Troubles:
    """What happens to a server, one at a time, a moment after it was asked for."""

    def __init__(self, cluster: postgres.Cluster, chance: random.Random) -> None:
        self._cluster = cluster
        self._chance = chance
        self._thread: threading.Thread | None = None
        self.made = 0

    def make(self) -> None:
        """Begin one; the server is there again when it ends."""
        self.end()
        kind, wait = self._chance.choice((self._kill, self._restart, self._lose)), self._chance.random() * 0.03
        self._thread = threading.Thread(target=lambda: (time.sleep(wait), kind()))
        self._thread.start()
        self.made += 1

    def end(self) -> None:
        """Wait until the server is there."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _kill(self) -> None:
        self._cluster.kill()
        self._cluster.start()

    def _restart(self) -> None:
        self._cluster.stop()
        self._cluster.start()

    def _lose(self) -> None:
        """One session's process is killed: the server ends all others and recovers by itself."""
        self._cluster.kill_session(self._chance)


@contextmanager
def cut_off(url: str) -> Iterator[tuple[Cutting, PostgresStore, Stepped]]:
    """Open a store that reaches its database through a line that can be cut."""
    cutting, clock = Cutting(int(psycopg.conninfo.conninfo_to_dict(url)["port"])), Stepped()
    store = PostgresStore(psycopg.conninfo.make_conninfo(url, port=cutting.port), clock)
    try:
        yield cutting, store, clock
    finally:
        points.hooks.clear()
        store.close()
        cutting.close()


def commits_cut(folder: Path, seed: int, *, rounds: int = 2) -> Run:
    """F7: of every second COMMIT the answer is cut: nobody knows, and the step is taken again."""

    def arm(cutting: Cutting, chance: random.Random) -> None:
        points.hooks["sql.commit"] = lambda: chance.random() < 0.5 and cutting.arm()

    return _cut(folder, seed, rounds, arm)


def drops(folder: Path, seed: int, *, rounds: int = 3) -> Run:
    """F8, on the leg to the database: the line drops in either direction, at every class of byte of its protocol."""

    def arm(cutting: Cutting, chance: random.Random) -> None:
        after = chance.choice((*_CLASSES, chance.randrange(60), chance.randrange(2_000)))
        cutting.arm(answers=chance.random() < 0.5, after=after)

    return _cut(folder, seed, rounds, arm)


def _cut(folder: Path, seed: int, rounds: int, arm: Callable[[Cutting, random.Random], None]) -> Run:
    begun, chance = time.monotonic(), random.Random(seed)
    scenes = tuple(itertools.islice(shuffled(seed), rounds * len(SCENES)))
    again = 0
    with lent() as url:
        with cut_off(url) as (cutting, store, clock), Ledger(folder / "ledger") as ledger:
            for step in written(scenes, seed):
                arm(cutting, chance)
                again += lives.take(store, clock, [step], ledger)
            cuts = cutting.cuts
        found = lives.judged(url, scenes, folder / "ledger", seed=seed)
    found.recovered = again
    return Run(judgement=found, faults=cuts, seconds=time.monotonic() - begun)


def gateway_on_faulty_server(folder: Path, seed: int, *, faults: int = 4, until: float = 0.0) -> Run:
    """F6 with a whole gateway: it takes messages while its database is away, and applies them when it is back."""
    begun, chance = time.monotonic(), random.Random(seed)
    traffic = Traffic(seed, people=chance.randint(10, 40))
    cluster = postgres.Cluster()
    rig = Rig(folder, database=cluster.lend(clean=False))
    troubles = Troubles(cluster, chance)
    try:
        rig.open_records(traffic.patients)
        load = Load(traffic.strand, rig.ledgers, connections=16)
        rig.start()
        load.start(rig.gateway.port)
        load.wait_heard(rig.gateway.port, 30)
        recoveries: list[float | None] = []
        for _ in range(faults):
            time.sleep(0.5 + chance.random())
            troubles.make()
            troubles.end()
            recoveries.append(_written_again(rig))
            if until and time.monotonic() > until:
                break
        load.finish()
        found = rig.judged()
        failures = [*load.failures, *(f"nothing written for {RECOVERY_SECONDS} s" for each in recoveries if each is None)]
        return Run(
            judgement=found,
            faults=troubles.made,
            recoveries=[each for each in recoveries if each is not None],
            failures=failures,
            seconds=time.monotonic() - begun,
        )
    finally:
        troubles.end()
        rig.gateway.kill()
        cluster.close()


def _killed_at_random(folder: Path, seed: int, number: int, end: float) -> Run:
    """F1: by turns with the record in a file and in a database."""
    if number % 2 == 0:
        return campaigns.random_kills(folder, seed, cycles=20, until=end - 10)
    with lent() as url:
        return campaigns.random_kills(folder, seed, cycles=20, until=end - 10, database=url)


def _rounds(end: float) -> int:
    """How often each scene comes: once where there is little time."""
    return 3 if end > time.monotonic() + 40 else 1


def _killed_at_points(folder: Path, seed: int, number: int, end: float) -> Run:
    """F2: by turns a gateway at one of its points, and the store on PostgreSQL at many of its statements."""
    if number % 2:
        return store_kills(folder, seed, rounds=_rounds(end))
    return campaigns.point_kills(folder, seed, point=POINTS[number // 2 % len(POINTS)])


def _written_again(rig: Rig) -> float | None:
    """Return how long it took until the gateway wrote to its database again; None if longer than it may (L8)."""
    begun, before = time.monotonic(), None
    while time.monotonic() < begun + RECOVERY_SECONDS:
        try:
            with holding.queried(rig.data, rig.database) as rows:
                ((there,),) = (row.values() for row in rows("SELECT count(*) FROM receipt"))
        except psycopg.OperationalError:  # who asks is cut off as the gateway is
            time.sleep(0.02)
            continue
        before = there if before is None else before
        if there > before:
            return time.monotonic() - begun
        time.sleep(0.02)
    return None


LINES: Final = (
    Line(
        name="F1",
        what="kill -9 at random moments, on both stores",
        unit="kills",
        night=3_000,
        share=4,
        least_seconds=20,
        run=_killed_at_random,
        units=lambda run: run.kills,
    ),
    Line(
        name="F2",
        what="kill at every named point and statement, at random hits",
        unit="points × seeds",
        night=_SEEDS * (len(POINTS) + len(STATEMENTS)),
        share=3,
        least_seconds=15,
        run=_killed_at_points,
        units=lambda run: run.kills if run.kills > LIVES else 1,
    ),
    Line(
        name="F6",
        what="the database server killed, started again, or a session of it lost, while batches run",
        unit="faults",
        night=200,
        share=2,
        least_seconds=15,
        run=lambda folder, seed, number, end: (
            gateway_on_faulty_server(folder, seed, until=end - 10)
            if number % 2
            else server_faults(folder, seed, rounds=_rounds(end))
        ),
        units=lambda run: run.faults,
    ),
    Line(
        name="F7",
        what="the answer to COMMIT cut",
        unit="cuts",
        night=5_000,
        share=2,
        least_seconds=12,
        run=lambda folder, seed, _, end: commits_cut(folder, seed, rounds=_rounds(end)),
        units=lambda run: run.faults,
    ),
    Line(
        name="F8",
        what="the line to the database dropped in either direction, at every class of byte",
        unit="drops",
        night=20_000,
        share=2,
        least_seconds=15,
        run=lambda folder, seed, _, end: drops(folder, seed, rounds=_rounds(end)),
        units=lambda run: run.faults,
    ),
)

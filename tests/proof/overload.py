"""
F18: more than can be applied, into lanes that hold little; then silence.

What does not fit is answered AR and sent again by its sender; nothing that was answered AA is lost, and when nobody sends any
more the lanes drain to empty. The store is held for a while (a lock on its tables), so that the lanes fill on every machine; then
many more connections send than before, and what is committed a second is compared with what few of them had.
"""

import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import psycopg

from tests.harness import holding, postgres, rabbitmq
from tests.harness.broker_rig import BrokerRig
from tests.harness.ledger import read
from tests.harness.load import Load
from tests.harness.rig import Rig
from tests.harness.traffic import Traffic
from tests.proof.line import Line, Run

#: How many deposits a lane, or the whole file, takes.
_FEW: Final = 5
_FEW_EMBEDDED: Final = 20
#: A fault of this many answers AR counts: the lanes were full.
_REFUSED: Final = 10
_WAIT_SECONDS: Final = 120.0
#: Of the rate before, what must still be committed under a load of many times as much; a measure, not a race.
_GOODPUT: Final = 0.5


@contextmanager
def narrow(node: rabbitmq.Node) -> Iterator[None]:
    """Let the lanes of deposits hold few: of an argument and a policy the broker takes the lower."""
    node.control(
        "set_policy", "proof-narrow", r"^dmpgw\.v\d+\.deposits", json.dumps({"max-length": _FEW}), "--apply-to", "queues"
    )
    try:
        yield
    finally:
        node.control("clear_policy", "proof-narrow")


@contextmanager
def held(rig: Rig) -> Iterator[None]:
    """Hold the record: nobody writes to it meanwhile."""
    if rig.database is not None:
        with psycopg.connect(rig.database) as connection:
            connection.execute("LOCK TABLE receipt IN ACCESS EXCLUSIVE MODE")
            yield
            connection.rollback()
        return
    with closing(sqlite3.connect(rig.data / "store.db", isolation_level=None, timeout=30)) as file:
        file.execute("BEGIN IMMEDIATE")
        yield
        file.execute("ROLLBACK")


def refused(rig: Rig, since: float) -> int:
    """Return how many were answered AR since an instant (seconds since the epoch)."""
    lines = (line for path in rig.ledgers.glob("connection-*.jsonl") for line in read(path))
    return sum(line["event"] == "answer" and line["code"] == "AR" and line["at"] >= since for line in lines)


def committed(rig: Rig) -> int:
    """Return how many deposits the record has decided."""
    with holding.queried(rig.data, rig.database) as rows:
        return int(rows("SELECT count(*) AS n FROM receipt WHERE act IS NOT NULL")[0]["n"])


def rate(rig: Rig, seconds: float) -> float:
    """Return how many deposits a second are committed, over some seconds."""
    before, begun = committed(rig), time.monotonic()
    time.sleep(seconds)
    return (committed(rig) - before) / (time.monotonic() - begun)


def overloaded(rig: Rig, seed: int, *, few: int, many: int, measured_seconds: float) -> tuple[list[str], dict[str, float]]:
    """
    Load a gateway that runs not yet, until nothing waits.

    Args:
        rig: Its lanes hold little.
        seed: Of the traffic.
        few: Connections before.
        many: Connections beside them, under overload.
        measured_seconds: How long each rate is measured; 0: no rate is.

    Returns:
        What went wrong, and what was measured.
    """
    traffic = Traffic(seed, people=4, opposing=0.0)
    rig.open_records(traffic.patients)
    rig.start()
    before = Load(traffic.strand, rig.ledgers, connections=few)
    before.start(rig.gateway.port)
    before.wait_heard(rig.gateway.port, 60)
    peak = rate(rig, measured_seconds) if measured_seconds else 0.0
    beside = Load(traffic.strand, rig.ledgers, connections=many, first_name=1_000)
    begun = time.time()
    with held(rig):
        beside.start(rig.gateway.port)
        limit = time.monotonic() + _WAIT_SECONDS
        while (found := refused(rig, begun)) < _REFUSED and time.monotonic() < limit:
            time.sleep(0.1)
    good = rate(rig, measured_seconds) if measured_seconds else 0.0
    for load in (before, beside):
        load.finish(_WAIT_SECONDS)
    silent = time.monotonic()
    drained = rig.drained(_WAIT_SECONDS)
    wrong = [*before.failures, *beside.failures]
    if found < _REFUSED:
        wrong.append(f"{found} were answered AR: the lanes were never full")
    if not drained:
        wrong.append(f"the lanes are not empty after {_WAIT_SECONDS:.0f} s of silence")
    if measured_seconds and good < _GOODPUT * peak:
        wrong.append(f"{good:.0f} deposits/s were committed under overload, {peak:.0f} before it")
    return wrong, {"peak": peak, "goodput": good, "refused": refused(rig, begun), "drained": time.monotonic() - silent}


def _run(rig: Rig, load: Callable[[Rig], tuple[list[str], dict[str, float]]]) -> Run:
    begun = time.monotonic()
    wrong, measured = load(rig)
    run = Run(judgement=rig.judged(), faults=1, failures=wrong, seconds=time.monotonic() - begun)
    print(", ".join(f"{name} {value:.0f}" for name, value in measured.items()), flush=True)
    return run


def on_broker(folder: Path, seed: int, *, few: int = 8, many: int = 80, measured_seconds: float = 0.0) -> Run:
    """Over a broker whose lanes hold few."""
    node, server = rabbitmq.shared(), postgres.shared()
    node.empty()
    database = server.lend(clean=False)
    rig = BrokerRig(folder, node, database, doors=1, workers=1)
    try:
        with narrow(node):
            return _run(rig, lambda rig: overloaded(rig, seed, few=few, many=many, measured_seconds=measured_seconds))
    finally:
        rig.close()
        server.give_back(database, thoroughly=False)
        node.empty()


def embedded(folder: Path, seed: int, *, few: int = 8, many: int = 80, measured_seconds: float = 0.0) -> Run:
    """One process on files, whose queue takes few."""
    rig = Rig(folder, environment={"DMP_GATEWAY_QUEUE_LIMIT_MESSAGES": str(_FEW_EMBEDDED)})
    try:
        return _run(rig, lambda rig: overloaded(rig, seed, few=few, many=many, measured_seconds=measured_seconds))
    finally:
        rig.gateway.kill()


def _long(folder: Path, seed: int, number: int, end: float) -> Run:
    """By turns on each stack; the overload lasts as long as there is time, ten minutes at most."""
    seconds = max(5.0, min(600.0, (end - time.monotonic() - 90) / 2))
    chance = random.Random(seed)
    run = embedded if number % 2 else on_broker
    return run(folder, seed, few=16, many=chance.choice((96, 144)), measured_seconds=seconds)


LINES: Final = (
    Line(
        name="F18",
        what="ten times as many senders as before, lanes that hold little: AR, at least half the rate, then drained to empty",
        unit="overloads",
        night=5,
        share=1,
        least_seconds=150,
        run=_long,
        units=lambda run: run.faults,
    ),
)

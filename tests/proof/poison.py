"""
F16: messages that end the worker (`os.abort`), raise, block, or break a constraint, among others that do not.

Each that ends the worker, raises or breaks a constraint is parked with its reason; whoever fell for it fell three times at most.
All others end as if it had not been there: the judge sees to that.
"""

import json
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.worker.hands import DEATHS
from tests.harness import holding, postgres, rabbitmq
from tests.harness.broker_rig import BrokerRig
from tests.harness.load import Load
from tests.harness.poison import PoisonedTraffic, constrain, ordered, relax
from tests.harness.rig import Rig
from tests.harness.traffic import Traffic
from tests.proof.line import Line, Run

#: Reasons, as the table of what is parked tells them.
_REASONS: Final = {"abort": "ProcessDied", "raise": "Poisoned", "constraint": ""}
#: Statuses of a process that `os.abort` ended, as the supervisor tells it.
_ABORTED: Final = -6
_LOAD_SECONDS: Final = 240.0


def on_broker(
    folder: Path,
    seed: int,
    poison: list[str],
    *,
    strands: int,
    node: rabbitmq.Node | None = None,
    block_seconds: float = 5.0,
    connections: int = 8,
) -> Run:
    """Over a broker and a database: the supervisor starts again what died."""
    begun, chance = time.monotonic(), random.Random(seed)
    traffic = Traffic(seed, people=chance.randint(10, 20), opposing=0.1)
    broker = node or rabbitmq.shared()
    broker.empty()
    server = postgres.shared()
    database = server.lend(clean=False)
    rig = BrokerRig(folder, broker, database, doors=1, workers=2, environment=ordered(block_seconds))
    try:
        rig.open_records(traffic.patients)
        constrain(rig.data, database)
        rig.start()
        load = Load(PoisonedTraffic(traffic, strands, poison).strand, rig.ledgers, connections=connections)
        load.start(rig.gateway.port)
        load.join(_LOAD_SECONDS)
        load.finish()
        rig.drained(_LOAD_SECONDS)
        found = rig.judged()
        deaths = _aborts(rig)
        return Run(
            judgement=found,
            kills=deaths,
            faults=len(poison),
            failures=[*load.failures, *_told(rig, poison, deaths)],
            seconds=time.monotonic() - begun,
        )
    finally:
        rig.close()
        relax(database)
        server.give_back(database, thoroughly=False)
        broker.empty()


def embedded(folder: Path, seed: int, poison: list[str], *, strands: int, block_seconds: float = 5.0) -> Run:
    """One process on files: it dies whole, doors too, and whoever watches it starts it again."""
    begun, chance = time.monotonic(), random.Random(seed)
    traffic = Traffic(seed, people=chance.randint(10, 20), opposing=0.1)
    rig = Rig(folder, environment=ordered(block_seconds))
    try:
        rig.open_records(traffic.patients)
        constrain(rig.data, None)
        rig.start()
        load = Load(PoisonedTraffic(traffic, strands, poison).strand, rig.ledgers, connections=8)
        load.start(rig.gateway.port)
        limit = time.monotonic() + _LOAD_SECONDS
        deaths = 0
        while time.monotonic() < limit and (load.alive or not rig.drained(0.0)):
            if not rig.gateway.running:
                load.away()
                deaths += rig.gateway.stop() == _ABORTED
                with suppress(RuntimeError):  # it died of what waited before its doors were open
                    rig.start()
                    load.listening(rig.gateway.port)
            time.sleep(0.02)
        load.finish()
        found = rig.judged()
        return Run(
            judgement=found,
            kills=deaths,
            faults=len(poison),
            failures=[*load.failures, *_told(rig, poison, deaths)],
            seconds=time.monotonic() - begun,
        )
    finally:
        rig.gateway.kill()


def _aborts(rig: Rig) -> int:
    """How many processes ended by themselves, as the supervisor tells."""
    lines = (json.loads(line) for line in rig.log.read_text(encoding="utf-8", errors="replace").splitlines() if line[:1] == "{")
    return sum(line.get("event") == "process.ended" and line.get("status") == _ABORTED for line in lines)


def _told(rig: Rig, poison: list[str], deaths: int) -> list[str]:
    """Return what is wrong: something was tried more than three times, or is parked for another reason than its own."""
    wrong = []
    with holding.queried(rig.data, rig.database) as rows:
        parked = rows(
            "SELECT parked.code, parked.place, receipt.message_id FROM parked JOIN receipt ON receipt.id = parked.receipt"
        )
    # One that was not answered before the process died of it was sent again, and has another receipt.
    aborts = sum(str(row["message_id"]).startswith("POISON-abort-") for row in parked)
    if poison.count("abort") > aborts or deaths > aborts * DEATHS:
        wrong.append(f"{aborts} deposits ended their worker {deaths} times")
    for row in parked:
        kind = str(row["message_id"]).split("-")[1] if str(row["message_id"]).startswith("POISON-") else "none"
        if kind not in _REASONS or _REASONS[kind] not in row["place"] or row["code"] != "INTERNAL" or " at " not in row["place"]:
            wrong.append(f"{row['message_id']} is parked: {row['code']}, {row['place']}")
    ended = [kind for kind in poison if kind in {"abort", "raise"}]
    if len(parked) < len(ended):
        wrong.append(f"{len(parked)} are parked of {len(ended)} that can never be applied")
    return wrong


def _long(folder: Path, seed: int, number: int, end: float) -> Run:
    """By turns on each stack, one of each kind in any order; one strand in 10 to one in 200 is poison."""
    chance = random.Random(seed)
    kinds = ["abort", "raise", "constraint", "block"]
    chance.shuffle(kinds)
    every = chance.choice((10, 50, 200))
    if number % 2:
        return embedded(folder, seed, kinds, strands=every * len(kinds))
    return on_broker(folder, seed, kinds, strands=every * len(kinds), connections=32)


LINES: Final = (
    Line(
        name="F16",
        what="messages that end the worker, raise, block, or break a constraint: parked after three tries, the others stored",
        unit="poisons",
        night=1_000,
        share=2,
        least_seconds=120,
        run=_long,
        units=lambda run: run.faults,
    ),
)

"""
F2: killed at every named point, with batches open, more than once; nothing answered is lost, nothing is there twice.

Each run: a batch waits, many connections send, and the gateway dies at the first hit of the point, then, started again on what it
left, at two later ones; then it is let go on, what was not answered is sent again, and the judge counts.
"""

from pathlib import Path

import pytest

from gateway.telemetry.points import POINTS
from tests.harness.breach import held
from tests.harness.load import Load
from tests.harness.rig import Rig
from tests.harness.traffic import Traffic

pytestmark = [pytest.mark.faults, pytest.mark.door]

SEED = 20_261_121
#: Which hit of the point kills, life after life.
HITS = (1, 5, 8)
#: Points that the gateway passes by itself at its start, before anybody sends: killed later there, among messages.
BY_ITSELF = ("store.lock.asked", "store.lock.granted", "store.read", "store.write", "store.commit.asked")
HITS_AFTER_THE_START = (1, 40, 60)
#: Deposits that wait at the first start: fewer than the second life's hit, so that its doors open.
WAITING = 4
CONNECTIONS = 16

#: Points that a batch passes: what waited is one, open at the first death.
OF_A_BATCH = ("queue.taken", "store.begun", "store.resolved", "store.decided", "store.written", "store.committed")


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str, tmp_path: Path) -> None:
    traffic = Traffic(SEED + POINTS.index(point), people=12)
    rig = Rig(tmp_path)
    rig.open_records(traffic.patients)
    rig.leave_waiting(traffic.deposit(patient) for patient in traffic.patients[:WAITING])
    load = Load(traffic.strand, rig.ledgers, connections=CONNECTIONS)
    deaths, sending = [], False
    try:
        for hit in HITS_AFTER_THE_START if point in BY_ITSELF else HITS:
            if rig.start(f"{point}:{hit}"):
                if sending:
                    load.listening(rig.gateway.port)
                else:
                    load.start(rig.gateway.port)
                    sending = True
            death = rig.wait_killed(load, 60)
            assert not isinstance(death, str), f"{point} was not reached {hit} times: {death}; {load.failures}; {rig.tail()}"
            deaths.append(death)
        rig.restart(load)
        load.finish()
        found = rig.judged()
    finally:
        rig.gateway.kill()
    print(f"{point}: {deaths}; {found.line()}; first AA after {rig.recoveries}")
    assert not load.failures
    held(found)
    assert rig.kills == len(HITS)
    assert found.attempt > CONNECTIONS
    # The batch that waited may be settled, and gone from the queue, before the senders are all there.
    busy = deaths[1:] if point == "queue.settle.committed" else deaths
    # An event passes some of the points before a second sender is there; at the last death they all are.
    idle = [death for death in busy if death.unanswered + death.queued < 1 + (death is busy[-1])]
    assert not idle, f"killed while idle: {deaths}"
    if point in OF_A_BATCH:
        assert deaths[0].queued >= WAITING, f"no batch was open: {deaths}"

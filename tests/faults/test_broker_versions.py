"""A rolling upgrade on a real broker (D-11): what the version before wrote is understood, what a newer one wrote waits for it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.queue import wire
from tests.harness.breach import Breach
from tests.harness.broker_door import BrokerDoor
from tests.harness.day import biology, oru, someone
from tests.harness.door import stored_documents
from tests.harness.orders import Orders

pytestmark = [pytest.mark.faults, pytest.mark.door, pytest.mark.timeout(300)]

NOW, NEXT = wire.VERSION, wire.VERSION + 1
_SECONDS = 60.0


def wait(what: Callable[[], bool]) -> None:
    """Wait for what must come about."""
    limit = time.monotonic() + _SECONDS
    while not what():
        assert time.monotonic() < limit, "it did not come about"
        time.sleep(0.05)


def test_doors_and_workers_of_two_versions_side_by_side(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    newer_door = Orders.wire(mllp=NEXT, worker=NOW)
    with BrokerDoor(tmp_path, environment=orders.environment | newer_door) as door:
        patient = someone(door)
        # A door was upgraded first: its worker cannot read what it writes, and leaves it where it is.
        ahead = [biology(patient) for _ in range(3)]
        answers = [door.ask(oru(report)) for report in ahead]
        assert [answer.code for answer in answers] == ["AA"] * 3

        def left() -> bool:
            lines = [line for line in door.log.read_text(encoding="utf-8").splitlines() if "NewerVersion" in line]
            return all(any(answer.reference in line for line in lines) for answer in answers)

        wait(left)
        if stored_documents(door.record(patient.ins)):
            raise Breach("what a newer gateway wrote was read by this one")
        assert door.process.stop() == 0

        # The worker is upgraded: it takes what waited for it, and what the version before writes.
        door.process.start(Orders.wire(mllp=NOW, worker=NEXT))
        before = biology(patient)
        assert door.send(oru(before)).facts == ("AA", "stored", ())
        assert [door.decided(answer.reference).deposit.state for answer in answers] == ["stored"] * 3
        if stored_documents(door.record(patient.ins)) != sorted(report.id for report in (*ahead, before)):
            raise Breach("what was answered AA is not stored, once")

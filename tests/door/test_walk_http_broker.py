"""The HTTP door as a process of its own: it publishes, waits for a worker's decision, and reads what became of it."""

from pathlib import Path

import pytest

from tests.harness import posting
from tests.harness.broker_door import BrokerDoor
from tests.harness.broker_lanes import until
from tests.harness.day import biology, oru, render, someone
from tests.harness.posting import Answer

pytestmark = [pytest.mark.door, pytest.mark.faults]

PORTAL = {"X-DMP-Source": "portail-valmont"}


def hl7v2(door: BrokerDoor, message: bytes) -> Answer:
    return posting.ask(door.process.http_port, "POST", "/hl7v2", message, {"Content-Type": "application/hl7-v2"})


def cda(door: BrokerDoor, document: bytes, **more: str) -> Answer:
    headers = PORTAL | {"Content-Type": "text/xml"} | more
    return posting.ask(door.process.http_port, "POST", "/cda", document, headers)


def test_a_deposit_over_http_is_decided_by_a_worker_and_its_door_comes_back(tmp_path: Path) -> None:
    with BrokerDoor(tmp_path) as door:
        port, patient = door.process.http_port, someone(door)
        report = render(biology(patient))
        assert cda(door, report).status == 201, "the worker's decision is the answer"
        assert cda(door, report).status == 200, "a duplicate"
        assert cda(door, render(biology(patient)), Prefer="respond-async").status == 202
        acknowledged = hl7v2(door, oru(biology(patient)))
        assert (acknowledged.status, b"MSA|AA" in acknowledged.content) == (200, True)
        gone = door.processes()["http"]
        door.kill("http")
        until(lambda: door.processes().get("http") not in {gone, None} and is_up(port))
        last = cda(door, render(biology(patient)))
        assert last.status == 201
        where = last.headers["location"]
        assert posting.ask(port, "GET", where, headers=PORTAL).status == 200
        assert posting.ask(port, "GET", where, headers={"X-DMP-Source": "ris-valmont"}).status == 404


def is_up(port: int) -> bool:
    try:
        return posting.ask(port, "GET", "/healthz").status == 200
    except OSError:
        return False

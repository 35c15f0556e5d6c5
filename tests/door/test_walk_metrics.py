"""What a monitor sees: one page for all processes of a gateway, true before and after one of them dies or loses its broker."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
import pytest

from gateway.queue.rabbitmq.setup import setup
from gateway.queue.rabbitmq.topology import queue_of
from gateway.queue.seal import SEALED_LIMIT_BYTES
from tests.harness import rabbitmq
from tests.harness.breach import Breach
from tests.harness.broker_door import BrokerDoor
from tests.harness.cutting import Cutting
from tests.harness.day import biology, oru, says, someone, stamp
from tests.harness.door import Door
from tests.harness.page import page, value

pytestmark = [pytest.mark.door, pytest.mark.faults]

ON = {"DMP_GATEWAY_METRICS_LISTEN": "127.0.0.1:0"}
_SECONDS = 30.0


def until(so: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + _SECONDS
    while not so():
        assert time.monotonic() < limit, f"not after {_SECONDS:.0f} s: {what}"
        time.sleep(0.05)


def lines(door: Door, event: str) -> list[dict[str, Any]]:
    written = (json.loads(line) for line in door.log.read_text(encoding="utf-8").splitlines())
    return [line for line in written if line["event"] == event]


def read(door: Door, name: str, **labels: str) -> float:
    return value(page(door).text, name, **labels)


def test_one_process_shows_what_it_received_answered_stored_and_refused(tmp_path: Path) -> None:
    with Door(tmp_path, environment=ON) as door:
        patient = someone(door)
        report = biology(patient)
        receipts = [door.send(oru(report)).answer.reference, door.send(oru(report)).answer.reference]
        door.send(says(patient, "IO", stamp(days=-1), event="A01"))
        receipts.append(door.send(oru(biology(patient))).answer.reference)
        assert door.ask(oru(biology(patient)).replace(patient.ins.encode(), b"284103523811463")).code == "AE"
        until(lambda: read(door, "dmpgw_deposits_total") == 4, "every deposit is counted")
        found = page(door)
        assert found.status == 200
        for name, labels, expected in (
            ("messages_received_total", {"door": "mllp", "type": "ORU^R01"}, 4),
            ("answers_total", {"answer": "AA"}, 4),
            ("answers_total", {"answer": "AE"}, 1),
            ("answer_duration_seconds_count", {"door": "mllp"}, 5),
            ("queue_confirm_duration_seconds_count", {}, 3),
            ("deposits_total", {"verdict": "stored"}, 1),
            ("deposits_total", {"verdict": "duplicate"}, 1),
            ("deposits_total", {"verdict": "refused"}, 1),
            ("deposits_total", {"verdict": "rejected"}, 1),
            ("problems_total", {"code": "INS_KEY"}, 1),
            ("problems_total", {"code": "OPPOSED"}, 1),
            ("refusals_total", {}, 1),
            ("statements_total", {"kind": "feeding_opposes"}, 1),
            ("apply_batch_submissions_sum", {}, 3),
            ("lane_messages", {}, 0),
            ("ready", {}, 5),
        ):
            assert value(found.text, f"dmpgw_{name}", **labels) == expected, name
        assert time.time() - value(found.text, "dmpgw_source_last_message_timestamp_seconds", source="gam-valmont") < 3600
        for mark in (patient.ins, patient.family, *patient.local.values(), report.id, *receipts):
            if mark in found.text:
                raise Breach(f"a page of metrics tells {mark}")
        assert page(door, "/readyz") == (200, "ready\n")
        assert page(door, "/healthz").status == 200
        assert page(door, "/") == (404, "/metrics, /healthz or /readyz\n")


def test_several_processes_are_one_page_whatever_is_missing_lost_or_killed(tmp_path: Path) -> None:
    node = rabbitmq.shared()
    line = Cutting(node.port)
    through = {"AMQP_URL": f"amqp://guest:guest@127.0.0.1:{line.port}/%2F"}
    door = BrokerDoor(tmp_path, doors=2, environment=ON | through)
    missing = {"deposits.3", "large", "reports"}
    connection = pika.BlockingConnection(pika.URLParameters(node.url))
    try:
        for lane in sorted(missing):
            connection.channel().queue_delete(queue_of(lane))
        with door:
            goes_on_without_lanes(door, missing)
            setup(node.url, SEALED_LIMIT_BYTES)
            takes_them_up(door, missing)
            counts_all(door)
            time.sleep(1.2)  # a process counts as having its broker after a second
            line.cut()
            says_that_it_lost_its_broker(door)
            forgets_nothing_with_a_process(door)
    finally:
        setup(node.url, SEALED_LIMIT_BYTES)
        connection.close()
        line.close()


def goes_on_without_lanes(door: BrokerDoor, missing: set[str]) -> None:
    until(lambda: page(door, "/readyz").status == 503, "it says that it is not ready")
    told = page(door, "/readyz").text
    assert f"not ready: lanes: worker 1: {', '.join(sorted(missing))} missing: `dmp-gateway queue setup` makes them" in told
    assert read(door, "dmpgw_ready", check="lanes") == 0
    assert read(door, "dmpgw_ready", check="queue") == 1
    stored = 0
    while stored < 2:  # of the sixteen lanes one is missing
        answer = door.ask(oru(biology(someone(door))))
        if answer.code == "AA":
            door.decided(answer.reference)
            stored += 1


def takes_them_up(door: BrokerDoor, missing: set[str]) -> None:
    until(lambda: page(door, "/readyz") == (200, "ready\n"), "the lanes are taken up")
    for event in ("lanes.missed", "lanes.recovered"):
        assert {lane for each in lines(door, event) for lane in each["lanes"]} == missing
    assert {each["verb"] for each in lines(door, "lanes.missed")} == {"queue setup"}


def counts_all(door: BrokerDoor) -> None:
    patient = someone(door)
    before = page(door).text
    for _ in range(6):  # whichever door the system gives each connection to
        assert door.send(oru(biology(patient))).facts[:2] == ("AA", "stored")
    seen = "dmpgw_deposits_total"
    until(lambda: read(door, seen, verdict="stored") == value(before, seen, verdict="stored") + 6, "every deposit is counted")
    after = page(door).text
    for name, labels in (("dmpgw_answers_total", {"answer": "AA"}), ("dmpgw_queue_confirm_duration_seconds_count", {})):
        assert value(after, name, **labels) == value(before, name, **labels) + 6
    assert value(after, "dmpgw_build_info") == 1


def says_that_it_lost_its_broker(door: BrokerDoor) -> None:
    until(lambda: len(lines(door, "queue.recovered")) == 4, "doors and worker are back")
    for event in ("queue.problem", "queue.recovered"):
        said = lines(door, event)
        assert sorted(each["role"] for each in said) == ["door", "door", "door", "worker 1"], said
    assert {each["reason"] for each in lines(door, "queue.problem")} == {"lost"}
    assert all(0 < each["seconds"] < _SECONDS for each in lines(door, "queue.recovered"))
    assert lines(door, "library.warned") == [], "the library's own words are for debugging"


def forgets_nothing_with_a_process(door: BrokerDoor) -> None:
    before = page(door).text
    gone = door.processes()["worker 1"]
    door.kill("worker 1")
    until(lambda: door.processes().get("worker 1") not in {gone, None}, "it runs again")
    until(lambda: page(door, "/readyz").status == 200, "it is ready again")
    after = page(door).text
    for name, labels in (("dmpgw_deposits_total", {"verdict": "stored"}), ("dmpgw_answers_total", {"answer": "AA"})):
        if value(after, name, **labels) != value(before, name, **labels):
            raise Breach(f"{name} went back with the process that had counted")
    assert door.send(oru(biology(someone(door)))).facts[:2] == ("AA", "stored")
    stored = value(before, "dmpgw_deposits_total", verdict="stored")
    until(lambda: read(door, "dmpgw_deposits_total", verdict="stored") == stored + 1, "the new process is counted, too")


def test_nobody_listens_unless_asked(tmp_path: Path) -> None:
    with Door(tmp_path) as door:
        assert door.process.page is None

"""The real process model: doors and workers as processes over a broker and a database, from the socket to the row."""

import time
from pathlib import Path

import pytest

from tests.harness.broker_door import BrokerDoor
from tests.harness.day import biology, ipp, mdm, oru, radiology, says, someone, stamp
from tests.harness.door import stored_documents

pytestmark = [pytest.mark.door, pytest.mark.faults]

STORED = ("AA", "stored", ())
REFUSED = ("AA", "refused", ("OPPOSED",))
YESTERDAY = stamp(days=-1)


def test_a_report_an_opposition_and_its_lifting_from_the_socket_to_the_row(tmp_path: Path) -> None:
    with BrokerDoor(tmp_path, doors=2, workers=2) as door:
        patient = someone(door)
        report = biology(patient)
        assert door.send(oru(report)).facts == STORED
        assert door.send(oru(report)).facts == ("AA", "duplicate", ())
        assert door.send(says(patient, "IO", YESTERDAY, event="A01")).facts == ("AA", "applied", ())
        refused = door.send(mdm(radiology(patient)))
        assert refused.facts == REFUSED
        assert door.send(says(patient, "INO", stamp(), event="A31")).facts == ("AA", "applied", ())
        assert door.send(oru(biology(patient))).facts == STORED
        assert door.record(patient.ins).documents[0].title
        assert len(stored_documents(door.record(patient.ins))) == 2
        assert door.record(local=ipp(patient)).identifiers == door.record(patient.ins).identifiers
        rejected = door.ask(oru(biology(patient)).replace(patient.ins.encode(), b"284103523811463"))
        assert rejected.code == "AE"
        # A rejection travels in a lane of its own and is in the operator's list soon.
        assert door.decided(rejected.reference).deposit.codes == ("INS_KEY",)
        found = {each["subject"]: each for each in door.verb("doctor")}
        assert {name: found[name]["state"] for name in ("broker", "gateway", "mllp", "worker 2")} == dict.fromkeys(
            ("broker", "gateway", "mllp", "worker 2"), "ok"
        )
        assert found["broker"]["text"].startswith("RabbitMQ ")


def test_what_a_killed_worker_had_in_hand_is_stored_once_by_the_next(tmp_path: Path) -> None:
    with BrokerDoor(tmp_path) as door:
        patient = someone(door)
        reports = [biology(patient) for _ in range(60)]
        answers = []
        with door.connect() as sender:
            for number, report in enumerate(reports):
                answers.append(sender.ask(oru(report)))
                if number in {10, 30}:
                    door.kill("worker 1")
        assert {answer.code for answer in answers} == {"AA"}
        for answer in answers:
            assert door.decided(answer.reference).deposit.state == "stored"
        assert stored_documents(door.record(patient.ins)) == sorted(report.id for report in reports)
        assert all(door.processes().values())


def test_a_killed_door_comes_back_on_its_port(tmp_path: Path) -> None:
    with BrokerDoor(tmp_path) as door:
        patient = someone(door)
        before = door.processes()["mllp"]
        door.kill("mllp")
        limit = time.monotonic() + 20
        while door.processes()["mllp"] == before and time.monotonic() < limit:
            time.sleep(0.05)
        while time.monotonic() < limit:
            try:
                assert door.send(oru(biology(patient))).facts == STORED
                break
            except OSError:
                time.sleep(0.05)
        assert door.processes()["mllp"] != before

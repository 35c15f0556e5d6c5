"""The real process model: doors and workers as processes over a broker and a database, from the socket to the row."""

import os
import signal
import socket
import ssl
import time
from pathlib import Path

import pytest

from tests.harness.broker_door import BrokerDoor
from tests.harness.day import biology, ipp, mdm, oru, radiology, says, someone, stamp
from tests.harness.door import stored_documents
from tests.harness.pki import Pki
from tests.unit.mllp.doubles import sample

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


def test_doors_share_a_port_with_tls_and_all_take_new_certificates(tmp_path: Path, pki: Pki) -> None:
    files = pki.write(tmp_path / "tls")
    environment = {f"DMP_GATEWAY_TLS_{name.upper()}": str(path) for name, path in files.items()}
    certificate, key = pki.client.write(tmp_path, "client")
    trusted = ssl.create_default_context(cadata=pki.servers.pem.decode())
    trusted.load_cert_chain(certificate, key)

    def shown(port: int) -> bytes | None:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as link,
            trusted.wrap_socket(link, server_hostname="localhost") as secured,
        ):
            secured.sendall(b"\x0b" + sample("adt/02") + b"\x1c\r")
            assert b"MSA|A" in secured.recv(65_536)
            return secured.getpeercert(binary_form=True)

    with BrokerDoor(tmp_path, doors=2, environment=environment | {"DMP_GATEWAY_MLLP_TLS_LISTEN": "127.0.0.1:0"}) as door:
        port = door.process.tls_port
        first = {shown(port) for _ in range(12)}
        assert len(first) == 1
        pki.servers.issue("dns:localhost").write(tmp_path / "tls", "server")
        os.kill(door.process.pid, signal.SIGHUP)
        limit = time.monotonic() + 20
        while (found := {shown(port) for _ in range(12)}) & first:
            assert time.monotonic() < limit, "a door still shows the old certificate"
            time.sleep(0.1)
        assert len(found) == 1

"""Answers after the decision and enhanced mode over a broker: another process decides, late, or its word is lost."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.config.load import samples_directory
from gateway.mappers.hl7v2.ack import Answered, read_ack
from tests.harness.broker_door import BrokerDoor
from tests.harness.broker_lanes import until
from tests.harness.day import Patient, biology, control_id, oru, someone
from tests.harness.door import END, START, Sender, stored_documents
from tests.unit.mllp.doubles import asking

pytestmark = [pytest.mark.door, pytest.mark.faults]


@contextmanager
def opened(folder: Path) -> Iterator[BrokerDoor]:
    """A gateway of several processes whose laboratory waits for the decision, for two seconds."""
    text = (samples_directory() / "dmp-gateway.toml").read_text(encoding="utf-8")
    config = folder / "gateway.toml"
    config.write_text(text.replace('id = "sil-valmont"', 'id = "sil-valmont"\nanswer = "decided"', 1), encoding="utf-8")
    with BrokerDoor(folder, config=config, environment={"DMP_GATEWAY_MLLP_ACK_WAIT_SECONDS": "2"}) as door:
        yield door


@contextmanager
def frozen(door: BrokerDoor) -> Iterator[None]:
    """The only worker stands still."""
    pid = door.processes()["worker 1"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def facts(answered: Answered) -> tuple[str, list[str]]:
    return answered.code, [error.code for error in answered.errors]


def said(sender: Sender) -> tuple[str, str]:
    answered = sender.answer()
    assert answered is not None
    return answered.code, answered.control_id


def enhanced(patient: Patient, name: str) -> bytes:
    return START + asking(oru(biology(patient), message_id=name), "AL", "AL") + END


def test_aa_waits_for_the_worker_and_is_ar_without_one(tmp_path: Path) -> None:
    with opened(tmp_path) as door:
        patient, nobody = someone(door), someone()
        kept, refused, late = biology(patient), biology(nobody), biology(patient)
        assert facts(door.ask(oru(kept))) == ("AA", [])
        assert stored_documents(door.record(patient.ins)) == [kept.id]
        assert facts(door.ask(oru(refused))) == ("AE", ["RECORD_ABSENT"])
        with door.connect() as sender:  # a batch: each message by its own decision, in order
            names = [control_id() for _ in range(3)]
            bodies = [oru(each, message_id=name) for each, name in zip((biology(patient), refused, kept), names, strict=True)]
            answers = sender.ask_for_all(b"BHS|^~\\&|SIL-V|CHU-VALMONT\r" + b"".join(bodies) + b"BTS|3\r")
        found = [read_ack(b"MSH" + each) for each in answers.partition(b"BTS|")[0].split(b"\rMSH")[1:]]
        assert [(each.code, each.control_id) for each in found] == list(zip(("AA", "AE", "AA"), names, strict=True))
        with frozen(door):
            first = door.ask(oru(late))
            assert facts(first) == ("AR", ["STORE_UNAVAILABLE"])
        assert door.decided(first.reference).deposit.state == "stored"
        again = door.ask(oru(late))
        assert (facts(again), door.decided(again.reference).deposit.state) == (("AA", []), "duplicate")


def test_what_is_accepted_is_decided_later_or_dropped_with_its_broker_s_line(tmp_path: Path) -> None:
    with opened(tmp_path) as door, door.connect() as sender:
        patient, nobody = someone(door), someone()
        names = [control_id() for _ in range(4)]
        with frozen(door):
            sender.write(enhanced(patient, names[0]) + enhanced(nobody, names[1]))
            assert [said(sender), said(sender)] == [("CA", names[0]), ("CA", names[1])]
        assert {said(sender), said(sender)} == {("AA", names[0]), ("AE", names[1])}
        with frozen(door):
            sender.write(enhanced(patient, names[2]))
            accepted = sender.answer()
            assert accepted is not None
            assert (accepted.code, accepted.control_id) == ("CA", names[2])
            door.node.control("close_all_connections", "lost")
            until(lambda: '"answer.dropped"' in door.log.read_text(encoding="utf-8"))
        assert door.decided(accepted.reference).deposit.state == "stored", "CA was true"
        until(lambda: door.ask(oru(biology(patient))).code == "AA")  # the line is back, replies come
        sender.write(enhanced(patient, names[3]))
        assert [said(sender), said(sender)] == [("CA", names[3]), ("AA", names[3])]

"""Oppositions that meet reports on their way: waiting in the queue, killed after their commit, delivered again."""

import threading
from pathlib import Path

import pytest

from tests.harness.day import AUBIER, VALMONT, Patient, biology, clinic_letter, oru, says, someone, stamp
from tests.harness.door import Door, Sender, stored_documents

pytestmark = pytest.mark.door

SENDERS = 6
KILLED = 137
AFTER = 12
YESTERDAY = stamp(days=-1)


def test_an_opposition_overtakes_the_reports_that_wait(tmp_path: Path) -> None:
    """Reports flow in faster than they are applied, one a transaction; the opposition comes on a connection of its own."""
    with Door(tmp_path, environment={"DMP_GATEWAY_BATCH_SUBMISSIONS": "1", "DMP_GATEWAY_BATCH_WAIT_SECONDS": "0"}) as door:
        waited = any(opposed_in_the_middle(door) for _ in range(4))
    assert waited, "no report waited when the opposition was committed: the race was not shown"


def opposed_in_the_middle(door: Door) -> int:
    """Return how many reports were received before the opposition and refused by it."""
    patient = someone(door)
    traffic = Burst(door, patient)
    traffic.start()
    io = door.ask(says(patient, "IO", YESTERDAY))
    traffic.opposed.set()
    receipts = traffic.finish()
    assert io.code == "AA"
    door.drained()
    opposed = door.decided(io.reference)
    assert opposed.deposit.state == "applied"
    committed = opposed.trace[0]
    waited = stored = after = 0
    for receipt in receipts:
        page = door.decided(receipt)
        (line,) = page.trace
        if line.sequence > committed.sequence:
            assert (page.deposit.state, page.deposit.codes) == ("refused", ("OPPOSED",))
            assert line.at >= committed.at
            waited += page.deposit.received_at < opposed.deposit.received_at
            after += 1
        else:
            assert page.deposit.state == "stored"
            stored += 1
    assert stored, "the opposition came before every report"
    assert after >= SENDERS * AFTER, "every report sent after the AA is decided after the opposition"
    assert len(stored_documents(door.record(patient.ins))) == stored
    return waited


class Burst:
    """Connections that send reports of a patient until the opposition is answered, and a few more."""

    def __init__(self, door: Door, patient: Patient) -> None:
        self.opposed = threading.Event()
        self._door = door
        self._patient = patient
        self._receipts: list[str] = []
        self._failures: list[str] = []
        self._running = threading.Barrier(SENDERS + 1)
        # Made before, so that what is measured is the gateway.
        self._messages = [[oru(biology(patient)) for _ in range(80)] for _ in range(SENDERS)]
        self._threads = [threading.Thread(target=self._send, args=(messages,)) for messages in self._messages]

    def start(self) -> None:
        """Return when each connection has had its first answers."""
        for thread in self._threads:
            thread.start()
        self._running.wait(30)

    def finish(self) -> list[str]:
        """Return the receipts of everything sent."""
        for thread in self._threads:
            thread.join(60)
        assert not self._failures
        return self._receipts

    def _send(self, messages: list[bytes]) -> None:
        with self._door.connect() as sender:
            left = iter(messages)
            for number, message in enumerate(left):
                self._ask(sender, message)
                if number == 5:
                    self._running.wait(30)
                if self.opposed.is_set() or number == len(messages) - AFTER - 1:
                    break
            self.opposed.wait(30)
            for _, message in zip(range(AFTER), left, strict=False):
                self._ask(sender, message)

    def _ask(self, sender: Sender, message: bytes) -> None:
        answer = sender.ask(message)
        if answer.code != "AA":
            self._failures.append(answer.code)
        self._receipts.append(answer.reference)


@pytest.mark.faults
def test_what_was_committed_before_a_kill_keeps_its_outcome_whatever_was_said_since(tmp_path: Path) -> None:
    door = Door(tmp_path)
    door.process.start()
    patient = someone(door)
    door.process.stop()
    door.process.start({"DMP_GATEWAY_KILL_AT": "store.committed:1"})
    report = biology(patient)
    receipt = door.hand_over(oru(report))
    before = door.rows("SELECT verdict, outcome, decided_at FROM receipt WHERE id = ?", receipt)
    assert [row[0] for row in before] == ["stored"]
    # It is still in the queue: an opposition stated while the gateway is away comes between the commit and the redelivery.
    assert [line.id for line in door.deposits("--state", "queued")] == [receipt]
    door.verb("record", "oppose", "--ins", patient.ins)
    with door:
        door.drained()
        assert door.rows("SELECT verdict, outcome, decided_at FROM receipt WHERE id = ?", receipt) == before
        page = door.show(receipt)
        assert page.deposit.state == "stored"
        assert [line.action for line in page.trace] == ["document.add"], "judged once"
        assert stored_documents(door.record(patient.ins)) == [report.id]
        assert door.send(oru(biology(patient))).facts == ("AA", "refused", ("OPPOSED",))


@pytest.mark.faults
def test_a_refusal_committed_before_a_kill_stays_one_after_its_opposition_was_lifted(tmp_path: Path) -> None:
    door = Door(tmp_path)
    with door:
        patient = someone(door)
        door.verb("record", "oppose", "--ins", patient.ins)
    door.process.start({"DMP_GATEWAY_KILL_AT": "store.committed:1"})
    message = oru(biology(patient))
    receipt = door.hand_over(message)
    door.verb("record", "lift", "--ins", patient.ins)
    with door:
        door.drained()
        page = door.show(receipt)
        assert (page.deposit.state, page.deposit.codes) == ("refused", ("OPPOSED",))
        assert len(page.trace) == 1
        assert door.send(message).facts == ("AA", "stored", ()), "sent again it is another deposit, judged anew"


@pytest.mark.faults
def test_what_was_durable_before_a_kill_is_judged_by_what_was_said_since(tmp_path: Path) -> None:
    """Not yet begun when the process died: the opposition stated meanwhile refuses it."""
    door = Door(tmp_path)
    with door:
        patient = someone(door)
    door.process.start({"DMP_GATEWAY_KILL_AT": "store.begun:1"})
    valmont = door.hand_over(oru(biology(patient)))
    door.verb("record", "oppose", "--ins", patient.ins, "--establishment", VALMONT.id)
    with door:
        door.drained()
        assert door.show(valmont).deposit.codes == ("OPPOSED",)
        aubier = door.send(clinic_letter(patient))
        assert aubier.facts == ("AA", "stored", ())
        assert [document.owner for document in door.record(patient.ins).documents] == [AUBIER.id]


@pytest.mark.faults
def test_an_opposition_killed_after_its_commit_is_in_force_and_may_be_sent_again(tmp_path: Path) -> None:
    door = Door(tmp_path)
    with door:
        patient = someone(door)
    told = says(patient, "IO", YESTERDAY)
    door.process.start({"DMP_GATEWAY_KILL_AT": "event.committed:1"})
    with door.connect() as sender:
        sender.write(b"\x0b" + told + b"\x1c\r")
        assert sender.answer() is None, "killed before its answer"
    assert door.process.wait_dead(30)
    with door:
        assert door.send(oru(biology(patient))).facts == ("AA", "refused", ("OPPOSED",))
        assert door.send(told).facts == ("AA", "duplicate", ())
        assert len(door.record(patient.ins).statements) == 1

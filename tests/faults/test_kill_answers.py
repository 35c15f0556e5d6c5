"""
Killed while answers wait: enhanced mode and answers after the decision keep what they said.

Two senders at once: one in enhanced mode, which writes ahead, one that waits for the decision. The gateway dies at a named point.
What was accepted (CA) is in the record after the next start; what was said to be decided (AA) was there at the death.
"""

import threading
from pathlib import Path

import pytest

from gateway.config.load import samples_directory
from gateway.mappers.hl7v2.ack import Answered
from tests.harness.breach import Breach
from tests.harness.day import biology, control_id, oru, someone
from tests.harness.door import END, START, Door, Sender, stored_documents
from tests.unit.mllp.doubles import asking

pytestmark = [pytest.mark.faults, pytest.mark.door]

POINTS = ("queue.publish.committed", "door.answered", "store.commit.asked", "store.committed", "queue.settle.committed")
EACH = 6


class Listener(threading.Thread):
    """Hears one connection until the gateway has gone."""

    def __init__(self, sender: Sender, messages: list[bytes], *, ahead: bool) -> None:
        super().__init__()
        self._sender, self._messages, self._ahead = sender, messages, ahead
        self.heard: list[Answered] = []

    def run(self) -> None:
        try:
            if self._ahead:
                self._sender.write(b"".join(START + each + END for each in self._messages))
                while self._hear():
                    pass
                return
            for each in self._messages:
                self._sender.write(START + each + END)
                if not self._hear():
                    return
        except OSError:
            return

    def _hear(self) -> bool:
        answered = self._sender.answer()
        if answered is not None:
            self.heard.append(answered)
        return answered is not None

    def said(self, code: str) -> list[str]:
        """The receipts that were answered so."""
        return [each.reference for each in self.heard if each.code == code]


@pytest.mark.parametrize("point", POINTS)
def test_what_was_said_holds(point: str, tmp_path: Path) -> None:
    text = (samples_directory() / "dmp-gateway.toml").read_text(encoding="utf-8")
    config = tmp_path / "gateway.toml"
    config.write_text(text.replace('id = "sil-valmont"', 'id = "sil-valmont"\nanswer = "decided"', 1), encoding="utf-8")
    with Door(tmp_path, config=config) as door:
        patient = someone(door)
        assert door.process.stop() == 0
        door.process.start({"DMP_GATEWAY_KILL_AT": f"{point}:5"})
        reports = [biology(patient) for _ in range(2 * EACH)]
        messages = [oru(each, message_id=control_id()) for each in reports]
        with door.connect() as ahead, door.connect() as waiting:
            accepted = Listener(ahead, [asking(each, "AL", "AL") for each in messages[:EACH]], ahead=True)
            decided = Listener(waiting, messages[EACH:], ahead=False)
            for each in (accepted, decided):
                each.start()
            assert door.process.wait_dead(30), f"{point} was not reached"
            for each in (accepted, decided):
                each.join(30)
        assert set(accepted.said("AE") + decided.said("AE") + decided.said("CA")) == set()
        for receipt in accepted.said("AA") + decided.said("AA"):
            if not door.rows("SELECT 1 FROM receipt WHERE id = ?", receipt):
                raise Breach(f"{point}: AA for what no record held")
        door.process.start()
        for receipt in accepted.said("CA"):
            if door.decided(receipt).deposit.state != "stored":
                raise Breach(f"{point}: CA for what is not there")
        with door.connect() as sender:
            assert {sender.ask(each).code for each in messages} == {"AA"}
        assert stored_documents(door.record(patient.ins)) == sorted(report.id for report in reports)

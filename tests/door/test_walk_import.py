"""Records imported and the store backed up and checked while the gateway runs and takes reports."""

from pathlib import Path

import pytest

from tests.harness.day import biology, oru, someone
from tests.harness.door import Door, stored_documents

pytestmark = pytest.mark.door

HEADER = "ins;birth_name;given_names;birth_date;sex;channel;consent_by;consent_at"


def test_records_are_imported_through_the_running_gateway(door: Door, tmp_path: Path) -> None:
    patients = [someone() for _ in range(120)]
    refused = door.send(oru(biology(patients[0])))
    assert refused.facts == ("AA", "refused", ("RECORD_ABSENT",))
    file = tmp_path / "patients.csv"
    lines = [f"{patient.ins};{'É' * 250};ANNE;1984-10-05;F;desk;{'é' * 250};2026-03-09" for patient in patients]
    file.write_text("\n".join([HEADER, *lines]), encoding="utf-8")
    (summary,) = door.verb("record", "import", str(file))
    assert (summary["opened"], summary["unchanged"], summary["rejected"]) == (120, 0, 0)
    (summary,) = door.verb("record", "import", str(file))
    assert (summary["opened"], summary["unchanged"]) == (0, 120)
    assert {door.record(patient.ins).state for patient in patients[::30]} == {"open"}


def test_the_store_is_backed_up_and_checked_while_the_gateway_writes(door: Door, tmp_path: Path) -> None:
    patient = someone(door)
    stored = door.send(oru(biology(patient)))
    with door.connect() as sender:
        for number in range(3):
            for _ in range(5):
                assert sender.ask(oru(biology(patient))).code == "AA"
            (made,) = door.verb("db", "backup", str(tmp_path / f"{number}.db"))
            assert made["decided_until"] >= stored.page.outcome.committed_at
            assert {line["state"] for line in door.verb("db", "check")} == {"ok"}
    door.drained()
    assert len(stored_documents(door.record(patient.ins))) == 16

"""A source whose answer waits for the decision, and enhanced mode, before a real record: who is told what, and when."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.load import samples_directory
from tests.harness.day import biology, control_id, oru, says, someone, stamp
from tests.harness.door import END, START, Door, errors_of
from tests.unit.mllp.doubles import asking

pytestmark = pytest.mark.door


@pytest.fixture(scope="module")
def patient_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A gateway whose laboratory waits for the decision."""
    folder: Path = tmp_path_factory.mktemp("decided")
    text = (samples_directory() / "dmp-gateway.toml").read_text(encoding="utf-8")
    config = folder / "gateway.toml"
    config.write_text(text.replace('id = "sil-valmont"', 'id = "sil-valmont"\nanswer = "decided"', 1), encoding="utf-8")
    with Door(folder, config=config) as opened:
        yield opened


def test_aa_says_that_the_document_is_in_the_record(patient_door: Door) -> None:
    patient = someone(patient_door)
    report = biology(patient)
    message = oru(report, message_id=control_id())
    assert patient_door.ask(message).code == "AA"
    assert [document.state for document in patient_door.record(patient.ins).documents] == ["current"]
    again = patient_door.ask(message)
    assert again.code == "AA"
    assert patient_door.decided(again.reference).deposit.state == "duplicate"


def test_ae_says_why_it_was_refused(patient_door: Door) -> None:
    nobody, opposed = someone(), someone(patient_door)
    found = patient_door.ask(oru(biology(nobody)))
    assert (found.code, [code for code, *_ in errors_of(found)]) == ("AE", ["RECORD_ABSENT"])
    assert patient_door.ask(says(opposed, "IO", stamp(days=-1))).code == "AA"
    found = patient_door.ask(oru(biology(opposed)))
    assert (found.code, found.errors[0].code, found.errors[0].condition) == ("AE", "OPPOSED", "207")
    assert patient_door.decided(found.reference).deposit.state == "refused"


def test_enhanced_mode_tells_both_over_one_connection(patient_door: Door) -> None:
    opposed = someone(patient_door)
    names = [control_id() for _ in range(3)]
    messages = (
        oru(biology(opposed), message_id=names[0]),
        says(opposed, "IO", stamp(days=-1), message_id=names[1]),
        oru(biology(opposed), message_id=names[2]),
    )
    heard: dict[str, list[str]] = {name: [] for name in names}
    with patient_door.connect() as sender:
        for number, message in enumerate(messages):
            sender.write(START + asking(message, "AL", "AL") + END)
            while len(heard[names[number]]) < 2:
                answered = sender.answer()
                assert answered is not None
                heard[answered.control_id].append(answered.code)
    assert heard == {names[0]: ["CA", "AA"], names[1]: ["CA", "AA"], names[2]: ["CA", "AE"]}

"""F12: a full disk, an alarm of the broker: a seeded slice of the campaigns of the proof."""

from pathlib import Path

import pytest

from tests.harness import rabbitmq
from tests.harness.breach import held
from tests.harness.disk import CannotMount, Disk
from tests.proof import disks
from tests.proof.line import Run

pytestmark = [pytest.mark.faults, pytest.mark.door, pytest.mark.timeout(300)]

#: What a machine that is busy with others may take longer.
_SLACK_SECONDS = 60.0


@pytest.fixture
def mounting() -> None:
    """The right to mount a small disk."""
    try:
        Disk(1).close()
    except CannotMount:
        pytest.skip("needs the right to mount a tmpfs: run as root (SQLITE_FULL and the broker's alarms are tested all the same)")


def judged(run: Run) -> None:
    """Every promise was kept, and all took place that was to."""
    print(run.line())
    held(run.judgement)
    assert run.ok, run.told()
    assert run.faults == 1
    assert run.judgement.acknowledged > 20
    assert run.judgement.verdicts["stored"] > 5


@pytest.mark.usefixtures("mounting")
def test_a_full_folder_of_store_and_queue_loses_nothing_killed_in_it_or_not(tmp_path: Path) -> None:
    """What is not durable is answered AR; with room it goes on, after a kill with what was durable."""
    judged(disks.embedded(tmp_path / "run", 12, seconds=1.0, killed=True, slack=_SLACK_SECONDS))


@pytest.mark.usefixtures("mounting")
def test_a_full_disk_of_the_log_costs_no_answer(tmp_path: Path) -> None:
    judged(disks.embedded(tmp_path / "run", 13, place="log", seconds=0.5, slack=_SLACK_SECONDS))


@pytest.mark.usefixtures("mounting")
def test_a_database_that_its_full_log_stopped_goes_on_when_it_is_started_with_room(tmp_path: Path) -> None:
    judged(disks.database_full(tmp_path / "run", 14, wal=True, seconds=0.2, slack=_SLACK_SECONDS))


def test_an_alarm_of_the_broker_stops_answers_and_no_worker(tmp_path: Path) -> None:
    """Its memory alarm: doors answer AR and nothing is promised, workers take what is there; then all goes on by itself."""
    troubles = [disks.alarm("memory", 0.2, slack=_SLACK_SECONDS)]
    judged(disks.alarmed(tmp_path / "run", 15, troubles, rabbitmq.shared(), connections=4, workers=1))

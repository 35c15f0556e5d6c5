"""F17, F19 and the readers: a slice of each campaign of the proof, seeded."""

import time
from pathlib import Path

import pytest

from tests.harness.breach import Breach, held
from tests.proof.campaigns import duplicates, races
from tests.proof.fuzz import fuzz

pytestmark = [pytest.mark.faults]


@pytest.mark.door
def test_duplicates_in_any_order_end_the_same(tmp_path: Path) -> None:
    run = duplicates(tmp_path / "run", 17, strands=80, kills=1)
    print(run.line())
    held(run)
    assert run.judgement.verdicts["duplicate"] > 100
    assert run.kills == 1


@pytest.mark.door
def test_an_opposition_wins_every_race(tmp_path: Path) -> None:
    run = races(tmp_path / "run", 19, rounds=30)
    print(run.line())
    held(run)
    assert run.judgement.refused > 10
    assert run.judgement.verdicts["stored"] > 10


def test_damaged_input_is_read_or_refused(tmp_path: Path) -> None:
    run = fuzz(tmp_path / "run", 23, until=time.monotonic() + 10, seconds=8)
    if run.failures:
        raise Breach(run.told())
    assert run.judgement.attempt > 500

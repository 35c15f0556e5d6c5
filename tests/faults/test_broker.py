"""F1, F4, F5, F8 over a broker: a slice of each campaign of the proof, seeded, on the real process model."""

from pathlib import Path

import pytest

from tests.harness.breach import held
from tests.proof.broker import away, drop, kill, troubled

pytestmark = [pytest.mark.faults, pytest.mark.door, pytest.mark.timeout(300)]


def test_what_dies_drops_or_stays_away_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """A door or worker, the lines to the broker, the broker itself; while it is away every answer is AR."""
    run = troubled(tmp_path / "run", 1458, [kill, drop, drop, away(2.0)], connections=8, patience=3)
    print(run.line())
    held(run)
    assert (run.faults, run.kills) == (4, 1)
    assert len(run.recoveries) == 1
    assert run.judgement.acknowledged > 10
    assert run.judgement.verdicts["stored"] > 3

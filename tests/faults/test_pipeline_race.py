"""F19 over the whole way: a slice of the campaign, seeded, on the real process model."""

from pathlib import Path

import pytest

from tests.harness import rabbitmq
from tests.harness.breach import held
from tests.proof.pipeline_race import killed, pipeline_race, stopped

pytestmark = [pytest.mark.faults, pytest.mark.door]


@pytest.mark.timeout(300)
def test_what_waits_in_a_lane_is_judged_by_what_was_said_meanwhile(tmp_path: Path) -> None:
    """Two doors, two workers, one of them frozen, then one killed: nothing against an opposition, nothing refused without one."""
    run = pipeline_race(tmp_path / "run", 1919, [stopped, killed], node=rabbitmq.shared())
    print(run.line())
    held(run.judgement)
    assert run.ok, run.told()
    # The scene: something waited, an opposition came past it, and others were stored.
    assert run.faults == 2
    assert run.kills == 1
    assert run.backlog >= 10
    assert run.overtaken >= 1
    assert run.compared > 50
    assert run.judgement.verdicts["stored"] > 20

"""F20 over a broker: two or three faults at once, a slice; a schedule is its seed's alone."""

from pathlib import Path

import pytest

from tests.harness import postgres, rabbitmq
from tests.harness.breach import held
from tests.proof.combined import FAULTS, OF_SERVERS, combined, schedule

pytestmark = [pytest.mark.faults, pytest.mark.door, pytest.mark.timeout(300)]

SEED = 20_261_123


def test_a_seed_is_a_schedule() -> None:
    assert schedule(7, 50) == schedule(7, 50)
    assert schedule(7, 50) != schedule(8, 50)
    acts = schedule(7, 50)
    assert {name for act in acts for name, _ in act.begun} == FAULTS.keys()
    assert {len(act.begun) for act in acts} == {2, 3}
    assert any(list(act.released) != sorted(act.released) for act in acts)
    assert all(sorted(act.released) == list(range(len(act.begun))) for act in acts)


def test_several_faults_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    run, acts = combined(
        tmp_path / "run",
        SEED,
        3,
        faults=tuple(FAULTS.keys() - OF_SERVERS),
        longest=2.0,
        node=rabbitmq.shared(),
        server=postgres.shared(),
        patience=6,
    )
    print(run.line())
    held(run)
    assert run.faults == sum(len(act.begun) for act in acts) >= 6
    assert run.judgement.acknowledged > 10

"""F1, a slice: `kill -9` at random moments under load, started again on the same folder, judged over everything at the end."""

from pathlib import Path

import pytest

from tests.harness.breach import held
from tests.proof.campaigns import random_kills

pytestmark = [pytest.mark.faults, pytest.mark.door]

CYCLES = 10


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random(seed: int, tmp_path: Path) -> None:
    run = random_kills(tmp_path, seed, cycles=CYCLES, longest=1.0)
    print(run.line())
    held(run.judgement)
    assert not run.failures
    assert run.kills == CYCLES
    assert run.judgement.attempt > 100
    assert run.judgement.refused > 0, "no deposit met an opposition: the run shows nothing of L4"

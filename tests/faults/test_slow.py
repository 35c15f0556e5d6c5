"""F14: a slice of the campaign of the proof, seeded; a locked file of one process is with F18."""

from pathlib import Path

import pytest

from tests.harness import rabbitmq
from tests.harness.breach import Breach
from tests.proof.broker import troubled
from tests.proof.slow import frozen, locked, one_patient, slowed

pytestmark = [pytest.mark.faults, pytest.mark.door]


def test_a_slow_locked_or_frozen_record_loses_nothing_and_drops_nobody(tmp_path: Path) -> None:
    troubles = [slowed(100, 1), locked(1), one_patient(0.5), frozen(2)]
    run = troubled(tmp_path / "run", 14, troubles, node=rabbitmq.shared(), connections=8, patience=6)
    print(run.line())
    if not run.judgement.ok:
        raise Breach(run.told())
    assert run.ok, run.told()
    assert run.faults == len(troubles)
    assert run.judgement.acknowledged > 20

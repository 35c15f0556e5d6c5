"""
F15: a slice of the campaign of the proof, seeded, on one process, which holds all that several share out.

Ten thousand connections, control groups, and the same over a broker are the long form's.
"""

from pathlib import Path

import pytest

from tests.harness.breach import Breach
from tests.proof.memory import embedded

pytestmark = [pytest.mark.faults, pytest.mark.door]


def test_a_crowd_and_messages_without_measure_take_no_more_than_is_stated(tmp_path: Path) -> None:
    run = embedded(tmp_path / "run", 16, connections=300, admitted=256, unended=0, ended=2, limit=False)
    print(run.line())
    if not run.judgement.ok or any("MiB" in each or "died" in each for each in run.failures):
        raise Breach(run.told())
    assert run.ok, run.told()
    assert run.judgement.acknowledged > 5

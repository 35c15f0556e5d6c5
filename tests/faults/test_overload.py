"""F18: a slice of the campaign of the proof, seeded, on both stacks; rates are measured in the long form alone."""

from pathlib import Path

import pytest

from tests.harness.breach import Breach
from tests.proof.line import Run
from tests.proof.overload import embedded, on_broker

pytestmark = [pytest.mark.faults, pytest.mark.door]


def held(run: Run) -> None:
    print(run.line())
    if not run.judgement.ok:
        raise Breach(run.told())
    assert run.ok, run.told()


def test_full_lanes_are_answered_ar_lose_nothing_and_drain(tmp_path: Path) -> None:
    run = on_broker(tmp_path / "run", 18, few=4, many=24)
    held(run)
    assert run.judgement.acknowledged > 20


def test_a_full_file_is_answered_ar_loses_nothing_and_drains(tmp_path: Path) -> None:
    run = embedded(tmp_path / "run", 19, few=4, many=24)
    held(run)
    assert run.judgement.acknowledged > 20

"""F16: a slice of the campaign of the proof, seeded, on both stacks."""

from pathlib import Path

import pytest

from tests.harness.breach import held
from tests.proof.poison import embedded, on_broker

pytestmark = [pytest.mark.faults, pytest.mark.door]


def test_what_ends_raises_blocks_or_breaks_is_parked_and_the_others_go_on(tmp_path: Path) -> None:
    run = on_broker(tmp_path / "run", 16, ["abort", "raise", "constraint"], strands=40)
    print(run.line())
    held(run.judgement)
    assert run.ok, run.told()
    assert 1 <= run.kills <= 3
    assert run.judgement.verdicts["parked"] >= 2
    assert run.judgement.verdicts["stored"] > 10


def test_one_process_on_files_that_dies_of_a_message_is_started_again_and_parks_it(tmp_path: Path) -> None:
    run = embedded(tmp_path / "run", 17, ["abort", "block", "constraint"], strands=40)
    print(run.line())
    held(run.judgement)
    assert run.ok, run.told()
    # Three for each receipt (`run.ok`): what had no answer when the process died of it was sent again, and has another one.
    assert run.kills >= 1
    assert run.judgement.verdicts["stored"] > 10

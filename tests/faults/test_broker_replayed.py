"""F17 over a broker: copies in any order over two doors, with a kill, and the whole day again."""

from pathlib import Path

import pytest

from tests.harness import rabbitmq
from tests.harness.breach import held
from tests.proof.replayed import replayed

pytestmark = [pytest.mark.faults, pytest.mark.door, pytest.mark.timeout(300)]


def test_a_day_in_any_order_and_once_more_changes_nothing(tmp_path: Path) -> None:
    run = replayed(tmp_path / "run", 20_261_121, strands=25, kills=1, node=rabbitmq.shared(), patience=6)
    print(run.line())
    held(run)
    assert run.kills == 1
    assert run.judgement.verdicts["duplicate"] > 25
    assert run.judgement.sends > 80

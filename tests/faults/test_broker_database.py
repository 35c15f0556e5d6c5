"""F6, F7, F8 over a broker: the database of doors and workers dies, its answers to COMMIT are cut, its lines drop."""

from pathlib import Path

import pytest

from tests.harness import rabbitmq
from tests.harness.breach import held
from tests.proof.broker_database import cut_commits, die, drop, lose_session, on_database

pytestmark = [pytest.mark.faults, pytest.mark.door, pytest.mark.timeout(300)]


def test_what_happens_to_the_database_loses_and_doubles_nothing(tmp_path: Path) -> None:
    faults = [cut_commits(6), drop, drop, drop, lose_session, die]
    run = on_database(tmp_path / "run", 20_261_121, faults, node=rabbitmq.shared(), patience=6)
    print(run.line())
    held(run)
    # Six commits, three lines, the server twice; a line that nobody used in time is not cut.
    assert run.faults >= 9
    assert len(run.recoveries) == 2
    assert run.judgement.acknowledged > 10

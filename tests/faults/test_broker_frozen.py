"""F3 over a broker: a worker with a committed batch in hand is frozen until another one has its lanes, and woken; a door too."""

from pathlib import Path

import pytest

from tests.harness import rabbitmq
from tests.harness.breach import held
from tests.harness.orders import WORKER
from tests.proof.broker_frozen import frozen

pytestmark = [pytest.mark.faults, pytest.mark.door, pytest.mark.timeout(300)]


def test_what_wakes_beside_another_doubles_and_inverts_nothing(tmp_path: Path) -> None:
    """With a heartbeat of 2 s, for the time's sake: the broker gives the frozen one up after some six seconds."""
    run, over, missed = frozen(
        tmp_path / "run",
        20_261_121,
        1,
        revivals=((WORKER, "queue.taken"),),
        longest=1.5,
        node=rabbitmq.shared(),
        heartbeat=2,
        patience=6,
    )
    print(run.line())
    held(run)
    assert missed == []
    assert over == 1
    assert run.faults == 2
    assert run.judgement.acknowledged > 10

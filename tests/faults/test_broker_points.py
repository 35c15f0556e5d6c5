"""F2 over a broker: doors and workers killed at named points, a slice; the table of the campaign holds every point."""

from pathlib import Path

import pytest

from tests.harness import rabbitmq
from tests.harness.breach import held
from tests.harness.orders import DOOR, WORKER
from tests.proof.broker_points import ELSEWHERE, PLACES, killed_at_points, missing_places

pytestmark = [pytest.mark.faults, pytest.mark.door, pytest.mark.timeout(300)]

SEED = 20_261_121
#: Where something would be lost or doubled first; the campaign takes all of them.
SLICE = (
    (DOOR, "broker.published"),
    (WORKER, "broker.ack"),
    (DOOR, "broker.confirmed"),
    (WORKER, "store.committed"),
    (DOOR, "broker.returned"),
    (WORKER, "broker.request.answered"),
    (DOOR, "broker.request.waited"),
    (WORKER, "broker.marker.passed"),
)


def test_the_campaign_knows_every_point() -> None:
    assert missing_places() == set()
    assert not {point for _, point in PLACES} & ELSEWHERE.keys()
    assert set(SLICE) <= set(PLACES)


def test_killed_at_each_of_a_slice(tmp_path: Path) -> None:
    run, missed = killed_at_points(tmp_path / "run", SEED, SLICE, most_hits=10, node=rabbitmq.shared(), patience=6)
    print(run.line())
    held(run)
    assert missed == []
    # Before the one that waits for a marker a door dies that publishes it at its start.
    assert run.kills == len(SLICE) + 1
    assert run.judgement.acknowledged > 10

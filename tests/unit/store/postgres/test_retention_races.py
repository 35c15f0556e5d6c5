"""What is out of its time is looked at again under the lock: a patient may have come back meanwhile."""

from collections.abc import Iterator

import pytest

from gateway.model.verdict import Verdict
from gateway.store.postgres.store import PostgresStore
from gateway.store.retention import Periods
from gateway.telemetry import points
from tests.contract.store.backends import Postgres


@pytest.fixture
def other(bench: Postgres) -> Iterator[PostgresStore]:
    """A second store on the same database, as of another process."""
    made = PostgresStore(bench.url, bench.clock)
    yield made
    points.hooks.clear()
    made.close()


def test_a_record_that_is_opened_again_meanwhile_is_not_destroyed(bench: Postgres, other: PostgresStore) -> None:
    bench.send()
    bench.close_record()
    bench.clock.pass_by(days=3_700)
    opened = []

    def open_again() -> None:
        points.hooks.clear()
        opened.append(bench.open())

    points.hooks["sql.retention_merged_files"] = open_again
    other.retain(Periods())
    assert [outcome.verdict for outcome in opened] == [Verdict.APPLIED], "nobody came in between: the test shows nothing"
    assert [row["state"] for row in bench.rows("record")] == ["open"]
    assert bench.states() == {"1.2.3": "current"}

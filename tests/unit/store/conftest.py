from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.telemetry import points
from tests.contract.store.backends import Sqlite


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Sqlite]:
    """A SQLite store with an open record."""
    made = Sqlite(tmp_path)
    made.open()
    yield made
    points.hooks.clear()
    made.store.close()
    assert made.against() == []

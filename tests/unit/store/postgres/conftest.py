from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.telemetry import points
from tests.contract.store.backends import Postgres
from tests.harness import postgres


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Postgres]:
    """A store with an open record."""
    made = Postgres(tmp_path, lasting=True, server=postgres.shared())
    made.open()
    yield made
    points.hooks.clear()
    made.store.close()
    against = made.against()
    made.close()
    assert against == []


@pytest.fixture
def empty() -> Iterator[str]:
    """The URL of a database without tables."""
    server = postgres.shared()
    name = server.create()
    yield server.url(name)
    server.drop(name)

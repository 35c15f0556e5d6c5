from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.telemetry import points
from tests.contract.queue.backends import BACKENDS, Embedded


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test runs on every kind of queue; a module that knows what one kind does inside names it in KINDS."""
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", getattr(metafunc.module, "KINDS", tuple(BACKENDS)), indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Embedded]:
    """A queue of each kind."""
    made = BACKENDS[request.param](tmp_path)
    yield made
    points.hooks.clear()
    made.close()

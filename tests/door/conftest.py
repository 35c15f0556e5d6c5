"""The gateway that the walks share: one process a session, a patient of its own for each test."""

from collections.abc import Iterator

import pytest

from tests.harness.door import Door


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A gateway on the sample configuration."""
    with Door(tmp_path_factory.mktemp("walks")) as opened:
        yield opened

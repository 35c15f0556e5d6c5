"""The gateway that the walks share: one process a session, a patient of its own for each test."""

from collections.abc import Iterator

import pytest

from tests.harness.door import Door
from tests.harness.portal import portal as gateway


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A gateway on the sample configuration."""
    with Door(tmp_path_factory.mktemp("walks")) as opened:
        yield opened


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A gateway whose sources come by HTTP too, each with a token, and nobody without one; a body has 4 MiB at most."""
    sections = ("[http]", "body_limit_bytes = 4_194_304")
    with gateway(tmp_path_factory.mktemp("portal"), sections=sections) as opened:
        yield opened

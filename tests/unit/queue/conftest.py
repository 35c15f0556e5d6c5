"""Keys in a folder of the test, and a clock that stands still until it is moved."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.queue.keys import Keys, initialise


class Standing:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def pass_days(self, days: int) -> None:
        self.at += timedelta(days=days)


@pytest.fixture
def clock() -> Standing:
    return Standing()


@pytest.fixture
def folder(tmp_path: Path, clock: Standing) -> Path:
    initialise(tmp_path / "keys", clock)
    return tmp_path / "keys"


@pytest.fixture
def keys(folder: Path, clock: Standing) -> Keys:
    return Keys.open(folder, clock)

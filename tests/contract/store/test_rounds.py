"""F19 at random: a slice of the rounds of `make proof ONLY=F19`, on each store."""

import time
from pathlib import Path

import pytest

from tests.contract.store.backends import BACKENDS
from tests.harness.breach import Breach
from tests.harness.rounds import rounds


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_stored_against_an_opposition_at_random(backend: str, tmp_path: Path) -> None:
    tally = rounds(backend, tmp_path, 20_261_121, until=time.monotonic() + 60, most=25)
    print(tally.line())
    if tally.violations:
        raise Breach("\n".join(map(str, tally.violations)))
    assert tally.rounds == 25
    assert tally.stored > 0 and tally.refused > 0 and tally.after_an_answer > 0

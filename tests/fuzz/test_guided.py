"""S1, a slice: all readers a moment under inputs guided by coverage, in a process of their own."""

from pathlib import Path

import pytest

from tests.fuzz.campaign import campaign
from tests.harness.breach import Breach

pytestmark = [pytest.mark.faults]


def test_no_input_makes_a_reader_fail(tmp_path: Path) -> None:
    figures = campaign("any", tmp_path / "found", seconds=4, seed=20_261_121)
    assert figures.executions > 500, "the campaign did not get to work"
    assert figures.edges > 500, "no branch of the gateway was counted"
    if figures.findings:
        raise Breach("\n".join([*figures.findings, *(path.read_text() for path in (tmp_path / "found").glob("*.txt"))]))


def test_a_reader_that_fails_is_found(tmp_path: Path) -> None:
    """The instrument itself: a reader with a fault behind four bytes, which chance alone would not find in its time."""
    figures = campaign("faulty", tmp_path / "found", seconds=20, seed=1, first=True)
    assert [each.split("-")[0] for each in figures.findings] == ["KeyError"]

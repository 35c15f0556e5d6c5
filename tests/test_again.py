"""What is run again, and what never is: a suite of its own, run by pytest."""

import sys
from pathlib import Path
from subprocess import run

import pytest

ROOT = Path(__file__).resolve().parent.parent

SUITE = """
import pytest
from hypothesis import given, strategies
from tests.harness.breach import Breach, held

pytestmark = [pytest.mark.{mark}]
runs = []


class Found:
    def __init__(self, *, broken):
        self.ok, self.broken = False, broken

    def told(self):
        return "what was found"


def test_a_scene_that_comes_about_the_second_time():
    runs.append(1)
    assert len(runs) > 1, "the point was not reached"


def test_a_scene_that_never_comes_about():
    assert False, "never reached"


def test_a_broken_promise():
    held(Found(broken=True))


def test_what_came_late():
    held(Found(broken=False))


@given(strategies.just(1))
def test_what_a_draw_found(number):
    raise ValueError("drawn")
"""


def outcomes(folder: Path, mark: str) -> tuple[str, list[str]]:
    """Run the suite in a process of its own; return what it printed, and its lines of what ran again."""
    (folder / "conftest.py").write_text("from tests.conftest import *\n", encoding="utf-8")
    (folder / "test_suite.py").write_text(SUITE.format(mark=mark), encoding="utf-8")
    options = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), f"--rootdir={folder}")
    command = [sys.executable, "-m", "pytest", *options, str(folder)]
    done = run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=100)
    return done.stdout, [line for line in done.stdout.splitlines() if line.startswith("RAN AGAIN: ")]


def test_a_scene_is_set_again_and_a_breach_stands(tmp_path: Path) -> None:
    printed, again = outcomes(tmp_path, "faults")
    assert "4 failed, 1 passed, 5 rerun" in printed, printed
    assert sum("second_time" in line for line in again) == 1
    assert sum("never_comes" in line for line in again) == 2
    assert sum("came_late" in line for line in again) == 2
    assert not any("broken_promise" in line or "draw_found" in line for line in again)
    assert any("the point was not reached" in line for line in again)


@pytest.mark.parametrize("mark", ["corpus"])
def test_nothing_else_is_run_again(mark: str, tmp_path: Path) -> None:
    printed, again = outcomes(tmp_path, mark)
    assert "5 failed" in printed, printed
    assert again == []

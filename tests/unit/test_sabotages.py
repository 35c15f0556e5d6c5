"""The list of sabotages does not rot: each still finds what it breaks, once, and the tests that should notice are there."""

import ast
from pathlib import Path

import pytest

from tests.sabotage import __main__ as program
from tests.sabotage.sabotage import Rotten, Sabotage, breaking
from tests.sabotage.table import SABOTAGES


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda each: each.name)
def test_it_still_breaks_something(root: Path, sabotage: Sabotage) -> None:
    for edit in sabotage.edits:
        broken = edit.done(root)
        if edit.file.endswith(".py"):
            ast.parse(broken)
    assert sabotage.tests
    for test in sabotage.tests:
        file, _, name = test.partition("::")
        assert (root / file).exists(), test
        assert not name or f"def {name}(" in (root / file).read_text(encoding="utf-8"), test


def test_the_list_is_as_long_as_it_says() -> None:
    names = [each.name for each in SABOTAGES]
    assert len(set(names)) == len(names) >= 25
    assert {*map(str, range(1, 13)), "15", "16"} <= set(names)
    assert len({each.what for each in SABOTAGES}) == len(names)


def test_the_page_of_the_proof_names_them(root: Path) -> None:
    page = (root / "docs" / "proof.md").read_text(encoding="utf-8")
    assert [each.what for each in SABOTAGES if f"| {each.name} | {each.what} |" not in page] == []


def test_an_anchor_that_is_gone_or_there_twice_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\ny = 1\n", encoding="utf-8")
    for find, put in (("z", "0"), (" = 1", " = 2"), ("x", "x")):
        with pytest.raises(Rotten, match=r"a\.py"):
            breaking("1", "", "a.py", find, put, "t").commit(tmp_path)
    with pytest.raises(Rotten, match="is not there"):
        breaking("1", "", "b.py", "x", "y", "t").commit(tmp_path)
    breaking("1", "", "a.py", "x", "z", "t").commit(tmp_path)
    assert (tmp_path / "a.py").read_text(encoding="utf-8") == "z = 1\ny = 1\n"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A project of one line and one test."""
    (tmp_path / "thing.py").write_text("def guarded() -> bool:\n    return True\n", encoding="utf-8")
    (tmp_path / "test_thing.py").write_text(
        "from thing import guarded\n\ndef test_is_guarded():\n    assert guarded()\n\ndef test_of_nothing():\n    pass\n",
        encoding="utf-8",
    )
    return tmp_path


def test_a_failing_test_catches_and_is_named(tiny: Path) -> None:
    assert program.run_tests(tiny, ["test_thing.py"]).by == ""
    breaking("1", "", "thing.py", "return True", "return False", "t").commit(tiny)
    assert program.run_tests(tiny, ["test_thing.py"]).by == "test_thing.py::test_is_guarded"
    assert program.run_tests(tiny, ["test_thing.py::test_of_nothing"]).by == ""


def test_tests_that_do_not_run_catch_nothing(tiny: Path) -> None:
    assert program.run_tests(tiny, ["test_gone.py"]).by == ""
    assert "pytest ended with" in program.run_tests(tiny, ["test_gone.py"]).output

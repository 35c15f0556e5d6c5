"""What did not run is named last, with its reason and how to get it; the checks fail on what nobody named."""

import io
from pathlib import Path

import pytest

from tests import not_run
from tests.not_run import Missing, allowed, listed, unnamed

pytest_plugins = ("pytester",)

SUITE = """
    import pytest

    def test_runs():
        pass

    @pytest.mark.parametrize("number", range(3))
    def test_needs_a_door(number):
        pytest.skip("no door here: build one")

    @pytest.mark.skipif(True, reason="no way in")
    def test_says_too_little():
        pass

    @pytest.mark.xfail(reason="the roof leaks")
    def test_of_the_roof():
        raise AssertionError

    @pytest.mark.xfail(reason="the wall stands")
    def test_of_the_wall():
        pass
"""
LINES = [
    "NOT RUN: test_suite.py (3 tests): no door here: build one",
    "NOT RUN: test_suite.py::test_of_the_roof: expected to fail: the roof leaks: mend it",
    "NOT RUN: test_suite.py::test_of_the_wall: expected to fail: the wall stands: mend it",
    "NOT RUN: test_suite.py::test_says_too_little: no way in: nobody says how to get it",
    "NOT RUN: test_whole.py: no house: build one",
]


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_every_test_that_does_not_run_is_named_at_the_end(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    pytester.makepyfile(
        test_suite=SUITE, test_whole='import pytest\npytest.skip("no house: build one", allow_module_level=True)\n'
    )
    done = pytester.runpytest_subprocess("-p", "tests.not_run", "-p", "no:randomly", *workers)
    assert [line for line in done.outlines if line.startswith("NOT RUN")] == LINES
    assert done.outlines[-len(LINES) :] == LINES


def test_a_suite_that_runs_whole_says_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_suite="def test_runs():\n    pass\n")
    assert "NOT RUN" not in pytester.runpytest_subprocess("-p", "tests.not_run").stdout.str()


def test_tests_of_several_files_with_one_reason_are_one_line() -> None:
    missing = [Missing(f"tests/{room}/test_x.py::test_{n}", "why: how") for room in ("a", "b") for n in range(2)]
    assert listed(missing) == ["NOT RUN: tests (4 tests): why: how"]


def test_the_checks_fail_on_what_nobody_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list").write_text("# why not\n\n*: no door here: build one -- doors are dear\n", encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO("5 passed\n" + "\n".join(LINES[:2]) + "\n"))
    assert not_run.main([str(tmp_path / "list")]) == 1
    told = f"not run, and not named in {tmp_path / 'list'}: {LINES[1].removeprefix('NOT RUN: ')}"
    assert capsys.readouterr().err.splitlines() == [told]
    monkeypatch.setattr("sys.stdin", io.StringIO(LINES[0] + "\n"))
    assert not_run.main([str(tmp_path / "list")]) == 0


@pytest.mark.parametrize("line", ["tests/corpus/*", "tests/corpus/* -- ", " -- because"])
def test_what_is_allowed_to_be_missing_has_a_reason(line: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        allowed(line)


def test_the_list_of_this_project_has_reasons(root: Path) -> None:
    found = allowed((root / ".ci" / "not-run").read_text(encoding="utf-8"))
    assert found
    assert unnamed([f"{not_run.MARK}tests/x.py::test_of_nothing: unheard of: nobody knows"], found) != []


def test_the_reasons_in_the_list_are_those_that_tests_give(root: Path) -> None:
    """A list that names what no test says any more would hide the next one."""
    skips = " ".join(" ".join(path.read_text(encoding="utf-8").split()) for path in (root / "tests").rglob("*.py"))
    for each in allowed((root / ".ci" / "not-run").read_text(encoding="utf-8")):
        assert each.pattern.strip("*: ") in skips, each.pattern

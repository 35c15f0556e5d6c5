"""
Nothing is skipped in silence: every test that did not run is named last, with the reason and how to get it.

    NOT RUN: <test or group>: <reason>: <how to get it>

A plugin of pytest for the whole suite (`tests/conftest.py`). As a program it reads the output of a run and fails on every such
line that a list does not name: `python -m tests.not_run .ci/not-run < output`. A line of the list is a pattern (`*` for anything)
of what follows `NOT RUN:`, ` -- `, and why it may be; `#` begins a comment.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

MARK = "NOT RUN: "
_UNTOLD = "nobody says how to get it"


class Missing(NamedTuple):
    """One test, or one file that could not be gathered."""

    test: str
    reason: str


class NotRun:
    """Gathers what did not run, in the process that reports."""

    def __init__(self) -> None:
        self.missing: list[Missing] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        expected = getattr(report, "wasxfail", None)
        if expected is not None:
            self.missing.append(Missing(report.nodeid, f"expected to fail: {expected or 'nobody says why'}: mend it"))
        elif report.skipped:
            self.missing.append(Missing(report.nodeid, _reason(report)))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.missing.append(Missing(report.nodeid, _reason(report)))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """After the last word of every other: the list ends the output."""
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            for line in listed(self.missing):
                terminal.write_line(line)


def pytest_configure(config: pytest.Config) -> None:
    """Gather where reports arrive: not in the workers, which send theirs."""
    if not hasattr(config, "workerinput") and not config.pluginmanager.has_plugin("not-run"):
        config.pluginmanager.register(NotRun(), "not-run")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    told = " ".join(told.split()).removeprefix("Skipped: ")
    return told if ": " in told else f"{told}: {_UNTOLD}"


def listed(missing: Iterable[Missing]) -> list[str]:
    """Return the lines, tests with one reason in one: a test by its name, several by what their names share."""
    groups: dict[str, list[str]] = defaultdict(list)
    for each in missing:
        groups[each.reason].append(each.test)
    return sorted(f"{MARK}{_group(tests)}: {reason}" for reason, tests in groups.items())


def _group(tests: list[str]) -> str:
    if len(tests) == 1:
        return tests[0]
    files = sorted({test.partition("::")[0] for test in tests})
    return f"{files[0] if len(files) == 1 else os.path.commonpath(files) or 'tests'} ({len(tests)} tests)"


class Allowed(NamedTuple):
    """One line of the list of what may be missing."""

    pattern: str
    reason: str


def allowed(text: str) -> list[Allowed]:
    """
    Read the list.

    Raises:
        ValueError: a line has no reason.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pattern, _, reason = (part.strip() for part in line.partition(" -- "))
        if not pattern or not reason:
            raise ValueError(f"line {number}: a pattern, ' -- ' and a reason: {line}")
        found.append(Allowed(pattern, reason))
    return found


def unnamed(output: Iterable[str], allowances: Iterable[Allowed]) -> list[str]:
    """Return the lines of an output that tell of tests which did not run, and that no allowance names."""
    patterns = [each.pattern for each in allowances]
    told = [line.rstrip()[len(MARK) :] for line in output if line.startswith(MARK)]
    return [line for line in told if not any(fnmatchcase(line, pattern) for pattern in patterns)]


def main(arguments: list[str]) -> int:
    """Check an output on standard input against a list; return the exit status."""
    found = unnamed(sys.stdin, allowed(Path(arguments[0]).read_text(encoding="utf-8")))
    for line in found:
        print(f"not run, and not named in {arguments[0]}: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

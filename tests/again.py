"""
A scene that did not come about is set again; a broken promise never is.

Tests that start servers and processes, or kill them, depend on when the machine lets whom run: a point is not reached in time,
a server is slow. Such a test is run again, at most twice, unless it raised `tests.harness.breach.Breach` or draws its cases
(hypothesis): what a draw found is there. Nothing of it is silent: every such failure is listed at the end of the run.

    RAN AGAIN: <test>: <what had failed>
"""

from pathlib import Path
from typing import Final

import pytest

MARK: Final = "RAN AGAIN: "
#: How often after the first time.
RERUNS: Final = 2
_PAUSE_SECONDS: Final = 2.0

_HERE: Final = Path(__file__).resolve().parent
#: Folders whose tests need servers or processes, whatever their marks.
_FOLDERS: Final = ("contract/queue", "contract/store", "door", "faults", "unit/harness", "unit/store/postgres", "unit/wiring")
_MARKS: Final = ("faults", "door")
#: Compared with "TypeName: text".
_NEVER: Final = [r"^Breach\b", r"^(Flaky|FlakyFailure)\b"]


def needs_luck(item: pytest.Item) -> bool:
    """Tell whether a test's scene depends on when the machine lets whom run."""
    if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
        return False
    folder = item.path.parent.relative_to(_HERE).as_posix() if item.path.is_relative_to(_HERE) else ""
    return any(map(item.get_closest_marker, _MARKS)) or any(f"{folder}/".startswith(f"{each}/") for each in _FOLDERS)


class Again:
    """Lists what was run again, in the process that reports."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if str(report.outcome) == "rerun":
            crash = getattr(report.longrepr, "reprcrash", None)
            said = " ".join((crash.message if crash is not None else str(report.longrepr)).split())
            self.told.append(f"{MARK}{report.nodeid}: {said[:300]}")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """After the last word of every other."""
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            for line in sorted(self.told):
                terminal.write_line(line)


def pytest_configure(config: pytest.Config) -> None:
    """Gather where reports arrive: not in the workers, which send theirs."""
    if not hasattr(config, "workerinput") and not config.pluginmanager.has_plugin("ran-again"):
        config.pluginmanager.register(Again(), "ran-again")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow another try to those that need luck."""
    for item in items:
        if needs_luck(item) and item.get_closest_marker("flaky") is None:
            item.add_marker(pytest.mark.flaky(reruns=RERUNS, reruns_delay=_PAUSE_SECONDS, rerun_except=_NEVER))

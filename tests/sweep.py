"""
S10, the last look of a run: no log that a gateway of any test left names a patient.

At the end every `gateway*.log` below the run's temporary folder is read for what only a patient has: a matricule whose key is
right, and the names that all invented patients of the samples share. What is found fails the run:

    LEFT IN A LOG: <file>:<line>: <what>

The searches for planted texts in files of every kind are tests of their own: `tests/faults/test_canaries.py`,
`tests/security/test_http.py`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

MARK: Final = "LEFT IN A LOG: "
_MATRICULE: Final = re.compile(rb"(?<![0-9A-Za-z])([12]\d{4}(?:\d{2}|2[AB])\d{6})(\d{2})(?![0-9A-Za-z])")
#: Family names of the samples and what is written of their documents.
_NAMES: Final = re.compile(rb"ESSAI-[A-Z]+|Allee des Ormes|All\xc3\xa9e des Ormes")
_MOST_TOLD: Final = 10


def left(line: bytes) -> str | None:
    """Return what of a patient stands in a line of a log, as a word that does not repeat it; None: nothing."""
    for found in _MATRICULE.finditer(line):
        number = found.group(1).replace(b"2A", b"19").replace(b"2B", b"18")
        if int(found.group(2)) == 97 - int(number) % 97:
            return "a matricule"
    return "a name" if _NAMES.search(line) else None


def swept(folder: Path) -> Iterator[str]:
    """Yield each line of a log that names a patient: file, number, and what."""
    for path in sorted(folder.rglob("gateway*.log")):
        if path.is_file():
            for number, line in enumerate(path.read_bytes().splitlines(), 1):
                if (what := left(line)) is not None:
                    yield f"{path}:{number}: {what}"


class Sweep:
    """Looks once, where the run ends: not in the workers, whose folders lie below that of the whole."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.told: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        factory = getattr(self._config, "_tmp_path_factory", None)
        folder = getattr(factory, "_basetemp", None)
        if folder is not None and folder.is_dir():
            self.told = list(swept(folder))
        if self.told and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.told[:_MOST_TOLD]:
            terminalreporter.write_line(f"{MARK}{line}")


def pytest_configure(config: pytest.Config) -> None:
    """Look at the end, in the process that reports."""
    if not hasattr(config, "workerinput") and not config.pluginmanager.has_plugin("sweep"):
        config.pluginmanager.register(Sweep(config), "sweep")

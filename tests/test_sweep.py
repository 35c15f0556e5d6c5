"""The last look of a run finds a log that names a patient, and fails the run."""

from pathlib import Path

import pytest

from tests import sweep

INS = "28410352381" + "1464"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f'{{"event": "x", "patient": "{INS}"}}', "a matricule"),
        (f"INS {INS}.", "a matricule"),
        (f"INS {INS[:-1]}5.", None),
        (f"number 9{INS}", None),
        ("family ESSAI-" + "UN", "a name"),
        ('{"timestamp": "2026-11-21T21:49:09.485+00:00", "receipt": "01KAJX9M3V8Q2R5T7W1Y4Z-ris-9K2F7Q1X"}', None),
    ],
)
def test_a_line_that_names_a_patient(line: str, what: str | None) -> None:
    assert sweep.left(line.encode()) == what


def test_a_run_that_leaves_one_fails(tmp_path: Path) -> None:
    (tmp_path / "popen-gw0" / "run").mkdir(parents=True)
    log = tmp_path / "popen-gw0" / "run" / "gateway.log"
    log.write_text("nothing\n", encoding="utf-8")
    assert finished(tmp_path) == (0, [])
    log.write_text(f"nothing\n{INS}\n", encoding="utf-8")
    assert finished(tmp_path) == (1, [f"{log}:2: a matricule"])
    # Or the run of this test would fail as well.
    log.unlink()


def finished(folder: Path) -> tuple[int, list[str]]:
    class Factory:
        _basetemp = folder

    class Config:
        _tmp_path_factory = Factory()

    class Session:
        exitstatus = 0

    looked, session = sweep.Sweep(Config()), Session()
    looked.pytest_sessionfinish(session)
    return int(session.exitstatus), looked.told

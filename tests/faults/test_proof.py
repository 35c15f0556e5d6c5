"""The proof's own promises: it stops, goes on where it was, fails loudly, and says how to repeat it."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness.judge import Judgement
from tests.harness.ledger import read
from tests.proof import __main__ as proof
from tests.proof.line import Run
from tests.proof.lines import LINES

pytestmark = [pytest.mark.faults]

Ran = list[tuple[int, int]]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, int], Ran]:
    """Put a line in the place of all others whose runs do nothing but are noted: (number, seed)."""

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def put(broken: str = "", messages: int = 1_000) -> Ran:
        runs: Ran = []

        def run(_: Path, seed: int, number: int, __: float) -> Run:
            runs.append((number, seed))
            found = Judgement(sends=messages)
            if broken and number == 1:
                found.violations["lost"].append(broken)
            return Run(judgement=found, faults=1, kills=1)

        line = replace(LINES[0], run=run, least_seconds=0.0)
        monkeypatch.setattr(proof, "LINES", (line,))
        return runs

    return put


def run_proof(tmp_path: Path, *more: str, minutes: float = 0.001) -> int:
    return proof.main(["--minutes", str(minutes), "--seed", "5", "--ledger", str(tmp_path), *more])


def test_it_goes_on_where_it_was(ran: Callable[..., Ran], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = ran()
    assert run_proof(tmp_path) == 0
    first = len(runs)
    assert run_proof(tmp_path) == 0
    assert [number for number, _ in runs] == list(range(len(runs)))
    assert len({seed for _, seed in runs}) == len(runs) > first > 0
    out = capsys.readouterr().out
    assert "seed 5" in out
    assert f"resumed: {first} runs" in out
    assert f"{len(runs)}/{LINES[0].night} kills" in out
    told = "attempt 0 acknowledged 0 lost 0 unexpected 0 duplicated 0 inverted 0 against 0"
    assert f"{told} ({len(runs)} runs, {len(runs)} faults)" in out


def test_a_broken_promise_is_told_with_its_replay(
    ran: Callable[..., Ran], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = ran("a document is gone")
    assert run_proof(tmp_path) == 1
    err = capsys.readouterr().err
    assert "a document is gone" in err
    assert "make proof ONLY=F1 SEED=5" in err
    seed = dict(runs)[1]
    assert len({number for number, _ in runs}) == len(runs), "the failed run was repeated in the same sitting"
    runs.clear()
    assert run_proof(tmp_path, "--only", "F1", "--number", "1") == 1
    assert runs == [(1, seed)]


def test_a_failed_run_is_repeated_first(ran: Callable[..., Ran], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran("a document is gone")
    run_proof(tmp_path, "--number", "1")
    assert "lost 1 unexpected 0" in capsys.readouterr().out.splitlines()[-1]
    runs = ran()
    assert run_proof(tmp_path) == 0
    out = capsys.readouterr().out
    assert "lost 0 unexpected 0" in out and ", 1 failed" not in out
    assert [number for number, _ in runs[:2]] == [0, 1]
    assert [line["failure"] for line in read(tmp_path / "seed-5.jsonl") if line["number"] == 1][-1] == ""


def test_too_little_does_not_count(ran: Callable[..., Ran], tmp_path: Path) -> None:
    ran(messages=0)
    assert run_proof(tmp_path) == 2


def test_a_ledger_that_was_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b'{"a":1}\n{"a":2}\n{"a":')
    assert [line["a"] for line in read(tmp_path / "x")] == [1, 2]


def test_the_lines_stand_for_every_campaign() -> None:
    assert {line.name for line in LINES} >= {"F1", "F2", "F6", "F7", "F8", "F17", "F19", "FUZZ", "SIM"}
    assert len({line.name for line in LINES}) == len(LINES)
    assert all(line.least_seconds > 0 and line.share > 0 for line in LINES)

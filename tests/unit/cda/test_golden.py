"""Golden documents: what is read out of each, and what is said about it. `UPDATE_GOLDEN=1` writes what is found, for review."""

import difflib
import os
from pathlib import Path

import msgspec
import pytest

from gateway.mappers.cda.read import read
from gateway.model.problem import Problem, Unreadable

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "cda"
CASES = sorted(path.name for path in FOLDER.iterdir())


def found(document: bytes) -> tuple[str, str]:
    """The reading as JSON (empty if there is none), and one line a problem."""
    try:
        reading = read(document)
    except Unreadable as refused:
        return "", lines(refused.problems)
    value = {
        "entry": reading.entry,
        "patients": reading.patients,
        "content": None if reading.content is None else len(reading.content),
    }
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
    return text, lines(reading.problems)


def lines(problems: tuple[Problem, ...]) -> str:
    return "".join(f"{p.severity.value} {p.code} {p.place} line {p.place.line}: {p.detail}\n" for p in problems if p.place)


def compare(path: Path, text: str) -> None:
    if os.environ.get("UPDATE_GOLDEN") == "1" and "CI" not in os.environ:
        path.write_text(text, encoding="utf-8")
    wanted = path.read_text(encoding="utf-8")
    diff = difflib.unified_diff(wanted.splitlines(), text.splitlines(), str(path), "found", lineterm="")
    assert text == wanted, "\n".join(diff)


@pytest.mark.parametrize("case", CASES)
def test_the_reading_is_the_golden_one(case: str) -> None:
    expected, problems = found((FOLDER / case / "in.xml").read_bytes())
    compare(FOLDER / case / "expected.json", expected)
    compare(FOLDER / case / "problems.txt", problems)


@pytest.mark.parametrize("case", CASES)
def test_a_case_says_why_it_exists(case: str) -> None:
    assert len((FOLDER / case / "why.txt").read_text(encoding="utf-8").splitlines()) == 1


def test_there_are_readings_and_refusals() -> None:
    kinds = {bool((FOLDER / case / "expected.json").read_text(encoding="utf-8")) for case in CASES}
    assert kinds == {True, False}

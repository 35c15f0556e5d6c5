"""Golden messages: what is read out of each, and what is said about it. `UPDATE_GOLDEN=1` writes what is found, for review."""

import difflib
import hashlib
import os
from pathlib import Path

import msgspec
import pytest

from gateway.mappers.common.carrier import restore
from gateway.model.event import PatientEvent
from gateway.model.outcome import Rejection
from gateway.model.submission import Submission
from tests.strategies.messages import read_message

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "hl7v2"
CASES = sorted(path.name for path in FOLDER.iterdir())


def without_cda_places(content: Submission | PatientEvent | Rejection) -> Submission | PatientEvent | Rejection:
    """The places inside a document are the business of the golden documents."""
    if not isinstance(content, Submission):
        return content
    replace = msgspec.structs.replace
    documents = tuple(
        replace(
            document,
            entry=replace(document.entry, places={}),
            patients=tuple(
                replace(known, places={}, identifiers=tuple(replace(one, place=None) for one in known.identifiers))
                for known in document.patients
            ),
        )
        for document in content.documents
    )
    return replace(content, documents=documents)


def found(payload: bytes) -> tuple[str, str]:
    """The reading as JSON, and one line a problem."""
    reading = read_message(payload)
    value = {
        "answer": reading.answer,
        "kind": type(reading.content).__name__,
        "content": without_cda_places(reading.content),
        "parts": [{"bytes": len(part), "sha256": hashlib.sha256(part).hexdigest()} for part in reading.parts],
    }
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
    lines = (f"{p.severity.err4} {p.code} {p.place}{f': {p.detail}' if p.detail else ''}\n" for p in reading.problems)
    return text, "".join(lines)


def compare(path: Path, text: str) -> None:
    if os.environ.get("UPDATE_GOLDEN") == "1" and "CI" not in os.environ:
        path.write_text(text, encoding="utf-8")
    wanted = path.read_text(encoding="utf-8")
    diff = difflib.unified_diff(wanted.splitlines(), text.splitlines(), str(path), "found", lineterm="")
    assert text == wanted, "\n".join(diff)


@pytest.mark.parametrize("case", CASES)
def test_the_reading_is_the_golden_one(case: str) -> None:
    expected, problems = found((FOLDER / case / "in.er7").read_bytes())
    compare(FOLDER / case / "expected.json", expected)
    compare(FOLDER / case / "problems.txt", problems)


@pytest.mark.parametrize("case", CASES)
def test_every_place_is_a_span_of_the_message(case: str) -> None:
    payload = (FOLDER / case / "in.er7").read_bytes()
    reading = read_message(payload)
    places = [problem.place for problem in reading.problems]
    if isinstance(reading.content, Submission):
        places += [*reading.content.places.values(), *reading.content.patient.places.values()]
        assert restore(reading.parts, reading.content.carriers) == payload
    for place in places:
        assert place is not None
        outer = place.outermost
        assert outer.erl
        if outer.start is not None:
            assert outer.end is not None
            assert 0 <= outer.start <= outer.end <= len(payload)


@pytest.mark.parametrize("case", CASES)
def test_a_case_says_why_it_exists(case: str) -> None:
    assert len((FOLDER / case / "why.txt").read_text(encoding="utf-8").splitlines()) == 1


def test_there_is_a_case_of_each_kind() -> None:
    readings = [read_message((FOLDER / case / "in.er7").read_bytes()) for case in CASES]
    assert {type(one.content).__name__ for one in readings} == {
        "Submission", "PatientEvent", "IdentifierChange", "FileMerge", "Rejection"
    }  # fmt: skip
    assert {one.answer.value for one in readings} == {"AA", "AE", "AR"}

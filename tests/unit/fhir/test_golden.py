"""Golden deposits: what is read out of each sample. `UPDATE_GOLDEN=1` writes what is found, for review."""

import difflib
import hashlib
import os
from pathlib import Path

import msgspec
import pytest

from gateway.model.submission import Submission
from tests.strategies.resources import MASKED, REPLACEMENT, SIMPLE, TD2, TWO, Body, read

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "fhir"
SAMPLES = [TD2, TWO, REPLACEMENT, MASKED, SIMPLE]


def found(sample: str) -> str:
    reading = read(Body(sample))
    content = reading.content
    if isinstance(content, Submission):
        replace = msgspec.structs.replace
        # What the CDA says of itself, and where, is the business of the golden documents.
        content = replace(
            content,
            documents=tuple(
                replace(
                    one,
                    entry=replace(one.entry, places={k: p for k, p in one.entry.places.items() if p.within is None}),
                    patients=(),
                )
                for one in content.documents
            ),
        )
    value = {
        "kind": type(content).__name__,
        "content": content,
        "parts": [{"bytes": len(part), "sha256": hashlib.sha256(part).hexdigest()} for part in reading.parts],
    }
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_reading_is_the_golden_one(sample: str) -> None:
    path, text = FOLDER / f"{sample}.json", found(sample)
    if os.environ.get("UPDATE_GOLDEN") == "1" and "CI" not in os.environ:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    wanted = path.read_text(encoding="utf-8")
    diff = difflib.unified_diff(wanted.splitlines(), text.splitlines(), str(path), "found", lineterm="")
    assert text == wanted, "\n".join(diff)


def test_there_is_nothing_else() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == SAMPLES

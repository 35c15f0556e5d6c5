"""README.md and expected.json: every sample, what it shows, what the gateway answers."""

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from recipe.cda import Document
from recipe.er7 import Sample
from recipe.fhir import FhirSample
from recipe.people import PATIENTS

_HEAD: Final = (Path(__file__).parent / "guide.md").read_text(encoding="utf-8")
_TITLES: Final = {
    "mdm": "`mdm/`: documents by MDM",
    "oru": "`oru/`: documents by ORU",
    "adt": "`adt/`: oppositions and identity",
    "bad": "`bad/`: refused at the door, one fault each",
}


def readme(samples: Sequence[Sample], documents: Sequence[Document], resources: Sequence[FhirSample]) -> bytes:
    """
    Write README.md.

    Args:
        samples: Every message.
        documents: Every document in clear.
        resources: Every FHIR resource.

    Returns:
        Markdown in UTF-8.
    """
    parts = [_HEAD.rstrip("\n"), "", "## Patients", "", *_patients()]
    for kind, group in groupby(samples, key=lambda sample: sample.file.split("/")[0]):
        parts += ["", f"## {_TITLES[kind]}", "", "| File | Situation | Answer | What becomes of it |"]
        parts += ["|---|---|---|---|"]
        parts += [f"| [{s.file}]({s.file}) | {s.situation} | {_answer(s)} | {s.verdict}: {s.becomes} |" for s in group]
    parts += ["", "## `fhir/`: deposits by FHIR (PDSm), the same documents through another door", ""]
    parts += ["| File | Posted to | Situation | What becomes of it |", "|---|---|---|---|"]
    parts += [f"| [{r.file}]({r.file}) | `{r.path}` | {r.situation} | {r.becomes} |" for r in resources]
    parts += ["", "## `cda/`: the documents in clear", "", "| File | Kind | Id | Version | Patient |"]
    parts += ["|---|---|---|---|---|"]
    parts += [f"| [{d.file}]({d.file}) | {d.kind}, {d.type[0]} | {d.id} | {d.version} | {d.patient.family} |" for d in documents]
    return ("\n".join(parts) + "\n").encode()


def expected(samples: Sequence[Sample]) -> bytes:
    """
    Write expected.json, which the tests walk.

    Args:
        samples: Every message.

    Returns:
        A list of objects: file, answer (MSA-1), verdict, and code, place (ERR-2), severity (ERR-4) where there is a
        problem, else null.
    """
    rows = [
        {
            "file": s.file,
            "answer": s.answer,
            "verdict": s.verdict,
            "code": s.code or None,
            "place": s.place or None,
            "severity": s.severity if s.code else None,
        }
        for s in samples
    ]
    return (json.dumps(rows, indent=2) + "\n").encode()


def _patients() -> list[str]:
    rows = ["| Name | INS (test) | Born | IPP at the CHU | at the clinic |", "|---|---|---|---|---|"]
    return rows + [
        f"| {p.family} {p.given} | {p.ins} | {p.born}, {p.birthplace[0]} "
        f"| {p.local['chu-valmont']} | {p.local['clinique-aubier']} |"
        for p in PATIENTS
    ]


def _answer(sample: Sample) -> str:
    if not sample.code:
        return sample.answer
    if sample.code == "EVENT_UNKNOWN":
        return f"{sample.answer} ({sample.code})"
    where = f" at {sample.place}" if sample.place else ""
    severity = "" if sample.severity == "E" else f", ERR-4 `{sample.severity}`"
    return f"{sample.answer}, {sample.code}{where}{severity}"

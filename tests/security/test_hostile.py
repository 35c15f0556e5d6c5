"""
S2: named hostile inputs at every reader. Each is refused by its own code with its place, within a second of the processor and a
bounded amount of memory, and nothing that it names is opened or connected to.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gateway.model.problems import CODES
from tests.harness.breach import Breach
from tests.security.hostile.doors import DOORS, HARMLESS, cases

pytestmark = [pytest.mark.faults]

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 1.0
#: Beside four times the input: what the allocator takes at once, and what many small pieces weigh before their limit is met:
#: 20 000 segments, a hundred thousand objects or attributes.
FLOOR_KB = {"frame": 2048, "er7": 12 * 1024, "cda": 16 * 1024, "json": 64 * 1024, "fhir": 16 * 1024}
#: Problems that are of the whole payload: there is no place to name.
PLACELESS = {"MSH_ABSENT"}


def measured(door: str) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.security.hostile.measure", door]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=100, stdin=subprocess.DEVNULL).stdout
    rows = [json.loads(line) for line in told.splitlines()]
    return {row["name"]: row for row in rows}


def test_there_are_enough_and_no_name_stands_twice() -> None:
    names = Counter((case.door, case.name) for case in cases())
    assert sum(names.values()) >= 600
    assert max(names.values()) == 1
    assert {door for door, _ in names} == set(DOORS) == set(FLOOR_KB)
    faults = {"lost", "truncated", "too_large"}
    assert {code for case in cases() for code in case.codes} <= CODES.keys() | faults


@pytest.mark.parametrize("door", DOORS)
def test_every_hostile_input_is_refused_with_its_place_soon_and_fetches_nothing(door: str) -> None:
    rows, wrong = measured(door), []
    for case in cases():
        if case.door == door:
            wrong += refused(rows[case.name], case.codes)
    for row in rows.values():
        wrong += cheap(row, FLOOR_KB[door])
    for number in range(len(HARMLESS[door])):
        wrong += [f"harmless {number} was refused: {rows[f'harmless {number}']}"] if rows[f"harmless {number}"]["codes"] else []
    if wrong:
        raise Breach("\n".join(wrong))


def refused(row: dict[str, Any], codes: frozenset[str]) -> list[str]:
    """By one of these codes, and by no other; each with a place."""
    said, wrong = set(row["codes"]), []
    if row["failure"] or not said or not said <= codes:
        wrong.append(f"{row['name']}: {row['failure'] or sorted(said) or 'ACCEPTED'}, not {sorted(codes)}")
    places = zip(row["codes"], row["places"], strict=True)
    return wrong + [f"{row['name']}: {code} without a place" for code, place in places if not place and code not in PLACELESS]


def cheap(row: dict[str, Any], floor_kb: int) -> list[str]:
    """Soon, in a bounded amount of memory, and nothing opened."""
    wrong = [f"{row['name']}: opened {row['opened']}"] if row["opened"] else []
    if row["seconds"] > SECONDS:
        wrong.append(f"{row['name']}: {row['seconds']} s")
    if row["kb"] > 4 * row["size"] / 1024 + floor_kb:
        wrong.append(f"{row['name']}: {row['kb']} kB for {row['size']} bytes")
    return wrong


def test_the_judge_sees_what_is_wrong() -> None:
    good = {
        "name": "x",
        "size": 10,
        "seconds": 0.1,
        "kb": 1,
        "failure": "",
        "opened": [],
        "codes": ["INS_KEY"],
        "places": ["PID-3"],
    }
    assert refused(good, frozenset({"INS_KEY"})) == cheap(good, 1) + cheap({**good, "kb": 10}, 10) == []
    for changed in ({"codes": [], "places": []}, {"codes": ["INTERNAL"]}, {"failure": "KeyError"}, {"places": [""]}):
        assert refused({**good, **changed}, frozenset({"INS_KEY"}))
    for changed in ({"opened": ["socket"]}, {"seconds": 1.5}, {"kb": 11}):
        assert cheap({**good, **changed}, 10)


def test_the_guard_sees_what_is_opened() -> None:
    script = (
        "import sys; from tests.security.hostile import measure\n"
        "measure.SECRET.write_text('x'); guard = measure.Guard(); guard.on = True\n"
        "measure.SECRET.open().close()\n"
        "import socket; socket.socket().close()\n"
        "guard.on = False; measure.SECRET.unlink(); print(guard.opened(), sorted({each.split()[0] for each in guard.seen}))\n"
    )
    told = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, timeout=60).stdout.decode()
    assert told.startswith("True ['open', 'socket.__new__'")

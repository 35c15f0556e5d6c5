"""What fuzzing found once stays found: every kept input is read or refused as its reader promises, and quickly."""

import time
from pathlib import Path

import pytest

from tests.fuzz.readers import NAMES, Readers

FOUND = Path(__file__).parent / "found"
KEPT = sorted(FOUND.glob("*/*.bin"))


@pytest.fixture(scope="module")
def readers() -> Readers:
    return Readers()


def test_what_was_found_is_read_or_refused(readers: Readers) -> None:
    slow = []
    for kept in KEPT:
        before = time.thread_time()
        try:
            readers.all[kept.parent.name].read(kept.read_bytes())
        except Exception as failure:
            failure.add_note(f"{kept.parent.name}/{kept.name}")
            raise
        slow += [kept.name] if time.thread_time() - before > 1 else []
    assert not slow


def test_every_kept_input_belongs_to_a_reader() -> None:
    assert {path.parent.name for path in KEPT} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_samples_are_read_or_refused(name: str, readers: Readers) -> None:
    assert readers.all[name].seeds
    for seed in readers.all[name].seeds:
        readers.all[name].read(seed)


def test_every_reader_is_named(readers: Readers) -> None:
    assert tuple(readers.all) == NAMES

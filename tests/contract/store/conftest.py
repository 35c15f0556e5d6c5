from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.checks import check
from gateway.telemetry import points
from tests.contract.store.backends import BACKENDS, Bench, Sqlite
from tests.contract.store.files import IPP, OTHER
from tests.strategies.records import ALICE, BORIS, adt


@pytest.fixture(params=BACKENDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """
    A store of each kind; whatever a test did, nothing may be stored against an opposition, nor any other invariant be broken.

    On PostgreSQL, where fifteen queries after each test would take a minute in all, the DPO's alone: the others are the same.
    """
    made = BACKENDS[request.param](tmp_path)
    made.planted = False
    yield made
    points.hooks.clear()
    made.store.close()
    against = [] if made.planted else made.against()
    broken = [] if made.planted or not isinstance(made, Sqlite) else look(made)
    made.close()
    assert (against, broken) == ([], [])


def look(bench: Bench) -> list[tuple[str, int, tuple[str, ...]]]:
    """What `db check` would find."""
    with bench.read() as reader:
        return [(found.invariant.name, found.found, found.ids) for found in check(reader, bench.clock.now())]


@pytest.fixture
def opened(bench: Bench) -> Bench:
    """A store with an open record."""
    bench.open()
    return bench


@pytest.fixture
def two(opened: Bench) -> Bench:
    """Two open records: Alice with IPP 100, Boris with IPP 200."""
    opened.open(BORIS)
    opened.event(adt(patient=(ALICE, IPP)))
    opened.event(adt(patient=(BORIS, OTHER)))
    return opened

"""What is parked is listed the same on every store: ids, codes and times, the longest first, never its bytes."""

from typing import Any

import pytest

from gateway.model.event import Position
from tests.contract.store.backends import Bench
from tests.strategies.records import ALICE, BORIS, H2, adt, stated

CANARY = b"CANARIPARQUE" * 40

#: Filter → which of r000002 (Alice), r000003 (Boris), r000004 (another establishment's, half an hour later) it finds.
FILTERS: dict[str, tuple[dict[str, str], list[str]]] = {
    "none": ({}, ["r000002", "r000003", "r000004"]),
    "receipt": ({"receipt": "r000003"}, ["r000003"]),
    "source": ({"source": "ris-h2"}, ["r000004"]),
    "establishment": ({"establishment": H2}, ["r000004"]),
    "patient": ({"patient": BORIS.value}, ["r000003"]),
    "message": ({"message": "r000002"}, ["r000002"]),
    "code": ({"code": "OPPOSED"}, []),
    "since": ({"since": "2026-03-10T08:10"}, ["r000004"]),
    "until": ({"until": "2026-03-10T08:10"}, ["r000002", "r000003"]),
    "two": ({"establishment": H2, "code": "INTERNAL"}, ["r000004"]),
    "no pattern": ({"patient": "%"}, []),
}


@pytest.fixture
def kept(opened: Bench) -> Bench:
    """Three deposits that were parked."""

    def parked(**facts: Any) -> None:
        opened.park(opened.deposit(**facts), CANARY)

    parked(documents=(("1.2.7", b"x"),))
    parked(patient=(BORIS,), documents=(("1.2.8", b"x"),))
    opened.clock.pass_by(minutes=30)
    parked(establishments=(H2,), documents=(("1.2.9", b"x"),))
    return opened


@pytest.mark.parametrize("case", FILTERS)
def test_a_filter_finds_what_it_names(kept: Bench, case: str) -> None:
    filters, expected = FILTERS[case]
    with kept.read() as reader:
        assert [each.id for each in reader.parked(filters, limit=10)] == expected
        assert [each.id for each in reader.parked(filters, limit=1)] == expected[:1]


def test_a_line_tells_since_when_why_and_how_often(kept: Bench) -> None:
    receipt = "r000002"
    with kept.read() as reader:
        (found,) = reader.parked({"receipt": receipt})
    (row,) = kept.rows("parked", receipt=receipt)
    assert (found.parked_at, found.code, found.place) == (row["parked_at"], "INTERNAL", "ValueError at x:1")
    assert (found.patient, found.attempts, found.review) == (ALICE.value, 1, True)
    assert b"CANARI" not in repr(found).encode()


def test_what_is_judged_and_erased_is_listed_no_more(opened: Bench) -> None:
    made = opened.deposit(documents=(("1.2.7", b"x"),))
    opened.park(made, CANARY)
    assert opened.store.review(made) is None
    with opened.read() as reader:
        assert [each.review for each in reader.parked()] == [False]
    opened.event(adt(stated(Position.OPPOSES)))
    with opened.read() as reader:
        assert [each.review for each in reader.parked()] == [True]
    assert opened.store.review(made) is not None
    with opened.read() as reader:
        assert reader.parked() == []

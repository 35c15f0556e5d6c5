"""What an operator reads is the same, whatever the database: lists by every filter, the page of a message, counts."""

import pytest

from gateway.model.event import Position
from gateway.model.verdict import Verdict
from tests.contract.store.backends import Bench
from tests.strategies.records import ALICE, BORIS, H2, adt, stated

#: Filter → which of the messages below it finds, newest first.
FILTERS = {
    "none": ({}, ["r000005", "r000004", "r000003", "r000002", "r000001"]),
    "state": ({"state": "stored"}, ["r000004", "r000002"]),
    "source": ({"source": "ris-h2"}, ["r000004"]),
    "establishment": ({"establishment": H2}, ["r000004"]),
    "patient": ({"patient": BORIS.value}, ["r000005"]),
    "message": ({"message": "r000003"}, ["r000003"]),
    "document": ({"document": "1.2.2"}, ["r000004"]),
    "code": ({"code": "RECORD_ABSENT"}, ["r000005"]),
    "since": ({"since": "2026-03-10T08:10"}, ["r000005", "r000004"]),
    "until": ({"until": "2026-03-10T08:10"}, ["r000003", "r000002", "r000001"]),
    "two": ({"state": "stored", "establishment": H2}, ["r000004"]),
    "nothing": ({"document": "1.2"}, []),
    "no pattern": ({"patient": "%"}, []),
}


@pytest.fixture
def told(opened: Bench) -> Bench:
    """r1 opens, r2 is stored, r3 opposes; later r4 is stored for another establishment, r5 finds no record."""
    opened.send(documents=(("1.2.1", b"x"),))
    opened.event(adt(stated(Position.OPPOSES)))
    opened.clock.pass_by(minutes=30)
    opened.send(documents=(("1.2.2", b"x"), ("1.2.3", b"x")), establishments=(H2,))
    opened.send(documents=(("1.2.4", b"x"),), patient=(BORIS,))
    return opened


@pytest.mark.parametrize("case", FILTERS)
def test_a_filter_finds_what_it_names(told: Bench, case: str) -> None:
    filters, expected = FILTERS[case]
    with told.read() as reader:
        found = reader.deposits(dict(filters), limit=10)
        assert [line.id for line in found] == expected
        assert [line.id for line in reader.deposits(dict(filters), limit=1)] == expected[:1]


def test_a_page_tells_all(told: Bench) -> None:
    with told.read() as reader:
        page = reader.deposit("r000004")
        assert page is not None and page.outcome is not None
        assert (page.deposit.document_ids, page.deposit.patient, page.outcome.verdict) == (
            ("1.2.2", "1.2.3"),
            ALICE.value,
            Verdict.STORED,
        )
        assert [(line.action, line.document, line.verdict) for line in page.trace] == [
            ("document.add", "1.2.2", "stored"),
            ("document.add", "1.2.3", "stored"),
        ]
        assert reader.deposit("nobody") is None
        assert reader.counts() == {"applied": 2, "refused": 1, "stored": 2}

"""What was read out of a document is stored with it, in its order, and goes with it (D-14, R-21)."""

import uuid

import msgspec
import pytest

from gateway.model.document import Entry
from gateway.model.event import Position
from gateway.model.place import Place
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from tests.contract.store.backends import Bench
from tests.strategies.records import adt, stated

THREE = tuple(Entry(kind="laboratory-result", content=f'{{"value":"{n}.10"}}') for n in range(3))


def entries(bench: Bench, unique_id: str) -> list[tuple[int, Entry]]:
    rows = sorted(bench.rows("entry", unique_id=unique_id), key=lambda row: row["n"])
    return [(row["n"], msgspec.json.decode(row["entry"], type=Entry)) for row in rows]


def test_entries_are_stored_in_their_order_with_ids_that_sort_by_time(opened: Bench) -> None:
    opened.send(entries=THREE)
    opened.clock.pass_by(seconds=1)
    opened.send(documents=(("1.2.4", b"<b/>"),), entries=THREE[:1])
    assert entries(opened, "1.2.3") == list(enumerate(THREE, start=1))
    ids = {(row["unique_id"], row["n"]): uuid.UUID(str(row["id"])) for row in opened.tables()["entry"]}
    assert {known.version for known in ids.values()} == {7}
    assert len(set(ids.values())) == 4
    assert ids["1.2.4", 1] == max(ids.values())
    assert {row["mapper_version"] for row in opened.tables()["entry"]} == {1}


def test_a_place_travels_with_its_entry(opened: Bench) -> None:
    placed = msgspec.structs.replace(THREE[0], place=Place(path="/ClinicalDocument/component", start=3, end=9))
    opened.send(entries=(placed,))
    assert entries(opened, "1.2.3") == [(1, placed)]


def test_a_refused_deposit_leaves_no_entry(opened: Bench) -> None:
    opened.event(adt(stated(Position.OPPOSES, None)))
    assert opened.send(entries=THREE).verdict is Verdict.REFUSED
    assert opened.tables()["entry"] == []


def test_a_duplicate_adds_none_and_a_replaced_document_keeps_its_own(opened: Bench) -> None:
    opened.send(entries=THREE)
    assert opened.send(entries=THREE).verdict is Verdict.DUPLICATE
    opened.send(documents=(("1.2.4", b"<b/>"),), act=Act.REPLACE, replaces=("1.2.3",), entries=THREE[:2])
    assert [number for number, _ in entries(opened, "1.2.3")] == [1, 2, 3]
    assert [number for number, _ in entries(opened, "1.2.4")] == [1, 2]
    assert opened.states() == {"1.2.3": "replaced", "1.2.4": "current"}


@pytest.mark.parametrize("together", [False, True])
def test_a_deleted_document_loses_its_entries(opened: Bench, together: bool) -> None:
    added = opened.deposit(entries=THREE)
    removed = opened.deposit(act=Act.DELETE)
    other = opened.deposit(documents=(("1.2.4", b"<b/>"),), entries=THREE)
    if together:
        opened.apply(added, removed, other)
    else:
        for each in (added, removed, other):
            opened.apply(each)
    assert opened.states() == {"1.2.3": "deleted", "1.2.4": "current"}
    assert entries(opened, "1.2.3") == []
    assert len(entries(opened, "1.2.4")) == 3


def test_what_comes_deleted_by_an_earlier_deletion_brings_no_entries(opened: Bench) -> None:
    opened.send(act=Act.DELETE)
    opened.send(entries=THREE)
    assert opened.states() == {"1.2.3": "deleted"}
    assert opened.tables()["entry"] == []

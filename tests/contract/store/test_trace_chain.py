"""Each line of a patient's trace is chained to the one before, in the transaction that it tells of (R-35)."""

import threading

import pytest

from gateway.model.event import Position
from gateway.model.submission import Act, Flags
from gateway.model.verdict import Verdict
from gateway.store import chain
from gateway.store.chain import Break, TraceOf
from tests.contract.store.backends import Bench
from tests.strategies.records import ALICE, BORIS, H1, adt, local, stated

IPP = local(H1, "1")


def trace(bench: Bench, patient: int) -> TraceOf:
    with bench.read() as reader:
        found = reader.trace_of(patient)
    assert found is not None
    return found


def whole(bench: Bench) -> list[int]:
    """How many lines each patient has; every chain holds."""
    with bench.read() as reader:
        found = list(reader.traces())
    assert [fault for each in found for fault in chain.verify(each)] == []
    assert sum(each.head.length for each in found) == len([row for row in bench.rows("trace") if row["patient"] is not None])
    return [each.head.length for each in found]


def test_lines_of_a_batch_follow_each_other(opened: Bench) -> None:
    opened.open(BORIS)
    opened.apply(
        *(
            opened.deposit(documents=((f"1.2.{n}", b"x"), (f"1.3.{n}", b"y")), patient=(ALICE, BORIS)[n % 2 :][:1])
            for n in range(5)
        )
    )
    opened.send(documents=(("1.2.0", b"x"),))
    # The opening; two lines for each of three and of two deposits; the duplicate.
    assert whole(opened) == [1 + 6 + 1, 1 + 4]
    lines = trace(opened, 1).lines
    assert [line.n for line in lines] == list(range(1, 9))
    assert [line.row.document for line in lines[1:]] == ["1.2.0", "1.3.0", "1.2.2", "1.3.2", "1.2.4", "1.3.4", "1.2.0"]
    (row,) = opened.rows("patient", id=1)
    assert (row["trace_length"], row["trace_head"]) == (8, lines[-1].hash)


def test_events_and_links_are_chained_too(bench: Bench) -> None:
    bench.event(adt(stated(Position.OPPOSES), patient=(IPP,), links=False))
    bench.open()
    bench.event(adt(patient=(ALICE, IPP)))
    bench.send()
    bench.close_record()
    assert sum(whole(bench)) == 5


def test_what_was_refused_and_withheld_is_chained(opened: Bench) -> None:
    opened.send()
    opened.event(adt(stated(Position.OPPOSES, at="20260310")))
    assert opened.send(documents=(("1.2.9", b"z"),)).codes == ("OPPOSED",)
    actions = [line.row.action for line in trace(opened, 1).lines]
    assert actions == ["record.opened", "document.add", "document.withheld", "statement.stated", "document.add"]
    assert whole(opened) == [5]


def test_a_line_of_nobody_is_in_no_chain(opened: Bench) -> None:
    opened.send(patient=(BORIS,))
    opened.park(opened.deposit())
    nobody = opened.rows("trace", patient=None)
    assert [(row["action"], row["n"], row["hash"]) for row in nobody] == [
        ("document.add", None, None),
        ("deposit.parked", None, None),
    ]
    assert whole(opened) == [1]


def test_a_rolled_back_transaction_leaves_the_chain_as_it_was(opened: Bench) -> None:
    opened.send()
    again = opened.deposit(documents=(("1.2.8", b"x"),))
    with pytest.raises(Exception):  # noqa: B017, PT011 - of each backend its own
        opened.apply(opened.deposit(documents=(("1.2.9", b"x"),)), opened.deposit(documents=(("1.2.\0", b"x"),), version=1 << 70))
    assert whole(opened) == [2]
    opened.apply(again)
    assert whole(opened) == [3]


def test_many_writers_of_one_patient_make_one_chain(opened: Bench) -> None:
    made = [opened.deposit(documents=((f"1.2.{n}", b"x"),)) for n in range(24)]
    threads = [threading.Thread(target=lambda part=made[n::4]: [opened.apply(each) for each in part]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert whole(opened) == [25]


TAMPERED = {
    "changed": ("UPDATE trace SET actor = 'ris-h2' WHERE n = 2", [(2, Break.CHANGED)]),
    "removed": ("DELETE FROM trace WHERE n = 2", [(2, Break.MISSING)]),
    "last removed": ("DELETE FROM trace WHERE n = 3", [(3, Break.MISSING)]),
    "put in": (
        "INSERT INTO trace (at, actor, action, receipt, patient, n, hash) VALUES ('', '', '', '', 1, 4, '')",
        [(4, Break.CHANGED), (4, Break.ADDED)],
    ),
    "put in without a place": (
        "INSERT INTO trace (at, actor, action, receipt, patient) VALUES ('', '', '', '', 1)",
        [(0, Break.ADDED)],
    ),
    "exchanged": ("UPDATE trace SET n = 5 - n WHERE n IN (2, 3)", [(2, Break.CHANGED), (3, Break.CHANGED), (3, Break.CHANGED)]),
    "head": ("UPDATE patient SET trace_head = '' WHERE id = 1", [(3, Break.CHANGED)]),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_whatever_is_done_behind_its_back_is_found(opened: Bench, how: str) -> None:
    opened.send(documents=(("1.2.1", b"x"),))
    opened.send(documents=(("1.2.2", b"x"),))
    text, expected = TAMPERED[how]
    opened.planted = True
    opened.execute(text)
    assert [(fault.n, fault.what) for fault in chain.verify(trace(opened, 1))] == expected


def test_an_unknown_patient_has_no_trace(opened: Bench) -> None:
    with opened.read() as reader:
        assert reader.trace_of(99) is None


#: What is asked of the store and changes nothing: the line that tells of it.
UNAPPLIED = {
    "opened already": (lambda bench: bench.open(), ("event.opening", 1, "unchanged", "R-01")),
    "closed already": (lambda bench: (bench.close_record(), bench.close_record())[1], ("event.closing", 1, "unchanged", "R-08")),
    "no record to close": (lambda bench: bench.close_record(BORIS), ("event.closing", None, "refused", "R-08")),
    "opened under two names": (
        lambda bench: (bench.open(BORIS), bench.open(ALICE, BORIS))[1],
        ("event.opening", 2, "refused", "D-1"),
    ),
    "the same event again": (
        lambda bench: [bench.event(adt(), message_id="m", digest="d") for _ in range(2)][1],
        ("event.patient", 1, "duplicate", "D-6"),
    ),
}


@pytest.mark.parametrize("what", UNAPPLIED)
def test_what_was_asked_for_and_changed_nothing_is_traced(opened: Bench, what: str) -> None:
    ask, expected = UNAPPLIED[what]
    outcome = ask(opened)
    line = opened.rows("trace", receipt=outcome.receipt)[-1]
    assert (line["action"], line["patient"], line["verdict"], line["rule"]) == expected
    assert outcome.verdict is not Verdict.APPLIED
    whole(opened)


def test_every_decision_has_its_line(opened: Bench) -> None:
    """Whatever a deposit or an event came to, its receipt leads to a line of the trace."""
    opened.send(flags=Flags(destdmp=True))
    opened.send(act=Act.DELETE)
    opened.send(patient=(BORIS,))
    opened.park(opened.deposit())
    opened.event(adt(stated(Position.OPPOSES)))
    opened.send(documents=(("1.2.7", b"x"),))
    opened.close_record(), opened.close_record(), opened.close_record(BORIS)
    receipts = {row["id"] for row in opened.rows("receipt")}
    assert receipts == {row["receipt"] for row in opened.rows("trace")}

"""What a sender asked to be told is left in the outbox with the decision that it tells of, once."""

import pytest

from gateway.model.event import Position
from gateway.model.submission import Act, Flags
from gateway.model.verdict import Verdict
from tests.contract.store.backends import Bench
from tests.strategies.records import H2, adt, stated

ASKED = Flags(ack_reception=True)
#: What a deposit comes to, and what leads to it.
OUTCOMES = {
    Verdict.STORED: lambda bench: {},
    Verdict.REPLACED: lambda bench: (
        bench.send(set_id="9", version=2, documents=(("1.9", b"q"),)) and {"set_id": "9", "version": 1}
    ),
    Verdict.DELETED: lambda bench: bench.send() and {"act": Act.DELETE},
    Verdict.DUPLICATE: lambda bench: bench.send() and {},
    Verdict.REFUSED: lambda bench: bench.event(adt(stated(Position.OPPOSES))) and {},
}


@pytest.mark.parametrize("verdict", OUTCOMES)
def test_each_outcome_leaves_one_row(opened: Bench, verdict: Verdict) -> None:
    more = OUTCOMES[verdict](opened)
    made = opened.deposit(flags=ASKED, **more)
    (outcome,) = opened.apply(made)
    assert outcome.verdict is verdict
    (row,) = opened.rows("outbox")
    assert (row["receipt"], row["kind"], row["source"]) == (outcome.receipt, "acknowledgement", "ris-h1")
    assert row["created_at"] == row["due_at"] == outcome.committed_at
    assert (row["attempts"], row["leased_until"], row["delivered_at"], row["set_aside_at"]) == (0, None, None, None)
    assert opened.apply(made) == [outcome]
    opened.restart()
    assert opened.apply(made) == [outcome]
    assert opened.rows("outbox") == [row]


def test_nobody_is_told_who_did_not_ask(opened: Bench) -> None:
    opened.send(), opened.send(act=Act.DELETE)
    assert opened.rows("outbox") == []


def test_a_batch_leaves_a_row_each(opened: Bench) -> None:
    made = [opened.deposit(documents=((f"1.2.{n}", b"x"),), flags=ASKED if n % 2 else None) for n in range(6)]
    opened.apply(*made)
    assert {row["receipt"] for row in opened.rows("outbox")} == {each.reception.receipt for each in made[1::2]}


def test_what_is_parked_is_told_of_once_it_is_decided(opened: Bench) -> None:
    made = opened.deposit(flags=ASKED, establishments=(H2,))
    opened.park(made)
    assert opened.rows("outbox") == []
    opened.apply(made)
    (row,) = opened.rows("outbox")
    assert (row["receipt"], row["source"]) == (made.reception.receipt, "ris-h2")


def test_what_is_rolled_back_promises_nothing(opened: Bench) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - of each backend its own
        opened.apply(opened.deposit(flags=ASKED), opened.deposit(documents=(("1.2.9", b"x"),), version=1 << 70))
    assert opened.rows("outbox") == []

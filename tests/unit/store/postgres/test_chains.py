"""Other writers are at work: a chain that grew without the lock of its patient would fork."""

import pytest

from gateway.store.postgres.locking import Unlocked
from gateway.store.postgres.session import Session
from gateway.store.postgres.transaction import PostgresTransaction
from gateway.store.rows import TraceRow
from tests.contract.store.backends import Postgres

LINE = TraceRow(actor="a", action="b", receipt="c", patient=1)


def test_a_line_needs_the_lock_of_its_patient(bench: Postgres) -> None:
    with bench._connected() as connection:
        tx = PostgresTransaction(Session(connection), bench.clock.now())
        with pytest.raises(Unlocked):
            tx.write_trace(LINE)


def test_heads_are_read_with_the_rights_and_written_in_one_statement(bench: Postgres, sent: list[str]) -> None:
    bench.send(documents=(("1.2.1", b"x"), ("1.2.2", b"y")))
    assert sent.count("read_records") == 1
    assert sent.count("update_trace_heads") == 1
    assert sent.count("copy_trace") == 1


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that are sent from now on."""
    from gateway.telemetry import points

    seen: list[str] = []
    monkeypatch.setattr(points, "statement", seen.append)
    return seen

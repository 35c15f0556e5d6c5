"""What waits in a broker is sealed: `deposits list` and `db missing` tell what can be told of it, and never take it for lost."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.model.outcome import Outcome
from gateway.store.sqlite.store import SqliteStore
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory
from tests.harness import rabbitmq
from tests.harness.breach import Breach
from tests.harness.broker_lanes import LANE, Lanes, until

pytestmark = pytest.mark.faults


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Lanes]:
    """Lanes, and a record store in the data directory."""
    node = rabbitmq.shared()
    node.empty()
    made = Lanes(node, tmp_path / "data")
    store(made).close()
    yield made
    made.close()


def store(broker: Lanes) -> SqliteStore:
    return SqliteStore(DataDirectory(broker.data).store, SystemClock())


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_what_waits_is_listed_as_far_as_this_machine_knows_it(broker: Lanes) -> None:
    first, second = broker.acknowledged(1), broker.acknowledged(2)
    told = broker.run("deposits", "list", "--state", "queued", "--json")
    assert told.exit_code == 0
    assert [(line["id"], line["state"], line["message_id"]) for line in lines(told.stdout)] == [
        (made.reception.receipt, "queued", made.reception.message_id) for made in (second, first)
    ]
    assert f"2 ready and 0 handed out ({LANE} 2+0)" in told.stderr
    named = broker.run(
        "deposits", "list", "--state", "queued", "--message", first.reception.message_id, "--source", "ris-valmont"
    )
    assert first.reception.receipt in named.stdout
    assert "nothing tells --patient" in broker.run("deposits", "list", "--state", "queued", "--patient", "1").stderr
    assert "2 more wait in the broker" in broker.run("deposits", "list").stderr
    # Of another machine's doors nothing is known here.
    broker.publish(3)
    assert "another machine's doors" in broker.run("deposits", "list", "--state", "queued").stderr

    shown = broker.run("deposits", "show", first.reception.receipt)
    assert shown.exit_code == 0 and "waits in the queue" in shown.stdout
    assert broker.run("deposits", "show", broker.made(9).reception.receipt).exit_code == 1
    away = broker.run("deposits", "list", "--state", "queued", AMQP_URL="amqp://someone@127.0.0.1:1/%2F")
    assert away.exit_code == 1 and first.reception.receipt in away.stdout and "cannot be told" in away.stderr


def test_an_answered_deposit_that_waits_is_not_missing(broker: Lanes) -> None:
    made, gone = broker.acknowledged(1), broker.acknowledged(2, sent=False)
    told = broker.run("db", "missing", "--json")
    assert told.exit_code == 1
    assert {line["receipt"]: line["may_wait"] for line in lines(told.stdout)} == {
        made.reception.receipt: True, gone.reception.receipt: True,
    }  # fmt: skip
    assert "The lanes hold 1 ready" in told.stderr and "At least 1 of these 2 deposits are lost" in told.stderr
    assert "start a worker" in told.stderr

    # In a worker's hand it waits all the same, though nothing is ready.
    worker = broker.worker()
    until(lambda: broker.status()[LANE]["unacknowledged"] == 1)
    (taken,) = worker.take(10, 1 << 20, 30)
    told = broker.run("db", "missing")
    if told.stdout.count("may wait") != 2:
        raise Breach(told.output)
    assert "0 ready and 1 handed out" in told.stderr

    decided: list[Outcome] = []
    keeping = store(broker)
    decided = keeping.apply([taken.deposit])
    keeping.close()
    worker.settle([(taken, decided[0])])
    until(lambda: broker.status(code=0)[LANE]["unacknowledged"] == 0)
    told = broker.run("db", "missing", "--json")
    (line,) = lines(told.stdout)
    if (line["receipt"], line["may_wait"]) != (gone.reception.receipt, False):
        raise Breach(told.output)
    assert told.exit_code == 1 and "send what is missing again" in told.stderr


def test_a_broker_that_is_away_makes_nothing_missing_for_sure(broker: Lanes) -> None:
    broker.acknowledged(1, sent=False)
    told = broker.run("db", "missing", AMQP_URL="amqp://someone:geheim@127.0.0.1:1/%2F")
    assert told.exit_code == 1 and "may wait" in told.stdout and "geheim" not in told.output
    assert "What waits in the broker cannot be told" in told.stderr


def test_since_reads_the_journal_from_there(broker: Lanes) -> None:
    made = broker.acknowledged(1)
    later = (SystemClock().now() + timedelta(hours=1)).isoformat()
    assert broker.run("deposits", "list", "--state", "queued", "--since", later).stdout == ""
    earlier = (SystemClock().now() - timedelta(days=1)).isoformat()
    assert made.reception.receipt in broker.run("deposits", "list", "--state", "queued", "--since", earlier).stdout

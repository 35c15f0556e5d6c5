"""A door and workers on a broker, in this process, with the verbs of the same machine: what waits is put there by hand."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from msgspec import structs

from gateway.cli.main import main
from gateway.model.outcome import Outcome
from gateway.model.submission import Deposit
from gateway.queue.keys import Keys, initialise
from gateway.queue.lanes import lane
from gateway.queue.rabbitmq.consumer import Share
from gateway.queue.rabbitmq.queue import RabbitQueue
from gateway.queue.rabbitmq.setup import lanes_of
from gateway.queue.receipt import MacReceipts
from gateway.wiring.answers import Answers
from gateway.wiring.clock import SystemClock
from tests.harness import rabbitmq
from tests.strategies.submissions import deposit

HOURS = timedelta(hours=3)
LANE = lane(deposit(1), 100)


def until(there: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for the scene."""
    limit = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < limit, "the scene did not come about"
        time.sleep(0.05)


class Lanes:
    """A door and workers on a broker, with the verbs of the same machine."""

    def __init__(self, node: rabbitmq.Node, data: Path) -> None:
        self.node = node
        self.data = data
        data.mkdir(mode=0o700)
        initialise(data / "keys", SystemClock())
        self.keys = Keys.open(data / "keys", SystemClock())
        self._environment = {
            "AMQP_URL": node.url,
            "DMP_GATEWAY_DATA": str(data),
            "DMP_GATEWAY_QUEUE_MANAGEMENT_URL": node.management_url,
            # `doctor` sends one of this size, to nowhere.
            "DMP_GATEWAY_QUEUE_SEALED_LIMIT_BYTES": "65536",
        }
        self._open: list[Any] = []
        self.door = self.kept(RabbitQueue(node.url, self.keys))
        assert self.door.connected(30)

    def kept(self, queue: RabbitQueue) -> RabbitQueue:
        self._open.append(queue)
        return queue

    def publish(self, number: int = 1, *, ago: timedelta = HOURS) -> str:
        """Publish one deposit as a door does that then dies; return its receipt."""
        made = self.made(number, ago=ago)
        asyncio.run(self.door.publish(made, waits=False))
        return made.reception.receipt

    def made(self, number: int, *, ago: timedelta = HOURS) -> Deposit:
        """A deposit with a receipt of ours, received a while ago."""
        at = datetime.now(UTC) - ago
        made = deposit(number, receipt=MacReceipts(self.keys.receipts).issue("ris-valmont", at))
        return structs.replace(made, reception=structs.replace(made.reception, received_at=at.isoformat()))

    def acknowledged(self, number: int, *, sent: bool = True) -> Deposit:
        """A deposit that a door acknowledged: it is in the journal, and in its lane or nowhere."""
        made = self.made(number)
        if sent:
            asyncio.run(self.door.publish(made, waits=False))
        answers = Answers(self.data / "answers", SystemClock())
        answers.deposit(made.reception)
        answers.close()
        return made

    def worker(self, number: int = 0, of: int = 1) -> RabbitQueue:
        queue = self.kept(RabbitQueue(self.node.url, self.keys, share=Share(number=number, of=of, standby_seconds=0.0)))
        self._open.append(queue.serve(SystemClock(), _unasked, lambda *_: None))
        assert queue.connected(30)
        return queue

    def close(self) -> None:
        for each in reversed(self._open):
            getattr(each, "close", getattr(each, "stop", None))()
        until(lambda: not any(each.consumers for each in lanes_of(self.node.url)))
        self.node.empty()

    def run(self, *words: str, **environment: str) -> Result:
        return CliRunner().invoke(main, words, env=self._environment | environment)

    def doctor(self) -> dict[str, list[tuple[str, str]]]:
        """State and text of each finding, by subject."""
        found: dict[str, list[tuple[str, str]]] = {}
        for each in map(json.loads, self.run("doctor", "--json").stdout.splitlines()):
            found.setdefault(each["subject"], []).append((each["state"], each["text"]))
        return found

    def status(self, *, code: int | None = None) -> dict[str, dict[str, Any]]:
        told = self.run("queue", "status", "--json")
        assert told.exit_code in ({0, 1} if code is None else {code}), told.output
        return {line["lane"]: line for line in map(json.loads, told.stdout.splitlines())}


def _unasked(*_: object) -> Outcome:
    raise AssertionError("nobody asked")

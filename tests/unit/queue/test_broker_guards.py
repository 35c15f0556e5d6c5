"""Guards of the broker's side, each alone: whose confirm, whose reply, how much is in hand, what is answered when (D-2, D-9)."""

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pika
import pytest

from gateway.model.event import RecordClosing
from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable
from gateway.model.verdict import Verdict
from gateway.queue import lanes
from gateway.queue.keys import Keys
from gateway.queue.rabbitmq.consumer import Consumer, Taken
from gateway.queue.rabbitmq.door import DoorLimits, DoorSide
from gateway.queue.rabbitmq.publisher import Message
from gateway.queue.rabbitmq.replies import sealed_reply
from gateway.queue.rabbitmq.serving import Requests
from gateway.queue.request import EventReply, EventRequest, encode
from gateway.queue.seal import seal
from tests.strategies.submissions import deposit, patient
from tests.unit.queue.test_broker_tags import URL, Confirming, Later


class Now:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Opened:
    """A door whose broker is the test."""

    def __init__(self, keys: Keys, seconds: float = 30.0) -> None:
        self.thread = Later()
        limits = DoorLimits(confirm_timeout_seconds=seconds)
        self.door = DoorSide(self.thread, URL, keys, limits, name="", heartbeat=5)  # type: ignore[arg-type]
        self.thread.calls.clear()
        self.channel = Confirming()
        self.door.publisher.opened(self.channel)  # type: ignore[arg-type]
        self.door.replies._queue = "replies"

    async def turn(self) -> None:
        """Let whatever is due happen, on both loops."""
        for _ in range(10):
            self.thread.run()
            await asyncio.sleep(0)

    def confirm(self, tag: int, *, taken: bool = True, back: bool = False) -> None:
        self.channel.confirm(tag, taken=taken, multiple=False, back=frozenset({tag} if back else ()))


def test_each_waits_for_its_own_confirm_and_for_no_other(keys: Keys) -> None:
    opened = Opened(keys)

    async def walk() -> None:
        tasks = [asyncio.create_task(opened.door.publish(deposit(number), waits=False)) for number in range(4)]
        await opened.turn()
        assert len(opened.channel.out) == 4
        assert not any(task.done() for task in tasks), "the broker has said nothing yet"
        opened.confirm(2)
        await opened.turn()
        assert [task.done() for task in tasks] == [False, True, False, False]
        assert tasks[1].exception() is None
        opened.confirm(1, taken=False)
        opened.confirm(3, back=True)
        opened.confirm(4)
        await opened.turn()
        assert [type(task.exception()) for task in tasks] == [Unavailable, type(None), Unavailable, type(None)]

    asyncio.run(walk())


def test_what_the_broker_says_nothing_to_is_not_acknowledged_and_not_sent_again(keys: Keys) -> None:
    opened = Opened(keys, seconds=0.05)

    async def walk() -> None:
        task = asyncio.create_task(opened.door.publish(deposit(1), waits=False))
        await opened.turn()
        with pytest.raises(Unavailable):
            await task
        await opened.turn()

    asyncio.run(walk())
    assert opened.channel.tag == 1
    # Another connection: what was in flight on the first one is nobody's any more.
    opened.door.publisher.lost()
    again = Confirming()
    opened.door.publisher.opened(again)  # type: ignore[arg-type]
    opened.thread.run()
    assert again.tag == 0


def test_a_request_without_an_answer_in_time_has_none(keys: Keys) -> None:
    opened = Opened(keys)
    event = RecordClosing(identifiers=patient().identifiers, requested_by="patient")

    async def walk() -> None:
        until = datetime.now(UTC) + timedelta(seconds=0.3)
        task = asyncio.create_task(opened.door.submit(deposit(1).reception, event, until, Now()))
        await opened.turn()
        opened.confirm(1)
        await opened.turn()
        assert not task.done(), "the broker has it: nobody has applied it"
        with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
            await task

    asyncio.run(walk())


def test_a_reply_is_for_whoever_asked_under_its_receipt(keys: Keys) -> None:
    replies = Opened(keys).door.replies

    def come(receipt: str, sealed_for: str) -> None:
        body = sealed_reply(
            EventReply(outcome=Outcome(verdict=Verdict.APPLIED, receipt=sealed_for)), keys=keys, receipt=sealed_for
        )
        replies._on_message(None, None, pika.BasicProperties(message_id=receipt), body)  # type: ignore[arg-type]

    async def walk() -> None:
        waiting = {receipt: replies.expect(receipt) for receipt in ("first", "second", "third")}
        come("second", "second")
        come("nobody", "nobody")
        come("third", "first")  # of another: whoever waits goes on waiting
        await asyncio.sleep(0.01)
        assert {receipt: future.done() for receipt, future in waiting.items()} == {"first": False, "second": True, "third": False}
        assert (await waiting["second"]).receipt == "second"

    asyncio.run(walk())


class Asked:
    """A channel that notes what it is asked."""

    is_open = True
    connection = SimpleNamespace(is_open=True)

    def __init__(self) -> None:
        self.prefetch: int | None = None
        self.consumed: dict[str, int | None] = {}

    def basic_qos(self, *, prefetch_count: int) -> None:
        self.prefetch = prefetch_count

    def basic_consume(self, queue: str, _: object, *, consumer_tag: str, auto_ack: bool = False) -> None:
        assert not auto_ack, "acknowledged when it is settled"
        self.consumed[consumer_tag.rpartition(".")[0]] = self.prefetch


def test_what_is_in_hand_is_bounded_in_every_lane() -> None:
    """0 would be everything: the whole backlog in one worker's memory, and all of it again after its death."""
    consumer = Consumer(Later(), URL, lanes.CARRYING, name="", heartbeat=5)  # type: ignore[arg-type]
    channel = Asked()
    consumer._channel = channel  # type: ignore[assignment]
    for lane in lanes.CARRYING:
        consumer._consume(channel, lane)  # type: ignore[arg-type]
    assert set(channel.consumed) == set(lanes.CARRYING)
    assert all(count is not None and 0 < count <= 100 for count in channel.consumed.values()), channel.consumed
    assert (channel.consumed[lanes.LARGE] or 0) < min(channel.consumed[lane] or 0 for lane in lanes.DEPOSITS)


class OneRequest:
    """Hands out one request."""

    def __init__(self, taken: Taken) -> None:
        self._left = [taken]
        self.acknowledged: list[Taken] = []

    def next(self, _limit: int, _bytes: int, deadline: float) -> list[Taken]:
        found, self._left = self._left, []
        if not found:
            time.sleep(min(0.01, max(0.0, deadline - time.monotonic())))
        return found

    def acknowledge(self, settled: list[Taken]) -> None:
        self.acknowledged += settled


def test_an_event_is_answered_once_the_store_has_it(keys: Keys) -> None:
    reception = deposit(1).reception
    event = RecordClosing(identifiers=patient().identifiers, requested_by="patient")
    made = encode(EventRequest(reception=reception, event=event, deadline=datetime.now(UTC) + timedelta(minutes=5)))
    body = seal(made, keys=keys, lane=lanes.REQUESTS, receipt=reception.receipt)
    asked = {"id": 1, "tag": 1, "epoch": 1, "lane": lanes.REQUESTS, "receipt": reception.receipt, "reply_to": "door"}
    consumer = OneRequest(Taken(**asked, received_at="", body=body))
    begun, committed, answered = threading.Event(), threading.Event(), threading.Event()
    sent: list[Message] = []

    def submit(*_: object) -> Outcome:
        begun.set()
        assert committed.wait(30)
        return Outcome(verdict=Verdict.APPLIED, receipt=reception.receipt)

    publisher = SimpleNamespace(send=lambda message: (sent.append(message), answered.set()))
    requests = Requests(consumer, publisher, keys, clock=Now(), submit=submit, unopened=lambda *_: None)  # type: ignore[arg-type]
    try:
        assert begun.wait(30)
        assert not answered.wait(0.2), "answered before its commit"
        committed.set()
        assert answered.wait(30)
        assert [message.receipt for message in sent] == [reception.receipt]
    finally:
        committed.set()
        requests.stop()

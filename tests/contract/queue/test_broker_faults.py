"""What goes wrong between a gateway and its broker: silence, strangers, refusals, queues that go away, threads that stay."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pika
import pytest

from gateway.model.outcome import Outcome, Rejection
from gateway.model.ports import Unavailable
from gateway.model.problem import Problem
from gateway.model.verdict import Verdict
from gateway.queue import lanes
from gateway.queue.keys import Keys, initialise
from gateway.queue.rabbitmq import topology
from gateway.queue.rabbitmq.consumer import Share
from gateway.queue.rabbitmq.publisher import Message
from gateway.queue.rabbitmq.queue import RabbitQueue, Settings
from gateway.queue.rabbitmq.setup import BrokerUnusable, lanes_of, setup
from gateway.queue.seal import SEALED_LIMIT_BYTES
from tests.contract.queue.test_broker import Bench, Now, until
from tests.harness import rabbitmq
from tests.harness.cutting import Cutting
from tests.strategies.submissions import deposit, outcome

LANE = lanes.DEPOSITS[lanes.partition(deposit(1).submission)]
QUEUE = topology.queue_of(LANE)


@pytest.fixture
def broker() -> Iterator[rabbitmq.Broker]:
    made = rabbitmq.for_contracts()
    made.empty()
    yield made
    made.empty()


@pytest.fixture
def bench(tmp_path: Path, broker: rabbitmq.Broker) -> Iterator[Bench]:
    made = Bench(tmp_path, broker)
    yield made
    made.close()


@pytest.fixture
def line(broker: rabbitmq.Broker) -> Iterator[Cutting]:
    made = Cutting(urlsplit(broker.url).port or 5672)
    yield made
    made.close()


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    initialise(tmp_path / "keys", Now())
    return Keys.open(tmp_path / "keys", Now())


def through(line: Cutting) -> str:
    return f"amqp://guest:guest@127.0.0.1:{line.port}/%2F"


def publish(queue: RabbitQueue, *numbers: int) -> list[object]:
    async def walk() -> list[object]:
        calls = (queue.publish(deposit(number), waits=False) for number in numbers)
        return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(walk())


def taken(queue: RabbitQueue, enough: int, seconds: float = 10.0) -> list[int]:
    """Take and settle until there are enough, and a little longer: whatever more there is, comes."""
    found: list[int] = []
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        batch = queue.take(1000, 1 << 30, 0.3)
        queue.settle([(delivery, outcome(delivery.deposit)) for delivery in batch])
        found += [int(delivery.receipt[-6:]) for delivery in batch]
        if not batch and len(found) >= enough:
            break
    return found


@pytest.mark.parametrize("answers", [True, False])
def test_silence_is_no_confirm_and_nothing_is_published_again(
    line: Cutting, keys: Keys, broker: rabbitmq.Broker, answers: bool
) -> None:
    """A black hole in either direction; then the line is cut, and the gateway has forgotten what it did not hear of."""
    queue = RabbitQueue(through(line), keys, Settings(confirm_timeout_seconds=0.5))
    other = RabbitQueue(broker.url, keys, share=Share())
    try:
        assert queue.connected(20) and other.connected(20)
        line.swallow(answers=answers)
        begun = time.monotonic()
        ended = publish(queue, 0, 1, 2)
        assert {(type(each), getattr(each, "code", "")) for each in ended} == {(Unavailable, "QUEUE_UNAVAILABLE")}
        assert 0.4 < time.monotonic() - begun < 3
        assert queue.door.publisher.state().in_flight == 3, "sent, and nobody knows"
        line.swallow(answers=answers, on=False)
        line.cut()
        assert until(lambda: not queue.door.ready)
        assert queue.connected(20), queue.problem()
        assert [type(each) for each in publish(queue, 9)] != [Unavailable]
        assert taken(other, 4 if answers else 1) == ([0, 1, 2, 9] if answers else [9])
    finally:
        queue.close()
        other.close()


def test_what_waited_for_the_window_is_withdrawn_and_who_went_away_costs_nothing(line: Cutting, keys: Keys) -> None:
    queue = RabbitQueue(through(line), keys, Settings(confirm_timeout_seconds=1))

    async def walk() -> None:
        tasks = [asyncio.create_task(queue.publish(deposit(number), waits=False)) for number in range(130)]
        await asyncio.sleep(0.3)
        state = queue.door.publisher.state()
        assert (state.in_flight, state.waiting) == (100, 30)
        for task in tasks[:110]:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(each) for each in ended[:110]} == {asyncio.CancelledError}
        assert {type(each) for each in ended[110:]} == {Unavailable}

    try:
        assert queue.connected(20)
        line.swallow(answers=True)
        asyncio.run(walk())
        assert queue.door.publisher.state().waiting == 0, "nobody waits for them any more"
    finally:
        queue.close()


def test_one_that_closes_the_channel_takes_the_others_with_it_and_not_the_next(keys: Keys, broker: rabbitmq.Broker) -> None:
    """A broker with a smaller limit than ours: everybody in flight is told at once, and nobody waits for the timeout."""
    queue = RabbitQueue(broker.url, keys)
    told: list[bool] = []
    try:
        assert queue.connected(20)
        too_large = Message(LANE, "too-large", bytes(129 << 20), lambda *, taken: told.append(taken))
        begun = time.monotonic()
        assert queue.door.publisher.send(too_large)
        ended = publish(queue, 1, 2)
        assert until(lambda: told == [False])
        assert {type(each) for each in ended} == {Unavailable}
        assert time.monotonic() - begun < 8
        assert queue.connected(20)
        assert not isinstance(publish(queue, 3)[0], Unavailable)
    finally:
        queue.close()


def test_a_lane_that_is_full_is_told_and_empties(keys: Keys, broker: rabbitmq.Broker) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    channel = connection.channel()
    queue = RabbitQueue(broker.url, keys)
    try:
        assert queue.connected(20)
        channel.queue_delete(QUEUE)
        limited = {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-max-length": 2}
        channel.queue_declare(QUEUE, durable=True, arguments=limited)
        channel.queue_bind(QUEUE, topology.EXCHANGE, LANE)
        ended = [publish(queue, number)[0] for number in range(8)]
        refused = [isinstance(each, Unavailable) for each in ended]
        assert not any(refused[:2]) and refused[-1], refused
        assert queue.problem() == f"broker refuses: nack ({LANE})"
        channel.queue_purge(QUEUE)
        assert until(lambda: not isinstance(publish(queue, 9)[0], Unavailable))
        assert queue.problem() is None
    finally:
        queue.close()
        channel.queue_delete(QUEUE)
        connection.close()
        setup(broker.url, SEALED_LIMIT_BYTES)


def test_a_lane_that_is_deleted_is_told_and_taken_again_once_it_is_there(keys: Keys, broker: rabbitmq.Broker) -> None:
    queue = RabbitQueue(broker.url, keys, share=Share())
    try:
        assert queue.connected(20)
        assert until(lambda: all(lane.consumers for lane in lanes_of(broker.url) if lane.lane in lanes.CARRYING))
        connection = pika.BlockingConnection(pika.URLParameters(broker.url))
        connection.channel().queue_delete(QUEUE)
        connection.close()
        assert until(lambda: f"lanes missing: {LANE} (" in (queue.problem() or "")), queue.problem()
        assert isinstance(publish(queue, 1)[0], Unavailable), "no queue took it, whatever the broker's confirm says"
        assert "312 NO_ROUTE" in (queue.problem() or "")
        setup(broker.url, SEALED_LIMIT_BYTES)
        assert not isinstance(publish(queue, 2)[0], Unavailable)
        assert taken(queue, 1) == [2]
        assert queue.problem() is None
    finally:
        queue.close()


def test_who_waits_hears_of_a_reply_queue_that_is_gone(bench: Bench, broker: rabbitmq.Broker) -> None:
    held = threading.Event()
    bench.answer = lambda reception: (held.wait(10), Outcome(verdict=Verdict.APPLIED, receipt=reception.receipt))[1]
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            bench.submit(1, seconds=9)
        except Unavailable as away:
            failed.append(away)

    waiting = threading.Thread(target=ask)
    waiting.start()
    assert until(lambda: bench.asked)
    line = bench.door.door.replies
    begun = time.monotonic()
    # Only its own connection may delete an exclusive queue: the broker takes it away with a cancel, as when it deletes one.
    bench.door._thread.call(lambda: line.link._connection._channels[1].queue_delete(line.queue))
    waiting.join(10)
    assert time.monotonic() - begun < 5
    assert [type(each) for each in failed] == [Unavailable]
    held.set()
    assert bench.door.connected(10)
    assert bench.submit(2).verdict is Verdict.APPLIED


def test_a_fault_of_ours_in_a_request_keeps_no_other_request(bench: Bench) -> None:
    def fault(_: object) -> Outcome:
        raise ValueError("CANARI")

    good, bench.answer = bench.answer, fault
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        bench.submit(1)
    assert time.monotonic() - begun < 3, "its sender is told at once"
    bench.answer = good
    assert bench.submit(2).verdict is Verdict.APPLIED


def test_a_fault_of_ours_in_a_report_loses_none(bench: Bench) -> None:
    first = threading.Event()

    def note(reception: object, _: object) -> None:
        if not first.is_set():
            first.set()
            raise ValueError("CANARI")
        bench.noted.append(reception.receipt)  # type: ignore[attr-defined]

    bench.reports._note = note
    for number in range(5):
        bench.door.door.reports.report(deposit(number).reception, REJECTION)
    assert until(lambda: len(set(bench.noted)) == 5)


REJECTION = Rejection(verdict=Verdict.REJECTED, problems=(Problem(code="INS_KEY"),))


def test_rejections_wait_for_the_broker_and_need_no_other_to_follow(line: Cutting, bench: Bench) -> None:
    door = RabbitQueue(through(line), bench.keys)
    try:
        assert door.connected(20)
        line.swallow(answers=True)
        line.cut()
        assert until(lambda: not door.door.ready)
        for number in range(3):
            door.door.reports.report(deposit(number).reception, REJECTION)
        line.swallow(answers=True, on=False)
        line.cut()
        assert until(lambda: len(bench.noted) == 3, 20), "the last ones wait for the next rejection, which may be far"
    finally:
        door.close()


def test_a_request_whose_worker_died_is_taken_again_under_the_same_receipt(bench: Bench) -> None:
    """Its connection drops in mid-request: another worker, or the same, finds what is committed by the receipt."""
    dropped = threading.Event()

    def answer(reception: object) -> Outcome:
        if not dropped.is_set():
            dropped.set()
            link = bench.consumers[0].link
            bench.thread.call(lambda: link._connection._terminate_stream(ConnectionError("test")))
            until(lambda: not link.is_open)
        return Outcome(verdict=Verdict.APPLIED, receipt=reception.receipt)  # type: ignore[attr-defined]

    bench.answer = answer
    assert bench.submit(1).verdict is Verdict.APPLIED
    assert until(lambda: len(bench.asked) == 2)
    assert bench.asked == [deposit(1).reception.receipt] * 2


def test_strangers_messages_are_given_up_and_block_no_lane(keys: Keys, broker: rabbitmq.Broker) -> None:
    """More of them than a lane hands out at once, ids that are no text among them, and nothing of them is repeated."""
    seen: list[tuple[str, str]] = []
    queue = RabbitQueue(broker.url, keys, share=Share(), unopened=lambda *told: seen.append(told))
    try:
        assert queue.connected(20)
        connection = pika.BlockingConnection(pika.URLParameters(broker.url))
        channel = connection.channel()
        channel.confirm_delivery()
        for number in range(70):
            strange = pika.BasicProperties(message_id="CANARI, Éloïse", reply_to="nowhere", headers={"received-at": number})
            channel.basic_publish(topology.EXCHANGE, LANE, b"\x01" * number, strange)
        connection.close()
        assert not isinstance(publish(queue, 1)[0], Unavailable)
        assert taken(queue, 1, 20) == [1]
        assert set(seen) == {("(no receipt)", "Damaged")} and len(seen) == 70
        assert queue.problem() == "cannot open: (no receipt) (Damaged)"
        assert until(lambda: next(lane.ready for lane in lanes_of(broker.url) if lane.lane == "dead") == 70)
    finally:
        queue.close()


@pytest.mark.filterwarnings("error")
def test_closing_without_a_broker_leaves_nothing_behind(keys: Keys, line: Cutting) -> None:
    """Nobody listens; somebody listens and says nothing; the line has become a black hole; the URL is none."""
    before = set(threading.enumerate())
    silent = socket.create_server(("127.0.0.1", 0))
    free = socket.create_server(("127.0.0.1", 0))
    nobody = free.getsockname()[1]
    free.close()
    for port in (nobody, silent.getsockname()[1], line.port):
        queue = RabbitQueue(f"amqp://guest:guest@127.0.0.1:{port}/%2F", keys, share=Share())
        if port == line.port:
            assert queue.connected(20)
            line.swallow(answers=True)
        else:
            assert not queue.connected(0.3)
        begun = time.monotonic()
        queue.close()
        queue.close()
        assert time.monotonic() - begun < 6
        with pytest.raises(Unavailable):
            queue.take(1, 1, 0.0)
        assert isinstance(publish(queue, 1)[0], Unavailable)
        assert not queue._thread._thread.is_alive()
    with pytest.raises(BrokerUnusable):
        RabbitQueue("http://guest:secret@nowhere/", keys)
    silent.close()
    line.close()
    assert set(threading.enumerate()) <= before

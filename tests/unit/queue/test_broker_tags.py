"""Tags of the broker: whatever the order, what is acknowledged is what was settled, and what is confirmed is what was taken."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pika
from hypothesis import given, settings
from hypothesis import strategies as st
from pika.spec import Basic

from gateway.queue.rabbitmq.consumer import Consumer, Taken
from gateway.queue.rabbitmq.publisher import WINDOW_BYTES, WINDOW_MESSAGES, Message, Publisher

URL = "amqp://guest:guest@127.0.0.1:1/%2F"


class Later:
    """The loop's thread, whose calls wait until they are run: any other thread may have come first."""

    def __init__(self) -> None:
        self.loop = self
        self.calls: list[Callable[[], object]] = []

    def call(self, function: Callable[[], object]) -> None:
        self.calls.append(function)

    def call_later(self, _seconds: float, function: Callable[..., object], *arguments: object) -> None:
        self.calls.append(lambda: function(*arguments))

    def run(self) -> None:
        while self.calls:
            self.calls.pop(0)()


class Lane:
    """A channel with deliveries, as the broker counts them."""

    is_open = True
    #: Asked whether the lane is there: it answers later than anything here.
    connection = SimpleNamespace(is_open=True, channel=lambda **_: None)

    def __init__(self) -> None:
        self.last = 0
        self.out: dict[int, str] = {}
        self.acknowledged: list[str] = []
        self.rejected: list[str] = []

    def add_on_cancel_callback(self, _: object) -> None: ...

    def basic_qos(self, **_: object) -> None: ...

    def basic_consume(self, *_: object, **__: object) -> None: ...

    def deliver(self, consumer: Consumer) -> None:
        self.last += 1
        receipt = f"{id(self)}-{self.last}"
        self.out[self.last] = receipt
        consumer._on_message(
            "deposits.1", consumer.epoch, None, Basic.Deliver(delivery_tag=self.last),
            pika.BasicProperties(message_id=receipt), b"x",
        )  # fmt: skip

    def basic_ack(self, tag: int, multiple: bool = False) -> None:
        tags = [each for each in self.out if each <= tag] if multiple else [tag]
        assert tag in self.out, "an unknown tag closes the channel"
        self.acknowledged += [self.out.pop(each) for each in tags]

    def basic_reject(self, tag: int, requeue: bool) -> None:
        assert not requeue
        self.rejected.append(self.out.pop(tag))


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.integers(1, 6)),
        st.tuples(st.just("take"), st.integers(1, 6)),
        st.tuples(st.sampled_from(["settle", "dead", "again", "back"]), st.integers(0, 1 << 12)),
        st.tuples(st.sampled_from(["run", "lose"]), st.just(0)),
    ),
    min_size=12,
    max_size=40,
)


@settings(max_examples=300)
@given(ACTIONS)
def test_nothing_is_acknowledged_but_what_was_settled(actions: list[tuple[str, int]]) -> None:  # noqa: C901 - one line an action
    thread = Later()
    consumer = Consumer(thread, URL, ("deposits.1",), name="", heartbeat=5)  # type: ignore[arg-type]
    thread.calls.clear()
    lane = Lane()
    consumer.opened(lane)  # type: ignore[arg-type]
    held: list[Taken] = []
    settled: list[Taken] = []
    dead: list[Taken] = []

    def chosen(bits: int) -> list[Taken]:
        return [taken for place, taken in enumerate(held) if bits >> place & 1]

    for action, number in actions:
        if action == "deliver":
            for _ in range(number):
                lane.deliver(consumer)
        elif action == "take":
            held += consumer.next(number, 1 << 20, 0.0)
        elif action == "settle":
            now = chosen(number)[::-1]
            consumer.acknowledge(now)
            settled += now
            held = [taken for taken in held if taken not in now]
        elif action == "dead":
            for taken in chosen(number):
                consumer.dead_letter(taken)
                dead.append(taken)
                held.remove(taken)
        elif action == "again":
            # What was told once is told twice: by a worker that tries again, or by another thread.
            consumer.acknowledge(settled[-3:])
            for taken in dead[-2:]:
                consumer.dead_letter(taken)
        elif action == "back":
            consumer.give_back([*held, *dead, *settled][:5])
            held = held[5:]
        elif action == "lose":
            consumer.lost()
            lane = Lane()
            consumer.opened(lane)  # type: ignore[arg-type]
        else:
            thread.run()
        assert set(lane.acknowledged) <= {taken.receipt for taken in settled}
        assert set(lane.rejected) <= {taken.receipt for taken in dead}
    thread.run()
    here = f"{id(lane)}-"
    mine = consumer.epoch
    assert sorted(lane.acknowledged) == sorted({t.receipt for t in settled if t.epoch == mine and t.receipt.startswith(here)})
    assert sorted(lane.rejected) == sorted({t.receipt for t in dead if t.epoch == mine})


class Confirming:
    """A channel in confirm mode, as the broker counts it."""

    is_open = True

    def __init__(self) -> None:
        self.tag = 0
        self.out: dict[int, str] = {}
        self.bytes: dict[str, int] = {}
        self.heard: Any = None

    def add_on_return_callback(self, heard: object) -> None:
        self.returned: Any = heard

    def confirm_delivery(self, heard: object, callback: Callable[[object], None]) -> None:
        self.heard = heard
        callback(None)

    def basic_publish(self, _exchange: str, lane: str, body: bytes, properties: Any, *, mandatory: bool) -> None:
        assert mandatory
        if lane == "refused by the library":
            raise ValueError("CANARI")
        self.tag += 1
        self.out[self.tag] = properties.message_id
        self.bytes[properties.message_id] = len(body)

    def confirm(self, tag: int, *, taken: bool, multiple: bool, back: frozenset[int]) -> list[tuple[str, bool]]:
        tags = [each for each in self.out if each <= tag] if multiple else [tag]
        truth = [(self.out[each], taken and each not in back) for each in tags]
        for each in tags:
            if each in back:
                returned = Basic.Return(reply_code=312, reply_text="NO_ROUTE", exchange="", routing_key="l")
                self.returned(self, returned, pika.BasicProperties(message_id=self.out[each]), b"")
        for each in tags:
            del self.out[each]
        method = (Basic.Ack if taken else Basic.Nack)(delivery_tag=tag, multiple=multiple)
        self.heard(SimpleNamespace(method=method))
        return truth


def publisher() -> tuple[Publisher, Later]:
    thread = Later()
    made = Publisher(thread, URL, name="", heartbeat=5)  # type: ignore[arg-type]
    thread.calls.clear()
    return made, thread


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 5), st.booleans()),
        st.tuples(st.sampled_from(["ack", "nack"]), st.integers(0, 1 << 10), st.booleans()),
        st.tuples(st.sampled_from(["run", "lose", "withdraw"]), st.integers(0, 9), st.booleans()),
    ),
    min_size=12,
    max_size=40,
)


@settings(max_examples=300)
@given(MOVES, st.frozensets(st.integers(1, 40), max_size=10))
def test_everybody_is_told_once_and_the_truth(  # noqa: C901 - one line a move
    moves: list[tuple[str, int, bool]], back: frozenset[int]
) -> None:
    made, thread = publisher()
    channel = Confirming()
    made.opened(channel)  # type: ignore[arg-type]
    told: dict[str, list[bool]] = {}
    sent: list[Message] = []
    truth: dict[str, bool] = {}
    withdrawn: set[str] = set()

    def message(number: int, strange: bool) -> Message:
        receipt = f"r{number}"
        told[receipt] = []

        def tell(*, taken: bool) -> None:
            told[receipt].append(taken)
            if number % 7 == 3:
                raise RuntimeError("whoever waited is broken")

        return Message("refused by the library" if strange else "lane", receipt, b"x" * 100, tell)

    for move, number, flag in moves:
        if move == "send":
            for _ in range(number):
                each = message(len(sent), flag and number % 2 == 1)
                assert made.send(each)
                sent.append(each)
        elif move in {"ack", "nack"} and channel.out:
            tag = sorted(channel.out)[number % len(channel.out)]
            truth |= channel.confirm(tag, taken=move == "ack", multiple=flag, back=back)
        elif move == "run":
            thread.run()
        elif move == "withdraw" and sent:
            each = sent[-1 - number % len(sent)]
            if made.withdraw(each):
                withdrawn.add(each.receipt)
        elif move == "lose":
            made.lost()
            channel = Confirming()
            made.opened(channel)  # type: ignore[arg-type]
    thread.run()
    made.lost()
    for each in sent:
        expected = [] if each.receipt in withdrawn else [truth.get(each.receipt, False)]
        assert told[each.receipt] == expected, each.receipt
    assert made.state().in_flight == made.state().waiting == 0


def test_a_confirm_of_another_channel_confirms_nothing() -> None:
    made, thread = publisher()
    old, new = Confirming(), Confirming()
    told: list[bool] = []
    made.opened(old)  # type: ignore[arg-type]
    made.lost()
    made.opened(new)  # type: ignore[arg-type]
    assert made.send(Message("lane", "r", b"x", lambda *, taken: told.append(taken)))
    thread.run()
    old.heard(SimpleNamespace(method=Basic.Ack(delivery_tag=1)))
    assert told == []
    new.heard(SimpleNamespace(method=Basic.Ack(delivery_tag=1)))
    assert told == [True]


def test_the_window_by_number_and_by_bytes() -> None:
    for size, at_once in ((10, WINDOW_MESSAGES), (WINDOW_BYTES // 4, 4), (WINDOW_BYTES + 1, 1)):
        made, thread = publisher()
        channel = Confirming()
        made.opened(channel)  # type: ignore[arg-type]
        for number in range(WINDOW_MESSAGES + 5 if size == 10 else 6):
            assert made.send(Message("lane", f"r{number}", bytes(size), lambda *, taken: None))
        thread.run()
        assert len(channel.out) == at_once
        channel.confirm(1, taken=True, multiple=False, back=frozenset())
        assert len(channel.out) == at_once, "one goes, one comes"


def test_an_alarm_that_outlives_the_channel_still_stops_the_senders() -> None:
    made, _ = publisher()
    made.opened(Confirming())  # type: ignore[arg-type]
    made.blocked(by_broker=True)
    made.lost()
    made.opened(Confirming())  # type: ignore[arg-type]
    assert not made.ready
    assert not made.send(Message("lane", "r", b"x", lambda *, taken: None))
    made.blocked(by_broker=False)
    assert made.send(Message("lane", "r", b"x", lambda *, taken: None))


def test_what_is_no_text_has_no_receipt() -> None:
    consumer = Consumer(Later(), URL, ("deposits.1",), name="", heartbeat=5)  # type: ignore[arg-type]
    consumer.opened(Lane())  # type: ignore[arg-type]
    strange = pika.BasicProperties(headers={"received-at": 7})
    strange.message_id, strange.reply_to = b"\xff\xfe", b"\xff"  # as the library reads what is no UTF-8
    consumer._on_message("deposits.1", consumer.epoch, None, Basic.Deliver(delivery_tag=1), strange, b"")
    (taken,) = consumer.next(1, 1, 0.0)
    assert (taken.receipt, taken.reply_to, taken.received_at) == ("", None, "")

"""What a worker does beside its batches: events on request, and rejections to write down (D-2, D-10)."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from gateway.model.event import RecordEvent
from gateway.model.lane_day import LanePassed
from gateway.model.outcome import Outcome, Rejection
from gateway.model.ports import Clock, Unavailable
from gateway.model.submission import Reception
from gateway.queue import lanes
from gateway.queue.errors import Unopened
from gateway.queue.keys import Keys
from gateway.queue.markers import marked_day
from gateway.queue.rabbitmq.consumer import Consumer, Taken
from gateway.queue.rabbitmq.publisher import Message, Publisher
from gateway.queue.rabbitmq.replies import sealed_reply
from gateway.queue.rabbitmq.workers import Answering
from gateway.queue.request import Erasable, ErasableRequest, EventReply, EventRequest, decode_report, decode_request
from gateway.queue.seal import label, open_sealed
from gateway.telemetry import events, points

Submit = Callable[[Reception, RecordEvent, datetime], Outcome]
Note = Callable[[Reception, Rejection], None]
Seen = Callable[[str, str], None]
#: Puts on record that a lane has passed a day; tells whether it is.
Pass = Callable[[LanePassed], bool]
#: Tells which keys may go; raises `Unavailable`.
Last = Callable[[], Erasable]

_WAIT_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 15.0
#: What a door is told of a request that failed by a fault of ours.
_NOT_DONE: Final = "STORE_UNAVAILABLE"


class Requests:
    """
    Takes requests one by one on a thread of its own: an opposition never stands behind a batch.

    Args:
        consumer: Of the lane `requests`, one delivery at a time.
        publisher: Takes the replies.
        keys: The keys of this machine.
        clock: A request whose deadline has passed is not begun.
        submit: Applies an event; raises `Unavailable`.
        unopened: Told of a request that no door of ours sealed.
        last: Tells which keys may go, for a machine that has no store.
    """

    def __init__(
        self,
        consumer: Consumer,
        publisher: Publisher,
        keys: Keys,
        *,
        clock: Clock,
        submit: Submit,
        unopened: Seen,
        last: Last = Erasable,
    ) -> None:
        """Start the thread."""
        self._consumer = consumer
        self._publisher = publisher
        self._keys = keys
        self._clock = clock
        self._submit = submit
        self._unopened = unopened
        self._last = last
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="requests", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the request in hand and stop."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            for taken in self._consumer.next(1, 1 << 30, time.monotonic() + _WAIT_SECONDS):
                try:
                    self._serve(taken)
                except Exception as failure:  # noqa: BLE001 - the next request must find its worker
                    events.InternalError.of(failure, reason="request").emit()

    def _serve(self, taken: Taken) -> None:
        points.reach("broker.request.taken")
        try:
            reply = self._answered(taken)
        except Exception as failure:  # noqa: BLE001 - whatever it is: the sender is told to send again
            events.InternalError.of(failure, reason="request").emit()
            reply = EventReply(unavailable=_NOT_DONE)
        finally:
            points.reach("broker.request.answered")
            # Acknowledged whatever became of it: it is the door that asks again, with its sender.
            self._consumer.acknowledge([taken])
        if reply is not None and taken.reply_to:
            body = sealed_reply(reply, keys=self._keys, receipt=taken.receipt)
            points.reach("broker.reply")
            self._publisher.send(Message(taken.reply_to, taken.receipt, body, _unheard, exchange="", persistent=False))

    def _answered(self, taken: Taken) -> EventReply | None:
        try:
            opened = open_sealed(taken.body, keys=self._keys, lane=lanes.REQUESTS, receipt=taken.receipt)
            request = decode_request(opened)
        except Unopened as reason:
            self._unopened(taken.receipt, type(reason).__name__)
            return None
        if isinstance(request, EventRequest) and request.deadline <= self._clock.now():
            return None
        try:
            if isinstance(request, ErasableRequest):
                return EventReply(erasable=self._last())
            return EventReply(outcome=self._submit(request.reception, request.event, request.deadline))
        except Unavailable as away:
            return EventReply(unavailable=away.code)


class ReportTaker:
    """
    Takes rejections and hands them to the store's notes, on a thread of its own.

    Args:
        consumer: Of the lane `reports`.
        keys: The keys of this machine.
        note: Writes one down when there is time.
        unopened: Told of a report that no door of ours sealed.
        passing: Told of a day that the lane has passed; until it is on record, its marker is kept.
    """

    def __init__(self, consumer: Consumer, keys: Keys, note: Note, unopened: Seen, passing: Pass = lambda _: False) -> None:
        """Start the thread."""
        self._consumer = consumer
        self._keys = keys
        self._note = note
        self._unopened = unopened
        self._passing = passing
        self._marks: list[tuple[Taken, int]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reports", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after what is in hand."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            batch = self._consumer.next(100, 1 << 24, time.monotonic() + _WAIT_SECONDS)
            try:
                self._take(batch)
            except Exception as failure:  # noqa: BLE001 - a lane without its worker would fill unseen
                events.InternalError.of(failure, reason="report").emit()
                waiting = {taken.id for taken, _ in self._marks}
                self._consumer.give_back([taken for taken in batch if taken.id not in waiting])
                self._stopping.wait(_WAIT_SECONDS)

    def _take(self, batch: Sequence[Taken]) -> None:
        kept = []
        if batch:
            points.reach("broker.report.taken")
        for taken in batch:
            try:
                opened = open_sealed(taken.body, keys=self._keys, lane=lanes.REPORTS, receipt=taken.receipt)
                day = marked_day(opened, label(taken.body).day)
                if day is not None:
                    kept.append((taken, day))
                    continue
                report = decode_report(opened)
            except Unopened as reason:
                self._unopened(taken.receipt, type(reason).__name__)
                continue
            self._note(report.reception, report.rejection)
        marks = {taken.id for taken, _ in kept}
        if batch:
            points.reach("broker.report.noted")
        self._consumer.acknowledge([taken for taken in batch if taken.id not in marks])
        self._marks += kept
        self._pass()

    def _pass(self) -> None:
        """Put on record what the lane has passed: each report before a marker is noted."""
        left = []
        for taken, day in self._marks:
            if taken.epoch != self._consumer.epoch:
                continue  # comes again
            if day < self._keys.today() and not self._passing(LanePassed(lane=lanes.REPORTS, day=day)):
                left.append((taken, day))
            else:
                points.reach("broker.marker.settled")
                self._consumer.acknowledge([taken])
        self._marks = left


class Serving(NamedTuple):
    """What a worker serves beside its batches."""

    requests: Requests
    reports: ReportTaker
    answering: Answering

    def stop(self) -> None:
        """Finish what is in hand and stop."""
        self.requests.stop()
        self.reports.stop()
        self.answering.close()


def _unheard(*, taken: bool) -> None:
    """Nobody waits: whoever asked has a deadline of their own."""

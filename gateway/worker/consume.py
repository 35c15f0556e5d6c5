"""Take a batch, apply it, settle it: the way from the queue to the store (ARCHITECTURE.md, A message's way)."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from gateway.model.base import Model
from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable
from gateway.model.submission import Deposit, Reception
from gateway.model.verdict import Verdict
from gateway.queue.port import Delivery, Queue
from gateway.store.port import Contended, Parked, Stalled, Store, Transient
from gateway.telemetry import events, metrics
from gateway.telemetry.event import located
from gateway.telemetry.outage import Outage
from gateway.worker.hands import DEATHS, Hands
from gateway.worker.passing import store_outage

_T = TypeVar("_T")

#: Waits between two tries while the store is away, in seconds: the worker stays with its batch (D-9).
RETRY_SECONDS: Final = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)

#: A process whose worker applies the same for so long hangs: each statement of a store that answers, however slowly, ends sooner.
HANGS_SECONDS: Final = 300.0

#: While nothing arrives, what is parked is looked at so often, in seconds.
REVIEW_SECONDS: Final = 0.5
#: How many parked deposits are taken in hand at once: each may be as large as a message.
_REVIEWS: Final = 4

#: What is said of a parked deposit: the fault is ours.
_CODE: Final = "INTERNAL"
#: What is said of one that ended its worker, each time that it was tried: class and place, as of an exception.
_DIED: Final = ("ProcessDied", f"{DEATHS} times")


class BatchLimits(Model, frozen=True, kw_only=True):
    """How much one transaction takes (D-13)."""

    submissions: int = 100
    bytes: int = 8 * 1024 * 1024
    wait_seconds: float = 0.05


class Worker:
    """
    Consumes deposits in batches on a thread of its own.

    Args:
        queue: Where deposits wait.
        store: Where they go.
        seal: Seals a delivery again for parking (D-7).
        limits: The size of a batch.
        unseal: Opens what was parked under a receipt; raises where it cannot be opened here.
        stopping: What ends it, and what every pause waits on; None: one of its own.
        passing: Called between two batches, when nothing is in hand (`gateway.worker.passing`).
        hands: Where it notes what it is about to apply, so that a deposit that ends its process is known by it; None: nowhere.
        store_away: Says that the store is away, for all of this process that write it; None: one of its own.
    """

    def __init__(
        self,
        queue: Queue,
        store: Store,
        seal: Callable[[Delivery], bytes],
        limits: BatchLimits,
        stopping: threading.Event | None = None,
        *,
        unseal: Callable[[str, bytes], Deposit],
        passing: Callable[[], object] = lambda: None,
        hands: Hands | None = None,
        store_away: Outage | None = None,
    ) -> None:
        """Keep the rooms; `start` begins."""
        self._hands = hands
        #: Since when it applies what it holds now, `time.monotonic`; None between two tries.
        self.applying_since: float | None = None
        self._queue = queue
        self._store = store
        self._seal = seal
        self._unseal = unseal
        self._passing = passing
        self._unreviewed_seconds = 0.0
        self._limits = limits
        self._store_away = store_away or store_outage()
        self._queue_away = Outage(lambda seconds: events.QueueRecovered(seconds=seconds))
        self._stopping = stopping or threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Begin to consume."""
        self._thread.start()

    @property
    def away_since(self) -> float | None:
        """Since when the store is away, `time.monotonic`; None while it answers."""
        return self._store_away.since

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    @property
    def hangs(self) -> bool:
        """Whether it is at the same transaction for longer than any takes: it will not come back by itself."""
        since = self.applying_since
        return since is not None and time.monotonic() - since > HANGS_SECONDS

    def stop(self, deadline_seconds: float) -> bool:
        """Finish the batch in hand and stop; what is not settled comes again. Returns whether it stopped in time."""
        self._stopping.set()
        if self._hands is not None and not self.hangs:
            self._hands.absolve()  # a locked table makes it late, and whoever waits for it kills it
        if self._thread.ident is not None:  # it was started
            self._thread.join(deadline_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.step()

    def step(self) -> None:
        """Take the next batch and stay with it until it is settled, or until the worker is stopped."""
        wait = min(self._limits.wait_seconds, REVIEW_SECONDS)
        try:
            batch = self._queue.take(self._limits.submissions, self._limits.bytes, wait)
        except Unavailable:
            self._queue_away.away(events.QueueProblem(reason="take"))
            self._stopping.wait(RETRY_SECONDS[-1])
            return
        except Exception as failure:  # noqa: BLE001 - a lane without its worker would fill unseen
            events.InternalError.of(failure, reason="take").emit()
            self._stopping.wait(RETRY_SECONDS[-1])
            return
        self._queue_away.over()
        self._unreviewed_seconds += wait
        if batch or not wait or self._unreviewed_seconds >= REVIEW_SECONDS:
            self._unreviewed_seconds = 0.0
            self._review()
        for group in self._apart(batch):
            self._stay_with(group)
        try:
            self._passing()
        except Exception as failure:  # noqa: BLE001 - the lane goes on, and the markers are told again
            events.InternalError.of(failure, reason="passing").emit()
            self._stopping.wait(RETRY_SECONDS[0])

    def _stay_with(self, batch: Sequence[Delivery]) -> None:
        while not self._stopping.is_set():
            try:
                self.settle_batch(batch)
            except Exception as failure:  # noqa: BLE001 - a lane without its worker would fill unseen
                events.InternalError.of(failure, reason="worker").emit()
                self._stopping.wait(RETRY_SECONDS[-1])
            else:
                return

    def _apart(self, batch: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
        """Give a batch in parts, in order: what a process died at comes alone, so that another death accuses nobody else."""
        receipts = [delivery.receipt for delivery in batch]
        known = self._hands.suspected(receipts) if self._hands is not None else [False for _ in receipts]
        for suspected, group in itertools.groupby(zip(batch, known, strict=True), key=lambda each: each[1]):
            together = [delivery for delivery, _ in group]
            yield from ([each] for each in together) if suspected else (together,)

    def _deaths(self, receipts: Sequence[str]) -> list[int]:
        return self._hands.deaths(receipts) if self._hands is not None else [0 for _ in receipts]

    @contextlib.contextmanager
    def _holding(self, receipts: Sequence[str]) -> Iterator[None]:
        """Be known as the one that is at these, until the end of the block or of the process."""
        self.applying_since = time.monotonic()
        try:
            with self._hands.holding(receipts) if self._hands is not None and receipts else contextlib.nullcontext():
                yield
        finally:
            self.applying_since = None

    def _review(self) -> None:
        """Judge again what is parked and whose patient's rights changed, before anything else is applied (D-7)."""
        try:
            while waiting := self._persist(lambda: self._store.awaiting_review(_REVIEWS)):
                for receipt, sealed in waiting:
                    if self._stopping.is_set():
                        return
                    self._review_one(receipt, sealed)
        except Exception as failure:  # noqa: BLE001 - the lane goes on, and the next step tries again
            events.InternalError.of(failure, reason="review").emit()
            self._stopping.wait(RETRY_SECONDS[0])

    def _review_one(self, receipt: str, sealed: bytes) -> None:
        if self._deaths([receipt])[0] >= DEATHS:
            self._set_aside(receipt, *_DIED)  # judged, it would end this process too
            return
        try:
            deposit = self._unseal(receipt, sealed)
            outcome = self._persist(lambda: self._store.review(deposit), holding=[receipt])
        except Exception as failure:  # noqa: BLE001 - its key is gone, or judging it fails as applying it did
            self._set_aside(receipt, *located(failure))
        else:
            if outcome is not None:
                _tell(deposit.reception, outcome)

    def _set_aside(self, receipt: str, error: str, place: str) -> None:
        events.ParkedUnjudged(receipt=receipt, error=error, place=place).emit()
        self._persist(lambda: self._store.set_aside(receipt))

    def settle_batch(self, batch: Sequence[Delivery]) -> None:
        """Apply and settle a batch; any verdict settles it, and one that cannot be applied is parked."""
        settled = self._applied(batch)
        while settled:
            try:
                self._queue.settle(settled)
                break
            except Unavailable:
                # It is committed in the store: settled again, or redelivered after a restart and found there (D-6).
                self._queue_away.away(events.QueueProblem(reason="settle"))
                if self._stopping.wait(RETRY_SECONDS[-1]):
                    return
        for delivery, outcome in settled:
            _tell(delivery.deposit.reception, outcome)

    def _applied(self, batch: Sequence[Delivery]) -> list[tuple[Delivery, Outcome]]:
        """Apply in one transaction, in halves where one of them cannot be (D-13); empty if stopped while the store was away."""
        deposits, receipts = [delivery.deposit for delivery in batch], [delivery.receipt for delivery in batch]
        if len(batch) == 1 and self._deaths(receipts)[0] >= DEATHS:
            return self._parked(batch[0], *_DIED)
        begun = time.monotonic()
        try:
            outcomes = self._persist(lambda: self._store.apply(deposits), holding=receipts)
        except Exception as failure:  # noqa: BLE001 - whatever it is, it must not stop the lane
            if len(batch) == 1:
                # The class and line of the failure: never its text, which may hold values.
                return self._parked(batch[0], *located(failure))
            middle = len(batch) // 2
            first = self._applied(batch[:middle])
            if len(first) < middle:  # stopped: nothing may be applied, or acknowledged, ahead of what is left
                return first
            return first + self._applied(batch[middle:])
        if outcomes is None:
            return []
        events.BatchApplied(submissions=len(batch), seconds=time.monotonic() - begun).emit()
        return list(zip(batch, outcomes, strict=True))

    def _parked(self, delivery: Delivery, error: str, place: str) -> list[tuple[Delivery, Outcome]]:
        submission, reception = delivery.deposit.submission, delivery.deposit.reception

        def park() -> Outcome:
            try:
                sealed = self._seal(delivery)
                identifiers = tuple(known.key for known in submission.identifiers)
                return self._store.park(
                    Parked(reception=reception, code=_CODE, place=f"{error} at {place}", identifiers=identifiers, sealed=sealed)
                )
            except Transient:
                raise
            except Exception as unkept:
                # Neither applied nor kept: it waits here, for nothing that was confirmed may be lost.
                raise Transient(located(unkept)[0]) from unkept

        outcome = self._persist(park)
        if outcome is None:
            return []
        events.DepositParked(
            receipt=reception.receipt,
            source=reception.source,
            type=reception.message_type,
            code=_CODE,
            error=error,
            place=place,
        ).emit()
        return [(delivery, outcome)]

    def _persist(self, call: Callable[[], _T], holding: Sequence[str] = ()) -> _T | None:
        """Call until the store answers (D-9), known to be at what it holds; None if the worker is stopped while it is away."""
        for attempt in itertools.count():
            try:
                with self._holding(holding):
                    result = call()
            except Transient as failure:
                # Said of a batch, it is about some of them: what comes before these is applied meanwhile.
                if isinstance(failure, Stalled | Contended) and len(holding) > 1:
                    raise
                # Of one alone it may be a machine that stood still; thrice it is not.
                if isinstance(failure, Stalled) and holding and attempt + 1 >= DEATHS:
                    raise
                reason = events.reason_of(str(failure))
                metrics.APPLY_RETRIES.labels(reason).inc()
                self._store_away.away(events.StoreProblem(reason=reason))
                if self._stopping.wait(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]):
                    return None
            else:
                self._store_away.over()
                return result
        return None


def _tell(reception: Reception, outcome: Outcome) -> None:
    match outcome.verdict:
        case Verdict.PARKED:
            pass
        case Verdict.REFUSED:
            events.DepositRefused(
                receipt=reception.receipt,
                source=reception.source,
                establishment=reception.establishment,
                type=reception.message_type,
                codes=outcome.codes,
                rule=outcome.rule or "",
                statement=outcome.statement,
            ).emit()
        case verdict:
            events.DepositSettled(
                receipt=reception.receipt,
                source=reception.source,
                type=reception.message_type,
                verdict=verdict.value,
                codes=outcome.codes,
                rule=outcome.rule,
            ).emit()

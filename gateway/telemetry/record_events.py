"""What happens to deposits and events, behind the doors: the queue, the worker, the store."""

import re

from gateway.telemetry import metrics
from gateway.telemetry.event import Event
from gateway.telemetry.redaction import label


def _count_problems(codes: tuple[str, ...], source: str) -> None:
    for code in codes:
        metrics.PROBLEMS.labels(label("code", code), label("source", source)).inc()


class DepositAccepted(Event, frozen=True, kw_only=True):
    """A deposit is durable (D-2)."""

    name = "deposit.accepted"
    receipt: str
    door: str
    source: str
    establishment: str
    message: str
    type: str
    act: str
    documents: int
    codes: tuple[str, ...]
    size: int
    #: From handing it over to its confirm.
    seconds: float

    def count_up(self) -> None:
        """Observe how long the confirm took."""
        metrics.QUEUE_CONFIRM_DURATION.observe(self.seconds)


class DepositSettled(Event, frozen=True, kw_only=True):
    """The record has decided about a deposit, and not refused it."""

    name = "deposit.settled"
    receipt: str
    source: str
    type: str
    verdict: str
    codes: tuple[str, ...] = ()
    rule: str | None = None

    def count_up(self) -> None:
        """Count it by verdict and by problem."""
        labels = (label("source", self.source), label("type", self.type), label("verdict", self.verdict))
        metrics.DEPOSITS.labels(*labels).inc()
        _count_problems(self.codes, self.source)


class DepositRefused(Event, frozen=True, kw_only=True):
    """The record refused a deposit by a rule; nothing of its content is kept (R-13)."""

    name = "deposit.refused"
    receipt: str
    source: str
    establishment: str
    type: str
    codes: tuple[str, ...]
    rule: str
    statement: str | None = None

    def count_up(self) -> None:
        """Count it by verdict, by rule and by problem."""
        source = label("source", self.source)
        metrics.DEPOSITS.labels(source, label("type", self.type), "refused").inc()
        metrics.REFUSALS.labels(source, label("rule", self.rule)).inc()
        _count_problems(self.codes, self.source)


class DepositParked(Event, frozen=True, kw_only=True):
    """A deposit could not be applied for a reason that is not its sender's: an operator must look."""

    name = "deposit.parked"
    level = "error"
    receipt: str
    source: str
    type: str
    code: str
    error: str | None = None
    place: str | None = None

    def count_up(self) -> None:
        """Count it by verdict."""
        metrics.DEPOSITS.labels(label("source", self.source), label("type", self.type), "parked").inc()
        _count_problems((self.code,), self.source)


class ParkedUnjudged(Event, frozen=True, kw_only=True):
    """A parked deposit that an opposition may concern could not be opened or judged: it stays, and a task is listed (D-7)."""

    name = "parked.unjudged"
    level = "error"
    receipt: str
    error: str | None = None
    place: str | None = None


class EventApplied(Event, frozen=True, kw_only=True):
    """An event is committed (D-2)."""

    name = "event.applied"
    receipt: str
    door: str
    source: str
    establishment: str
    message: str
    type: str
    verdict: str
    #: ``feeding_opposes``, ``consultation_allows``…, one per statement.
    kinds: tuple[str, ...]
    codes: tuple[str, ...]
    seconds: float

    def count_up(self) -> None:
        """Count its statements."""
        for kind in self.kinds:
            metrics.STATEMENTS.labels(label("source", self.source), label("kinds", kind)).inc()


class EventRefused(Event, frozen=True, kw_only=True):
    """An event could not be used as it is (AE)."""

    name = "event.refused"
    level = "warning"
    receipt: str
    door: str
    source: str
    establishment: str
    message: str
    type: str
    verdict: str
    codes: tuple[str, ...]


class BatchApplied(Event, frozen=True, kw_only=True):
    """A batch of deposits is committed."""

    name = "batch.applied"
    level = "debug"
    submissions: int
    seconds: float

    def count_up(self) -> None:
        """Observe its size and duration."""
        metrics.APPLY_BATCH.observe(self.submissions)
        metrics.APPLY_DURATION.observe(self.seconds)


class QueueProblem(Event, frozen=True, kw_only=True):
    """The queue does not take or give messages; said once, then each minute."""

    name = "queue.problem"
    level = "error"
    #: `connect`: the broker was not reached since the start; `lost`: it was and is not; `blocked`: it has an alarm and reads
    #: nothing; `take`, `settle`: the file cannot be used; `unopened`, `late`: one deposit cannot be opened.
    reason: str
    error: str | None = None
    place: str | None = None
    #: `door`, or `worker` and its number.
    role: str | None = None
    #: The deposit that cannot be opened.
    receipt: str | None = None


class QueueRecovered(Event, frozen=True, kw_only=True):
    """The queue works again, and how long it did not."""

    name = "queue.recovered"
    seconds: float
    #: `door`, or `worker` and its number.
    role: str | None = None


class LanesMissed(Event, frozen=True, kw_only=True):
    """Lanes are not on the broker: a worker goes on with the others, and takes these once they are there; said each minute."""

    name = "lanes.missed"
    level = "error"
    lanes: tuple[str, ...]
    #: The verb that makes them.
    verb: str
    #: `worker` and its number.
    role: str


class LanesRecovered(Event, frozen=True, kw_only=True):
    """Lanes that were missing are there and taken from."""

    name = "lanes.recovered"
    lanes: tuple[str, ...]
    #: How long the first of them was missing.
    seconds: float
    #: `worker` and its number.
    role: str


def reason_of(told: str) -> str:
    """Return what a store said of its failure as a word: an SQLSTATE, the name of an error, or a few words of ours."""
    word = re.sub(r"[^a-z0-9]+", "_", told.lower()).strip("_")[:32]
    return word if word[:1].isalpha() else f"sqlstate_{word}"


class StoreProblem(Event, frozen=True, kw_only=True):
    """The store does not answer or refuses what it should take; said once, then each minute."""

    name = "store.problem"
    level = "error"
    reason: str
    error: str | None = None
    place: str | None = None


class StoreRecovered(Event, frozen=True, kw_only=True):
    """The store works again, and how long it did not."""

    name = "store.recovered"
    seconds: float


class UpkeepErased(Event, frozen=True, kw_only=True):
    """A job of the upkeep took away what had been kept long enough."""

    name = "upkeep.erased"
    job: str
    count: int


class UpkeepDelayed(Event, frozen=True, kw_only=True):
    """The clock jumped by days: nothing is taken away until it has gone on for a day; `db retain` does it at once."""

    name = "upkeep.delayed"
    level = "error"
    #: How far it jumped; negative: back.
    seconds: float


class UpkeepEnded(Event, frozen=True, kw_only=True):
    """The upkeep has come to its end."""

    name = "upkeep.ended"
    #: Of everything that it took away.
    count: int
    seconds: float


class ReportDropped(Event, frozen=True, kw_only=True):
    """Rejections could not be noted in the store: they are in the log only."""

    name = "report.dropped"
    level = "warning"
    count: int

    def count_up(self) -> None:
        """Count them."""
        metrics.REPORTS_LOST.inc(self.count)

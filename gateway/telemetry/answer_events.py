"""What happens to the journal of answers."""

from gateway.telemetry import metrics
from gateway.telemetry.event import Event
from gateway.telemetry.redaction import label


class AnswerUnnoted(Event, frozen=True, kw_only=True):
    """Positive answers cannot be noted in the journal; each is counted, the first is logged."""

    name = "answer.unnoted"
    level = "error"
    #: `deposit`: it is acknowledged all the same. `event`: one that states something is answered AR.
    reason: str
    error: str

    def count_up(self) -> None:
        """Count it."""
        metrics.ANSWERS_UNNOTED.labels(label("reason", self.reason)).inc()


class AnswersRecovered(Event, frozen=True, kw_only=True):
    """Positive answers are noted again."""

    name = "answers.recovered"
    seconds: float


class MessageDecided(Event, frozen=True, kw_only=True):
    """An application acknowledgment was made: the message it follows was accepted before (enhanced mode)."""

    name = "message.decided"
    level = "debug"
    receipt: str
    door: str
    source: str
    message: str
    answer: str
    codes: tuple[str, ...] = ()
    seconds: float

    def count_up(self) -> None:
        """Count the answer and its problems; how long the record took is not how long the door does."""
        source = label("source", self.source)
        metrics.ANSWERS.labels(label("door", self.door), source, label("answer", self.answer)).inc()
        for code in self.codes:
            metrics.PROBLEMS.labels(label("code", code), source).inc()


class AnswerDropped(Event, frozen=True, kw_only=True):
    """An application acknowledgment could not be given: the connection has gone, or the outcome is not known here."""

    name = "answer.dropped"
    receipt: str
    door: str
    source: str
    message: str
    reason: str

    def count_up(self) -> None:
        """Count it by why."""
        metrics.ANSWERS_DROPPED.labels(label("door", self.door), label("reason", self.reason)).inc()

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

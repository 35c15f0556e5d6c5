"""What happens to the keys of what waits (D-7)."""

from gateway.telemetry import metrics
from gateway.telemetry.event import Event


class LanePassed(Event, frozen=True, kw_only=True):
    """A lane has passed a day: nothing of it, or of an earlier one, waits there any more."""

    name = "lane.passed"
    level = "debug"
    lane: str
    #: ISO date, UTC.
    day: str


class KeysErased(Event, frozen=True, kw_only=True):
    """Keys were overwritten and unlinked: nothing can open what was sealed by them."""

    name = "keys.erased"
    ring: str
    #: The last of them.
    day: str
    count: int


class KeysRetained(Event, frozen=True, kw_only=True):
    """What was received more than 48 hours ago can still be read: a lane cannot drain, or no worker tells. Said once an hour."""

    name = "keys.retained"
    level = "error"
    #: The first day whose key is held.
    day: str
    #: A lane that has not passed it; empty where it is not known here.
    lane: str
    #: Since when the promise is not kept.
    seconds: float


class KeysProblem(Event, frozen=True, kw_only=True):
    """Keys could not be brought forward or erased, or no marker could be published; it is tried again."""

    name = "keys.problem"
    level = "error"
    reason: str

    def count_up(self) -> None:
        """Count it."""
        metrics.KEYS_PROBLEMS.inc()

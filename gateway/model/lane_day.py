"""How far the lanes of a queue are: of which days nothing is left in them."""

from datetime import datetime

from gateway.model.base import Model


class LanePassed(Model, frozen=True, kw_only=True):
    """Nothing that was sealed on a day or before it, and acknowledged to its sender, is left in a lane."""

    #: A lane of the broker, or the name of an embedded queue's file.
    lane: str
    #: Days since 1970-01-01, UTC.
    day: int


class LaneDay(Model, frozen=True, kw_only=True):
    """The last day that a lane has passed, and since when."""

    lane: str
    day: int
    passed_at: datetime

"""What happens at the HTTP door beside messages: each request, and what is refused before it is one of somebody's."""

from gateway.telemetry import metrics
from gateway.telemetry.event import Event
from gateway.telemetry.redaction import label


class RequestAnswered(Event, frozen=True, kw_only=True):
    """A request was answered; its line names the route, never the URL, which a sender writes."""

    name = "request.answered"
    level = "debug"
    door: str
    request: str
    #: Name of the route, `none` where there is none.
    route: str
    source: str
    #: HTTP status.
    status: int
    seconds: float

    def count_up(self) -> None:
        """Count it by route and status."""
        metrics.HTTP_REQUESTS.labels(label("route", self.route), str(self.status)).inc()


class RequestRefused(Event, frozen=True, kw_only=True):
    """A request was refused before it was a message of somebody: no such path, no right, no body that can be read."""

    name = "request.refused"
    level = "warning"
    door: str
    request: str
    source: str
    code: str

    def count_up(self) -> None:
        """Count the problem."""
        metrics.PROBLEMS.labels(label("code", self.code), label("source", self.source)).inc()

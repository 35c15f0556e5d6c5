"""`/healthz`, `/readyz`, `/metrics`: what a monitor asks; how the process is, is told through a port."""

from typing import Protocol

from gateway.adapters.http.call import Call, Reply
from gateway.adapters.http.registry import Access, Answered, Route

_TEXT = "text/plain; charset=utf-8"


class Health(Protocol):
    """How the process is; filled in by wiring."""

    def live(self) -> tuple[bool, str]:
        """Tell whether it lives and does its work, and in which state it is."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Tell whether it takes messages, and what is missing, in words."""
        ...

    def metrics(self) -> tuple[str, bytes]:
        """Return the page of metrics: its media type and its bytes."""
        ...


class HealthRoutes:
    """The routes that a monitor asks."""

    def __init__(self, health: Health) -> None:
        """Keep whom is asked."""
        self._health = health

    def routes(self) -> tuple[Route, ...]:
        """Return the table's rows."""
        return (
            self._route("healthz", "Whether the process lives and does its work.", self.live, "It no longer does its work."),
            self._route("readyz", "Whether messages are taken; what is missing, in words.", self.ready, "Something is missing."),
            Route(
                method="GET",
                path="/metrics",
                name="metrics",
                summary="Metrics of this process, as Prometheus reads them.",
                access=Access.MONITOR,
                handler=self.metrics,
                answers=(Answered(status=200, text="The series.", types=("text/plain",)),),
            ),
        )

    def live(self, _call: Call) -> Reply:
        """Tell whether it lives."""
        return _said(self._health.live())

    def ready(self, _call: Call) -> Reply:
        """Tell whether it takes messages."""
        return _said(self._health.ready())

    def metrics(self, _call: Call) -> Reply:
        """Show the metrics."""
        kind, page = self._health.metrics()
        return Reply(body=page, content_type=kind)

    @staticmethod
    def _route(name: str, summary: str, handler: "_Handler", missing: str) -> Route:
        return Route(
            method="GET",
            path=f"/{name}",
            name=name,
            summary=summary,
            access=Access.MONITOR,
            handler=handler,
            answers=(
                Answered(status=200, text="Yes.", types=("text/plain",)),
                Answered(status=503, text=missing, types=("text/plain",)),
            ),
        )


class _Handler(Protocol):
    def __call__(self, call: Call, /) -> Reply: ...


def _said(found: tuple[bool, str]) -> Reply:
    good, words = found
    return Reply(status=200 if good else 503, body=f"{words}\n".encode(), content_type=_TEXT)

"""The HTTP door, given what the configuration says of it, and what a door may not know by itself: the record's reader."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.adapters.http.engine import Engine
from gateway.adapters.http.registry import Route
from gateway.adapters.http.server import HttpDoor
from gateway.adapters.http.spec import Spec
from gateway.config.settings import Settings
from gateway.model.ports import Clock, Deposits, Events
from gateway.queue.receipt import MacReceipts
from gateway.web.deposits import DepositRoutes
from gateway.wiring.data import DataDirectory
from gateway.wiring.database import open_reader
from gateway.wiring.health import Showing
from gateway.wiring.page import DEAD, readiness
from gateway.wiring.ready import version
from gateway.wiring.trust import tls_address, tls_files


class Probed(Protocol):
    """A door, as far as its health goes."""

    def probe(self) -> "Probe":
        """Return how it is."""
        ...


class Probe(Protocol):
    """How a door is."""

    @property
    def ready(self) -> bool:
        """Whether new connections are taken."""
        ...

    @property
    def connections(self) -> int:
        """How many are open."""
        ...

    @property
    def connection_limit(self) -> int:
        """How many may be."""
        ...


class DoorHealth:
    """
    How a process is, as the HTTP door tells it: the same as its page.

    Args:
        showing: What is shown.
        pulse: Tells how the process is; None: it lives and no longer does its work.
    """

    def __init__(self, showing: Showing, pulse: Callable[[], str | None]) -> None:
        """Keep whom is asked."""
        self._showing = showing
        self._pulse = pulse

    def live(self) -> tuple[bool, str]:
        """Tell whether it lives; see `gateway.adapters.http.health.Health`."""
        status = self._pulse()
        return status is not None, status or DEAD

    def ready(self) -> tuple[bool, str]:
        """Tell whether it takes messages; see `gateway.adapters.http.health.Health`."""
        shown = self._showing.look()
        return not shown.missing, readiness(shown)

    def metrics(self) -> tuple[str, bytes]:
        """Show its metrics; see `gateway.adapters.http.health.Health`."""
        self._showing.look()
        return CONTENT_TYPE_LATEST, generate_latest(self._showing.registry)


def http_door(
    settings: Settings,
    directory: DataDirectory,
    health: DoorHealth,
    *,
    deposits: Deposits,
    events: Events,
    receipts: MacReceipts,
    clock: Clock,
    reuse_port: bool = False,
) -> HttpDoor:
    """
    Return the HTTP door of a process; nothing is opened yet.

    Args:
        settings: The configuration.
        directory: The data directory: the record is read there, unless it is a database.
        health: How the process is.
        deposits: Where deposits and rejections go.
        events: Where events go.
        receipts: Gives receipt ids and knows ours again.
        clock: The time.
        reuse_port: Other processes listen on the same port.
    """

    def more(_: Engine) -> Sequence[Route]:
        keep = timedelta(days=settings.retention.receipts_days)
        return DepositRoutes(lambda: open_reader(directory), receipts.verify, clock, keep).routes()

    return HttpDoor(
        http_spec(settings, reuse_port=reuse_port),
        deposits=deposits,
        events=events,
        receipts=receipts,
        clock=clock,
        health=health,
        version=version(),
        more=more,
    )


def http_spec(settings: Settings, *, reuse_port: bool = False) -> Spec:
    """
    Return what the HTTP door is given.

    Args:
        settings: The configuration.
        reuse_port: Other processes listen on the same port.
    """
    http = settings.http
    where = tls_address(http.tls_listen)
    return Spec(
        host=http.host,
        port=http.port,
        reuse_port=reuse_port,
        tls_listen=where,
        tls=None if where is None else tls_files(settings),
        plaintext_networks=settings.tls.plaintext_networks,
        monitor_networks=settings.metrics.networks,
        body_limit_bytes=http.body_limit_bytes,
        connection_limit=http.connection_limit,
        wait_seconds=http.wait_seconds,
        environment=settings.environment.value,
        directory=settings.directory,
        connections=settings.connections,
    )


def door_check(name: str, door: Probed) -> str | None:
    """Return why a door takes nobody; None if it does."""
    probe = door.probe()
    if probe.ready:
        return None
    full = probe.connections >= probe.connection_limit
    return f"{name} has its {probe.connection_limit} connections" if full else f"{name} does not listen"

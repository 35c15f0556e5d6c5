"""What a process with a door says once it is ready: one line for the operator, one event."""

import os
from importlib import metadata

from gateway.adapters.http.server import HttpDoor
from gateway.adapters.mllp.server import MllpDoor
from gateway.config.load import Loaded
from gateway.model.base import Model
from gateway.telemetry import events
from gateway.wiring.data import DataDirectory


class Ready(Model, frozen=True, kw_only=True):
    """Where a gateway that is ready listens."""

    pid: int
    data: str
    environment: str
    sample: bool
    #: Empty and 0 of a process without this door.
    mllp_host: str = ""
    mllp_port: int = 0
    #: Where MLLP is spoken over TLS; None: nowhere.
    mllp_tls_host: str | None = None
    mllp_tls_port: int | None = None
    #: Where HTTP is spoken, without and with TLS; None: nowhere.
    http_host: str | None = None
    http_port: int | None = None
    http_tls_host: str | None = None
    http_tls_port: int | None = None
    #: Where /metrics, /healthz and /readyz are; None: nowhere.
    metrics: str | None = None


def version() -> str:
    """Return the version of the program."""
    return metadata.version("dmp-gateway")


def started(
    loaded: Loaded, directory: DataDirectory, mllp: MllpDoor | None, http: HttpDoor | None, page: str | None = None
) -> Ready:
    """
    Say in the log that the process is ready to receive; return where it listens.

    Args:
        loaded: The settings.
        directory: The data directory.
        mllp: Open; None: it has none.
        http: Open; None: it has none.
        page: URL of its metrics, if it shows them.
    """
    environment = loaded.settings.environment.value
    events.GatewayStarted(version=version(), environment=environment, sample=loaded.sample).emit()
    return Ready(
        pid=os.getpid(),
        data=str(directory.path),
        environment=environment,
        sample=loaded.sample,
        mllp_host="" if mllp is None else mllp.host,
        mllp_port=0 if mllp is None else mllp.port,
        mllp_tls_host=None if mllp is None or mllp.tls is None else mllp.tls.host,
        mllp_tls_port=None if mllp is None or mllp.tls is None else mllp.tls.port,
        http_host=None if http is None else http.host,
        http_port=None if http is None else http.port,
        http_tls_host=None if http is None or http.tls is None else http.tls.host,
        http_tls_port=None if http is None or http.tls is None else http.tls.port,
        metrics=page,
    )

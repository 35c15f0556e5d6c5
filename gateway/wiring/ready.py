"""What a process with a door says once it is ready: one line for the operator, one event."""

import os
from importlib import metadata

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
    mllp_host: str
    mllp_port: int
    #: Where MLLP is spoken over TLS; None: nowhere.
    mllp_tls_host: str | None = None
    mllp_tls_port: int | None = None
    #: Where /metrics, /healthz and /readyz are; None: nowhere.
    metrics: str | None = None


def version() -> str:
    """Return the version of the program."""
    return metadata.version("dmp-gateway")


def started(loaded: Loaded, directory: DataDirectory, door: MllpDoor, page: str | None = None) -> Ready:
    """
    Say in the log that the process is ready to receive; return where it listens.

    Args:
        loaded: The settings.
        directory: The data directory.
        door: Open.
        page: URL of its metrics, if it shows them.
    """
    environment = loaded.settings.environment.value
    events.GatewayStarted(version=version(), environment=environment, sample=loaded.sample).emit()
    return Ready(
        pid=os.getpid(),
        data=str(directory.path),
        environment=environment,
        sample=loaded.sample,
        mllp_host=door.host,
        mllp_port=door.port,
        mllp_tls_host=None if door.tls is None else door.tls.host,
        mllp_tls_port=None if door.tls is None else door.tls.port,
        metrics=page,
    )

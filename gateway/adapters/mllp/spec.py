"""What the HL7v2 door is given; wiring fills it from the settings."""

from gateway.adapters.tls import TlsFiles
from gateway.model.base import Model
from gateway.model.source import Connection, Directory


class Spec(Model, frozen=True, kw_only=True):
    """The HL7v2 door: where it listens, whom it admits, what it bears."""

    door: str = "mllp"
    host: str = "127.0.0.1"
    #: 0 takes a free one.
    port: int = 0
    #: Other processes listen on the same port: the system shares the connections out.
    reuse_port: bool = False
    #: Where it listens with TLS, too; None: nowhere. Port 0 takes a free one.
    tls_host: str | None = None
    tls_port: int = 0
    tls: TlsFiles | None = None
    #: Networks whose machines may speak without TLS, beside the loopback interface.
    plaintext_networks: tuple[str, ...] = ()
    handshake_seconds: float = 10.0
    frame_limit_bytes: int = 32 * 1024 * 1024
    #: Bytes of messages that all connections hold together; a connection that would hold more is answered AR and closed.
    held_limit_bytes: int = 96 * 1024 * 1024
    idle_timeout_seconds: float = 300.0
    connection_limit: int = 256
    ack_wait_seconds: float = 10.0
    #: As many messages of one batch are taken.
    batch_limit_messages: int = 1000
    #: `production` or `test` (D-17).
    environment: str
    directory: Directory
    connections: tuple[Connection, ...]

"""What the HTTP door is given; wiring fills it from the settings."""

from gateway.adapters.tls import TlsFiles
from gateway.model.base import Model
from gateway.model.source import Connection, Directory

#: More than this of one line and all headers is refused (431).
HEADER_BYTES = 32 * 1024


class Spec(Model, frozen=True, kw_only=True):
    """The HTTP door: where it listens, whom it admits, what it bears."""

    door: str = "http"
    host: str = "127.0.0.1"
    #: 0 takes a free one.
    port: int = 0
    #: Address and port to listen on with TLS; None: nowhere.
    tls_listen: tuple[str, int] | None = None
    tls: TlsFiles | None = None
    #: Networks beside the loopback interface whose machines may speak without TLS.
    plaintext_networks: tuple[str, ...] = ()
    #: Networks of monitors beside this machine.
    monitor_networks: tuple[str, ...] = ()
    #: Other processes listen on the same port: the system shares the connections out.
    reuse_port: bool = False
    body_limit_bytes: int = 32 * 1024 * 1024
    #: Bytes of bodies that all connections hold together; a request that would hold more is told 503.
    held_limit_bytes: int = 96 * 1024 * 1024
    connection_limit: int = 512
    #: How long an answer waits for the record's decision (D-16).
    wait_seconds: float = 10.0
    #: Threads that answer; fewer may wait for queue or store, so that health is answered meanwhile.
    threads: int = 32
    waiting_limit: int = 24
    #: How long a TLS handshake may take.
    handshake_seconds: float = 5.0
    #: How long a connection may say nothing between two requests.
    idle_seconds: float = 60.0
    #: How long the headers of a request may take.
    header_seconds: float = 10.0
    #: How long its body may take, beside the time that it needs at `least_rate`.
    body_seconds: float = 20.0
    #: Bytes in a second that a sender must keep up with a body.
    least_rate: int = 64 * 1024
    #: How long an answer may stay unread.
    unread_seconds: float = 30.0
    #: How long a refused connection stays for the sender to read why.
    linger_seconds: float = 5.0
    #: `production` or `test` (D-17).
    environment: str
    directory: Directory
    connections: tuple[Connection, ...]

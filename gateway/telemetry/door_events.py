"""What happens at the doors: the process, its connections, its messages."""

from datetime import datetime

import msgspec

from gateway.telemetry import lines, metrics
from gateway.telemetry.event import Event
from gateway.telemetry.redaction import label


class GatewayStarted(Event, frozen=True, kw_only=True):
    """The process is ready to receive."""

    name = "gateway.started"
    version: str
    environment: str
    #: Whether it runs the sample configuration.
    sample: bool

    def count_up(self) -> None:
        """Show the version."""
        metrics.BUILD.labels(label("version", self.version)).set(1)


class GatewayStopped(Event, frozen=True, kw_only=True):
    """The process has drained and ends."""

    name = "gateway.stopped"
    reason: str
    seconds: float


class ProcessEnded(Event, frozen=True, kw_only=True):
    """A process of the gateway has died; it is started again."""

    name = "process.ended"
    level = "error"
    #: `mllp`, or `worker` and its number.
    role: str
    #: Exit status; negative: the number of the signal.
    status: int
    #: Seconds until it is started again.
    wait: float


class ProcessUnstarted(Event, frozen=True, kw_only=True):
    """A process of the gateway cannot be started again, for want of memory or of room for a process; it is tried again."""

    name = "process.unstarted"
    level = "error"
    #: `mllp`, or `worker` and its number.
    role: str
    error: str


class DoorOpened(Event, frozen=True, kw_only=True):
    """A door listens."""

    name = "door.opened"
    door: str
    host: str
    port: int


class DoorClosed(Event, frozen=True, kw_only=True):
    """A door has closed, and says how many connections it had to cut."""

    name = "door.closed"
    door: str
    count: int
    seconds: float


class ConnectionOpened(Event, frozen=True, kw_only=True):
    """A machine has connected."""

    name = "connection.opened"
    level = "debug"
    door: str
    connection: int
    peer: str

    def count_up(self) -> None:
        """One more."""
        metrics.CONNECTIONS.labels(label("door", self.door)).inc()


class ConnectionClosed(Event, frozen=True, kw_only=True):
    """A connection has ended, by whom and why."""

    name = "connection.closed"
    level = "debug"
    door: str
    connection: int
    peer: str
    reason: str
    messages: int
    seconds: float

    def count_up(self) -> None:
        """One less."""
        metrics.CONNECTIONS.labels(label("door", self.door)).dec()


class ConnectionRefused(Event, frozen=True, kw_only=True):
    """A connection was closed unread: no source is admitted from there or by that certificate, too many, or the door closes."""

    name = "connection.refused"
    level = "warning"
    door: str
    peer: str
    reason: str
    #: The first digits of the fingerprint of the certificate that it showed.
    certificate: str | None = None

    def count_up(self) -> None:
        """Count it by reason."""
        metrics.CONNECTIONS_REFUSED.labels(label("door", self.door), label("reason", self.reason)).inc()


class CertificatesReloaded(Event, frozen=True, kw_only=True):
    """New handshakes of a door take the certificates, authorities and revocation lists that are in the files now."""

    name = "certificates.reloaded"
    door: str


class CertificatesRefused(Event, frozen=True, kw_only=True):
    """The files of `[tls]` changed and cannot be used: the door goes on with what it had; /readyz says what is wrong."""

    name = "certificates.refused"
    level = "error"
    door: str
    reason: str


class MessageReceived(Event, frozen=True, kw_only=True):
    """A whole message of a known source was received, at an instant."""

    name = "message.received"
    level = "debug"
    receipt: str
    door: str
    source: str
    type: str
    message: str
    size: int
    at: datetime

    def emit(self) -> None:
        """Move the counters, then write the line; the instant is that of the line."""
        self.count_up()
        fields = msgspec.structs.asdict(self)
        del fields["at"]
        lines.write(self.level, self.name, fields)

    def count_up(self) -> None:
        """Count it, and note when the source last spoke."""
        source = label("source", self.source)
        metrics.MESSAGES_RECEIVED.labels(label("door", self.door), source, label("type", self.type)).inc()
        if source != "unknown":
            metrics.LAST_MESSAGE.labels(source).set(self.at.timestamp())


class MessageAnswered(Event, frozen=True, kw_only=True):
    """A technical answer was made for a message."""

    name = "message.answered"
    level = "debug"
    receipt: str
    door: str
    source: str
    message: str
    answer: str
    codes: tuple[str, ...] = ()
    seconds: float

    def count_up(self) -> None:
        """Count the answer, its problems and its duration."""
        door, source = label("door", self.door), label("source", self.source)
        metrics.ANSWERS.labels(door, source, label("answer", self.answer)).inc()
        metrics.ANSWER_DURATION.labels(door).observe(self.seconds)
        for code in self.codes:
            metrics.PROBLEMS.labels(label("code", code), source).inc()


class MessageRejected(Event, frozen=True, kw_only=True):
    """The door refused a message: it never was ours (D-7)."""

    name = "message.rejected"
    level = "warning"
    receipt: str
    door: str
    source: str
    establishment: str
    message: str
    type: str
    codes: tuple[str, ...]
    places: tuple[str, ...]
    size: int

    def count_up(self) -> None:
        """Count it as a deposit that ended there."""
        metrics.DEPOSITS.labels(label("source", self.source), label("type", self.type), "rejected").inc()


class MessageIgnored(Event, frozen=True, kw_only=True):
    """A message was understood, acknowledged, and is of no concern to the record."""

    name = "message.ignored"
    receipt: str
    door: str
    source: str
    establishment: str
    message: str
    type: str
    codes: tuple[str, ...]

    def count_up(self) -> None:
        """Count it as a deposit that ended there."""
        metrics.DEPOSITS.labels(label("source", self.source), label("type", self.type), "ignored").inc()


class MessageDeferred(Event, frozen=True, kw_only=True):
    """A circumstance kept a message from being taken: the sender was asked to send it again (AR)."""

    name = "message.deferred"
    level = "warning"
    receipt: str
    door: str
    source: str
    message: str
    type: str
    codes: tuple[str, ...]
    reference: str | None = None

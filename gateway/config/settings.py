"""The settings, and the table of those that have a default: name, default, help (D-22)."""

import enum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gateway.model.base import Model
from gateway.model.source import Connection, Directory, Establishment, Source


class Environment(enum.StrEnum):
    """What the gateway is for (D-17)."""

    PRODUCTION = "production"
    TEST = "test"


class LogLevel(enum.StrEnum):
    """Lines below this level are not written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(enum.StrEnum):
    """How a line is written."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


Port = Annotated[int, Meta(ge=0, le=65_535)]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Bytes = Annotated[int, Meta(ge=1024, le=1 << 30)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Mllp(Model, frozen=True, kw_only=True):
    """The HL7v2 door."""

    host: str = "127.0.0.1"
    port: Port = 2575
    tls_listen: str = "off"
    frame_limit_bytes: Bytes = 32 * 1024 * 1024
    idle_timeout_seconds: Seconds = 300.0
    connection_limit: Annotated[int, Meta(ge=1, le=65_535)] = 256
    ack_wait_seconds: Seconds = 10.0
    batch_limit_messages: Count = 1000


class Http(Model, frozen=True, kw_only=True):
    """The HTTP door: CDA, FHIR, HL7v2 over HTTP, and the pages of health."""

    host: str = "127.0.0.1"
    port: Port = 8080
    tls_listen: str = "off"
    body_limit_bytes: Bytes = 32 * 1024 * 1024
    connection_limit: Annotated[int, Meta(ge=1, le=65_535)] = 512
    wait_seconds: Seconds = 10.0


class Tls(Model, frozen=True, kw_only=True):
    """The certificates of the doors, and who may do without (D-17)."""

    certificate: str = ""
    key: str = ""
    authorities: str = ""
    revocations: str = ""
    plaintext_networks: tuple[str, ...] = ()


class Queue(Model, frozen=True, kw_only=True):
    """The queue between the doors and the record."""

    sealed_limit_bytes: Bytes = 15 * 1024 * 1024
    limit_messages: Count = 100_000
    management_url: str = ""


class Processes(Model, frozen=True, kw_only=True):
    """What `serve` starts where the queue is a broker (D-12)."""

    doors: Annotated[int, Meta(ge=1, le=64)] = 1
    workers: Annotated[int, Meta(ge=1, le=16)] = 1
    http: Annotated[int, Meta(ge=0, le=64)] = 1


class Batch(Model, frozen=True, kw_only=True):
    """What the worker applies in one transaction (D-13)."""

    submissions: Annotated[int, Meta(ge=1, le=10_000)] = 100
    bytes: Bytes = 8 * 1024 * 1024
    wait_seconds: Annotated[float, Meta(ge=0, le=10)] = 0.05


class Answers(Model, frozen=True, kw_only=True):
    """The journal of answers (D-2)."""

    #: Shorter than receipts are kept: what they forgot is not missing.
    keep_days: Annotated[int, Meta(ge=1, le=90)] = 35


class Retention(Model, frozen=True, kw_only=True):
    """How long things are kept (D-7, R-09)."""

    receipts_days: Annotated[int, Meta(ge=90, le=3_650)] = 90
    parked_days: Annotated[int, Meta(ge=1, le=30)] = 30
    deleted_days: Annotated[int, Meta(ge=1, le=3_650)] = 30
    done_days: Annotated[int, Meta(ge=1, le=3_650)] = 90
    records_years: Annotated[int, Meta(ge=10, le=100)] = 10


class Log(Model, frozen=True, kw_only=True):
    """The log."""

    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.AUTO


#: A listener that is none.
OFF: Final = "off"


class Metrics(Model, frozen=True, kw_only=True):
    """The page of metrics and readiness."""

    listen: str = OFF
    networks: tuple[str, ...] = ()


class Settings(Model, frozen=True, kw_only=True):
    """Everything that an operator sets; read once."""

    environment: Environment
    mllp: Mllp = Mllp()
    http: Http = Http()
    tls: Tls = Tls()
    queue: Queue = Queue()
    processes: Processes = Processes()
    batch: Batch = Batch()
    answers: Answers = Answers()
    retention: Retention = Retention()
    log: Log = Log()
    metrics: Metrics = Metrics()
    establishments: tuple[Establishment, ...] = ()
    sources: tuple[Source, ...] = ()
    connections: tuple[Connection, ...] = ()

    @property
    def directory(self) -> Directory:
        """All establishments and sources."""
        return Directory(establishments=self.establishments, sources=self.sources)


class Setting(Model, frozen=True, kw_only=True):
    """One row of the table of settings: what an operator may set by file, environment or flag."""

    #: ``section.key``, or the key alone.
    name: str
    #: None: it has none, a file must say it.
    default: str | int | float | tuple[str, ...] | None
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that goes over the file."""
        return PREFIX + self.name.replace(".", "_").upper()


PREFIX: Final = "DMP_GATEWAY_"

#: Variables with our prefix that are not settings: options of the command line, and what the proof orders to go wrong.
APART: Final = frozenset({"DMP_GATEWAY_KILL_AT", "DMP_GATEWAY_POISON", "DMP_GATEWAY_CONFIG", "DMP_GATEWAY_DATA"})

#: Sections of the file, each a table of keys.
SECTIONS: Final[dict[str, type[Model]]] = {
    "mllp": Mllp,
    "http": Http,
    "tls": Tls,
    "queue": Queue,
    "processes": Processes,
    "batch": Batch,
    "answers": Answers,
    "retention": Retention,
    "log": Log,
    "metrics": Metrics,
}

#: Lists of tables in the file, by the type of their rows.
LISTS: Final[dict[str, type[Model]]] = {"establishments": Establishment, "sources": Source, "connections": Connection}

_HELP: Final = {
    "environment": '"production" refuses test patients (INS roots .10 and .11) and messages marked T or D; "test" takes them.',
    "mllp.host": "Address to listen on without TLS: one of the loopback interface, or any with `tls.plaintext_networks`.",
    "mllp.port": "Port to listen on; 0 takes a free one and prints it.",
    "mllp.tls_listen": "Address and port to listen on with TLS, such as 0.0.0.0:2576; port 0 takes a free one. `off`: nowhere.",
    "mllp.frame_limit_bytes": "The longest message; a longer one is answered AE and the connection closed.",
    "mllp.idle_timeout_seconds": "A connection that says nothing for so long is closed.",
    "mllp.connection_limit": "How many connections may be open at once.",
    "mllp.ack_wait_seconds": "A message that is not durable by then is answered AR: the sender sends it again. Where the answer "
    "waits for the decision (`sources.answer`), one that is not decided by then.",
    "mllp.batch_limit_messages": "As many messages of one batch (FHS, BHS) are taken; a longer one is answered AE, whole.",
    "http.host": "Address to listen on without TLS: one of the loopback interface, or any with `tls.plaintext_networks`.",
    "http.port": "Port to listen on; 0 takes a free one and prints it.",
    "http.tls_listen": "Address and port to listen on with TLS, such as 0.0.0.0:8443; port 0 takes a free one. `off`: nowhere.",
    "http.body_limit_bytes": "The longest body; a longer one is answered 413 while it is read.",
    "http.connection_limit": "How many connections may be open at once.",
    "http.wait_seconds": "How long an answer waits for the record's decision before it says 503 (FHIR, CDA).",
    "tls.certificate": "PEM file: our certificate, then those of the authorities between it and its root. A path of [tls] that "
    "is not absolute begins at the configuration file; new files are taken without a restart (SIGHUP: at once).",
    "tls.key": "PEM file of its key, without a password, which others on the machine cannot read.",
    "tls.authorities": "PEM file of the authorities whose client certificates are taken; the machine's own list never counts.",
    "tls.revocations": "PEM file of a revocation list (CRL) of each authority that issues client certificates; empty: none is "
    "looked at.",
    "tls.plaintext_networks": "Networks whose machines may speak without TLS, beside the loopback interface.",
    "queue.sealed_limit_bytes": "The largest sealed deposit that the queue takes.",
    "queue.limit_messages": "How many deposits may wait; beyond it, messages are answered AR.",
    "queue.management_url": "Where RabbitMQ's management plug-in answers, http://host:15672, with AMQP_URL's user; empty: "
    "AMQP_URL's host, port 15672 (15671 with amqps). Only `queue status` and `doctor` ask it.",
    "processes.doors": "How many MLLP processes share the port, where AMQP_URL names a broker.",
    "processes.workers": "How many workers share the lanes, where AMQP_URL names a broker.",
    "processes.http": "How many HTTP processes share the port, where AMQP_URL names a broker; 0: no HTTP door, nowhere.",
    "batch.submissions": "The most submissions in one transaction.",
    "batch.bytes": "The most bytes in one transaction.",
    "batch.wait_seconds": "How long a batch waits for more before it is applied.",
    "answers.keep_days": "How long the journal of answers is kept, in days: longer than any backup is old when it is restored.",
    "retention.receipts_days": "Receipts are kept for so many days after the decision; a resend is recognised by them.",
    "retention.parked_days": "What is parked is kept sealed for so many days, then erased.",
    "retention.deleted_days": "The bytes of a deleted document are kept for so many days after the deletion.",
    "retention.done_days": "Tasks that are done and acknowledgements that were delivered are kept for so many days.",
    "retention.records_years": "A closed record is kept for so many years, then destroyed with its trace.",
    "log.level": "Lines below it are not written: debug, info, warning, error.",
    "metrics.listen": (
        "Address and port of /metrics, /healthz and /readyz, such as 127.0.0.1:9464; loopback alone. `off`: nowhere."
    ),
    "metrics.networks": "Networks whose monitors may ask the HTTP door for /metrics, /healthz and /readyz, beside this machine.",
    "log.format": '"json", "console" for people, or "auto": console on a terminal, JSON otherwise.',
}


def _rows() -> tuple[Setting, ...]:
    rows = [Setting(name="environment", default=None, help=_HELP["environment"])]
    for section, kind in SECTIONS.items():
        rows += [
            Setting(name=f"{section}.{field.name}", default=field.default, help=_HELP[f"{section}.{field.name}"])
            for field in msgspec.structs.fields(kind)
        ]
    return tuple(rows)


#: Every setting that has one value; the lists of establishments, sources and connections stand in the file only.
SETTINGS: Final = _rows()

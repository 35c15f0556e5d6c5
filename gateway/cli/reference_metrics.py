"""The page of metrics: where they are read, what each answers, the runbook of the alerts."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics import MetricWrapperBase

from gateway.cli.alerts import ALERTS, Alert
from gateway.telemetry import metrics

_HEAD: Final = """\
# Metrics

The HTTP door ([http.md](http.md)) answers on its own port, 8080 or that of `http.tls_listen`, to this machine and to the
monitors of `metrics.networks`. Where there is no such door, or there are several processes, `[metrics] listen =
"127.0.0.1:9464"` or `DMP_GATEWAY_METRICS_LISTEN` opens a port for it alone, on the loopback interface: without TLS nothing else
is listened on. Port 0 takes a free one; `serve` prints it. `gateway.sock` gives the numbers of a gateway in one process, too
([control-request](../schemas/control-request.json)).

| path | answers |
|---|---|
| `/metrics` | every metric below, in Prometheus's text format |
| `/healthz` | 200 while the process does its work; 503 once a thread of it has ended: start it again |
| `/readyz` | 200 `ready`, or 503 and a line for each check that fails: what is missing, in words; then notes for people |

Prefix `dmpgw_`. Labels are doors, sources, types, verdicts, lanes, codes and reasons, each one of a bounded set: never a
person, a document or a message. Where the queue is a broker, `serve` shows all its processes on one page: each tells its
supervisor over a socket that it was born with, counters are added, and what a process had counted stays in the sum when it dies
(what it counted in the last five seconds is lost with it). `ready` is the worst of them, ages are the longest. A door or a
worker that is started alone has a page of its own: give each its port.

The broker and the record store are asked every 30 s by one worker; where they do not answer, the series is missing or `NaN`: no
rule fires on it. Of a lane, `ready` is what the broker holds for nobody, `unacknowledged` what workers of this page have in
hand. The age of a lane is that of the first message that a worker of this page has in hand or before it: nobody else can know.

Each check of `ready`: `door` takes connections; `queue` is reached and not blocked; `lanes` are all there; `store` answers;
`worker` works; `processes` all run and answer.

    scrape_configs:
      - job_name: dmp-gateway
        static_configs:
          - targets: ["127.0.0.1:8080"]     # with several processes that of metrics.listen

## What is counted

| metric | kind | labels | meaning |
|---|---|---|---|
"""

_ALERTS: Final = """

## Dashboards

`samples/grafana/` has two, to import into Grafana 10 or later: *traffic*, by source, and *promises*: what was acknowledged and
is not in the record yet, rights at work, what must stay at zero. Both begin with the same seven numbers, and lead to the
dashboards of RabbitMQ and PostgreSQL that the same Grafana has.

## Alerts

`samples/prometheus/rules.yml` has these rules, for a job called `dmp-gateway`; promtool tests them. A `page` wakes somebody, a
`ticket` is looked at the same day. A rule for acknowledgements that wait for their sender comes with what it looks at.
"""


def metrics_page() -> str:
    """Return the page, without its first line."""
    parts = [*sorted(described()), _ALERTS]
    for alert in ALERTS:
        parts += _section(alert)
    return _HEAD + "\n".join(parts) + "\n"


def described() -> Iterator[str]:
    """Yield the row of each metric."""
    for collector in vars(metrics).values():
        if isinstance(collector, MetricWrapperBase):
            (family,) = collector.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = ", ".join(f"`{label}`" for label in collector._labelnames)  # noqa: SLF001 - the library shows them nowhere else
            yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


def _section(alert: Alert) -> Iterator[str]:
    yield from (f"### {alert.name}", "", f"{alert.means} Severity `{alert.severity}`.", "")
    yield from (f"{number}. {step}" for number, step in enumerate(alert.steps, start=1))
    yield from ("", f"    {alert.expr}", "")

"""
The alert rules of a gateway: a table, printed as a file for Prometheus and as the runbook of docs/metrics.md (D-22).

One that the field expects is not here yet, for want of what it would look at: acknowledgements that wait for their sender.
"""

import json
import sys
from pathlib import Path
from typing import Final

from gateway.model.base import Model

#: Where the rules lead whoever is woken; the operator puts their own address of the docs before it.
_RUNBOOK: Final = "docs/metrics.md"


class Alert(Model, frozen=True, kw_only=True):
    """One rule."""

    name: str
    #: PromQL, over the metrics of this program.
    expr: str
    #: How long it must be so, in Prometheus's words; empty: not at all.
    wait: str = ""
    #: `page`: somebody is woken; `ticket`: somebody looks today.
    severity: str
    #: One line, with Prometheus's templates.
    summary: str
    #: What it means, and what to do.
    means: str
    steps: tuple[str, ...]


_ERRORS: Final = 'dmpgw_answers_total{answer=~"A[ER]|C[ER]",source!="unknown"}'
_ALL: Final = 'dmpgw_answers_total{source!="unknown"}'

#: What senders asked over HTTP: a monitor that is told 503 by /readyz is told the truth.
_ASKED: Final = 'dmpgw_http_requests_total{route!~"healthz|readyz|metrics"}'
_FAILED: Final = 'dmpgw_http_requests_total{route!~"healthz|readyz|metrics",status=~"5.."}'

#: Every rule, the most urgent first.
ALERTS: Final = (
    Alert(
        name="DmpGatewayDown",
        expr='up{job="dmp-gateway"} == 0',
        wait="2m",
        severity="page",
        summary="No answer from the gateway at {{ $labels.instance }}",
        means="Prometheus reads no page: the process is gone, or nobody listens there.",
        steps=(
            "`dmp-gateway doctor` on that machine; `journalctl -u dmp-gateway` tells why it ended.",
            "Senders keep what is not answered AA and send it again: nothing is lost while it is down.",
        ),
    ),
    Alert(
        name="DmpGatewayGivenUp",
        expr='max(dmpgw_lane_messages{lane="dead",state="ready"}) > 0',
        severity="page",
        summary="{{ $value }} messages were given up by the broker",
        means="Nothing of ours ever goes there (D-8): a stranger writes to the lanes, or a policy drops what waits.",
        steps=(
            "`dmp-gateway queue status` and `dmp-gateway doctor`: look for policies and for other writers.",
            "Do not purge the queue: what lies there may have been acknowledged. docs/broker.md says how to look at it.",
        ),
    ),
    Alert(
        name="DmpGatewayNotReady",
        expr="min by (check) (dmpgw_ready) == 0",
        wait="2m",
        severity="page",
        summary="{{ $labels.check }} does not do its work",
        means="A broker or a database that is away, full or has an alarm, a lane that is missing, a process that ended.",
        steps=(
            "`/readyz` names what is missing, in words, and of which process.",
            "`queue`: the broker's alarm or its disk, `rabbitmq-diagnostics alarms`; `lanes`: `dmp-gateway queue setup`.",
            "`store`: the database and its disk; `processes`: the log line `process.ended` tells which.",
            "Meanwhile doors answer AR, or keep what they take; what was answered AA waits in the lanes.",
        ),
    ),
    Alert(
        name="DmpGatewayLaneWaits",
        expr="max by (lane) (dmpgw_lane_oldest_age_seconds) > 300",
        wait="5m",
        severity="page",
        summary="The first message of {{ $labels.lane }} has waited for {{ $value | humanizeDuration }}",
        means="Deposits were acknowledged and are not in the record: no worker takes the lane, or none can write.",
        steps=(
            "`dmp-gateway queue status`: who takes from the lane, and what is in whose hands.",
            "`dmp-gateway deposits list --state queued` tells whose they are.",
        ),
    ),
    Alert(
        name="DmpGatewayHttpFails",
        expr=f"sum(rate({_FAILED}[15m])) / sum(rate({_ASKED}[15m])) > 0.05",
        wait="10m",
        severity="page",
        summary="{{ $value | humanizePercentage }} of the requests over HTTP are answered 5xx",
        means="Senders are told 503, to send again, or 500, an error of the program: what they send is not in the record.",
        steps=(
            "`sum by (route, status) (rate(dmpgw_http_requests_total[15m]))` tells which of them.",
            "503: `/readyz` names what is missing; with nothing missing, the record decides too slowly: see the lanes' age.",
            "500: the log line `internal.error` under the reference of the answer tells where.",
        ),
    ),
    Alert(
        name="DmpGatewayCertificateEnds",
        expr="min by (use) (dmpgw_certificate_expiry_timestamp_seconds) - time() < 30 * 86400",
        wait="1h",
        severity="ticket",
        summary="A certificate or list of [tls] for {{ $labels.use }} ends in {{ $value | humanizeDuration }}",
        means="From then on senders refuse the door (`server`), or the door refuses them (`authorities`, `revocations`).",
        steps=(
            "`dmp-gateway doctor` names the file and its last day.",
            "Put the new file in its place: it is taken without a restart, and open connections stay (docs/trust.md).",
        ),
    ),
    Alert(
        name="DmpGatewayParked",
        expr="max(dmpgw_parked_deposits) > 0",
        severity="ticket",
        summary="{{ $value }} deposits are parked",
        means="They were acknowledged and could not be applied, for a reason of ours: they are kept sealed, 30 days at most.",
        steps=(
            "`dmp-gateway parked list`, then `dmp-gateway parked show` of each: code and place of the error.",
            "Mend the cause (an upgrade, room on a disk); then ask the sender to send it again.",
        ),
    ),
    Alert(
        name="DmpGatewayKeysRetained",
        expr="time() - min(dmpgw_keys_oldest_day_timestamp_seconds) > 49 * 3600",
        wait="15m",
        severity="ticket",
        summary="What was received {{ $value | humanizeDuration }} ago can still be read outside the record",
        means="The promise of 48 hours is not kept (D-7): a lane cannot drain, so the key of its day is kept.",
        steps=("`dmp-gateway keys status` names the lane and since when.", "Let the lane drain: as for DmpGatewayLaneWaits."),
    ),
    Alert(
        name="DmpGatewaySourceErrors",
        expr=(
            f"sum by (source) (rate({_ERRORS}[15m])) / sum by (source) (rate({_ALL}[15m]))"
            f" > 0.05 + 3 * (sum by (source) (increase({_ERRORS}[1w])) / sum by (source) (increase({_ALL}[1w])))"
        ),
        wait="15m",
        severity="ticket",
        summary="{{ $value | humanizePercentage }} of what {{ $labels.source }} sends is refused: more than it is used to",
        means="More than three times its share of the last week and five in a hundred: often a release of the sender.",
        steps=(
            '`sum by (code) (rate(dmpgw_problems_total{source="…"}[15m]))` tells the codes.',
            "problems.md says of each what to do, and who must act.",
            "`dmp-gateway deposits list --state rejected --source …` lists them with their MSH-10.",
        ),
    ),
    Alert(
        name="DmpGatewaySourceSilent",
        expr=(
            'sum by (source) (increase(dmpgw_messages_received_total{source!="unknown"}[1h])) == 0'
            ' and sum by (source) (increase(dmpgw_messages_received_total{source!="unknown"}[1h] offset 1w)) > 10'
        ),
        wait="30m",
        severity="ticket",
        summary="{{ $labels.source }} sends nothing; a week ago at this hour it did",
        means="Zero is the error that no counter of errors shows: an engine that stopped, a firewall, an expired route.",
        steps=(
            "Ask whoever runs the source: does it hold messages back, does it reach host and port?",
            "`dmpgw_connections` and the log lines `connection.refused` tell whether it comes to the door at all.",
        ),
    ),
)  # fmt: skip


def rules() -> str:
    """Return the file for Prometheus; texts are in JSON's quotes, which are YAML's too."""
    lines = [
        "# Alert rules of dmp-gateway for Prometheus; printed from gateway/cli/alerts.py by `make docs`, tested by promtool.",
        "# The job that scrapes it is called dmp-gateway. `runbook` names a section of the docs: put their address before it.",
        "groups:",
        "  - name: dmp-gateway",
        "    rules:",
    ]
    for alert in ALERTS:
        lines += [f"      - alert: {alert.name}", f"        expr: {_quoted(alert.expr)}"]
        lines += [f"        for: {alert.wait}"] if alert.wait else []
        lines += [
            "        labels:",
            f"          severity: {alert.severity}",
            "        annotations:",
            f"          summary: {_quoted(alert.summary)}",
            f"          runbook: {_quoted(f'{_RUNBOOK}#{alert.name.lower()}')}",
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    Path(sys.argv[1]).parent.mkdir(parents=True, exist_ok=True)
    Path(sys.argv[1]).write_text(rules(), encoding="utf-8")

"""
The Grafana dashboards of a gateway: two tables of panels, printed as files to import (D-22).

*Traffic* is what interface teams look at each morning, by source; *promises* is what a gateway has promised and how it keeps it.
The first row of both is the same: the seven numbers.
"""

import sys
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gateway.cli.dashboard import Dashboard, Panel, Query, Row, printed

#: Of the sources that the reader has chosen.
_OF: Final = '{source=~"$source"}'
_KNOWN: Final = '{source=~"$source",source!="unknown"}'
_REFUSED: Final = '{source=~"$source",source!="unknown",answer=~"A[ER]|C[ER]"}'
_HALF, _MOST, _ALMOST_ALL = "0.5", "0.95", "0.99"


def _number(title: str, means: str, expr: str, limits: tuple[float, float], *, unit: str = "short", width: int = 3) -> Panel:
    query = Query(expr=expr)
    return Panel(title=title, means=means, queries=(query,), kind="stat", unit=unit, limits=limits, width=width, height=4)


def _series(title: str, means: str, *written: tuple[str, str], unit: str = "reqps") -> Panel:
    return Panel(title=title, means=means, unit=unit, queries=tuple(Query(expr=expr, legend=legend) for expr, legend in written))


def _table(title: str, means: str, expr: str, legend: str, *, unit: str = "short", width: int = 12) -> Panel:
    query = Query(expr=expr, legend=legend)
    return Panel(title=title, means=means, queries=(query,), kind="table", unit=unit, width=width)


def _share(share: str, histogram: str, *labels: str) -> str:
    return f"histogram_quantile({share}, sum by ({', '.join(('le', *labels))}) (rate({histogram}_bucket[5m])))"


def _refused_share(span: str) -> str:
    refused, known = (f"sum by (source) (rate(dmpgw_answers_total{of}[{span}]))" for of in (_REFUSED, _KNOWN))
    return f"{refused} / {known}"


#: The numbers that interface teams look at each morning.
SEVEN: Final = Row(
    title="This morning",
    panels=(
        Panel(
            title="Messages against habit",
            kind="stat",
            unit="percentunit",
            means="Messages of the last hour, as a share of those of the same hour a week ago. 100 % is as always.",
            queries=(
                Query(
                    expr=f"sum(increase(dmpgw_messages_received_total{_KNOWN}[1h]))"
                    f" / sum(increase(dmpgw_messages_received_total{_KNOWN}[1h] offset 1w))"
                ),
            ),
            limits=(0.5, 0.8),
            less_is_worse=True,
            width=4,
            height=4,
        ),
        _number(
            "Silent sources",
            "Sources that sent nothing for an hour, and did in that hour a week ago: the error that no counter of errors shows.",
            f"count((sum by (source) (increase(dmpgw_messages_received_total{_KNOWN}[1h])) == 0)"
            f" and (sum by (source) (increase(dmpgw_messages_received_total{_KNOWN}[1h] offset 1w)) > 0)) or vector(0)",
            (1, 2),
        ),
        _number(
            "Answered with an error",
            "Share of the last hour's messages that a door refused: AE, AR, and what is said for them over HTTP (4xx, 5xx).",
            f"sum(rate(dmpgw_answers_total{_REFUSED}[1h])) / sum(rate(dmpgw_answers_total{_KNOWN}[1h]))",
            (0.02, 0.1),
            unit="percentunit",
            width=4,
        ),
        _number(
            "Waiting",
            "Deposits that were acknowledged and are not in the record yet.",
            'sum(max by (lane, state) (dmpgw_lane_messages{lane!="dead"}))',
            (1000, 10000),
        ),
        _number(
            "Oldest waits since",
            "Age of the first deposit of the slowest lane.",
            "max(dmpgw_lane_oldest_age_seconds)",
            (60, 300),
            unit="s",
        ),
        _number(
            "Answer time, 95 of 100",
            "From the end of a message to its answer, over the last five minutes.",
            _share(_MOST, "dmpgw_answer_duration_seconds"),
            (1, 5),
            unit="s",
            width=4,
        ),
        _number(
            "Parked",
            "Deposits that could not be applied for a reason of ours: an operator must look (`dmp-gateway parked list`).",
            "max(dmpgw_parked_deposits)",
            (1, 1),
        ),
    ),
)

TRAFFIC: Final = Dashboard(
    uid="dmp-gateway-traffic",
    title="DMP gateway: traffic",
    description="Who sends what, what is answered, what becomes of it: by source. No patient, no document, no message id.",
    rows=(
        SEVEN,
        Row(
            title="What arrives",
            panels=(
                _series(
                    "Messages by source",
                    "Each source's own rate; compare it with itself, not with the others.",
                    (f"sum by (source) (rate(dmpgw_messages_received_total{_OF}[5m]))", "{{source}}"),
                ),
                _series(
                    "The same, a week ago",
                    "The habit: the same hour of the same day.",
                    (f"sum by (source) (rate(dmpgw_messages_received_total{_OF}[5m] offset 1w))", "{{source}}"),
                ),
                _series(
                    "Messages by door and type",
                    "MSH-9, or the kind of what was posted.",
                    (f"sum by (door, type) (rate(dmpgw_messages_received_total{_OF}[5m]))", "{{door}} {{type}}"),
                ),
                _table(
                    "Last message",
                    "How long each source has said nothing.",
                    f"time() - max by (source) (dmpgw_source_last_message_timestamp_seconds{_OF})",
                    "{{source}}",
                    unit="s",
                ),
            ),
        ),
        Row(
            title="What is answered",
            panels=(
                _series(
                    "Answers",
                    "MSA-1 of each message; over HTTP AA stands for 2xx, AE for 4xx, AR for what is to be sent again.",
                    (f"sum by (door, answer) (rate(dmpgw_answers_total{_OF}[5m]))", "{{door}} {{answer}}"),
                ),
                _series(
                    "Problems by code",
                    "Each code has a section in docs/problems.md: cause, example, who must act.",
                    (f"topk(10, sum by (code) (rate(dmpgw_problems_total{_OF}[15m])))", "{{code}}"),
                ),
                _series(
                    "Errors by source",
                    "Share of a source's messages that were refused: often a release of the sender.",
                    (
                        _refused_share("15m"),
                        "{{source}}",
                    ),
                    unit="percentunit",
                ),
                _series(
                    "Requests over HTTP",
                    "By route and status; `none` is a path that is not there.",
                    ("sum by (route, status) (rate(dmpgw_http_requests_total[5m]))", "{{route}} {{status}}"),
                ),
                _series(
                    "Answer time by door",
                    "Half, 95 and 99 of 100 messages are answered within.",
                    *(
                        (_share(share, "dmpgw_answer_duration_seconds", "door"), f"{{{{door}}}} {share}")
                        for share in (_HALF, _MOST, _ALMOST_ALL)
                    ),
                    unit="s",
                ),
            ),
        ),
        Row(
            title="What becomes of it",
            panels=(
                _series(
                    "Deposits by verdict",
                    "What the record decided.",
                    (f"sum by (verdict) (rate(dmpgw_deposits_total{_OF}[5m]))", "{{verdict}}"),
                ),
                _table(
                    "Deposits of the last day",
                    "By source, type and verdict.",
                    f"sum by (source, type, verdict) (increase(dmpgw_deposits_total{_OF}[1d])) > 0",
                    "{{source}} {{type}} {{verdict}}",
                ),
                _series("Connections", "Open ones by door.", ("sum by (door) (dmpgw_connections)", "{{door}}"), unit="short"),
                _series(
                    "Connections closed unread",
                    "By why: a machine that nobody admits, TLS that failed, too many at once.",
                    ("sum by (door, reason) (rate(dmpgw_connections_refused_total[5m]))", "{{door}} {{reason}}"),
                ),
            ),
        ),
    ),
)

PROMISES: Final = Dashboard(
    uid="dmp-gateway-promises",
    title="DMP gateway: promises",
    description="What was acknowledged is in the record, what was opposed is not, nothing can be read for longer than was said.",
    rows=(
        SEVEN,
        Row(
            title="Acknowledged, not yet in the record",
            panels=(
                _series(
                    "Messages of each lane",
                    "`ready` waits for a worker, `unacknowledged` is in hand; `dead` must be empty (docs/broker.md).",
                    ("max by (lane, state) (dmpgw_lane_messages)", "{{lane}} {{state}}"),
                    unit="short",
                ),
                _series(
                    "Age of the first of each lane",
                    "A lane that grows old has no worker, or a worker that cannot write.",
                    ("max by (lane) (dmpgw_lane_oldest_age_seconds)", "{{lane}}"),
                    unit="s",
                ),
                _series(
                    "Time to a confirm",
                    "What the sender's AA waits for: an fsync, or the broker.",
                    *((_share(share, "dmpgw_queue_confirm_duration_seconds"), share) for share in (_HALF, _ALMOST_ALL)),
                    unit="s",
                ),
                _series(
                    "Time of a batch",
                    "A transaction of the record store; its locks bound how long an opposition waits.",
                    *((_share(share, "dmpgw_apply_duration_seconds"), share) for share in (_HALF, _ALMOST_ALL)),
                    unit="s",
                ),
                _series(
                    "Submissions of a batch",
                    "Many: the worker keeps up by taking more at once.",
                    (_share(_HALF, "dmpgw_apply_batch_submissions"), "half of the batches have at most"),
                    unit="short",
                ),
                _series(
                    "Transactions tried again",
                    "By why: locks, a database that is away, an answer that was lost.",
                    ("sum by (reason) (rate(dmpgw_apply_retries_total[5m]))", "{{reason}}"),
                ),
            ),
        ),
        Row(
            title="Rights",
            panels=(
                _series(
                    "Refused by the record",
                    "By rule: oppositions at work (O-2…), closed records, versions. Nothing of what was refused is kept.",
                    (f"sum by (source, rule) (rate(dmpgw_refusals_total{_OF}[15m]))", "{{source}} {{rule}}"),
                ),
                _series(
                    "Statements",
                    "Oppositions stated and lifted, by source.",
                    (f"sum by (source, kind) (rate(dmpgw_statements_total{_OF}[1h]))", "{{source}} {{kind}}"),
                ),
            ),
        ),
        Row(
            title="Nothing is lost, nothing is readable for longer",
            panels=(
                _number(
                    "Readable since",
                    "Age of the oldest key of what travels: what was received since can be read. Promise: 48 hours (D-7).",
                    "time() - min(dmpgw_keys_oldest_day_timestamp_seconds)",
                    (172800, 176400),
                    unit="s",
                    width=12,
                ),
                Panel(
                    title="Certificates end in",
                    means="The first certificate or revocation list of [tls] that ends: then nobody comes in (docs/trust.md).",
                    kind="stat",
                    unit="s",
                    queries=(
                        Query(
                            expr="min by (use) (dmpgw_certificate_expiry_timestamp_seconds) - time()",
                            legend="{{use}}",
                        ),
                    ),
                    limits=(604800, 2592000),
                    less_is_worse=True,
                    width=12,
                    height=4,
                ),
                _series(
                    "Parked, unnoted, lost",
                    "Each of them should stay at zero.",
                    ("max(dmpgw_parked_deposits)", "parked deposits"),
                    ("sum(increase(dmpgw_answers_unnoted_total[1h]))", "answers missing in the journal"),
                    ("sum(increase(dmpgw_answers_dropped_total[1h]))", "answers that found nobody"),
                    ("sum(increase(dmpgw_reports_lost_total[1h]))", "rejections not noted"),
                    ("sum(increase(dmpgw_log_lines_lost_total[1h]))", "log lines lost"),
                    ("sum(increase(dmpgw_keys_problems_total[1h]))", "problems of keys"),
                    ("sum(increase(dmpgw_internal_errors_total[1h]))", "errors of the program"),
                    unit="short",
                ),
                _table(
                    "Ready",
                    "1: it does its work. /readyz says in words what is missing.",
                    "min by (check) (dmpgw_ready)",
                    "{{check}}",
                    width=6,
                ),
                _table(
                    "Version",
                    "Of each process that Prometheus reads.",
                    "max by (instance, version) (dmpgw_build_info)",
                    "{{instance}} {{version}}",
                    width=6,
                ),
            ),
        ),
    ),
)

#: File name → dashboard.
DASHBOARDS: Final = MappingProxyType({"traffic": TRAFFIC, "promises": PROMISES})


def main(folder: Path) -> None:
    """Write every dashboard into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, dashboard in DASHBOARDS.items():
        (folder / f"{name}.json").write_text(printed(dashboard), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Counters, gauges, histograms, prefix `dmpgw_`: labels are doors, sources, types, verdicts, lanes, codes, never who it is."""

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # one series per fact: `_created` doubles them

#: The registry of this program: nothing of the interpreter or of another library is in it.
REGISTRY: Final = CollectorRegistry()

_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, namespace="dmpgw", registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, namespace="dmpgw", registry=REGISTRY)


def _histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = _QUICK) -> Histogram:
    return Histogram(name, text, labels, namespace="dmpgw", registry=REGISTRY, buckets=buckets)


MESSAGES_RECEIVED: Final = _counter("messages_received_total", "Messages received by a door.", "door", "source", "type")
ANSWERS: Final = _counter("answers_total", "Technical answers given (MSA-1).", "door", "source", "answer")
ANSWER_DURATION: Final = _histogram("answer_duration_seconds", "From the end of a message to its answer.", "door")
DEPOSITS: Final = _counter("deposits_total", "Deposits by what became of them.", "source", "type", "verdict")
PROBLEMS: Final = _counter("problems_total", "Problems met in messages, by code.", "code", "source")
QUEUE_CONFIRM_DURATION: Final = _histogram("queue_confirm_duration_seconds", "From handing a deposit over to its confirm.")
APPLY_DURATION: Final = _histogram("apply_duration_seconds", "Duration of a batch's transaction.")
APPLY_BATCH: Final = _histogram("apply_batch_submissions", "Submissions in a batch.", buckets=_SIZES)
REFUSALS: Final = _counter("refusals_total", "Deposits that the record refused, by rule.", "source", "rule")
STATEMENTS: Final = _counter("statements_total", "Statements of opposition and of its lifting.", "source", "kind")
APPLY_RETRIES: Final = _counter("apply_retries_total", "Transactions of the store that were tried again, by why.", "reason")
LAST_MESSAGE: Final = _gauge(
    "source_last_message_timestamp_seconds", "When a source last sent a message, seconds since 1970.", "source"
)
LANE_MESSAGES: Final = _gauge(
    "lane_messages", "Messages in a lane: ready, or handed out and unacknowledged; `dead` is what was given up.", "lane", "state"
)
LANE_OLDEST_AGE: Final = _gauge("lane_oldest_age_seconds", "How long the first of a lane has waited, where it is known.", "lane")
PARKED: Final = _gauge("parked_deposits", "Deposits that are parked: an operator must look.")
PARKED.set(math.nan)
READY: Final = _gauge("ready", "Whether a part does its work: 1, else 0; /readyz names what is missing, in words.", "check")
CONNECTIONS: Final = _gauge("connections", "Open connections.", "door")
CONNECTIONS_REFUSED: Final = _counter("connections_refused_total", "Connections closed unread.", "door", "reason")
CERTIFICATE_EXPIRY: Final = _gauge(
    "certificate_expiry_timestamp_seconds",
    "End of the first certificate (`server`, `authorities`) or revocation list (`revocations`) of [tls] that ends.",
    "use",
)
HTTP_REQUESTS: Final = _counter("http_requests_total", "Requests answered by the HTTP door.", "route", "status")
ERRORS: Final = _counter("internal_errors_total", "Errors of the program, each with a reference in the log.", "door")
REPORTS_LOST: Final = _counter("reports_lost_total", "Rejections that could not be noted in the store.")
ANSWERS_DROPPED: Final = _counter(
    "answers_dropped_total", "Application acknowledgments that could not be given (enhanced mode).", "door", "reason"
)
ANSWERS_UNNOTED: Final = _counter("answers_unnoted_total", "Positive answers missing in the journal of answers.", "reason")
KEYS_PROBLEMS: Final = _counter("keys_problems_total", "Times that keys could not be brought forward, marked or erased.")
KEYS_OLDEST: Final = _gauge(
    "keys_oldest_day_timestamp_seconds",
    "Beginning of the first day whose key of what travels is held: what was received since can be read.",
)
KEYS_OLDEST.set(math.nan)
LINES_LOST: Final = _counter("log_lines_lost_total", "Log lines that standard error did not take.")
BUILD: Final = _gauge("build_info", "Version of the program.", "version")

Merge = Callable[[Iterable[float]], float]

#: How a gauge that several processes show becomes one; counters and histograms are added. Of `lane_messages` the state `ready` is
#: asked of one broker by each worker, `unacknowledged` is each worker's own.
MERGES: Final[Mapping[str, Merge]] = MappingProxyType({
    "dmpgw_source_last_message_timestamp_seconds": max,
    "dmpgw_lane_messages{ready}": max,
    "dmpgw_lane_messages": sum,
    "dmpgw_lane_oldest_age_seconds": max,
    "dmpgw_parked_deposits": max,
    "dmpgw_ready": min,
    "dmpgw_connections": sum,
    "dmpgw_certificate_expiry_timestamp_seconds": min,
    "dmpgw_keys_oldest_day_timestamp_seconds": min,
    "dmpgw_build_info": max,
})  # fmt: skip

#: Series that are no number of the day: they would fill a snapshot.
_LEFT_OUT: Final = "_bucket"


def snapshot() -> dict[str, float]:
    """
    Return the present value of every series, for a status verb.

    Returns:
        Value by series, written as Prometheus does (``dmpgw_answers_total{answer="AA",door="mllp",source="sil"}``), sorted;
        the buckets of histograms, and what this process cannot know, are left out.
    """
    found: dict[str, float] = {}
    for family in REGISTRY.collect():
        for sample in family.samples:
            if sample.name.endswith(_LEFT_OUT) or math.isnan(sample.value):
                continue
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return dict(sorted(found.items()))

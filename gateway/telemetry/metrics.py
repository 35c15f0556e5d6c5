"""Counters and histograms, prefix `dmpgw_`: labels are doors, sources, types, verdicts and codes, never a person or a message."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # one series per fact: `_created` doubles them

#: The registry of this program: nothing of the interpreter or of another library is in it.
REGISTRY: Final = CollectorRegistry()

_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, namespace="dmpgw", registry=REGISTRY)


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
LAST_MESSAGE: Final = Gauge(
    "source_last_message_timestamp_seconds",
    "When a source last sent a message, seconds since 1970.",
    ("source",),
    namespace="dmpgw",
    registry=REGISTRY,
)
CONNECTIONS: Final = Gauge("connections", "Open connections.", ("door",), namespace="dmpgw", registry=REGISTRY)
CONNECTIONS_REFUSED: Final = _counter("connections_refused_total", "Connections closed unread.", "door", "reason")
ERRORS: Final = _counter("internal_errors_total", "Errors of the program, each with a reference in the log.", "door")
REPORTS_LOST: Final = _counter("reports_lost_total", "Rejections that could not be noted in the store.")
ANSWERS_UNNOTED: Final = _counter("answers_unnoted_total", "Positive answers missing in the journal of answers.", "reason")
KEYS_PROBLEMS: Final = _counter("keys_problems_total", "Times that keys could not be brought forward, marked or erased.")
KEYS_OLDEST: Final = Gauge(
    "keys_oldest_day_timestamp_seconds",
    "Beginning of the first day whose key of what travels is held: what was received since can be read.",
    namespace="dmpgw",
    registry=REGISTRY,
)
LINES_LOST: Final = _counter("log_lines_lost_total", "Log lines that standard error did not take.")
BUILD: Final = Gauge("build_info", "Version of the program.", ("version",), namespace="dmpgw", registry=REGISTRY)

#: Series that are no number of the day: they would fill a snapshot.
_LEFT_OUT: Final = "_bucket"


def snapshot() -> dict[str, float]:
    """
    Return the present value of every series, for a status verb.

    Returns:
        Value by series, written as Prometheus does (``dmpgw_answers_total{answer="AA",door="mllp",source="sil"}``), sorted;
        the buckets of histograms are left out, their sums and counts are there.
    """
    found: dict[str, float] = {}
    for family in REGISTRY.collect():
        for sample in family.samples:
            if sample.name.endswith(_LEFT_OUT):
                continue
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return dict(sorted(found.items()))

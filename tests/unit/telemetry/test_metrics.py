"""What is counted: documented, bounded, never of a person; several processes as one gateway."""

import math
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry import events, lines, metrics
from gateway.telemetry.merging import Merged
from gateway.telemetry.redaction import FIELDS

NOW = datetime(2026, 3, 13, 16, 0, tzinfo=UTC)
#: What a label may tell of: each has a bounded set of values.
LABELS = {
    "door", "source", "type", "answer", "verdict", "code", "rule", "kind", "lane", "state", "reason", "check", "version", "use",
    "route", "status",
}  # fmt: skip
#: What a person, a document or a message may look like in any field.
INS = "279035121518989"
MARKS = (
    INS,
    "2.16.840.1.113883.19.5.99999.1",
    "MARTIN^ADELE",
    "01M7ZNXDHS25EXPTMH46K7-sil-valmont-5CKRZ1X5",
    "urn:uuid:7f3b6c1e-2a4d-4f57-9d0e-3b1c5a7e9f10",
    "MSG-0001",
)


def families() -> dict[str, MetricWrapperBase]:
    return {
        found._name + ("_total" if isinstance(found, Counter) else ""): found
        for found in vars(metrics).values()
        if isinstance(found, MetricWrapperBase)
    }


def table(root: Path) -> dict[str, tuple[str, set[str]]]:
    text = (root / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| `(dmpgw_\w+)` \| (\w+) \| (.*?) \| (.+) \|$", text)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in rows}


def test_every_metric_is_documented_and_every_documented_one_exists(root: Path) -> None:
    kinds = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
    there = {name: (kinds[type(found)], set(found._labelnames)) for name, found in families().items()}
    assert table(root) == there
    assert len(there) > 20


def test_every_metric_of_the_conventions_that_has_its_room_is_there() -> None:
    assert {
        "dmpgw_messages_received_total": {"door", "source", "type"},
        "dmpgw_answers_total": {"door", "source", "answer"},
        "dmpgw_answer_duration_seconds": {"door"},
        "dmpgw_queue_confirm_duration_seconds": set(),
        "dmpgw_deposits_total": {"source", "type", "verdict"},
        "dmpgw_problems_total": {"code", "source"},
        "dmpgw_lane_messages": {"lane", "state"},
        "dmpgw_lane_oldest_age_seconds": {"lane"},
        "dmpgw_parked_deposits": set(),
        "dmpgw_apply_duration_seconds": set(),
        "dmpgw_apply_batch_submissions": set(),
        "dmpgw_apply_retries_total": {"reason"},
        "dmpgw_source_last_message_timestamp_seconds": {"source"},
        "dmpgw_refusals_total": {"source", "rule"},
        "dmpgw_statements_total": {"source", "kind"},
        "dmpgw_ready": {"check"},
        "dmpgw_build_info": {"version"},
    }.items() <= {name: set(found._labelnames) for name, found in families().items()}.items()


def test_no_label_is_made_for_a_person_a_document_or_a_message() -> None:
    assert {label for found in families().values() for label in found._labelnames} == LABELS


def test_whatever_the_events_carry_the_labels_tell_nobody(made_quiet: None) -> None:
    for kind in events.EVENTS:
        for mark in MARKS:
            kind(**{field.name: hostile(field.name, mark) for field in msgspec.structs.fields(kind)}).emit()
    page = generate_latest(metrics.REGISTRY).decode()
    assert [mark for mark in MARKS if mark in page] == []


def hostile(field: str, mark: str) -> object:
    """A person, a document or a message in every field that may hold text."""
    if field == "at":
        return NOW
    if field == "source" and mark != INS:
        return "sil-valmont"  # configured: never a sender's word
    form = FIELDS.get(field)
    if form is None or form.number:
        return 1
    return (mark, mark) if form.several else mark


@pytest.fixture
def made_quiet() -> None:
    lines.direct("error", "json", None, None)


def test_what_kept_the_store_is_a_word() -> None:
    assert events.reason_of("57P01") == "sqlstate_57p01"
    assert events.reason_of("SQLITE_BUSY") == "sqlite_busy"
    assert events.reason_of("no connection in time") == "no_connection_in_time"
    assert events.reason_of("40001 statement_pkey") == "sqlstate_40001_statement_pkey"


@given(st.text())
def test_any_text_becomes_a_word_of_the_log(text: str) -> None:
    assert FIELDS["reason"].pattern is not None
    assert FIELDS["reason"].pattern.fullmatch(events.reason_of(text))


# -- several processes


class Process:
    """What one process counts, with the program's own metrics in small."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers = Counter("dmpgw_answers_total", "a", ("answer",), registry=self.registry)
        self.seconds = Histogram("dmpgw_apply_duration_seconds", "s", registry=self.registry, buckets=(1, 5))
        self.lanes = Gauge("dmpgw_lane_messages", "l", ("lane", "state"), registry=self.registry)
        self.ready = Gauge("dmpgw_ready", "r", ("check",), registry=self.registry)
        self.parked = Gauge("dmpgw_parked_deposits", "p", registry=self.registry)
        self.parked.set(math.nan)

    def page(self) -> str:
        return generate_latest(self.registry).decode()


def shown(merged: Merged) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(merged)
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


def test_every_gauge_says_how_several_become_one() -> None:
    gauges = {name for name, found in families().items() if isinstance(found, Gauge)}
    assert gauges == {re.sub(r"\{.*", "", name) for name in metrics.MERGES}


def test_counters_are_added_and_gauges_merged() -> None:
    one, two = Process(), Process()
    one.answers.labels("AA").inc(3)
    two.answers.labels("AA").inc(4)
    two.answers.labels("AE").inc()
    one.seconds.observe(0.5)
    two.seconds.observe(3)
    for process, held in ((one, 2), (two, 5)):
        process.lanes.labels("bulk", "ready").set(7)
        process.lanes.labels("bulk", "unacknowledged").set(held)
    one.ready.labels("queue").set(1)
    two.ready.labels("queue").set(0)
    two.parked.set(4)
    merged = Merged()
    merged.take("one", one.page())
    merged.take("two", two.page())
    found = shown(merged)
    assert found["dmpgw_answers_total[('answer', 'AA')]"] == 7
    assert found["dmpgw_answers_total[('answer', 'AE')]"] == 1
    assert found["dmpgw_apply_duration_seconds_count[]"] == 2
    assert found["dmpgw_apply_duration_seconds_bucket[('le', '1.0')]"] == 1
    assert found["dmpgw_lane_messages[('lane', 'bulk'), ('state', 'ready')]"] == 7, "of one broker, asked twice"
    assert found["dmpgw_lane_messages[('lane', 'bulk'), ('state', 'unacknowledged')]"] == 7
    assert found["dmpgw_ready[('check', 'queue')]"] == 0
    assert found["dmpgw_parked_deposits[]"] == 4, "who cannot know does not count"


def test_what_nobody_knows_is_not_shown() -> None:
    merged = Merged()
    merged.take("one", Process().page())
    assert "dmpgw_parked_deposits[]" not in shown(merged)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["count", "ask", "die"]), st.integers(0, 2)), max_size=40))
def test_no_counter_goes_back_whoever_dies(steps: list[tuple[str, int]]) -> None:
    merged, processes, last = Merged(), [Process() for _ in range(3)], 0.0
    for what, number in steps:
        if what == "count":
            processes[number].answers.labels("AA").inc()
            continue
        merged.take(str(number), processes[number].page())
        if what == "die":
            merged.end(str(number))
            processes[number] = Process()
        now = shown(merged).get("dmpgw_answers_total[('answer', 'AA')]", 0.0)
        assert now >= last
        last = now
    for number, process in enumerate(processes):
        merged.take(str(number), process.page())
    counted = sum(what == "count" for what, _ in steps)
    assert shown(merged).get("dmpgw_answers_total[('answer', 'AA')]", 0.0) == counted

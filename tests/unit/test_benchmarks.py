"""The benchmarks run, and measure what they say: nothing here is timed."""

import itertools
import os
from pathlib import Path

import msgspec
import pytest

from benchmarks import door, floor, growth, inputs, load, measure, run, stages, store
from benchmarks.pipeline import __main__ as pipeline
from benchmarks.pipeline import messages, runs, tables
from benchmarks.pipeline.servers import Servers, core_seconds
from benchmarks.pipeline.stages import Stage
from gateway.demo.messages import sample
from gateway.mappers.hl7v2.header import read_header
from gateway.model.submission import Submission
from gateway.model.verdict import Verdict
from tests.harness import postgres, rabbitmq


@pytest.fixture
def samples_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "corpus", lambda: None)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round is one call."""
    monkeypatch.setattr(measure, "_ROUND_SECONDS", 0.0)


@pytest.mark.usefixtures("samples_only", "at_once")
def test_everything_inside_the_process_is_measured_beside_a_floor(tmp_path: Path) -> None:
    rows = list(run.inside(tmp_path, 1))
    assert {row.group for row in rows} == {"reading", "wire", "disk", "store"}
    assert all(row.micros > 0 and row.floor_micros > 0 and row.ratio > 0 for row in rows)
    assert len({(row.name, row.floor) for row in rows}) == len(rows)
    text = list(run.tables(rows))
    assert sum(line.endswith("  floor") for line in text) == 4
    assert all(any(row.name in line for line in text) for row in rows)


@pytest.mark.usefixtures("samples_only")
def test_what_is_read_is_taken_and_not_turned_away() -> None:
    known = inputs.directory()
    found = {one.name: one for one in inputs.inputs(known)}
    assert set(found) == {"ADT with ZFA", "MDM, level 1", "ORU, level 3"}
    assert [len(one.documents) for one in found.values()] == [0, 1, 1]
    assert found["ORU, level 3"].documents[0].startswith(b"<?xml")


def test_a_rejected_message_is_no_benchmark() -> None:
    with pytest.raises(TypeError, match="rejected: INS_KEY"):
        inputs._input("bad", sample("bad/02-ins-key.er7"), inputs.directory())


def test_the_large_messages_of_the_corpus_are_read_too(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DMP_CORPUS", str(corpus))
    large = [one for one in inputs.inputs(inputs.directory()) if one.name.endswith("large")]
    assert [len(one.documents) for one in large] == [1, 1]
    assert all(len(one.payload) > 250_000 for one in large)


def test_reports_differ_by_message_and_document_and_by_nothing_else() -> None:
    known = inputs.directory()
    messages = inputs.reports(3, first=7)
    readings = [inputs.whole(message, known, inputs.source_of(message, known)).content for message in messages]
    assert all(isinstance(reading, Submission) for reading in readings)
    assert len({reading.documents[0].entry.unique_id for reading in readings}) == 3
    assert all(reading.patient == readings[0].patient for reading in readings)
    assert [read_header(message)[0].control_id for message in messages] == ["BENCH-7", "BENCH-8", "BENCH-9"]


def test_the_floor_walks_every_piece() -> None:
    assert floor.walk(b"MSH|^~\r\nPID|a^b&c~d")[1] == [[[["\nPID"]]], [[["a"], ["b", "c"]], [["d"]]]]


def test_the_floor_writes_the_rows_that_a_deposit_left(tmp_path: Path) -> None:
    with stages.prepared(tmp_path / "data") as rooms:
        rows = stages.captured(tmp_path, rooms)
        again = inputs.deposits(inputs.reports(1), inputs.directory(), rooms.receipts)
        assert rooms.store.apply(again)[0].verdict is Verdict.STORED, "the template must not touch this store"
    rows = msgspec.msgpack.decode(msgspec.msgpack.encode(rows), type=floor.Rows)
    bare = floor.empty_store(tmp_path / "floor.db")
    rows.insert(bare, range(1, 4))
    tables = ("receipt", "trace", "document", "source_form", "source_part")
    written = {table: bare.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}
    bare.close()
    assert written == {"receipt": 3, "trace": 3, "document": 3, "source_form": 3, "source_part": 6}
    assert floor.stored(tmp_path / "floor.db") == 3


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    found = measure.row("g", "n", "f", [(2.0, 1.0), (30.0, 10.0), (4.0, 4.0)])
    assert (found.ratio, found.micros, found.floor_micros) == (2.0, 4e6, 4e6)


@pytest.mark.usefixtures("at_once")
def test_rounds_time_both_sides() -> None:
    ticks = itertools.count()
    calls: list[str] = []
    found = measure.compare(
        "g", "n", lambda: calls.append("mine"), ("f", lambda: calls.append("bare")), 2, clock=lambda: float(next(ticks))
    )
    assert (found.ratio, found.floor_micros) == (1.0, 1e6)
    assert calls[-4:] == ["mine", "bare", "mine", "bare"]


@pytest.mark.door
def test_the_gateway_runs_beside_the_floor_pipeline(tmp_path: Path) -> None:
    runs = list(door.runs(tmp_path, {2: 20}))
    assert [(found.pipeline, found.connections, found.messages) for found in runs] == [("floor", 2, 20), ("gateway", 2, 20)]
    assert all(found.stored_rate > 0 and found.p99_ms >= found.p50_ms > 0 for found in runs)
    lines = list(run.doors(runs))
    assert "of its rate" in lines[-1]
    assert "of its rate" not in lines[-2]


def test_a_frame_of_the_load_file_is_kept_whole() -> None:
    frames = load.frames(b"\x0bMSH|a\r\x1c\r\x0bMSH|b\r\x1c\r")
    assert frames == [b"\x0bMSH|a\r\x1c\r", b"\x0bMSH|b\r\x1c\r"]


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_the_stores_that_grow_are_measured_beside_the_bare_rows(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "_ACTIVE", 4)
    stores: list[growth.Grown] = []
    try:
        for size in (20, 40):
            folder = tmp_path / str(size)
            folder.mkdir()
            made = growth.GrownPostgres(postgres.shared()) if kind == "postgres" else growth.GrownSqlite(folder)
            stores.append(made)
            made.fill(size, store.deposits)
        found = list(store.figures(stores, 1, 0.05))
    finally:
        for each in reversed(stores):
            each.close()
    rates = [each for each in found if isinstance(each, store.Figure)]
    assert [(each.stored, each.what) for each in rates] == [
        (20, "one by one"), (40, "one by one"), (20, "batches of 100"), (40, "batches of 100"),
    ]  # fmt: skip
    assert [(each.of_floor is not None) for each in rates] == [kind == "postgres"] * 4
    assert all(each.per_second > 0 for each in rates)
    assert rates[0].of_small == 1
    waits = [each for each in found if isinstance(each, store.Latency)]
    assert [(each.stored, each.what) for each in waits] == [
        (20, "alone"), (20, "while batches run"), (40, "alone"), (40, "while batches run"),
    ]  # fmt: skip
    assert all(store.line(each) for each in found)


# -- the pipeline over a broker and a database


@pytest.mark.parametrize("kind", [messages.SMALL, messages.LARGE], ids=lambda kind: kind.name)
def test_what_the_pipelines_are_fed_with_is_taken_and_as_large_as_it_says(kind: messages.Kind) -> None:
    known = inputs.directory()
    made = messages.made(kind, 3, 5)
    readings = [inputs.whole(message, known, inputs.source_of(message, known)) for message in made]
    assert all(isinstance(reading.content, Submission) and not reading.problems for reading in readings)
    assert len({reading.content.documents[0].entry.unique_id for reading in readings}) == 3
    assert len({reading.content.patient.identifiers for reading in readings}) == 3
    document = len(readings[0].parts[1])
    low, high = (19_000, 21_000) if kind is messages.SMALL else (400_000 * 4 / 3, 410_000 * 4 / 3)
    assert low < document < high
    assert messages.made(kind, 1, 5) == made[:1]


def test_the_cores_of_a_process_are_counted_with_its_children() -> None:
    begun = core_seconds([os.getpid()])
    assert begun > 0
    assert core_seconds([os.getpid(), os.getpid()]) >= 2 * begun


def _run(pipeline: str, turn: int, rate: float) -> runs.Run:
    return runs.Run(
        pipeline=pipeline, kind="k", clients=32, turn=turn, messages=1, slowed_ms=0.0, accepted_rate=rate, stored_rate=rate,
        p50_ms=1.0, p99_ms=2.0, confirm_p99_ms=1.0 if pipeline == "floor" else None, core_us=1.0, core_us_of={"door": 1.0},
        load_average=0.0,
    )  # fmt: skip


def test_a_share_is_the_median_of_those_of_the_turns() -> None:
    found = [
        _run("floor", 1, 100.0), _run("gateway", 1, 10.0), _run("gateway", 2, 60.0), _run("floor", 2, 100.0),
        _run("floor", 3, 1000.0), _run("gateway", 3, 200.0),
    ]  # fmt: skip
    share = tables.share(found, lambda run: run.stored_rate)
    assert (share.median, share.least, share.most) == (0.2, 0.1, 0.6)
    text = list(tables.lines(found))
    assert "  of the floor's rate stored 20% (10% to 60%)" in text
    assert "aim, 32 clients: 20% of the floor's rate (aim 40%): missed" in text
    assert "aim, 32 clients: p99 2.0 ms (aim 25): met" in text


@pytest.mark.door
def test_the_pipelines_run_over_a_broker_and_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_WARMING", 2)
    monkeypatch.setattr(messages, "PATIENTS", 4)

    def servers() -> Servers:
        return Servers(rabbitmq.shared(), postgres.shared())

    found = list(pipeline.measured({messages.SMALL.name: {2: 12}}, 1, 1, tmp_path, servers))
    assert [(one.pipeline, one.messages, one.slowed_ms) for one in found if isinstance(one, runs.Run)] == [
        ("gateway", 12, 0.0), ("floor", 12, 0.0), ("gateway", 12, 5.0), ("floor", 12, 5.0),
    ]  # fmt: skip
    assert all(one.stored_rate > 0 and one.p99_ms >= one.p50_ms > 0 for one in found if isinstance(one, runs.Run))
    assert len({one.stage for one in found if isinstance(one, Stage)}) == 11
    text = list(tables.lines(found))
    assert any("of the floor's rate stored" in line for line in text)
    assert text[-1].startswith("aim, 2 clients: p99")

"""
L5: a refusal leaves nothing. Marks that stand in one message alone are sought in every byte that the gateway has written.

What stands packed in a file is unpacked where it is whole; of what is refused, `source_form` and `source_part` have no row.
"""

import json
import os
import resource
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.config.load import samples_directory
from gateway.store.sqlite.connection import open_reader, open_writer
from tests.harness.canaries import Canaries, Found, files
from tests.harness.load import Cut, Wire, read_answer
from tests.harness.marked import Marked, damaged, report
from tests.harness.rig import Rig
from tests.harness.traffic import DPI_A, RIS_V, VALMONT, Patient, Traffic, patients

pytestmark = [pytest.mark.faults, pytest.mark.door]

#: Where an INS may stand beside the documents themselves.
INS_TABLES = {"identifier", "link", "statement_identifier", "receipt", "refusal", "parked"}
FRAME_LIMIT = 1024 * 1024
SEALED_LIMIT = 256 * 1024
BAD = {
    each["file"]: each
    for each in json.loads((samples_directory() / "expected.json").read_text(encoding="utf-8"))
    if each["answer"] != "AA" and each["file"].endswith(".er7")
}


@dataclass
class Day:
    """What was sent, answered and kept."""

    rig: Rig
    people: list[Patient]
    #: Refused, by name: the message, the answer, the code of the refusal as the store has it.
    refused: dict[str, tuple[Marked, str, str]] = field(default_factory=dict)
    stored: list[Marked] = field(default_factory=list)
    running: list[Found] = field(default_factory=list)

    @property
    def marks(self) -> list[str]:
        return [mark for marked, _, _ in self.refused.values() for mark in marked.marks]


def searched(rig: Rig, canaries: Canaries) -> list[Found]:
    """Return every mark in the data, the temporary files, the log, the output and the core files of a gateway."""
    cores = [path for folder in (rig.data.parent, Path.cwd()) for path in folder.glob("core*") if path.is_file()]
    found = canaries.search_files(rig.data, rig.temporary, rig.log, *cores)
    return found + canaries.search(rig.gateway.output, "standard output")


def settled(rig: Rig, answer: str) -> str:
    """Return the code of a refusal, or the verdict, of what was answered AA under a receipt."""
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        with closing(open_reader(rig.data / "store.db")) as store:
            row = store.execute("SELECT verdict, codes FROM receipt WHERE id = ?", (answer,)).fetchone()
        if row is not None:
            return json.loads(row[1])[0] if row[0] == "refused" else row[0]
        time.sleep(0.02)
    return "nothing"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Every way to be refused, one after the other, at log level debug; searched while it runs, then stopped."""
    limits = {
        "DMP_GATEWAY_MLLP_FRAME_LIMIT_BYTES": str(FRAME_LIMIT),
        "DMP_GATEWAY_QUEUE_SEALED_LIMIT_BYTES": str(SEALED_LIMIT),
    }
    rig = Rig(tmp_path_factory.mktemp("canaries") / "run", environment=limits, arguments=("--log-level", "debug"))
    opposed, absent, closed, open_, stated = people = patients(5, first=700)
    day = Day(rig, people)
    rig.open_records((opposed, closed, open_))
    rig.oppose(opposed)
    rig.close_record(closed)
    rig.start()
    traffic = Traffic(1)
    wire = Wire(rig.gateway.port)

    def send(name: str, marked: Marked) -> None:
        code, receipt = read_answer(wire.ask(marked.payload))
        day.refused[name] = (marked, code, settled(rig, receipt) if code == "AA" else code)

    # Of another person: the traits that an event tells are those that documents are compared with.
    assert read_answer(wire.ask(traffic.statement(stated, VALMONT, "oppose").payload))[0] == "AA"
    first, second = report(1, open_), report(2, open_, charset="8859/15")
    for marked in (first, second):
        code, receipt = read_answer(wire.ask(marked.payload))
        assert (code, settled(rig, receipt)) == ("AA", "stored")
        day.stored.append(marked)
    send("OPPOSED", report(10, opposed))
    send("OPPOSED, 8859/15", report(11, opposed, charset="8859/15"))
    send("OPPOSED, by MDM", report(12, opposed, source=RIS_V))
    send("RECORD_ABSENT", report(13, absent))
    send("RECORD_CLOSED", report(14, closed))
    send("OTHER_CONTENT", report(15, open_, of=90_000_001))
    send("NOT_AUTHOR", report(16, open_, act="delete", of=90_000_001, source=DPI_A))
    for number, name in enumerate(BAD, start=100):
        send(name, damaged(number, name))
    send("over the sealed limit", report(17, open_, filler=2 * SEALED_LIMIT))
    big = report(18, open_, filler=2 * FRAME_LIMIT)
    try:
        wire.send(big.payload)
        code = read_answer(wire.receive())[0]
    except Cut:
        code = "cut"
    day.refused["over the frame's limit"] = (big, code, code)
    wire.close()
    for name, marked in (("cut in the middle", report(19, open_)), ("truncated", damaged(60, "oru/01-new-report.er7"))):
        wire = Wire(rig.gateway.port)
        wire.begin(marked.payload[: len(marked.payload) // 2 * 2 - 40])
        wire.close()
        day.refused[name] = (marked, "none", "none")
    time.sleep(0.3)
    day.running = searched(rig, Canaries(day.marks))
    assert rig.drained()
    assert rig.stop() == 0
    yield day
    rig.gateway.kill()


def test_each_was_refused_for_its_reason(day: Day) -> None:
    ended = {name: code for name, (_, _, code) in day.refused.items()}
    for code in ("OPPOSED", "RECORD_ABSENT", "RECORD_CLOSED", "OTHER_CONTENT", "NOT_AUTHOR"):
        assert ended[code] == code
    assert ended["OPPOSED, 8859/15"] == ended["OPPOSED, by MDM"] == "OPPOSED"
    assert ended["over the sealed limit"] == "AE"
    assert ended["over the frame's limit"] in {"AE", "cut"}
    assert {name: ended[name] for name in BAD} == {name: each["answer"] for name, each in BAD.items()}


def test_the_search_finds_what_is_kept(day: Day) -> None:
    titles = [marked.marks[0] for marked in day.stored]
    found = Canaries(titles).search_files(day.rig.data)
    assert {each.mark for each in found} == set(titles)
    assert all(Path(each.file).name in {"store.db", "store.db-wal"} for each in found)


def test_the_search_looks_at_every_file(day: Day) -> None:
    names = {path.name for path in files(day.rig.data)}
    assert {"store.db", "queue.db"} <= names
    assert not any(path.suffix == ".key" for path in files(day.rig.data))
    assert day.rig.log.stat().st_size > 1000


def test_nothing_is_left_while_it_runs(day: Day) -> None:
    assert not day.running, "\n".join(map(str, day.running))


def test_nothing_is_left_once_it_has_stopped(day: Day) -> None:
    found = searched(day.rig, Canaries(day.marks))
    assert not found, "\n".join(map(str, found))


def test_an_ins_stands_only_where_it_must(day: Day) -> None:
    kept = [day.people[3].ins]
    refused = [patient.ins for patient in day.people if patient.ins not in kept]
    seen = set()
    with closing(sqlite3.connect(f"file:{day.rig.data / 'store.db'}?mode=ro", uri=True)) as store:
        for (table,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in store.execute(f"SELECT * FROM {table}"):
                text = "\0".join(each.decode("latin-1") if isinstance(each, bytes) else str(each) for each in row)
                found = [ins for ins in refused if ins in text]
                assert not found or table in INS_TABLES, f"an INS in {table}"
                seen.update((table, ins) for ins in found)
    assert ("identifier", refused[0]) in seen
    assert ("statement_identifier", refused[0]) in seen
    assert {ins for table, ins in seen if table == "receipt"} == set(refused)
    canaries = Canaries([patient.ins for patient in day.people])
    assert not canaries.search_files(*[path for path in files(day.rig.data) if path.name.startswith("queue.db")])
    assert not canaries.search_files(day.rig.log, day.rig.temporary)


@pytest.mark.parametrize("point", ["queue.publish.committed", "queue.taken", "store.begun", "store.decided", "store.written"])
def test_what_is_refused_after_a_kill_is_not_there(point: str, tmp_path: Path) -> None:
    """Durable in the queue, then killed before the record has it; opposed meanwhile; refused after the restart."""
    rig = Rig(tmp_path)
    (patient,) = patients(1, first=800)
    rig.open_records([patient])
    assert rig.start(f"{point}:1")
    wire, marked = Wire(rig.gateway.port), report(30, patient, filler=64 * 1024)
    wire.send(marked.payload)
    assert rig.gateway.wait_dead(20)
    wire.close()
    # `rows_waiting` opens the file and so recovers it: nothing else has looked at what the kill left.
    canaries = Canaries(marked.marks)
    assert not canaries.search_files(rig.data)
    rig.oppose(patient)
    rig.start()
    assert rig.drained()
    assert rig.stop() == 0
    with closing(open_reader(rig.data / "store.db")) as store:
        assert store.execute("SELECT verdict FROM receipt WHERE door = 'mllp'").fetchall() == [("refused",)]
    found = searched(rig, canaries)
    assert not found, "\n".join(map(str, found))


def test_a_crash_leaves_no_core_file(tmp_path: Path) -> None:
    """Where the system would write one: its limit is lifted as far as it goes before the gateway is started."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    cores = set(Path.cwd().glob("core*"))
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        rig = Rig(tmp_path)
        rig.start()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    limits = Path(f"/proc/{rig.gateway.pid}/limits").read_text(encoding="ascii")
    os.kill(rig.gateway.pid, signal.SIGABRT)
    assert rig.gateway.wait_dead(20)
    (core,) = (line.split() for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core[4:6] == ["0", "0"]
    assert set(Path.cwd().glob("core*")) == cores


def test_a_commit_that_was_cut_off_is_gone_after_the_next_start(tmp_path: Path) -> None:
    """The write-ahead file of a process killed in the middle of a COMMIT: pages without the frame that commits them."""
    writer = open_writer(tmp_path / "store.db")
    writer.execute("PRAGMA wal_autocheckpoint=0")
    writer.execute("BEGIN IMMEDIATE")
    row = ("x", "raw", 4, ("CNRYMARK" * 2000).encode())
    writer.executemany("INSERT INTO source_part VALUES (?, ?, ?, ?, ?)", [(row[0], n, *row[1:]) for n in range(3)])
    writer.execute("COMMIT")
    left = tmp_path / "left"
    left.mkdir()
    for name in ("store.db", "store.db-wal"):
        shutil.copy(tmp_path / name, left / name)
    writer.close()
    log = left / "store.db-wal"
    log.write_bytes(log.read_bytes()[:-4120])
    canaries = Canaries(["CNRYMARK"])
    assert canaries.search_files(left), "nothing was left to begin with"
    again = open_writer(left / "store.db")
    assert again.execute("SELECT count(*) FROM source_part").fetchone() == (0,)
    assert not canaries.search_files(left)
    again.close()


def test_a_large_batch_that_is_rolled_back_was_never_written(tmp_path: Path) -> None:
    """More than the page cache holds: not a byte goes to the disk before COMMIT."""
    writer = open_writer(tmp_path / "store.db")
    writer.execute("BEGIN IMMEDIATE")
    content = ("CNRYMARK" * 8000).encode()
    writer.executemany("INSERT INTO source_part VALUES ('x', ?, 'raw', 1, ?)", [(number, content) for number in range(100)])
    found = Canaries(["CNRYMARK"]).search_files(tmp_path)
    writer.execute("ROLLBACK")
    found += Canaries(["CNRYMARK"]).search_files(tmp_path)
    writer.close()
    assert not found, "\n".join(map(str, found))

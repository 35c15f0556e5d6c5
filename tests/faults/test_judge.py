"""The judge itself: each way of breaking a promise, made by hand in a record that keeps them all, is found and named."""

import base64
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.canaries import Canaries, in_base64
from tests.harness.judge import judge, sent_of
from tests.harness.ledger import Ledger
from tests.harness.load import Load
from tests.harness.rig import Rig
from tests.harness.traffic import MARK, VALMONT, Traffic

pytestmark = [pytest.mark.faults, pytest.mark.door]

#: What is broken: by which statements of SQL, and what the judge must call it.
SABOTAGES = {
    "an outcome is gone": ("DELETE FROM receipt WHERE id = (SELECT receipt FROM document LIMIT 1)", "lost"),
    "a document is gone": ("DELETE FROM document WHERE unique_id = (SELECT unique_id FROM document LIMIT 1)", "lost"),
    "bytes are gone": ("DELETE FROM source_part WHERE receipt = (SELECT receipt FROM document WHERE part > 0)", "lost"),
    "a statement is gone": ("DELETE FROM binding; DELETE FROM statement_identifier; DELETE FROM statement", "lost"),
    "a trace is gone": ("DELETE FROM trace WHERE action = 'document.add'", "lost"),
    "a document twice": (
        """
        CREATE TEMP TABLE t AS SELECT * FROM document LIMIT 1;
        UPDATE t SET patient = (SELECT max(id) FROM patient WHERE id NOT IN (SELECT patient FROM t));
        INSERT INTO document SELECT * FROM t
        """,
        "duplicated",
    ),
    "an outcome twice": (
        """
        CREATE TEMP TABLE t AS SELECT * FROM receipt WHERE verdict = 'stored' LIMIT 1;
        UPDATE t SET id = id || 'x';
        INSERT INTO receipt SELECT * FROM t
        """,
        "duplicated",
    ),
    "applied twice": (
        """
        INSERT INTO trace (at, actor, action, receipt, document, verdict)
        SELECT at, actor, action, receipt, document, verdict FROM trace WHERE action = 'document.add' LIMIT 1
        """,
        "duplicated",
    ),
    "a document of nobody": (
        "UPDATE document SET unique_id = '1.2.3' WHERE unique_id = (SELECT min(unique_id) FROM document)",
        "unexpected",
    ),
    "parked": ("UPDATE receipt SET verdict = 'parked' WHERE verdict = 'stored'", "unexpected"),
    "a wrong life": ("UPDATE document SET state = 'replaced' WHERE state = 'current'", "lost"),
    "out of order": ("UPDATE trace SET sequence = 900000 - sequence WHERE action LIKE 'document.%'", "inverted"),
    "stored after the answer": (
        "UPDATE document SET committed_at = '2999-01-01T00:00:00.000000+00:00' WHERE patient = (SELECT patient FROM binding)",
        "against",
    ),
    "stored after the opposition, by the trace alone": (
        "UPDATE trace SET sequence = sequence + 900000 WHERE action = 'document.add'",
        "against",
    ),
    "an opposition not in force": (
        "UPDATE statement SET position = 'allows', statement = replace(statement, 'opposes', 'allows')",
        "against",
    ),
    "content of a refusal": (
        f"INSERT INTO task (raised_at, kind, receipt) VALUES ('', '{MARK}00000001', '')",
        "unexpected",
    ),
}


@dataclass
class Kept:
    ledgers: Path
    data: Path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """A record after a short run without faults, the gateway stopped."""
    rig = Rig(tmp_path_factory.mktemp("judge") / "run")
    traffic = Traffic(4, people=4, opposing=0.0, hostile=0.1)
    first = traffic.patients[0]
    rig.open_records(traffic.patients)
    strands = [[traffic.deposit(each)] for each in traffic.patients for _ in range(3)] + [traffic.strand() for _ in range(30)]
    strands += [[traffic.statement(first, VALMONT, "oppose")], [traffic.deposit(first)], [traffic.deposit(first)]]
    supply = iter(strands)
    rig.start()
    load = Load(lambda: next(supply, None), rig.ledgers, connections=1)
    load.start(rig.gateway.port)
    while load.alive:
        time.sleep(0.01)
    found = rig.judged()
    assert found.ok, found.told()
    # Deposits that still waited when the opposition was committed are refused as well.
    assert found.refused >= 2
    assert found.recovered == 0
    yield Kept(rig.ledgers, rig.data)
    rig.gateway.kill()


@pytest.mark.parametrize("what", SABOTAGES)
def test_the_judge_finds(what: str, kept: Kept, tmp_path: Path) -> None:
    sabotage, name = SABOTAGES[what]
    data = tmp_path / "data"
    shutil.copytree(kept.data, data, ignore=shutil.ignore_patterns("*.sock"))
    connection = sqlite3.connect(data / "store.db")
    connection.executescript(sabotage)
    assert connection.total_changes > 0, "nothing was broken"
    connection.close()
    found = judge(kept.ledgers, data)
    assert found.violations[name], found.told()


def test_the_judge_finds_a_queue_that_was_not_drained(kept: Kept, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(kept.data, data, ignore=shutil.ignore_patterns("*.sock"))
    connection = sqlite3.connect(data / "queue.db")
    connection.execute("INSERT INTO queued (lane, receipt, received_at, size, sealed) VALUES ('deposits.0', 'x', '', 1, x'00')")
    connection.commit()
    connection.close()
    assert judge(kept.ledgers, data).violations["lost"]


def test_the_judge_reads_the_log(kept: Kept, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('{"event":"internal.error"}\n')
    assert judge(kept.ledgers, kept.data, log=log).violations["unexpected"]


def test_sends_over_several_connections_are_told_by_their_time(tmp_path: Path) -> None:
    for connection, at in ((1, 30.0), (2, 10.0), (3, 20.0)):
        with Ledger(tmp_path / f"connection-{connection:04}.jsonl") as ledger:
            ledger.write(event="send", id="A", kind="allow", at=at)
            ledger.write(event="answer", id="A", code="AA", receipt=f"R{connection}", at=at + 1)
    (sent,) = sent_of(tmp_path)[0].values()
    assert sent.at == [10.0, 20.0, 30.0]
    assert sent.accepted == [("R2", 11.0), ("R3", 21.0), ("R1", 31.0)]


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"abc", b"abcd"])
def test_marks_are_found_in_base64_wherever_they_begin(before: bytes) -> None:
    mark = "Œuvre-marquée"
    canaries = Canaries([mark])
    for charset in ("utf-8", "iso-8859-15"):
        data = base64.b64encode(before + mark.encode(charset) + b"after")
        (found, *_) = canaries.search(b"\0\1" + data, "here")
        assert found.mark == mark
        assert charset in found.form
    assert not canaries.search(base64.b64encode(before + b"something else entirely"), "here")


def test_what_follows_a_mark_is_read_out_of_base64(tmp_path: Path) -> None:
    for shift in range(3):
        (tmp_path / "file").write_bytes(b"|" + base64.b64encode(b"x" * shift + MARK.encode() + b"12345678 and more") + b"|")
        assert [after for _, after in Canaries([MARK]).followed_by(tmp_path, 8)] == [b"12345678"]


def test_base64_shows_only_what_the_mark_alone_decides() -> None:
    assert in_base64(b"abc")[0] == b"YWJj"
    for shift, shown in enumerate(in_base64(b"abcdef")):
        for lead in (b"\0" * shift, b"\xff" * shift):
            assert shown in base64.b64encode(lead + b"abcdef" + b"\xff\xff")

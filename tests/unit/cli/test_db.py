"""`db migrate`, `db check`, `db backup`, and the verbs that go straight to the database that DATABASE_URL names (D-12)."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main
from gateway.store.checks import INVARIANTS
from gateway.store.postgres.migrations import migrations
from gateway.store.sqlite.reader import SqliteReader
from gateway.wiring.answers import Answers
from gateway.wiring.clock import SystemClock
from tests.harness import postgres
from tests.strategies.records import START, reception

INS = "284103523811464"
NUMBERS = [migration.number for migration in migrations()]
Run = Callable[..., Result]


@pytest.fixture
def url() -> Iterator[str]:
    """A database without tables."""
    server = postgres.shared()
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def run(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("DMP_GATEWAY_DATA", str(tmp_path / "data"))
    return lambda *words: CliRunner().invoke(main, words)


def lines(result: Result) -> dict[str, dict[str, Any]]:
    """The lines of `db check --json`, by invariant."""
    return {line["invariant"]: line for line in map(json.loads, result.stdout.splitlines())}


def test_a_database_is_made_and_checked(run: Run) -> None:
    before = run("db", "check", "--json")
    assert before.exit_code == 1
    assert lines(before)["schema"]["ids"] == [f"lacks migration {number:04}" for number in NUMBERS]
    assert list(lines(before)) == ["schema"]
    made = run("db", "migrate", "--json")
    assert made.exit_code == 0 and json.loads(made.stdout)["migrations"] == NUMBERS
    assert json.loads(made.stdout)["roles"] is True
    assert json.loads(run("db", "migrate", "--json").stdout)["migrations"] == []
    checked = run("db", "check", "--json")
    assert checked.exit_code == 0
    assert [*lines(checked)] == ["schema", *(invariant.name for invariant in INVARIANTS)]
    assert {line["state"] for line in lines(checked).values()} == {"ok"}


def test_what_was_changed_by_hand_is_told(run: Run, url: str) -> None:
    run("db", "migrate")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP INDEX trace_receipt")
        connection.execute("INSERT INTO source_form VALUES ('orphan', '[]')")
    checked = run("db", "check")
    assert checked.exit_code == 1 and "trace_receipt" in checked.stdout
    assert "FOUND 1   bytes_owned" in checked.stdout and "orphan" in checked.stdout and "Tell the DPO" in checked.stdout


@pytest.fixture
def embedded(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A data directory with a store of its own."""
    monkeypatch.delenv("DATABASE_URL")
    assert run("record", "open", "--ins", INS, "--collected-by", "desk").exit_code == 0
    return tmp_path / "data"


def test_a_file_is_checked_as_a_database_is(run: Run, embedded: Path) -> None:
    checked = run("db", "check", "--json")
    assert checked.exit_code == 0, checked.output
    assert [*lines(checked)] == ["schema", *(invariant.name for invariant in INVARIANTS)]
    with closing(sqlite3.connect(embedded / "store.db", isolation_level=None)) as connection:
        connection.execute("DROP INDEX trace_receipt")
        connection.execute("INSERT INTO source_form VALUES ('orphan', '[]')")
    checked = run("db", "check", "--json")
    assert checked.exit_code == 1
    found = {name: line["ids"] for name, line in lines(checked).items() if line["state"] == "found"}
    assert found == {"schema": ["- index|trace_receipt|CREATE INDEX trace_receipt ON trace (receipt)"], "bytes_owned": ["orphan"]}
    assert lines(checked)["bytes_owned"]["found"] == 1


def test_a_damaged_file_is_told(run: Run, embedded: Path) -> None:
    with closing(sqlite3.connect(embedded / "store.db", isolation_level=None)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'receipt_received'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (embedded / "store.db").open("r+b") as file:
        file.seek((root - 1) * size + 8)
        file.write(b"\xff" * 64)
    checked = run("db", "check")
    assert checked.exit_code == 1 and "Traceback" not in checked.output
    assert "restore" in checked.output


def test_no_store_is_no_clean_store(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DATABASE_URL")
    answer = run("db", "check", "--data", str(tmp_path / "none"))
    assert answer.exit_code == 1 and "no record store" in answer.output


def test_a_backup_is_one_whole_file_of_its_user_alone(run: Run, embedded: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    made = run("db", "backup", str(target), "--json")
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    assert (told["file"], told["schema"], told["size"]) == (str(target), NUMBERS[-1], target.stat().st_size)
    with SqliteReader(embedded / "store.db") as store, SqliteReader(target) as copy:
        (line,) = copy.deposits({}, limit=10)
        assert store.deposits({}, limit=10) == [line]
        assert told["decided_until"] == copy.deposit(line.id).outcome.committed_at
    assert target.stat().st_mode & 0o777 == 0o600
    again = run("db", "backup", str(target))
    assert again.exit_code == 1 and "there already" in again.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.db", "data"]


def test_a_damaged_store_makes_no_backup(run: Run, embedded: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(embedded / "store.db", isolation_level=None)) as connection:
        connection.execute("DROP TABLE outbox")
    answer = run("db", "backup", str(tmp_path / "backup.db"))
    assert answer.exit_code == 1 and "thrown away" in answer.output
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_database_is_backed_up_by_its_own_tools(run: Run, tmp_path: Path) -> None:
    answer = run("db", "backup", str(tmp_path / "backup.db"))
    lines = answer.stderr.splitlines()
    assert [line.split()[0] for line in lines] == ["The", "pg_dump", "pg_basebackup"]
    assert answer.exit_code == 1 and not (tmp_path / "backup.db").exists()


def test_verbs_go_straight_to_the_database(run: Run, tmp_path: Path) -> None:
    assert run("record", "open", "--ins", INS, "--collected-by", "desk").exit_code == 0
    shown = run("record", "show", "--ins", INS, "--json")
    assert json.loads(shown.stdout)["state"] == "open"
    (line,) = run("deposits", "list", "--json").stdout.splitlines()
    assert json.loads(line)["state"] == "applied"
    assert not (tmp_path / "data" / "store.db").exists()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    found = {json.loads(each)["subject"]: json.loads(each) for each in run("doctor", "--json").stdout.splitlines()}
    assert found["record store"]["state"] == "ok" and f"schema {NUMBERS[-1]:04}" in found["record store"]["text"]


def test_a_database_that_is_away_is_named_without_its_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone:secret@127.0.0.1:1/dmp")
    for words in (
        ("db", "check"),
        ("db", "migrate"),
        ("deposits", "list"),
        ("record", "open", "--ins", INS, "--collected-by", "x"),
    ):
        answer = run(*words)
        assert answer.exit_code == 1, words
        assert "127.0.0.1:1" in answer.output and "secret" not in answer.output and "Traceback" not in answer.output
        assert "nobody listens there" in answer.output


def test_over_a_broker_what_is_missing_may_only_wait(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("record", "open", "--ins", INS, "--collected-by", "desk").exit_code == 0
    assert run("db", "missing").exit_code == 0
    answers = Answers(tmp_path / "data" / "answers", SystemClock())
    answers.deposit(reception("gone", START))
    answers.close()
    told = run("db", "missing")
    assert (told.exit_code, "gone" in told.stdout, "broker" in told.stderr) == (1, True, False)
    monkeypatch.setenv("AMQP_URL", "amqp://someone@127.0.0.1:1/%2F")
    told = run("db", "missing")
    assert (told.exit_code, "gone" in told.stdout, "What waits in the broker cannot be told" in told.stderr) == (1, True, True)


@pytest.mark.parametrize("since", ["9999-12-31T23:59-14:00", "0001-01-01T00:00+14:00", "2026-99-99", "yesterday"])
def test_an_instant_that_no_clock_shows_is_told(run: Run, since: str) -> None:
    answer = run("db", "missing", "--since", since)
    assert answer.exit_code == 2 and "--since: write an instant" in answer.output


def test_without_a_database_there_is_nothing_to_make(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    answer = run("db", "migrate")
    assert answer.exit_code == 1 and "DATABASE_URL" in answer.output

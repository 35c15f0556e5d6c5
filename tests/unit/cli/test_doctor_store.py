"""What `doctor` says of the record store's server, of the way to it, and of the journal of answers."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
from click.testing import CliRunner

from gateway.cli import doctor_store
from gateway.cli.findings import Finding
from gateway.cli.main import main
from gateway.store.postgres import facts
from gateway.store.postgres.facts import ServerFacts, server_facts
from gateway.wiring.answers import Answers
from gateway.wiring.data import DataDirectory
from tests.harness import postgres
from tests.strategies.records import START, Ticking, reception

GOOD = ServerFacts(
    version="15.20", synchronous_commit="on", fsync="on", full_page_writes="on", encoding="UTF8", isolation="read committed",
    size=12_000_000, clock_ahead=0.1, connections=100, pooled=False, sessions_kept=True,
)  # fmt: skip


@pytest.fixture
def url() -> Iterator[str]:
    made = postgres.shared().lend()
    yield made
    postgres.shared().give_back(made)


def lines(*words: str) -> dict[str, dict[str, str]]:
    said = CliRunner().invoke(main, ["doctor", "--json", *words]).stdout
    return {line["subject"]: line for line in map(json.loads, said.splitlines())}


def test_a_server_that_is_as_it_must_be(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    (tmp_path / "data").mkdir(mode=0o700)
    found = lines("--data", str(tmp_path / "data"))
    names = ("server", "durability", "text", "isolation", "clock", "way", "record store", "roles")
    assert {name: found[name]["state"] for name in names} == dict.fromkeys(names, "ok")
    assert found["way"]["text"] == "straight to the server"
    assert found["server"]["text"].startswith("PostgreSQL ")
    seen = server_facts(url)
    assert abs(seen.clock_ahead) < 5 and not seen.pooled and seen.sessions_kept
    with psycopg.connect(url) as connection:
        assert seen.version == connection.execute("SHOW server_version").fetchone()[0]


def test_a_database_is_looked_at_before_there_is_a_data_directory(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    found = lines("--data", str(tmp_path / "none"))
    assert "not there yet" in found["data"]["text"] and found["record store"]["state"] == "ok"


def test_a_database_that_loses_commits_is_a_problem(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    try:
        monkeypatch.setenv("DATABASE_URL", url)
        (tmp_path / "data").mkdir(mode=0o700)
        found = lines("--data", str(tmp_path / "data"))
        assert (found["durability"]["state"], found["durability"]["text"]) == ("problem", "synchronous_commit = off")
        assert found["record store"]["state"] == "problem" and "synchronous_commit" in found["record store"]["text"]
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" RESET synchronous_commit')


def test_a_pooler_that_shares_a_connection_between_sessions_is_noticed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with facts.opened(url) as shared:
        monkeypatch.setattr(facts, "opened", lambda _: contextlib.nullcontext(shared))
        assert not server_facts(url).sessions_kept


@pytest.mark.parametrize(
    ("change", "subject", "state", "word"),
    [
        ({"fsync": "off"}, "durability", "problem", "fsync = off"),
        ({"full_page_writes": "off"}, "durability", "problem", "full_page_writes = off"),
        ({"synchronous_commit": "local"}, "durability", "ok", "are on"),
        ({"encoding": "SQL_ASCII"}, "text", "problem", "SQL_ASCII"),
        ({"isolation": "serializable"}, "isolation", "note", "READ COMMITTED"),
        ({"clock_ahead": 5.0}, "clock", "note", "5.0 s ahead of"),
        ({"clock_ahead": -90.0}, "clock", "problem", "90.0 s behind"),
        ({"pooled": True}, "way", "ok", "keeps sessions apart"),
        ({"pooled": True, "sessions_kept": False}, "way", "problem", "in turn"),
        ({"connections": 5}, "connections", "note", "takes 5"),
    ],
)
def test_what_is_not_so_is_told_with_what_to_do(change: dict[str, object], subject: str, state: str, word: str) -> None:
    found: list[Finding] = list(doctor_store._server(msgspec.structs.replace(GOOD, **change)))
    (told,) = [each for each in found if each.subject == subject]
    assert told.state == state and word in told.text
    assert bool(told.advice) == (state == "problem" or subject in {"clock", "connections"})


def test_the_journal_of_answers_is_told(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    assert doctor_store.answers(directory).state == "note"
    journal = Answers(directory.answers, Ticking())
    journal.deposit(reception("r1", START))
    journal.close()
    found = doctor_store.answers(directory)
    assert (found.state, found.text) == ("ok", "days noted: 1, 2026-03-10 to 2026-03-10")

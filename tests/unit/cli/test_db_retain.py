"""`db retain`: on the file and on the database, counted and done (D-12)."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main
from gateway.store.retention import JOBS
from gateway.wiring.data import DataDirectory
from tests.contract.store.backends import BACKENDS, Bench, Postgres

#: The rows of a test are of March 2026; the verb goes by the clock of the machine.
LONG_AGO = "2020-01-01T00:00:00.000000+00:00"


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A store in a data directory, or the one that DATABASE_URL names, which no gateway runs on."""
    monkeypatch.setenv("DMP_GATEWAY_DATA", str(tmp_path))
    made = BACKENDS[request.param](tmp_path)
    if isinstance(made, Postgres):
        monkeypatch.setenv("DATABASE_URL", made.url)
    made.open(), made.send()
    made.execute("UPDATE receipt SET decided_at = ?", LONG_AGO)
    made.store.close()
    yield made
    made.close()


def retain(*words: str) -> Result:
    return CliRunner().invoke(main, ["db", "retain", *words])


def test_counted_then_done(store: Bench) -> None:
    for words, left in ((["--dry-run"], 2), ([], 0)):
        result = retain("--json", *words)
        assert result.exit_code == 0, result.output
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert {line["job"]: line["rows"] for line in lines} == {**dict.fromkeys((job.name for job in JOBS), 0), "receipts": 2}
        assert len(store.rows("receipt")) == left


def test_said_to_a_person(store: Bench) -> None:
    said = retain("--dry-run").output
    assert "receipts          2  due, before 20" in said
    assert JOBS[2].what in said
    assert "2  taken, before 20" in retain().output


def test_the_configuration_says_how_long(store: Bench, tmp_path: Path) -> None:
    since = (store.clock.now() - timedelta(days=0)).isoformat(timespec="microseconds")
    store.execute("UPDATE receipt SET decided_at = ?", since)
    config = tmp_path / "gateway.toml"
    config.write_text('environment = "test"\n[retention]\nreceipts_days = 3650\n', encoding="utf-8")
    result = retain("--json", "--config", str(config))
    assert result.exit_code == 0, result.output
    assert len(store.rows("receipt")) == 2


def test_while_the_folder_belongs_to_a_gateway_that_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DMP_GATEWAY_DATA", str(tmp_path))
    directory = DataDirectory(tmp_path)
    with directory.owned():
        result = retain()
    assert result.exit_code == 1
    assert "does not answer" in result.output

"""`parked list` and `parked show`: what could not be applied, and what to do; its content is never shown."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main
from gateway.store.port import Parked
from gateway.store.sqlite.store import SqliteStore
from gateway.wiring.data import DataDirectory
from tests.strategies.submissions import deposit

CANARY = b"CANARIPARQUE" * 40


class DaysAgo:
    """What was parked then."""

    def now(self) -> datetime:
        return datetime.now(UTC) - timedelta(days=4)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A store with one deposit parked four days ago, and one stored."""
    directory = DataDirectory(tmp_path / "data")
    directory.path.mkdir(mode=0o700)
    store = SqliteStore(directory.store, DaysAgo())
    made = deposit(7)
    keys = tuple(known.key for known in made.submission.patient.identifiers)
    store.park(
        Parked(reception=made.reception, code="INTERNAL", place="ValueError at gateway/x.py:1", identifiers=keys, sealed=CANARY)
    )
    store.apply([deposit(8)])
    store.close()
    return directory.path


def run(data: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["parked", *words, "--data", str(data)])


def test_who_looks_at_the_deposit_is_sent_to_what_is_parked(data: Path) -> None:
    (parked,) = [json.loads(line)["id"] for line in run(data, "list", "--json").stdout.splitlines()]
    told = CliRunner().invoke(main, ["deposits", "show", parked, "--data", str(data)])
    assert told.exit_code == 0 and f"dmp-gateway parked show {parked}" in told.stdout


def test_what_is_parked_is_listed_with_its_end(data: Path) -> None:
    told = run(data, "list")
    assert told.exit_code == 0 and "4 d" in told.stdout and "ValueError at gateway/x.py:1" in told.stdout
    (line,) = map(json.loads, run(data, "list", "--json").stdout.splitlines())
    reception = deposit(7).reception
    assert (line["id"], line["source"], line["message_id"], line["attempts"]) == (
        reception.receipt, reception.source, reception.message_id, 1,
    )  # fmt: skip
    kept = datetime.fromisoformat(line["kept_until"]) - datetime.fromisoformat(line["parked_at"])
    assert timedelta(days=29, hours=23) < kept <= timedelta(days=30)
    assert "CANARI" not in told.output
    assert "Nothing that is parked matches" in run(data, "list", "--source", "nobody").stderr


def test_one_says_why_and_what_to_do(data: Path) -> None:
    reception = deposit(7).reception
    told = run(data, "show", reception.receipt)
    assert told.exit_code == 0
    assert "deposit.parked" in told.stdout and f"send message {reception.message_id} again" in told.stdout
    assert "CANARI" not in told.output
    page = json.loads(run(data, "show", reception.receipt, "--json").stdout)
    assert [line["action"] for line in page["trace"]] == ["deposit.parked"]


def test_what_is_not_parked_is_told_apart(data: Path) -> None:
    other = run(data, "show", deposit(8).reception.receipt)
    assert other.exit_code == 1 and "is not parked" in other.stderr and "deposits show" in other.stderr
    nobody = run(data, "show", "nobody")
    assert nobody.exit_code == 1 and "No message has the id" in nobody.stderr
    nowhere = run(data / "nowhere", "list")
    assert nowhere.exit_code == 1 and "no record store" in nowhere.stderr

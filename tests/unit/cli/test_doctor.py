"""What `doctor` says of a data directory and of who holds it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.doctor import doctor
from gateway.cli.doctor_scopes import unbound
from gateway.cli.record import record
from gateway.model.source import Directory, Establishment, OppositionScope, Source, SourceKind
from gateway.wiring.data import DataDirectory


def told(data: Path, subject: str) -> list[dict[str, str]]:
    """The findings about a subject."""
    result = CliRunner().invoke(doctor, ["--data", str(data), "--json"])
    assert result.exit_code in {0, 1}, result.output
    return [finding for line in result.stdout.splitlines() if (finding := json.loads(line))["subject"] == subject]


def test_an_opposition_that_names_what_this_gateway_has_not_is_told() -> None:
    chu = Establishment(
        id="chu", name="CHU", finess_ej="990000018", finess_eg=("990000026",), opposition_scope=OppositionScope.SITE
    )
    source = Source(id="sil", establishment="chu", application="SIL", facility="CHU", kind=SourceKind.LABORATORY)
    directory = Directory(establishments=(chu,), sources=(source,))
    met = [
        ("establishment", "chu", 1), ("establishment", "chu/990000026", 1), ("source_kind", "laboratory", 1),
        ("source_kind", "hospital", 1), ("type", "51969-4", 1), ("professional", "810001234567", 1),
        ("establishment", "finess:990000018", 1), ("establishment", "finess:990000026", 1),
    ]  # fmt: skip
    assert list(unbound(met, directory)) == []
    missed = [("establishment", "old", 2), ("establishment", "finess:990000075", 1), ("source_kind", "insurer", 1)]
    assert [found.text for found in unbound(missed, directory)] == [
        "establishment old, opposed by 2 of the patients, is no source here: it binds nobody",
        (
            "establishment finess:990000075, opposed by 1 of the patients, is no source here: it binds only documents whose"
            " papers name this FINESS"
        ),
        "source_kind insurer, opposed by 1 of the patients, is no source here: it binds nobody",
    ]


def test_doctor_lists_an_opposition_that_binds_nobody(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for words in ("open --collected-by desk", "oppose --source-kind insurer", "oppose --source-kind hospital"):
        result = CliRunner().invoke(record, [*words.split(), "--ins", "284103523811464", "--data", str(data)])
        assert result.exit_code == 0, result.output
    (finding,) = told(data, "oppositions")
    assert (finding["state"], "source_kind insurer" in finding["text"]) == ("note", True)


def test_a_holder_that_is_not_named_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    with directory.owned():
        directory.lock.unlink()
        (finding,) = told(directory.path, "gateway")
    assert finding["state"] == "problem"
    assert "gateway.lock" in finding["text"]
    (finding,) = told(directory.path, "gateway")
    assert finding["state"] == "note"


def test_a_broker_that_is_away_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQP_URL", "amqp://someone:geheim@127.0.0.1:1/%2F")
    (found,) = told(tmp_path, "broker")
    assert found["state"] == "problem" and "127.0.0.1:1" in found["text"] and "geheim" not in found["text"]


def test_only_a_damaged_file_is_to_be_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk or a right that is in the way is no reason to throw a store away; the queue is in no backup (D-7)."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    (tmp_path / "store.db").mkdir()
    (tmp_path / "queue.db").write_bytes(b"no database" * 100)
    (store,), (queue,) = told(tmp_path, "record store"), told(tmp_path, "queue")
    assert (store["state"], store["advice"]) == ("problem", "look at the disk and at the rights of the file and its folder")
    assert queue["state"] == "problem" and "backup" not in queue["advice"] and "sent again" in queue["advice"]
    (tmp_path / "store.db").rmdir()
    (tmp_path / "store.db").write_bytes(b"no database" * 100)
    (store,) = told(tmp_path, "record store")
    assert store["advice"] == "restore it from a backup; keep the damaged file"

"""A folder or a disk that the machine does not give: every verb says so and what to do, none fails inside."""

import errno
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main
from gateway.wiring import control
from gateway.wiring.data import DataDirectory

INS = ("--ins", "284103523811464")
VERBS = (
    ("record", "open", *INS, "--collected-by", "desk"),
    ("record", "oppose", *INS),
    ("record", "show", *INS),
    ("record", "tasks"),
    ("record", "task-done", "1", "--by", "A"),
    ("deposits", "list"),
    ("deposits", "show", "r1"),
    ("db", "check"),
    ("db", "missing"),
    ("db", "retain"),
    ("keys", "init"),
    ("serve", "--mllp-port", "0", "--http-port", "0"),
)
BROKER = (("worker",), ("mllp", "--mllp-port", "0"), ("serve", "--mllp-port", "0", "--http-port", "0"))


def run(words: tuple[str, ...], data: Path) -> Result:
    return CliRunner().invoke(main, [*words, "--data", str(data)])


def told(result: Result) -> str:
    assert (result.exit_code, type(result.exception)) == (1, SystemExit), result.output
    return result.stderr


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_folder_that_cannot_be_reached_is_told(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    (tmp_path / "file").touch()
    said = told(run(words, tmp_path / "file" / "data"))
    assert f"{tmp_path}/file" in said and ("Not a directory" in said or "no record store" in said or "no journal" in said)


@pytest.mark.parametrize("words", BROKER, ids=" ".join)
def test_of_a_process_over_a_broker_too(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone@127.0.0.1:1/dmp")
    monkeypatch.setenv("AMQP_URL", "amqp://someone@127.0.0.1:1/%2F")
    (tmp_path / "file").touch()
    said = told(run(words, tmp_path / "file" / "data"))
    assert "file/data" in said and "Traceback" not in said


def test_a_full_disk_is_not_a_gateway_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("gateway.wiring.data._name", full)
    said = told(run(("record", "oppose", *INS), tmp_path))
    assert "No space left" in said and "does not answer" not in said


def test_a_gateway_that_takes_long_is_not_one_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def late(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(control, "ask", late)
    with DataDirectory(tmp_path).owned():
        said = told(run(("db", "retain"), tmp_path))
    assert "may still be at it" in said


def test_a_store_that_is_there_and_cannot_be_read_is_not_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    (tmp_path / "store.db").write_bytes(b"no database" * 100)
    said = told(run(("record", "show", *INS), tmp_path))
    assert "store.db is there and cannot be read" in said and "Start one" not in said


def test_a_url_s_file_that_is_not_there_is_a_wrong_path_and_no_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQP_URL_FILE", str(tmp_path / "nowhere"))
    result = CliRunner().invoke(main, ["queue", "setup"])
    assert result.exit_code == 1
    assert "right path" in result.stderr and "AMQP_URL_FILE" in result.stderr and "full" not in result.stderr

"""Broker and database are named by a variable or by a file; a file that says nothing is never taken for "none"."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from gateway.wiring.broker import amqp_url
from gateway.wiring.database import database_url

READERS = {"AMQP_URL": amqp_url, "DATABASE_URL": database_url}


@pytest.fixture(params=READERS)
def variable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in READERS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    return request.param


def test_nothing_is_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert READERS[variable]() is None
    monkeypatch.setenv(variable, "")
    monkeypatch.setenv(f"{variable}_FILE", "")
    assert READERS[variable]() is None


def test_the_first_line_of_the_file_is_taken(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text("scheme://user:p%40ss@host/name \nsecond\n")
    monkeypatch.setenv(f"{variable}_FILE", str(tmp_path / "url"))
    assert READERS[variable]() == "scheme://user:p%40ss@host/name"
    monkeypatch.setenv(variable, "scheme://other")
    assert READERS[variable]() == "scheme://other"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"scheme://h\xc3\xb4te/\n"])
def test_a_file_that_names_nothing_ends_the_verb(
    variable: str, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "url"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(f"{variable}_FILE", str(path))
    words = ("queue", "status") if variable == "AMQP_URL" else ("db", "migrate")
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    why = "No such file or directory" if content is None else f"its first line is no URL, and {variable}_FILE names it"
    assert f"{path}: {why}." in " ".join(result.stderr.split("\n"))
    assert "scheme" not in result.output

"""`make demo` and `make demo-real`: a slice of the minute over real servers, and what is said where they are missing."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.demo import crash, portal, story
from gateway.demo.messages import sample
from gateway.demo.story import Story, main
from tests.harness import demo_real, postgres, rabbitmq

pytestmark = [pytest.mark.door, pytest.mark.faults]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A broker with empty lanes and a database without a table."""
    node, server = rabbitmq.shared(), postgres.shared()
    node.empty()
    name = server.create()
    monkeypatch.setenv("AMQP_URL", node.url)
    monkeypatch.setenv("DATABASE_URL", server.url(name))
    yield
    server.drop(name)
    node.empty()


@pytest.mark.usefixtures("servers")
def test_what_is_answered_survives_a_kill_of_the_door_and_both_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(crash, "_MESSAGES", 60)
    monkeypatch.setattr(Story, "_lines", slice_of_the_story)
    told = Story(tmp_path, several=True)
    told.tell()
    assert told.failed == []
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2:6] for line in lines[1:4]] == [
        ["keys", "init", "command", "done"],
        ["db", "migrate", "command", "done"],
        ["queue", "setup", "command", "done"],
    ]
    assert lines[4].split()[1:5] == ["operator", "record", "opened", "command"]
    assert lines[5].split()[1:8] == ["sil-valmont", "report", "of", "the", "laboratory", "AA", "stored"]
    counted = re.fullmatch(
        r"kill -9 of 2 doors and 2 workers after (\d+) of 60 answers, started again, the others sent again: "
        r"60 of 60 answered AA, 60 of 60 in the record once",
        lines[6].strip(),
    )
    # A few more are answered while the kill is on its way.
    assert counted and 30 <= int(counted[1]) < 60
    log = (tmp_path / "gateway.log").read_text()
    assert log.count('"process.ended"') == 4
    assert not told.gateway.running
    assert "Traceback" not in log


def slice_of_the_story(self: Story) -> Iterator[str]:
    """The record opened and the first report."""
    whole = LINES(self)
    yield next(whole)
    yield next(whole)


LINES = Story._lines


def test_what_the_portal_brings_by_fhir_is_the_laboratorys_document_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(story, "crash", lambda *_: None)
    monkeypatch.setattr(Story, "_lines", two_doors)
    told = Story(tmp_path, several=False)
    told.tell()
    assert told.failed == []
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[1:5] == ["sil-valmont", "report", "AA", "stored"]
    assert lines[3].split()[1:7] == ["portail-valmont", "by", "FHIR", "200", "duplicate", "D-6"]


def two_doors(self: Story) -> Iterator[str]:
    """The record opened, and one report by MLLP and by FHIR."""
    yield next(LINES(self))
    yield self._sent("report", sample("oru/05-second-report.er7"), "stored")
    yield self._sent("by FHIR", sample("fhir/05-iti105-simple.json"), "duplicate")


def test_a_portal_without_a_door_has_no_answer(unused_port: int) -> None:
    assert portal.post(unused_port, "/fhir/DocumentReference", b"{}", "DEMO-1") == "none"


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port that is bound and not listened on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_line_that_does_not_end_as_it_must_fails_the_demonstration(tmp_path: Path) -> None:
    told = Story(tmp_path, several=False)
    told._check("a report", False, "parked, not stored")
    assert told.failed == ["a report: parked, not stored"]


@pytest.mark.parametrize("arguments", [("--server",), ("--servers",), ("--servers", "x")])
def test_servers_that_nobody_named_are_not_guessed(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQP_URL", "amqp://127.0.0.1:1/")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setattr(story, "Story", None)
    assert main(arguments) == 2


def test_the_demonstration_on_files_touches_no_server_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Told:
        failed = ()

        def __init__(self, folder: Path, *, several: bool) -> None:
            folder.rmdir()
            seen.append((several, sorted(name for name in os.environ if name.startswith(("AMQP_URL", "DATABASE_URL")))))

        def tell(self) -> None:
            pass

    for name in ("AMQP_URL", "AMQP_URL_FILE", "DATABASE_URL", "DATABASE_URL_FILE"):
        monkeypatch.setenv(name, "postgresql://operators.example/records")
    monkeypatch.setattr(story, "Story", Told)
    monkeypatch.setattr(story.signal, "signal", lambda *_: None)
    assert main() == 0
    assert seen == [(False, [])]


@pytest.mark.parametrize(
    ("lacking", "named"),
    [
        ({"rabbitmq"}, "Missing: RabbitMQ's server program (rabbitmq-server)."),
        ({"postgres"}, "Missing: PostgreSQL's server programs (initdb, postgres)."),
        ({"rabbitmq", "postgres"}, "(rabbitmq-server) and PostgreSQL's server programs"),
    ],
)
def test_without_the_servers_programs_it_says_how_to_get_them(
    lacking: set[str], named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rabbitmq, "look_for_program", lambda: None if "rabbitmq" in lacking else Path("r"))
    monkeypatch.setattr(postgres, "look_for_programs", lambda: None if "postgres" in lacking else Path("p"))
    assert demo_real.main() == 1
    told = capsys.readouterr()
    assert named in told.err
    assert "apt-get install rabbitmq-server postgresql" in told.err and "python -m gateway.demo --servers" in told.err
    assert told.out == ""

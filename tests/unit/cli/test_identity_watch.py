"""The verbs of identity watch: what they ask for, what they say, what they print as JSON; without a gateway, on both stores."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.identity_watch import WATCH_COMMANDS
from gateway.cli.main import main
from gateway.model.event import FileMerge, PatientEvent
from gateway.model.patient import PatientId, PatientIdentity
from gateway.store.postgres.store import PostgresStore
from gateway.store.sqlite.store import SqliteStore
from tests.harness import postgres
from tests.strategies.records import START, Ticking, deposit, ins, reception

Run = Callable[..., Result]
ONE, OTHER = ins("2750163012345"), ins("1540775012345")
IPP = PatientId(value="100001", authority="chu-valmont/ipp", type="PI")
SIGNED = ("--signed-by", "A. Martin", "--signed-by", "B. Petit")


@pytest.fixture(params=["sqlite", "postgres"])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Two records, one with an IPP and a document under it, and a message that would have merged them."""
    data = tmp_path / "data"
    monkeypatch.setenv("DMP_GATEWAY_DATA", str(data))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    server = postgres.shared() if request.param == "postgres" else None
    url = server.lend() if server else ""
    if server:
        monkeypatch.setenv("DATABASE_URL", url)

    def verb(*words: str) -> Result:
        return CliRunner().invoke(main, ["record", *words])

    for who in (ONE, OTHER):
        assert verb("open", "--ins", who.value, "--collected-by", "desk").exit_code == 0
    store = PostgresStore(url, Ticking()) if server else SqliteStore(data / "store.db", Ticking())
    identity = PatientIdentity(identifiers=(ONE, IPP))
    later = START.replace(year=2099)
    store.submit(
        reception("adt", START), PatientEvent(trigger="A31", identifiers=(ONE, IPP), links=True, identity=identity), later
    )
    store.apply([deposit("mdm", START, patient=(ONE, IPP))])
    store.submit(reception("a40", START), FileMerge(trigger="A40", identifiers=(OTHER,), absorbed=(IPP,)), later)
    store.close()
    yield verb
    if server:
        server.give_back(url)


def documents(run: Run, who: PatientId) -> list[str]:
    shown = run("show", "--ins", who.value, "--json")
    return [line["unique_id"] for line in json.loads(shown.stdout)["documents"]]


def test_the_life_of_a_wrong_merge(run: Run) -> None:
    (task,) = map(json.loads, run("tasks", "--json").stdout.splitlines())
    assert (task["kind"], task["patient"], task["receipt"], task["detail"]) == ("identity.conflict", OTHER.value, "a40", "merge")
    listed = run("tasks", "--kind", "identity.conflict").stdout
    assert "record merge" in listed and OTHER.value in listed
    sides = ("--ins", OTHER.value, "--absorbed-local", "chu-valmont/ipp:100001")
    merged = run("merge", *sides, *SIGNED, "--json")
    assert merged.exit_code == 0
    receipt = json.loads(merged.stdout)["receipt"]
    assert run("merge", *sides, *SIGNED).stdout == "They were one file already.\n"
    assert documents(run, OTHER) == documents(run, ONE) == ["1.2.3"]
    refused = run("unmerge", receipt, "--signed-by", "A. Martin", "--signed-by", "a. martin")
    assert refused.exit_code == 1 and "SIGNATURES_MISSING" in refused.stderr and "--signed-by" in refused.stderr
    assert run("unmerge", receipt, *SIGNED).stdout.startswith("The files are two again")
    assert (documents(run, ONE), documents(run, OTHER)) == (["1.2.3"], [])
    assert run("unmerge", "nothing", *SIGNED).exit_code == 1
    again = run("merge", *sides, *SIGNED).stdout
    assert run("unmerge", again.rsplit(maxsplit=1)[1].rstrip("`.\n"), *SIGNED).exit_code == 0


def test_a_task_is_ended_once(run: Run) -> None:
    assert run("task-done", "1", "--by", "A. Martin").stdout == "It is off the list.\n"
    assert run("task-done", "1", "--by", "B. Petit").stdout == "It was done before.\n"
    assert run("tasks").stderr == "Nothing waits for a person.\n"
    assert "A. Martin" in run("tasks", "--done").stdout
    missing = run("task-done", "99", "--by", "A. Martin")
    assert missing.exit_code == 1 and "TASK_UNKNOWN" in missing.stderr
    assert run("task-done", "1", "--by", " ").exit_code == 1


def test_a_document_is_moved_and_released(run: Run) -> None:
    sides = ("--from-ins", ONE.value, "--to-ins", OTHER.value)
    assert run("misfiled", "--local", "chu-valmont/ipp:100001").stderr.startswith("No document was stored")
    assert run("move", "1.2.3", *sides, *SIGNED).stdout == "It is in the other record now.\n"
    assert (documents(run, ONE), documents(run, OTHER)) == ([], ["1.2.3"])
    gone = run("move", "1.2.3", *sides, *SIGNED)
    assert gone.exit_code == 1 and "DOCUMENT_UNKNOWN" in gone.stderr
    opposed = run("oppose", "--ins", OTHER.value, "--at", "20260101")
    assert opposed.exit_code == 0
    assert run("release", "1.2.3", "--ins", OTHER.value, "--by", "Mme Petit").stdout == "It is shown again.\n"
    assert run("release", "1.2.3", "--ins", OTHER.value, "--by", "Mme Petit").stdout == "It was not withheld.\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("merge", "--ins", ONE.value, *SIGNED), "--absorbed-ins"),
        (("merge", "--absorbed-ins", ONE.value, *SIGNED), "give either --ins"),
        (("merge", "--ins", ONE.value, "--absorbed-ins", "123", *SIGNED), "--absorbed-ins: not 15 characters"),
        (("merge", "--ins", ONE.value, "--absorbed-ins", OTHER.value), "--signed-by"),
        (("unmerge", "r1"), "--signed-by"),
        (("move", "1.2.3", "--from-ins", ONE.value, *SIGNED), "--to-ins"),
        (("move", "1.2.3", "--to-local", "x", "--from-ins", ONE.value, *SIGNED), "--to-local"),
        (("misfiled", "--ins", ONE.value), "--local"),
        (("release", "1.2.3", "--ins", ONE.value), "--by"),
        (("task-done", "one", "--by", "A"), "one"),
        (("task-done", "9" * 30, "--by", "A"), "is not in the range"),
    ],
)
def test_a_verb_that_was_not_asked_for_clearly_says_what_to_write(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["record", *words, "--data", str(tmp_path)])
    assert result.exit_code == 2
    assert told in result.stderr


def test_one_identifier_is_not_merged_with_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    words = ("merge", "--ins", ONE.value, "--absorbed-ins", ONE.value, *SIGNED, "--data", str(tmp_path))
    result = CliRunner().invoke(main, ["record", *words])
    assert result.exit_code == 1 and "the two sides are one identifier" in result.stderr


@pytest.mark.parametrize("command", WATCH_COMMANDS, ids=lambda each: str(each.name))
def test_every_help_teaches_by_an_example(command: object) -> None:
    text = CliRunner().invoke(main, ["record", command.name, "--help"]).stdout  # type: ignore[attr-defined]
    assert f"dmp-gateway record {command.name}" in text  # type: ignore[attr-defined]

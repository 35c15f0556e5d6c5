"""A store restored from a backup: what was acknowledged since is listed and sent again, and the record is the same (F23)."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.store.postgres.migrations import Migrated, migrate, migrations
from tests.harness import postgres
from tests.harness.day import Patient, biology, control_id, mdm, opened, oru, radiology, says, someone, stamp
from tests.harness.door import Door

pytestmark = [pytest.mark.faults, pytest.mark.door]

Message = tuple[str, bytes]


class Life:
    """A gateway, its store, and how that is backed up and restored."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self.folder = folder
        self.patch = monkeypatch
        self.door = Door(folder, environment=self.environment())

    def environment(self) -> dict[str, str]:
        return {}

    def start(self) -> None:
        self.door.process.start(self.environment())

    def stop(self) -> None:
        self.door.drained()
        assert self.door.process.stop() == 0

    def back_up(self) -> None:
        """While the gateway runs."""
        self.door.verb("db", "backup", str(self.folder / "backup.db"))

    def restore(self) -> None:
        """As docs/operations.md tells it; the gateway does not run."""
        for name in ("store.db", "store.db-wal", "store.db-shm"):
            (self.door.data / name).unlink(missing_ok=True)
        shutil.copy(self.folder / "backup.db", self.door.data / "store.db")

    def close(self) -> None:
        self.door.process.stop()

    def send(self, messages: Sequence[Message]) -> None:
        for name, payload in messages:
            assert self.door.ask(payload).code == "AA", name
        self.door.drained()

    def missing(self, *, status: int) -> list[tuple[str, str, str]]:
        lines = self.door.verb("db", "missing", status=status)
        return [(line["what"], line["source"], line["message_id"]) for line in lines]

    def clean(self) -> None:
        """Nothing that must always be so is broken."""
        found = self.door.verb("db", "check")
        assert {line["state"] for line in found} == {"ok"}

    def state(self, patients: Sequence[Patient]) -> list[Any]:
        """What the record is, without the times and receipts of a life."""
        found: list[Any] = []
        for patient in patients:
            page = self.door.record(patient.ins)
            found.append((
                page.state,
                sorted((line.unique_id, line.state, line.withheld, line.title) for line in page.documents),
                sorted((str(line.statement.position), line.statement.collected_by, line.in_force) for line in page.statements),
            ))  # fmt: skip
        decided = {line.message_id: (line.verdict, line.codes) for line in reversed(self.door.deposits()) if line.door == "mllp"}
        return [found, decided]


class OnDatabase(Life):
    """The same on PostgreSQL, with its own tools."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = postgres.shared()
        self.databases = [self.server.create()]
        super().__init__(folder, monkeypatch)
        self.use()

    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.server.url(self.databases[-1])}

    def use(self) -> None:
        """Let the verbs of this process use it, too."""
        self.patch.setenv("DATABASE_URL", self.server.url(self.databases[-1]))

    def run(self, program: str, *arguments: str) -> bytes:
        found = shutil.which(program) or str(max(Path("/usr/lib/postgresql").glob(f"*/bin/{program}")))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return subprocess.run([found, *arguments], check=True, capture_output=True, env=clean).stdout

    def back_up(self) -> None:
        url = self.server.url(self.databases[-1])
        self.run("pg_dump", "--format=custom", "--no-owner", f"--file={self.folder / 'backup'}", f"--dbname={url}")

    def restore(self) -> None:
        self.databases.append(self.server.create())
        url = self.server.url(self.databases[-1])
        how = ("--no-owner", "--no-privileges", "--exit-on-error")
        script = self.run("pg_restore", *how, "--file=-", str(self.folder / "backup"))
        # Another server has not the roles yet: a statement that names one would end the restore there.
        assert b"CREATE TABLE" in script and b"dmp_gateway_" not in script
        self.run("pg_restore", *how, f"--dbname={url}", str(self.folder / "backup"))
        assert migrate(url) == Migrated(applied=(), schema=migrations()[-1].number, roles=True)
        self.use()

    def close(self) -> None:
        super().close()
        for name in self.databases:
            self.server.drop(name)


@pytest.fixture(params=[Life, OnDatabase], ids=["sqlite", "postgres"])
def lives(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Life]]:
    """Two of a kind."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    made = [request.param(tmp_path / name, monkeypatch) for name in ("restored", "undisturbed")]
    yield made
    for life in made:
        life.close()


def test_what_was_acknowledged_after_the_backup_is_listed_oppositions_first_and_sent_again(lives: list[Life]) -> None:
    opposed, lifted, third = patients = [someone() for _ in range(3)]
    before: list[Message] = [
        ("first report", oru(biology(opposed))),
        ("opposition of the second", says(lifted, "IO", stamp(days=-2))),
    ]
    after = {
        name: (control_id(), payload)
        for name, payload in {
            "report": lambda n: oru(biology(third), message_id=n),
            "opposition": lambda n: says(opposed, "IO", stamp(days=-1), message_id=n),
            "refused": lambda n: mdm(radiology(opposed), message_id=n),
            "lifting": lambda n: says(lifted, "INO", stamp(days=-1), message_id=n),
            "allowed": lambda n: oru(biology(lifted), message_id=n),
        }.items()
    }
    later = [(name, make(number)) for name, (number, make) in after.items()]
    numbers = {name: number for name, (number, _) in after.items()}
    states = []
    for life, disturbed in zip(lives, (True, False), strict=True):
        if isinstance(life, OnDatabase):
            life.use()
        life.start()
        for patient in patients:
            opened(life.door, patient)
        life.send(before)
        if disturbed:
            life.back_up()
        life.send(later)
        assert life.missing(status=0) == []
        if disturbed:
            life.stop()
            life.restore()
            life.start()
            gone = life.missing(status=1)
            assert gone == [
                ("opposition", "gam-valmont", numbers["opposition"]),
                ("lifting", "gam-valmont", numbers["lifting"]),
                ("deposit", "sil-valmont", numbers["report"]),
                ("deposit", "ris-valmont", numbers["refused"]),
                ("deposit", "sil-valmont", numbers["allowed"]),
            ]
            payloads = {number: (name, payload) for (name, payload), number in zip(later, numbers.values(), strict=True)}
            life.send([payloads[number] for _, _, number in gone])
            assert life.missing(status=0) == []
        life.clean()
        states.append(life.state(patients))
        life.stop()
    assert states[0] == states[1]
    found, decided = states[1]
    assert [([line[1] for line in documents], [line[1:] for line in statements]) for _, documents, statements in found] == [
        (["current"], [("chu-valmont", True)]),
        (["current"], [("chu-valmont", False), ("chu-valmont", False)]),
        (["current"], []),
    ]
    assert decided[numbers["refused"]] == ("refused", ("OPPOSED",))
    assert [decided[numbers[name]][0] for name in ("report", "opposition", "lifting", "allowed")] == [
        "stored", "applied", "applied", "stored",
    ]  # fmt: skip


def test_what_waits_in_the_queue_is_not_missing(lives: list[Life]) -> None:
    life = lives[0]
    if isinstance(life, OnDatabase):
        life.use()
    patient = someone()
    life.start()
    opened(life.door, patient)
    life.stop()
    life.door.process.start({**life.environment(), "DMP_GATEWAY_KILL_AT": "queue.taken:1"})
    life.door.hand_over(oru(biology(patient)))
    assert life.missing(status=0) == []

"""The server of the tests: installed where it may be, asked for where not, never left behind, never somebody's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from gateway.store.postgres.migrations import migrate
from tests.harness import owned, postgres


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of the superuser's without PostgreSQL; what is in the folder `bin` is on its PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(postgres, "_DEBIAN", tmp_path / "lib")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def apt_get(machine: Path, text: str) -> None:
    script(machine / "bin" / "apt-get", f'echo "$@" >>{machine}/asked\n{text}')


def test_a_machine_that_cannot_have_it_is_told_how_to_get_it(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert postgres.main() == 1
    told = capsys.readouterr().err
    assert "initdb" in told
    assert "apt-get install postgresql" in told


def test_it_is_installed_where_that_can_be_done(bare: Path) -> None:
    made = bare / "lib" / "16" / "bin"
    made.mkdir(parents=True)
    apt_get(bare, f'case "$1" in install) : >{made}/initdb; : >{made}/postgres;; esac')
    assert postgres.find_programs() == made
    assert (bare / "asked").read_text().splitlines() == [
        "update -q",
        "install -q -y --no-install-recommends postgresql",
    ]
    assert postgres.find_programs() == made
    assert len((bare / "asked").read_text().splitlines()) == 2, "installed twice"


def test_nothing_is_installed_by_a_user_who_may_not(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    apt_get(bare, "exit 0")
    with pytest.raises(postgres.ServerMissing, match="apt-get install postgresql"):
        postgres.find_programs()
    assert not (bare / "asked").exists()


def test_an_installation_that_fails_says_why(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apt_get(bare, 'echo "no such mirror" >&2; exit 100')
    assert postgres.main() == 1
    told = capsys.readouterr().err
    assert "no such mirror" in told
    assert "initdb" in told


def test_the_newest_version_is_taken_and_half_of_one_is_not(bare: Path) -> None:
    for version, programs in (("9", ("initdb", "postgres")), ("15", ("initdb", "postgres")), ("16", ("initdb",)), ("x", ())):
        for name in programs:
            script(bare / "lib" / version / "bin" / name, "exit 0")
    assert postgres.find_programs() == bare / "lib" / "15" / "bin"


def test_programs_on_the_path_will_do(bare: Path) -> None:
    for name in ("initdb", "postgres"):
        script(bare / "bin" / name, "exit 0")
    assert postgres.find_programs() == bare / "bin"


_MAKER = """
import shutil, sys, time
from tests.harness import postgres
if sys.argv[1] == "unbound":
    which = shutil.which
    postgres.shutil.which = lambda name: None if name == "setpriv" else which(name)
made = postgres.Cluster()
print(made.pid, made.folder.parent, flush=True)
time.sleep(60)
"""


@pytest.fixture
def killed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[int, Path]]:
    """Return a server's process id and folder whose maker was killed; `unbound`: the server did not notice."""
    # The server's user must be able to reach its folder.
    monkeypatch.setattr(postgres.tempfile, "tempdir", None)

    def kill(how: str) -> tuple[int, Path]:
        maker = subprocess.Popen([sys.executable, "-c", _MAKER, how], cwd=root, stdout=subprocess.PIPE, text=True)
        assert maker.stdout is not None
        pid, folder = maker.stdout.readline().split()
        maker.send_signal(signal.SIGKILL)
        maker.wait(10)
        maker.stdout.close()
        return int(pid), Path(folder)

    return kill


def gone(pid: int, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while owned.began(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not owned.began(pid)


@pytest.mark.faults
def test_what_a_killed_run_left_is_swept_and_nothing_else(killed: Callable[[str], tuple[int, Path]]) -> None:
    mine = postgres.shared()
    pid, folder = killed("unbound")
    assert owned.began(pid), "the server ended by itself: the test shows nothing"
    assert folder.exists()
    postgres.sweep()
    assert gone(pid)
    assert not folder.exists()
    with psycopg.connect(mine.admin) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.faults
def test_a_server_ends_with_the_run_that_is_killed(killed: Callable[[str], tuple[int, Path]]) -> None:
    pid, folder = killed("bound")
    assert gone(pid)
    postgres.sweep()
    assert not folder.exists()


def test_another_server_is_left_as_it_was_found() -> None:
    """What `TEST_DATABASE_URL` names: databases and roles that the run made are gone at its end."""
    theirs = postgres.Cluster()
    try:
        before = inventory(theirs.admin)
        lent = postgres.Server(theirs.admin)
        lent.give_back(lent.lend())
        assert inventory(theirs.admin) > before
        migrate(lent.url(lent.create()))
        lent.close()
        assert inventory(theirs.admin) == before
    finally:
        theirs.close()


def inventory(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles")}


def test_the_contract_suites_alone_use_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = postgres.shared()
    monkeypatch.setenv("TEST_DATABASE_URL", mine.admin)
    monkeypatch.setattr(postgres.atexit, "register", lambda _: None)
    theirs = postgres.for_contracts.__wrapped__()
    assert theirs.admin == mine.admin
    assert theirs is not mine
    assert postgres.shared() is mine
    monkeypatch.delenv("TEST_DATABASE_URL")
    assert postgres.for_contracts.__wrapped__() is mine

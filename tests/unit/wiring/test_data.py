"""Who owns a data directory, and where its socket is (D-12)."""

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.wiring.data import DataDirectory, Owned

CHILD = """
import sys, time
from pathlib import Path
from gateway.wiring.data import DataDirectory
with DataDirectory(Path(sys.argv[1])).owned() as owner:
    print(owner.pid, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns `data`."""
    started = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "data")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with started:
        assert started.stdout is not None and int(started.stdout.readline()) == started.pid
        yield started
        started.kill()


def test_a_second_owner_is_told_who_the_first_one_is(tmp_path: Path, child: subprocess.Popen[str]) -> None:
    directory = DataDirectory(tmp_path / "data")
    owner = directory.owner()
    assert owner is not None
    assert (owner.pid, owner.socket) == (child.pid, str(tmp_path / "data" / "gateway.sock"))
    with pytest.raises(Owned, match=f"pid {child.pid}") as taken, directory.owned():
        pytest.fail("owned twice")
    assert taken.value.owner == owner


def test_a_lock_file_that_was_removed_lets_no_second_owner_in(tmp_path: Path, child: subprocess.Popen[str]) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.lock.unlink()
    for _ in range(2):
        with pytest.raises(Owned), directory.owned():
            pytest.fail("owned twice")
        with pytest.raises(Owned):
            directory.owner()
        directory.lock.write_bytes(b"")
    second = subprocess.run(
        [sys.executable, "-c", CHILD, str(directory.path)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert second.returncode != 0 and "Owned" in second.stderr and second.stdout == ""
    assert child.stdin is not None
    child.stdin.close()
    child.wait(10)
    assert directory.owner() is None
    with directory.owned() as owner:
        assert directory.owner() == owner


def test_the_lock_is_a_file_of_its_user_alone(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.path.mkdir()
    directory.lock.touch(mode=0o644)
    directory.lock.chmod(0o644)
    with directory.owned():
        assert stat.S_IMODE(directory.lock.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o770, 0o720, 0o702, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.path.mkdir()
    directory.path.chmod(mode)
    with pytest.raises(PermissionError, match=f"{mode:04o}.*chmod 700 .*data"), directory.owned():
        pytest.fail("owned")
    assert list(directory.path.iterdir()) == []
    directory.path.chmod(0o755)
    with directory.owned() as owner:
        assert directory.owner() == owner


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_owner_owns_nothing(tmp_path: Path, child: subprocess.Popen[str], sign: signal.Signals) -> None:
    child.send_signal(sign)
    child.wait(10)
    directory = DataDirectory(tmp_path / "data")
    assert directory.owner() is None
    with directory.owned() as owner:
        assert owner.pid == os.getpid()


def test_the_folder_and_the_lock_come_and_go(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    assert directory.owner() is None
    with directory.owned() as owner:
        assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
        assert directory.owner() == owner
        with pytest.raises(Owned), DataDirectory(directory.path).owned():
            pytest.fail("owned twice")
    assert directory.owner() is None and directory.lock.read_bytes() == b""


def test_asking_for_the_owner_never_looks_like_one(tmp_path: Path) -> None:
    """A probe holds the lock for an instant: whoever starts meanwhile must not be turned away."""
    directory = DataDirectory(tmp_path / "data")
    with directory.owned():
        pass
    stop = threading.Event()

    def probe() -> None:
        while not stop.is_set():
            directory.owner()

    probing = [threading.Thread(target=probe) for _ in range(2)]
    for thread in probing:
        thread.start()
    try:
        for _ in range(20):
            with directory.owned():
                pass
    finally:
        stop.set()
        for thread in probing:
            thread.join()


def long(folder: Path) -> DataDirectory:
    return DataDirectory(folder / ("d" * 60) / ("e" * 60))


def test_a_long_path_moves_the_socket_to_the_runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Path("/tmp") / f"dmpgw-test-{os.getpid()}"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    directory = long(tmp_path)
    try:
        with directory.owned() as owner:
            place = Path(owner.socket)
            assert place == runtime / f"dmp-gateway-{os.getpid()}" / "gateway.sock"
            assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
            assert directory.owner() == owner
        assert list(runtime.iterdir()) == []
    finally:
        runtime.rmdir()


def test_a_long_runtime_directory_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("r" * 100)))
    assert long(tmp_path).socket.parts[:2] == ("/", "tmp")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / ("t" * 100)))
    with pytest.raises(OSError, match="XDG_RUNTIME_DIR"), long(tmp_path).owned():
        pytest.fail("no socket fits")


def test_a_runtime_folder_that_others_can_enter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Path("/tmp") / f"dmpgw-open-{os.getpid()}"
    theirs = runtime / f"dmp-gateway-{os.getpid()}"
    theirs.mkdir(parents=True)
    theirs.chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    try:
        with pytest.raises(PermissionError), long(tmp_path).owned():
            pytest.fail("owned through another's folder")
    finally:
        theirs.rmdir()
        runtime.rmdir()

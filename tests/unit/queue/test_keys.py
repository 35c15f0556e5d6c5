import shutil
import stat
import threading

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.queue.errors import KeyMissing, KeysUnusable
from gateway.queue.keys import Keys, Ring, initialise


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_first_secrets(folder) -> None:
    assert names(folder) == {"flow-2026-11-21.key", "parking-2026-11-21.key", "receipts.key"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(path.read_bytes()) == 32
    assert len({path.read_bytes() for path in folder.iterdir()}) == 3


def test_they_are_never_drawn_twice(folder, clock) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(KeysUnusable, match="never drawn twice"):
        initialise(folder, clock)
    clock.pass_days(1)
    with pytest.raises(KeysUnusable, match="never drawn twice"):
        initialise(folder, clock)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_an_interrupted_start_is_taken_up_again(folder, clock) -> None:
    receipts = (folder / "receipts.key").read_bytes()
    (folder / "flow-2026-11-21.key").unlink()
    with pytest.raises(KeysUnusable, match="keys init"):
        Keys.open(folder, clock)
    initialise(folder, clock)
    assert (folder / "receipts.key").read_bytes() == receipts
    assert Keys.open(folder, clock).receipts == receipts


def test_without_secrets(tmp_path, clock) -> None:
    with pytest.raises(KeysUnusable, match="dmp-gateway keys init"):
        Keys.open(tmp_path / "keys", clock)


def test_each_day_comes_out_of_the_one_before(folder, clock) -> None:
    secret = (folder / "flow-2026-11-21.key").read_bytes()
    clock.pass_days(2)
    keys = Keys.open(folder, clock)
    for day in (b"flow2026-11-22", b"flow2026-11-23"):
        secret = HKDF(algorithm=SHA256(), length=32, salt=None, info=day).derive(secret)
    assert keys.sealing(keys.today()).secret == secret
    assert (folder / "flow-2026-11-23.key").read_bytes() == secret
    assert "flow-2026-11-22.key" in names(folder), "the day between may hold deposits of another machine"
    assert "parking-2026-11-22.key" not in names(folder)


def test_two_machines_have_the_same_keys(folder, clock, tmp_path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    keys, copy = Keys.open(folder, clock), Keys.open(tmp_path / "copy", clock)
    for _ in range(3):
        clock.pass_days(1)
        keys.sealing(keys.today())
    assert copy.sealing(copy.today()).secret == keys.sealing(keys.today()).secret
    assert copy.opening(copy.today() - 1).secret == keys.opening(keys.today() - 1).secret


def test_a_key_is_on_the_disk_before_it_is_used(folder, clock, monkeypatch) -> None:
    keys = Keys.open(folder, clock)
    clock.pass_days(1)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(KeysUnusable, match="No space left"):
            keys.sealing(keys.today())
        with pytest.raises(KeyMissing):
            keys.opening(keys.today())
    assert "flow-2026-11-22.key" not in names(folder)
    assert keys.sealing(keys.today()).secret == (folder / "flow-2026-11-22.key").read_bytes()


def test_what_was_left_half_written_is_removed(folder, clock) -> None:
    left = folder / ".flow-2026-11-22.key.part"
    left.write_bytes(b"half")
    Keys.open(folder, clock)
    assert not left.exists()


def test_a_clock_that_went_back_before_the_first_key(folder, clock) -> None:
    keys = Keys.open(folder, clock)
    first = keys.sealing(keys.today())
    clock.pass_days(-1)
    assert keys.sealing(keys.today()).day == first.day
    with pytest.raises(KeyMissing):
        keys.opening(keys.today())


def test_a_clock_that_ran_away(folder, clock) -> None:
    keys = Keys.open(folder, clock)
    clock.pass_days(365 * 30)
    with pytest.raises(KeysUnusable):
        keys.sealing(keys.today())
    assert len(names(folder)) == 3


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o700, 0o644])
@pytest.mark.parametrize("name", ["flow-2026-11-21.key", "receipts.key"])
def test_a_file_open_to_others_is_refused(folder, clock, name, mode) -> None:
    (folder / name).chmod(mode)
    with pytest.raises(KeysUnusable, match=f"{mode:04o}.*chmod 600"):
        Keys.open(folder, clock)


def test_a_folder_open_to_others_is_refused(folder, clock) -> None:
    folder.chmod(0o750)
    with pytest.raises(KeysUnusable, match=r"0750.*chmod 700"):
        Keys.open(folder, clock)
    with pytest.raises(KeysUnusable, match=r"0750.*chmod 700"):
        initialise(folder, clock)


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_file_that_is_no_key_is_refused(folder, clock, content) -> None:
    (folder / "flow-2026-11-21.key").write_bytes(content)
    with pytest.raises(KeysUnusable, match="bytes"):
        Keys.open(folder, clock)


def test_a_name_that_is_no_day_is_refused(folder, clock) -> None:
    (folder / "flow-old.key").write_bytes(b"x" * 32)
    with pytest.raises(KeysUnusable, match="not the name of a key"):
        Keys.open(folder, clock)


def test_midnight_under_many_threads(folder, clock) -> None:
    keys = Keys.open(folder, clock)
    clock.pass_days(40)
    together, found = threading.Barrier(8), set()

    def ask(number: int) -> None:
        together.wait()
        found.add(keys.sealing(keys.today() - number % 2).secret)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {keys.opening(keys.today()).secret, keys.opening(keys.today() - 1).secret}


def test_no_secret_in_a_text(keys) -> None:
    key = keys.sealing(keys.today())
    assert key.secret.hex() not in repr(key) and repr(key.secret) not in repr(vars(keys) | {"key": key})
    assert set(Ring) == {Ring.FLOW, Ring.PARKING}

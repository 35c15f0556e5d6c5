"""Keys that end: forward with the days, erased behind, never brought back, whatever kills or jumps (D-7)."""

import os
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.queue import key_files
from gateway.queue.errors import KeyMissing, KeysUnusable
from gateway.queue.key_copy import export, fingerprint, join
from gateway.queue.keys import FENCE, Keys, Ring, initialise
from gateway.queue.seal import label, open_sealed, seal

START = 20_778  # 2026-11-21


class Killed(BaseException):
    """Stands for the end of the process."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def sealed(keys: Keys, receipt: str = "r") -> bytes:
    return seal(b"CANARI", keys=keys, lane="bulk", receipt=receipt)


def opens(keys: Keys, found: bytes, receipt: str = "r") -> bool:
    try:
        return open_sealed(found, keys=keys, lane="bulk", receipt=receipt) == b"CANARI"
    except KeyMissing:
        return False


def test_both_rings_go_forward_and_what_is_over_goes(folder, clock) -> None:
    keys = Keys.open(folder, clock)
    first = sealed(keys)
    clock.pass_days(3)
    keys.ratchet()
    assert keys.held() == keys.held(Ring.PARKING) == [START, START + 1, START + 2, START + 3]
    later = sealed(keys)
    assert keys.erase(Ring.FLOW, START + 1) == [START, START + 1]
    assert keys.held() == [START + 2, START + 3]
    assert keys.held(Ring.PARKING) == [START, START + 1, START + 2, START + 3]
    assert (opens(keys, first), opens(keys, later)) == (False, True)
    assert (opens(Keys.open(folder, clock), first), opens(Keys.open(folder, clock), later)) == (False, True)
    assert keys.erase(Ring.FLOW, START + 1) == []


def test_the_newest_key_stays_whatever_is_asked(folder, clock) -> None:
    keys = Keys.open(folder, clock)
    assert keys.erase(Ring.FLOW, START + 1000) == []
    clock.pass_days(2)
    keys.ratchet()
    assert keys.erase(Ring.FLOW, START + 1000) == [START, START + 1]
    assert keys.held() == [START + 2]
    clock.pass_days(1)
    assert keys.sealing(keys.today()).day == START + 3


def test_the_file_is_overwritten_before_its_name_goes(folder, clock, monkeypatch) -> None:
    keys = Keys.open(folder, clock)
    secret = (folder / "flow-2026-11-21.key").read_bytes()
    os.link(folder / "flow-2026-11-21.key", folder.parent / "link")
    clock.pass_days(1)
    keys.ratchet()
    synced: list[bytes] = []
    real = os.fsync
    monkeypatch.setattr("os.fsync", lambda descriptor: (synced.append((folder.parent / "link").read_bytes()), real(descriptor)))
    assert keys.erase(Ring.FLOW, START) == [START]
    assert (folder.parent / "link").read_bytes() == bytes(32) != secret
    # The name first, then the bytes, then the end of the name: each on the disk before the next.
    assert synced == [secret, bytes(32), bytes(32)]
    assert names(folder) == ["flow-2026-11-22.key", "parking-2026-11-21.key", "parking-2026-11-22.key", "receipts.key"]


def steps(monkeypatch: pytest.MonkeyPatch, killed_at: int) -> Callable[[], int]:
    """Count the steps that touch the disk, and end at one of them, before it is done."""
    count = 0

    def guarded(real):
        def step(*arguments, **more):
            nonlocal count
            count += 1
            if count == killed_at:
                raise Killed
            return real(*arguments, **more)

        return step

    for name in ("os.fsync", "os.write"):
        monkeypatch.setattr(name, guarded(eval(name)))
    for name in ("replace", "unlink"):
        monkeypatch.setattr(Path, name, guarded(getattr(Path, name)))
    return lambda: count


@pytest.mark.parametrize("killed_at", range(1, 14))
def test_killed_at_any_step_of_the_erasing(folder, clock, killed_at, monkeypatch) -> None:
    keys = Keys.open(folder, clock)
    before = sealed(keys)
    secret = (folder / "flow-2026-11-21.key").read_bytes()
    clock.pass_days(2)
    keys.ratchet()
    kept = sealed(keys)
    with monkeypatch.context() as patched:
        counted = steps(patched, killed_at)
        if killed_at <= 12:
            with pytest.raises(Killed):
                keys.erase(Ring.FLOW, START + 1)
        else:
            assert keys.erase(Ring.FLOW, START + 1) == [START, START + 1]
            assert counted() == 12, "two keys, each: rename, sync, overwrite, sync, unlink, sync"
    held = [day for day in (START, START + 1) if key_files.file_of(folder, Ring.FLOW, day).exists()]
    for day in held:
        assert key_files.read(key_files.file_of(folder, Ring.FLOW, day)) != bytes(32)
    again = Keys.open(folder, clock)
    assert again.held() == [*held, START + 2]
    assert opens(again, before) is (START in held)
    assert opens(again, kept)
    assert again.erase(Ring.FLOW, START + 1) == held
    assert not opens(again, before)
    assert names(folder) == [
        "flow-2026-11-23.key", "parking-2026-11-21.key", "parking-2026-11-22.key", "parking-2026-11-23.key", "receipts.key"
    ]  # fmt: skip
    assert all(secret not in path.read_bytes() for path in folder.iterdir())


def test_a_disk_that_refuses_is_told_and_tried_again(folder, clock, monkeypatch) -> None:
    keys = Keys.open(folder, clock)
    clock.pass_days(1)
    keys.ratchet()

    def refuse(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("os.write", refuse)
        with pytest.raises(KeysUnusable, match="Input/output error"):
            keys.erase(Ring.FLOW, START)
    assert keys.held() == [START + 1]
    keys.erase(Ring.FLOW, START)
    assert not list(folder.glob(".*")), "what was left is wiped at the next turn"


def test_a_door_drops_the_past_from_memory_and_leaves_the_folder(folder, clock) -> None:
    keys = Keys.open(folder, clock)
    old = sealed(keys)
    clock.pass_days(1)
    keys.ratchet()
    keys.forget(START + 1)
    assert not opens(keys, old)
    assert keys.held() == [START, START + 1]
    assert opens(Keys.open(folder, clock), old)
    assert opens(keys, sealed(keys))


def test_what_another_process_erased_is_forgotten_and_never_brought_back(folder, clock) -> None:
    keys, other = Keys.open(folder, clock), Keys.open(folder, clock)
    old = sealed(keys)
    clock.pass_days(2)
    other.ratchet()
    other.erase(Ring.FLOW, START + 1)
    keys.ratchet()
    assert not opens(keys, old)
    assert keys.held() == [START + 2]
    with pytest.raises(KeyMissing):
        keys.opening(START + 1)
    assert keys.held() == [START + 2]


def test_a_machine_that_was_off_for_weeks(folder, clock) -> None:
    old = sealed(Keys.open(folder, clock))
    clock.pass_days(40)
    keys = Keys.open(folder, clock)
    assert opens(keys, old)
    keys.ratchet()
    assert keys.held() == list(range(START, START + 41)), "what others sealed on any of them may still wait"
    assert len(keys.erase(Ring.FLOW, START + 39)) == 40
    assert keys.held() == [START + 40]
    assert not opens(keys, old)


def test_a_clock_that_goes_back_over_midnight_brings_no_day_back(folder, clock) -> None:
    keys = Keys.open(folder, clock)
    clock.at = datetime(2026, 11, 22, 0, 0, 5, tzinfo=UTC)
    keys.ratchet()
    clock.at -= timedelta(seconds=20)
    assert keys.today() == START
    assert label(sealed(keys)).day == START + 1
    assert label(sealed(Keys.open(folder, clock))).day == START + 1, "nor after a restart"
    keys.erase(Ring.FLOW, START)
    clock.pass_days(-3)
    found = sealed(keys)
    assert label(found).day == START + 1
    assert opens(keys, found)
    assert keys.held() == [START + 1]


def test_what_is_sealed_counts_until_a_minute_after_its_day(folder, clock) -> None:
    keys = Keys.open(folder, clock)
    end = datetime(2026, 11, 22, tzinfo=UTC)
    for at, counted in ((end, True), (end + FENCE, True), (end + FENCE + timedelta(microseconds=1), False)):
        clock.at = at
        assert keys.counts(START) is counted
        assert keys.counts(START + 1)


# -- the copy for another machine


def test_a_second_machine_has_the_same_keys_from_then_on(folder, clock, tmp_path) -> None:
    keys = Keys.open(folder, clock)
    waiting = sealed(keys)
    parked = seal(b"CANARI", keys=keys, lane="parked", receipt="p", ring=Ring.PARKING)
    clock.pass_days(2)
    keys.ratchet()
    second = join(tmp_path / "second", export(keys), clock)
    assert opens(second, waiting), "a machine that takes over what waits opens it"
    assert open_sealed(parked, keys=second, lane="parked", receipt="p", ring=Ring.PARKING) == b"CANARI"
    assert second.receipts == keys.receipts
    assert fingerprint(second) == fingerprint(keys)
    assert opens(keys, sealed(second)) and opens(second, sealed(keys))
    assert names(tmp_path / "second") == names(folder)
    assert stat.S_IMODE((tmp_path / "second").stat().st_mode) == 0o700
    keys.erase(Ring.FLOW, START + 1)
    third = join(tmp_path / "third", export(keys), clock)
    assert not opens(third, waiting), "what was erased is in no copy made since"
    assert third.held() == [START + 2]
    assert fingerprint(third) == fingerprint(keys)


def test_a_fingerprint_tells_another_secret_and_another_day(folder, clock, tmp_path) -> None:
    keys = Keys.open(folder, clock)
    first = fingerprint(keys)
    initialise(tmp_path / "other", clock)
    assert fingerprint(Keys.open(tmp_path / "other", clock)) != first
    shutil.copytree(folder, tmp_path / "mixed")
    (tmp_path / "mixed" / "receipts.key").write_bytes(bytes(32))
    assert fingerprint(Keys.open(tmp_path / "mixed", clock)) != first
    clock.pass_days(1)
    assert fingerprint(keys) != first
    assert names(folder) == ["flow-2026-11-21.key", "parking-2026-11-21.key", "receipts.key"], "only looked at"
    clock.pass_days(-2)
    with pytest.raises(KeysUnusable, match="clock"):
        fingerprint(keys)


def test_what_is_no_copy_is_refused_and_nothing_is_made(folder, clock, tmp_path) -> None:
    good = export(Keys.open(folder, clock))
    secrets = [path.read_bytes() for path in folder.iterdir()]
    for bad in (b"", b"{}", good[:-40], good.replace(b"keys 1", b"keys 2"), good.replace(b'"flow"', b'"flux"'), b"\xff" * 99):
        with pytest.raises(KeysUnusable) as told:
            join(tmp_path / "second", bad, clock)
        assert all(secret.hex() not in str(told.value) for secret in secrets)
        assert not (tmp_path / "second").exists()
    clock.pass_days(-1)
    with pytest.raises(KeysUnusable, match="a day to come"):
        join(tmp_path / "second", good, clock)


def test_where_keys_are_none_are_taken_over(folder, clock, tmp_path) -> None:
    copied = export(Keys.open(folder, clock))
    initialise(tmp_path / "second", clock)
    before = {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    with pytest.raises(KeysUnusable, match="holds keys already"):
        join(tmp_path / "second", copied, clock)
    assert {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()} == before


@pytest.mark.parametrize("killed_at", range(1, 10))
def test_a_join_that_was_cut_off_is_taken_up_again(folder, clock, tmp_path, killed_at, monkeypatch) -> None:
    keys = Keys.open(folder, clock)
    with monkeypatch.context() as patched:
        steps(patched, killed_at)
        with pytest.raises(Killed):
            join(tmp_path / "second", export(keys), clock)
    if (tmp_path / "second" / "flow-2026-11-21.key").exists():
        assert fingerprint(Keys.open(tmp_path / "second", clock)) == fingerprint(keys)
    else:
        assert fingerprint(join(tmp_path / "second", export(keys), clock)) == fingerprint(keys)

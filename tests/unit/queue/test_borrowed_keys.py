"""An operator's verb seals and opens under a day's key that is not held yet, and leaves the folder as it is, whoever runs it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.queue.errors import KeyMissing
from gateway.queue.keys import BorrowedKeys, Keys
from gateway.queue.receipt import MacReceipts, issued_at
from gateway.queue.seal import open_sealed, seal
from tests.unit.queue.conftest import Standing


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.key")}


def test_a_day_that_is_not_held_is_computed_and_not_written(folder: Path, clock: Standing) -> None:
    clock.pass_days(2)
    before = files(folder)
    borrowed = BorrowedKeys.open(folder, clock)
    sealed = seal(b"asked", keys=borrowed, lane="x", receipt="r")
    assert open_sealed(sealed, keys=borrowed, lane="x", receipt="r") == b"asked"
    assert files(folder) == before
    # The gateway's own keys are the same; they are written.
    assert open_sealed(sealed, keys=Keys.open(folder, clock), lane="x", receipt="r") == b"asked"
    assert len(files(folder)) > len(before)


def test_what_was_erased_is_not_brought_back(folder: Path, clock: Standing) -> None:
    old = seal(b"x", keys=Keys.open(folder, clock), lane="x", receipt="r")
    clock.pass_days(2)
    keys = Keys.open(folder, clock)
    keys.ratchet()
    keys.erase(next(iter(keys._rings)), keys.today() - 1)
    with pytest.raises(KeyMissing):
        open_sealed(old, keys=BorrowedKeys.open(folder, clock), lane="x", receipt="r")


def test_a_receipt_tells_when_it_was_issued(keys: Keys) -> None:
    at = datetime(2026, 3, 10, 8, 15, 30, 123000, tzinfo=UTC)
    receipt = MacReceipts(keys.receipts).issue("ris-valmont", at)
    assert issued_at(receipt) == at
    assert issued_at("receipt-000001") is None
    assert issued_at("Z" * 22 + "-ris-" + "0" * 8) is None or issued_at("Z" * 22 + "-ris-" + "0" * 8) > at + timedelta(days=1)

"""An event whose time has passed is answered AR, and must never be begun: its sender sends it again (D-2)."""

from datetime import timedelta

import pytest

from gateway.model.event import Position
from gateway.model.ports import Unavailable
from gateway.model.verdict import Verdict
from tests.contract.store.backends import Bench
from tests.strategies.records import adt, reception, stated

IO = Position.OPPOSES


def test_an_event_whose_time_has_passed_is_never_begun(opened: Bench) -> None:
    taken, said = reception("late", opened.clock.now()), adt(stated(IO))
    before = opened.tables()
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        opened.store.submit(taken, said, opened.clock.now() - timedelta(seconds=1))
    assert opened.tables() == before
    assert opened.store.submit(taken, said, opened.clock.now() + timedelta(seconds=60)).verdict is Verdict.APPLIED

"""An MSH-10 is its sender's own: the same number and the same bytes from another one are another message (D-6)."""

import msgspec
import pytest

from gateway.model.event import Position
from gateway.model.verdict import Verdict
from tests.contract.store.backends import Bench
from tests.strategies.records import ALICE, H1, H2, adt, closing, reception, stated

IO = Position.OPPOSES


@pytest.mark.parametrize("other", [{"establishment": H2}, {"application": "GAM"}, {"message_digest": "e" * 64}])
def test_an_event_is_known_again_by_its_sender_and_its_content(opened: Bench, other: dict[str, str]) -> None:
    said = adt(stated(IO, at="20260310"))
    first = reception("e1", opened.clock.now(), establishment=H1, message_id="015", digest="d" * 64)
    assert opened.submit(first, said).verdict is Verdict.APPLIED
    again = msgspec.structs.replace(first, receipt="e2")
    assert opened.submit(again, said).verdict is Verdict.DUPLICATE
    theirs = msgspec.structs.replace(first, receipt="e3", **other)
    assert opened.submit(theirs, said).verdict is Verdict.APPLIED
    assert [row["receipt"] for row in opened.rows("statement")] == ["e1", "e3"]


def test_an_event_that_was_refused_is_judged_again(bench: Bench) -> None:
    """Nothing refused is remembered by its content: what was in the way may be gone."""
    first = reception("c1", bench.clock.now(), message_id="7", digest="d" * 64)
    assert bench.submit(first, closing(ALICE)).codes == ("RECORD_ABSENT",)
    bench.open()
    assert bench.submit(msgspec.structs.replace(first, receipt="c2"), closing(ALICE)).verdict is Verdict.APPLIED
    assert [row["state"] for row in bench.rows("record")] == ["closed"]

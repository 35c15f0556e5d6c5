"""What was acknowledged, looked up in a store: there by its receipt, or come again as the same message or command."""

import msgspec
import pytest

from gateway.model.outcome import Rejection
from gateway.model.problem import Problem
from gateway.model.submission import Reception
from gateway.model.verdict import Verdict
from gateway.store.answers import Acknowledged
from tests.contract.store.backends import Bench
from tests.strategies.records import ALICE, BORIS, opening, reception


def line(taken: Reception) -> Acknowledged:
    """The line of the journal about a message."""
    return Acknowledged(
        at=taken.received_at, receipt=taken.receipt, received_at=taken.received_at, source=taken.source,
        establishment=taken.establishment, application=taken.application, message_id=taken.message_id,
        digest=taken.message_digest, kind="event",
    )  # fmt: skip


def command(bench: Bench, receipt: str, digest: str) -> Reception:
    taken = reception(receipt, bench.clock.now(), establishment="operator", digest=digest)
    return msgspec.structs.replace(taken, application="operator", source="operator")


def test_receipts_are_known(bench: Bench) -> None:
    bench.open(ALICE)
    with bench.read() as reader:
        assert reader.known_receipts(["r000001", "lost"]) == {"r000001"}
        assert reader.known_receipts([]) == set()


@pytest.mark.parametrize(
    ("change", "again"),
    [({}, True), ({"message_id": "other"}, False), ({"message_digest": "other"}, False), ({"application": "OTHER"}, False)],
)
def test_a_message_came_again_if_it_is_the_same_and_later(bench: Bench, change: dict[str, str], again: bool) -> None:
    lost = reception("lost", bench.clock.now(), message_id="015", digest="d")
    resent = msgspec.structs.replace(reception("resent", bench.clock.now(), message_id="015", digest="d"), **change)
    bench.submit(resent, opening(ALICE))
    later = reception("later", bench.clock.now(), message_id="015", digest="d")
    with bench.read() as reader:
        assert reader.came_again([line(lost), line(later)]) == ({"lost"} if again else set())


def test_a_message_that_came_again_and_was_rejected_did_not_come(bench: Bench) -> None:
    lost = reception("lost", bench.clock.now(), message_id="015", digest="d")
    resent = reception("resent", bench.clock.now(), message_id="015", digest="d")
    bench.store.note(resent, Rejection(verdict=Verdict.REJECTED, problems=(Problem(code="INS_KEY"),)))
    bench.restart()
    with bench.read() as reader:
        assert reader.known_receipts(["resent"]) == {"resent"}
        assert reader.came_again([line(lost)]) == set()


def test_a_command_came_again_if_the_same_was_typed(bench: Bench) -> None:
    """Its receipt stands in the place of MSH-10, so each has its own."""
    lost, other = command(bench, "lost", "d1"), command(bench, "other", "d2")
    bench.submit(command(bench, "typed", "d1"), opening(BORIS))
    later = command(bench, "later", "d1")
    with bench.read() as reader:
        assert reader.came_again([line(lost), line(other), line(later)]) == {"lost"}
        assert reader.came_again([]) == set()

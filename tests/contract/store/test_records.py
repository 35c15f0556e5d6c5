"""Records are opened, closed and opened again; a deposit never opens one (D-18)."""

from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from tests.contract.store.backends import Bench
from tests.strategies.records import ALICE, BORIS, H1, adt, closing, local, opening


def test_a_deposit_opens_no_record(bench: Bench) -> None:
    outcome = bench.send()
    assert (outcome.verdict, outcome.codes, outcome.rule) == (Verdict.REFUSED, ("RECORD_ABSENT",), "R-01")
    assert bench.rows("record") == bench.rows("patient") == bench.rows("identifier") == []


def test_an_event_opens_no_record(bench: Bench) -> None:
    assert bench.event(adt()).verdict is Verdict.APPLIED
    page = bench.record()
    assert page is not None and page.state == "absent"
    assert bench.send().codes == ("RECORD_ABSENT",)


def test_a_record_is_opened_with_its_consent_and_takes_deposits(bench: Bench) -> None:
    assert bench.open().verdict is Verdict.APPLIED
    (row,) = bench.rows("record")
    assert (row["state"], row["channel"], row["consent_by"], row["consent_place"]) == ("open", "desk", "desk", "accueil")
    assert bench.send().verdict is Verdict.STORED


def test_opening_an_open_record_changes_nothing(opened: Bench) -> None:
    before = opened.rows("record")
    assert opened.open().verdict is Verdict.UNCHANGED
    assert opened.rows("record") == before


def test_a_closed_record_takes_no_content_but_a_deletion(opened: Bench) -> None:
    opened.send()
    assert opened.close_record().verdict is Verdict.APPLIED
    for act in (Act.ADD, Act.REPLACE):
        refused = opened.send(act=act, documents=(("1.2.4", b"deux"),))
        assert (refused.verdict, refused.codes) == (Verdict.REFUSED, ("RECORD_CLOSED",))
    assert opened.send(act=Act.DELETE).verdict is Verdict.DELETED
    assert opened.states() == {"1.2.3": "deleted"}


def test_a_record_is_opened_again_with_its_documents(opened: Bench) -> None:
    opened.send()
    opened.close_record()
    assert opened.open().verdict is Verdict.APPLIED
    assert opened.send(documents=(("1.2.4", b"deux"),)).verdict is Verdict.STORED
    assert opened.states() == {"1.2.3": "current", "1.2.4": "current"}
    assert [row["action"] for row in opened.rows("trace") if row["action"].startswith("record.")] == [
        "record.opened",
        "record.closed",
        "record.reopened",
    ]


def test_closing_twice_or_what_is_not_there(bench: Bench) -> None:
    absent = bench.close_record()
    assert (absent.verdict, absent.codes) == (Verdict.REFUSED, ("RECORD_ABSENT",))
    bench.open()
    assert bench.close_record().verdict is Verdict.APPLIED
    assert bench.close_record().verdict is Verdict.UNCHANGED


def test_an_opening_never_joins_two_ins(opened: Bench) -> None:
    opened.event(adt(patient=(ALICE, local(H1, "100"))))
    refused = opened.event(opening(BORIS, local(H1, "100")))
    assert (refused.verdict, refused.codes) == (Verdict.REFUSED, ("IDENTITY_CONFLICT",))
    assert opened.record(BORIS) is None


def test_the_same_command_again_is_a_duplicate(opened: Bench) -> None:
    first = opened.event(closing(), message_id="m", digest="d")
    again = opened.event(closing(), message_id="m", digest="d")
    assert (again.verdict, again.first) == (Verdict.DUPLICATE, first.receipt)


def test_what_is_committed_is_there_after_a_restart(opened: Bench) -> None:
    first = opened.send()
    opened.restart()
    assert opened.states() == {"1.2.3": "current"}
    assert opened.send().first == first.receipt

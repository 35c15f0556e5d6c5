"""Oppositions as they arrive: an IO refuses from its commit on, an INO of the same side lifts it (D-1, D-3, D-4; O-1…O-13)."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.model.event import Position, Right, Scope
from gateway.model.ports import Unavailable
from gateway.model.problem import Problem, Severity
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from tests.contract.store.backends import Bench
from tests.strategies.records import ALICE, BORIS, H1, H2, START, adt, reception, stated

IO, INO = Position.OPPOSES, Position.ALLOWS
ONE, TWO = ("1.2.1", b"<doc>un</doc>"), ("1.2.2", b"<doc>deux</doc>")


def verdict(bench: Bench, **facts: object) -> Verdict:
    """What becomes of a document that was never sent before."""
    receipt = bench.receipt()
    return bench.send(documents=((f"1.2.{receipt}", receipt.encode()),), **facts).verdict


def test_an_opposition_refuses_what_adds_content_and_names_the_statement(opened: Bench) -> None:
    stated_by = opened.event(adt(stated(IO)))
    assert stated_by.verdict is Verdict.APPLIED
    for act in (Act.ADD, Act.REPLACE):
        refused = opened.send(act=act, documents=(ONE,))
        assert (refused.verdict, refused.codes, refused.rule) == (Verdict.REFUSED, ("OPPOSED",), "O-2")
        assert refused.statement == stated_by.statement
    (trace,) = opened.rows("trace", receipt=refused.receipt)
    assert (trace["verdict"], trace["statement"], trace["rights_version"]) == ("refused", stated_by.statement, 2)


def test_it_binds_its_own_establishment_only(opened: Bench) -> None:
    opened.event(adt(stated(IO)))
    assert verdict(opened) is Verdict.REFUSED
    assert verdict(opened, establishments=(H2,)) is Verdict.STORED
    assert verdict(opened, patient=(BORIS,)) is Verdict.REFUSED  # no record


def test_it_binds_every_establishment_that_a_deposit_names(opened: Bench) -> None:
    opened.event(adt(stated(IO)))
    assert verdict(opened, establishments=(H2, "finess:750000001", H1)) is Verdict.REFUSED


def test_an_allowance_of_the_same_side_lifts_it_and_nothing_comes_back(opened: Bench) -> None:
    opened.event(adt(stated(IO, at="20260310")))
    refused = opened.deposit(documents=(ONE,), message_id="m", digest="d")
    assert opened.apply(refused)[0].codes == ("OPPOSED",)
    opened.event(adt(stated(INO, at="20260311")))
    opened.clock.set(START + timedelta(days=2))
    assert opened.states() == {}
    assert opened.send(documents=(ONE,), message_id="m", digest="d").verdict is Verdict.STORED


def test_an_establishments_allowance_never_lifts_the_patients_opposition(opened: Bench) -> None:
    opened.event(adt(stated(IO, None, at="20260301")))
    opened.event(adt(stated(INO, H1, at="20260310")))
    assert verdict(opened) is Verdict.REFUSED
    opened.event(adt(stated(INO, None, at="20260310", scope=Scope.ESTABLISHMENT, value=H1)))
    assert verdict(opened) is Verdict.REFUSED  # "all" is another scope


def test_the_patients_later_allowance_that_names_the_establishment_lifts_its_opposition(opened: Bench) -> None:
    opened.event(adt(stated(IO, H1, at="20260215")))
    opened.event(adt(stated(IO, None, at="20260201", scope=Scope.ESTABLISHMENT, value=H1)))
    opened.event(adt(stated(INO, None, at="20260301", scope=Scope.ESTABLISHMENT, value=H1)))
    assert verdict(opened) is Verdict.STORED


@pytest.mark.parametrize(
    ("scope", "value", "opposed", "free"),
    [
        (Scope.CLASS, "60", {"class_code": "60"}, {"class_code": "11"}),
        (Scope.TYPE, "51969-4", {"type_code": "51969-4"}, {"type_code": "11502-2"}),
        (Scope.ESTABLISHMENT, H2, {"establishments": (H2,)}, {"establishments": (H1,)}),
    ],
)
def test_the_patients_opposition_binds_what_it_names(
    opened: Bench, scope: Scope, value: str, opposed: dict[str, object], free: dict[str, object]
) -> None:
    opened.event(adt(stated(IO, None, scope=scope, value=value)))
    assert (verdict(opened, **opposed), verdict(opened, **free)) == (Verdict.REFUSED, Verdict.STORED)


def test_an_older_opposition_that_arrives_late_goes_to_history(opened: Bench) -> None:
    opened.event(adt(stated(INO, at="20260309")))
    opened.event(adt(stated(IO, at="20260308")))
    assert verdict(opened) is Verdict.STORED


def test_on_one_day_the_opposition_wins_in_either_order(opened: Bench) -> None:
    opened.event(adt(stated(IO, at="20260309"), stated(INO, at="20260309")))
    assert opened.send().rule == "O-4"
    opened.event(adt(stated(INO, H2, at="20260309")))
    opened.event(adt(stated(IO, H2, at="20260309")))
    assert verdict(opened, establishments=(H2,)) is Verdict.REFUSED


def test_at_one_instant_the_opposition_wins(opened: Bench) -> None:
    at = "20260309100000+0100"
    opened.event(adt(stated(IO, at=at)))
    opened.event(adt(stated(INO, at=at)))
    assert verdict(opened) is Verdict.REFUSED


def test_an_opposition_dated_ahead_outlasts_an_allowance_that_was_said_before_it(opened: Bench) -> None:
    """Our clock is an hour slow: both lie ahead of their reception, and the opposition is the later word by every clock."""
    opened.event(adt(stated(Position.ALLOWS, at="20260310110000+0100")))
    opened.clock.pass_by(minutes=20)
    opened.event(adt(stated(Position.OPPOSES, at="20260310113000+0100")))
    opened.clock.pass_by(hours=3)
    made = opened.deposit()
    assert opened.apply(made)[0].codes == ("OPPOSED",)
    assert opened.read().opposed_scopes() == [("establishment", "h1", 1)]
    opened.event(adt(stated(Position.ALLOWS, at="20260310120000+0100")))
    assert opened.send().verdict is Verdict.STORED
    assert opened.read().opposed_scopes() == []


def test_an_opposition_dated_ahead_is_in_force_from_its_reception_and_can_be_lifted(opened: Bench) -> None:
    opened.event(adt(stated(IO, at="20620310")))
    refused = opened.send()
    assert (refused.codes, refused.rule) == (("OPPOSED",), "O-5")
    opened.event(adt(stated(INO, at="20260311")))
    opened.clock.set(START + timedelta(days=2))
    assert verdict(opened) is Verdict.STORED


def test_an_allowance_waits_for_its_date(opened: Bench) -> None:
    opened.event(adt(stated(IO, at="20260309")))
    opened.event(adt(stated(INO, at="20260312")))
    assert verdict(opened) is Verdict.REFUSED
    opened.clock.set(datetime(2026, 3, 12, 1, tzinfo=UTC))
    assert verdict(opened) is Verdict.STORED


def test_without_a_date_the_reception_counts(opened: Bench) -> None:
    opened.event(adt(stated(IO, at=None)))
    assert verdict(opened) is Verdict.REFUSED
    opened.event(adt(stated(INO, at=None)))
    assert verdict(opened) is Verdict.STORED


def test_the_doors_reception_travels_with_the_event(opened: Bench) -> None:
    """Two undated statements that change places on their way: the later reception counts."""
    early, late = START + timedelta(seconds=1), START + timedelta(seconds=2)
    opened.clock.set(START + timedelta(minutes=1))
    opened.submit(reception("ino", late), adt(stated(INO, at=None)))
    opened.submit(reception("io", early), adt(stated(IO, at=None)))
    assert verdict(opened) is Verdict.STORED


def test_an_event_without_a_statement_changes_no_right(opened: Bench) -> None:
    opened.event(adt(stated(IO)))
    outcome = opened.event(adt())
    assert (outcome.verdict, outcome.statement) == (Verdict.APPLIED, None)
    assert verdict(opened) is Verdict.REFUSED


def test_an_erasure_leaves_the_statement_and_asks_a_person(opened: Bench) -> None:
    opened.event(adt(stated(IO)))
    outcome = opened.event(adt(problems=(Problem(code="ZFA_NULL", severity=Severity.WARNING),)))
    assert (outcome.verdict, outcome.codes) == (Verdict.APPLIED, ("ZFA_NULL",))
    assert opened.tasks() == ["opposition.null"]
    assert verdict(opened) is Verdict.REFUSED


def test_consultation_is_another_right(opened: Bench) -> None:
    opened.event(adt(stated(IO, right=Right.CONSULTATION, visit="V1")))
    assert verdict(opened) is Verdict.STORED


def test_the_same_event_again_is_a_duplicate(opened: Bench) -> None:
    io = adt(stated(IO))
    first = opened.event(io, message_id="m", digest="d")
    before = opened.rows("statement")
    again = opened.event(io, message_id="m", digest="d")
    assert (again.verdict, again.first) == (Verdict.DUPLICATE, first.receipt)
    assert opened.rows("statement") == before


def test_a_redelivered_event_gets_its_outcome(opened: Bench) -> None:
    taken = reception("io", opened.clock.now())
    first = opened.submit(taken, adt(stated(IO)))
    before = opened.tables()
    assert opened.submit(taken, adt(stated(IO))) == first
    assert opened.tables() == before


def test_an_opposition_stated_anew_is_no_duplicate_where_only_the_messages_date_tells(opened: Bench) -> None:
    """MSH-10 never changes and MSH-7 is not compared: an opposition after its lifting must not vanish."""
    for day, position, digest in (("20260308", IO, "io"), ("20260309", INO, "ino"), ("20260310", IO, "io")):
        outcome = opened.event(adt(stated(position, at=day)), message_id="015", digest=digest)
        assert outcome.verdict is Verdict.APPLIED
    assert verdict(opened) is Verdict.REFUSED


@pytest.mark.parametrize("at", ["20260310", "20620310", None])
def test_an_opposition_repeated_word_for_word_after_its_lifting_is_in_force_again(opened: Bench, at: str | None) -> None:
    """Its date is a whole day, or lies ahead: its reception is what orders it, and the second one is later than the lifting."""
    io = adt(stated(IO, at=at))
    opened.event(io, message_id="015", digest="io")
    opened.clock.pass_by(minutes=10)
    now = opened.clock.now().astimezone(UTC)
    lifted = opened.event(adt(stated(INO, at=now.strftime("%Y%m%d%H%M%S+0000"))), message_id="015", digest="ino")
    assert verdict(opened) is Verdict.STORED
    opened.clock.pass_by(minutes=10)
    again = opened.event(io, message_id="015", digest="io")
    assert (lifted.verdict, again.verdict) == (Verdict.APPLIED, Verdict.APPLIED)
    assert "STATEMENT_SUPERSEDED" not in again.codes
    assert verdict(opened) is Verdict.REFUSED
    retried = opened.event(io, message_id="015", digest="io")
    assert (retried.verdict, retried.first) == (Verdict.DUPLICATE, again.receipt)


def test_the_same_opposition_to_the_second_resent_after_its_lifting_changes_nothing(opened: Bench) -> None:
    """Its own date orders it, whenever it is received: a resend says nothing new."""
    io = adt(stated(IO, at="20260308091500+0100"))
    first = opened.event(io, message_id="015", digest="io")
    opened.event(adt(stated(INO, at="20260309091500+0100")), message_id="015", digest="ino")
    before = opened.rows("statement")
    again = opened.event(io, message_id="015", digest="io")
    assert (again.verdict, again.first) == (Verdict.DUPLICATE, first.receipt)
    assert opened.rows("statement") == before
    assert verdict(opened) is Verdict.STORED


def test_an_opposition_that_is_not_in_force_is_told_to_the_sender_and_the_operator(opened: Bench) -> None:
    opened.event(adt(stated(INO, at="20260309")))
    outcome = opened.event(adt(stated(IO, at="19260310"), stated(IO, None, at="20260310")))
    assert (outcome.verdict, outcome.codes) == (Verdict.APPLIED, ("STATEMENT_SUPERSEDED",))
    assert opened.tasks() == ["opposition.superseded"]
    assert opened.rows("task", receipt=outcome.receipt, kind="opposition.superseded")


@pytest.mark.parametrize("at", ["20260301", "20260309", "20620310"], ids=["older", "of the same day", "dated ahead"])
def test_an_allowance_that_lifts_nothing_is_told_to_the_sender(opened: Bench, at: str) -> None:
    """Whoever sent it would believe that the patient's documents are taken again."""
    opened.event(adt(stated(IO, at="20260309")))
    outcome = opened.event(adt(stated(INO, at=at)))
    assert (outcome.verdict, outcome.codes) == (Verdict.APPLIED, ("ALLOWANCE_WITHOUT_EFFECT",))
    assert opened.tasks() == []
    assert verdict(opened) is Verdict.REFUSED


def test_an_allowance_that_lifts_or_meets_nothing_is_not_told(opened: Bench) -> None:
    assert opened.event(adt(stated(INO, at="20260301"))).codes == ()
    opened.event(adt(stated(IO, at="20260305")))
    assert opened.event(adt(stated(INO, at="20260309"))).codes == ()
    assert verdict(opened) is Verdict.STORED


def test_an_opposition_that_the_patient_lifted_is_told(opened: Bench) -> None:
    opened.event(adt(stated(INO, None, at="20260301", scope=Scope.ESTABLISHMENT, value=H1)))
    assert opened.event(adt(stated(IO, H1, at="20260215"))).codes == ("STATEMENT_SUPERSEDED",)
    assert verdict(opened) is Verdict.STORED


def test_an_opposition_behind_another_one_of_its_series_is_not_told(opened: Bench) -> None:
    opened.event(adt(stated(IO, at="20260309")))
    assert opened.event(adt(stated(IO, at="20260301"))).codes == ()
    assert opened.tasks() == []
    assert verdict(opened) is Verdict.REFUSED


def test_a_value_that_was_not_read_asks_a_person(opened: Bench) -> None:
    outcome = opened.event(adt(problems=(Problem(code="ZFA_VALUE", severity=Severity.WARNING),) * 2))
    assert (outcome.verdict, len(outcome.problems)) == (Verdict.APPLIED, 2)
    assert opened.tasks() == ["opposition.unread"]


def test_a_reused_message_id_is_warned_of_and_applied(opened: Bench) -> None:
    opened.event(adt(stated(IO)), message_id="015", digest="a")
    outcome = opened.event(adt(stated(IO)), message_id="015", digest="b")
    assert (outcome.verdict, outcome.codes) == (Verdict.APPLIED, ("MESSAGE_ID_REUSED",))


def test_a_deletion_passes_under_opposition_and_on_a_closed_record(opened: Bench) -> None:
    opened.send(documents=(ONE, TWO))
    opened.clock.pass_by(days=1)
    opened.event(adt(stated(IO, None, at="20260311")))
    assert opened.send(act=Act.DELETE, documents=(ONE,)).verdict is Verdict.DELETED
    opened.close_record()
    assert opened.send(act=Act.DELETE, documents=(TWO,)).verdict is Verdict.DELETED


def test_a_duplicate_under_opposition_stays_a_duplicate(opened: Bench) -> None:
    """It adds no content, and says what the sender needs to know."""
    first = opened.send(documents=(ONE,))
    opened.clock.pass_by(days=1)
    opened.event(adt(stated(IO, at="20260311")))
    assert opened.send(documents=(ONE,)).first == first.receipt


def test_one_opposed_document_refuses_the_submission(opened: Bench) -> None:
    opened.event(adt(stated(IO, None, scope=Scope.TYPE, value="51969-4")))
    refused = opened.send(documents=(ONE, TWO), type_code="51969-4")
    assert [known.verdict for known in refused.documents] == [Verdict.REFUSED] * 2
    assert opened.states() == {}


def test_a_late_opposition_withholds_what_was_stored_since(opened: Bench) -> None:
    opened.send(documents=(ONE,))
    opened.send(documents=(TWO,), establishments=(H2,))
    outcome = opened.event(adt(stated(IO, at="20260310")))
    page = opened.record()
    assert page is not None
    assert {line.unique_id: line.withheld for line in page.documents} == {"1.2.1": True, "1.2.2": False}
    assert opened.rows("task", kind="document.withheld", document="1.2.1", receipt=outcome.receipt)
    assert [row["action"] for row in opened.rows("trace", receipt=outcome.receipt)] == ["document.withheld", "statement.stated"]


def test_an_opposition_stated_today_leaves_what_came_before_its_day(opened: Bench) -> None:
    opened.send(documents=(ONE,))
    opened.clock.pass_by(days=2)
    opened.event(adt(stated(IO, at="20260312")))
    assert opened.tasks() == []


def test_the_patients_wide_opposition_withholds_too(opened: Bench) -> None:
    opened.send(documents=(ONE,), type_code="51969-4")
    opened.send(documents=(TWO,), type_code="11502-2")
    opened.event(adt(stated(IO, None, at="20260310", scope=Scope.TYPE, value="51969-4")))
    page = opened.record(ALICE)
    assert page is not None
    assert [line.unique_id for line in page.documents if line.withheld] == ["1.2.1"]


def test_an_event_whose_deadline_has_passed_is_never_begun(opened: Bench) -> None:
    before = opened.tables()
    with pytest.raises(Unavailable) as away:
        opened.store.submit(reception("io", START), adt(stated(IO)), START - timedelta(seconds=1))
    assert away.value.code == "STORE_UNAVAILABLE"
    assert opened.tables() == before


def test_a_consultation_refused_is_shown_in_force_and_refuses_no_deposit(opened: Bench) -> None:
    opened.event(adt(stated(IO, right=Right.CONSULTATION, visit="V1")))
    page = opened.record(ALICE)
    assert page is not None
    assert [line.in_force for line in page.statements] == [True]
    assert verdict(opened) is Verdict.STORED

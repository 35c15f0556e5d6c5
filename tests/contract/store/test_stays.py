"""Visits in the store: the last word whatever the order, refusals of consultation that end and count again (O-16)."""

import itertools
from datetime import timedelta

import pytest

from gateway.model.event import PatientEvent, Position, Right, StayState
from gateway.model.verdict import Verdict
from gateway.rules.opposition import Standing
from tests.contract.store.backends import Bench
from tests.strategies.records import ALICE, BORIS, H1, H2, START, adt, local, reception, stated, visit

OPEN, ENDED, CANCELLED = StayState
INC, IC = Position.OPPOSES, Position.ALLOWS


def inc(number: str | None = "V1", at: str = "202603051001") -> PatientEvent:
    """An admission at which the patient refuses that the team reads."""
    stay = None if number is None else visit(OPEN, "202603051000", number)
    return adt(stated(INC, at=at, right=Right.CONSULTATION, visit=number), stay=stay)


def standings(bench: Bench, patient=ALICE) -> list[str]:
    page = bench.record(patient)
    assert page is not None
    return [line.standing.value for line in page.statements]


def test_a_discharge_ends_the_refusal_and_its_cancellation_revives_it(opened: Bench) -> None:
    version = 1
    for event, expected, changes in (
        (inc(), "in_force", 1),
        (adt(stay=visit(ENDED, "202603051600")), "visit_ended", 1),
        (adt(stay=visit(OPEN, "202603051700")), "in_force", 1),  # A13
        (adt(stay=visit(OPEN, "202603051701", "V2")), "in_force", 0),  # nothing is refused for that visit
        (adt(stay=visit(CANCELLED, "202603051800")), "visit_ended", 1),
    ):
        outcome = opened.event(event)
        version += changes
        assert outcome.verdict is Verdict.APPLIED
        assert standings(opened) == [expected]
        (trace,) = opened.rows("trace", receipt=outcome.receipt, action=f"stay.{event.stay.state.value}")
        assert (trace["rule"], trace["verdict"], trace["rights_version"]) == ("O-16", "applied", version)


def test_another_visit_and_another_establishment_end_nothing(opened: Bench) -> None:
    opened.event(inc())
    opened.event(adt(stay=visit(ENDED, "202603051600", "V2")))
    opened.event(adt(stay=visit(ENDED, "202603051600", "V1", H2)), establishment=H2)
    assert standings(opened) == ["in_force"]


def test_without_a_visit_it_counts_until_the_next_consent(opened: Bench) -> None:
    opened.event(inc(None))
    opened.event(adt(stay=visit(ENDED, "202603051600")))
    assert standings(opened) == ["in_force"]
    opened.event(adt(stated(IC, at="20260311", right=Right.CONSULTATION, visit="V2")))
    opened.clock.pass_by(days=2)
    assert standings(opened) == ["lifted", "allows"]


def test_feeding_knows_no_visit(opened: Bench) -> None:
    opened.event(adt(stated(INC, at="202603050800"), stay=visit(OPEN, "202603050800")))
    opened.event(adt(stay=visit(ENDED, "202603050900")))
    assert opened.send().codes == ("OPPOSED",)


SAYINGS = (
    inc(),
    adt(stay=visit(ENDED, "202603051600")),
    adt(stay=visit(OPEN, "202603051700")),
    adt(stay=visit(ENDED, "202603061000")),
)


def test_any_order_of_arrival_gives_the_same_row(opened: Bench) -> None:
    """Admission, discharge, its cancellation, discharge; each is received when it is, whenever it is committed (D-5)."""
    orders = tuple(itertools.permutations(range(len(SAYINGS))))
    for turn, order in enumerate(orders):
        patient = local(H1, f"10{turn}")
        for number in order:
            event = SAYINGS[number]
            taken = reception(f"{turn}-{number}", START + timedelta(hours=12, minutes=number))
            moved = adt(*event.statements, patient=(patient,), links=False, stay=event.stay)
            opened.submit(taken, moved)
        assert standings(opened, patient) == ["visit_ended"]
    rows = opened.rows("stay")
    assert sorted(row.pop("receipt") for row in rows) == sorted(f"{turn}-3" for turn in range(len(orders)))
    assert len({row.pop("patient") for row in rows}) == len(orders)
    assert len({tuple(sorted(row.items())) for row in rows}) == 1


def test_the_same_discharge_again_is_a_duplicate_and_undoes_no_cancellation(opened: Bench) -> None:
    opened.event(inc())
    discharge = adt(stay=visit(ENDED, "202603051600"))
    first = opened.event(discharge, message_id="015", digest="a03")
    opened.event(adt(stay=visit(OPEN, "202603051700")), message_id="015", digest="a13")
    before = opened.rows("stay")
    again = opened.event(discharge, message_id="015", digest="a03")
    assert (again.verdict, again.first) == (Verdict.DUPLICATE, first.receipt)
    assert opened.rows("stay") == before
    assert standings(opened) == ["in_force"]


def test_a_second_discharge_that_only_the_messages_date_tells_from_the_first_counts(opened: Bench) -> None:
    """MSH-10 never changes and MSH-7, its only date, is not compared."""
    opened.event(inc())
    for at, state, digest in (("202603051600", ENDED, "a03"), ("202603051700", OPEN, "a13"), ("202603061000", ENDED, "a03")):
        assert opened.event(adt(stay=visit(state, at)), message_id="015", digest=digest).verdict is Verdict.APPLIED
    opened.clock.pass_by(days=2)
    assert standings(opened) == ["visit_ended"]


def test_a_visit_known_under_a_local_number_counts_for_whom_it_is_linked_to(opened: Bench) -> None:
    ipp = local(H1, "100")
    opened.event(adt(stay=visit(OPEN, "202603051000"), patient=(ipp,), links=False))
    opened.event(adt(stay=visit(ENDED, "202603051600"), patient=(ipp,), links=False))
    opened.event(inc())
    assert standings(opened) == ["in_force"]
    opened.event(adt(patient=(ALICE, ipp)))
    assert standings(opened) == ["visit_ended"]


def test_a_link_keeps_the_last_word(opened: Bench) -> None:
    ipp = local(H1, "100")
    opened.event(adt(stay=visit(ENDED, "202603051600"), patient=(ipp,), links=False))
    opened.event(inc())
    opened.event(adt(stay=visit(OPEN, "202603051700")))
    opened.event(adt(patient=(ALICE, ipp)))
    assert standings(opened) == [Standing.IN_FORCE.value]


@pytest.mark.parametrize("links", [True, False])
def test_a_visit_of_nobody_known_makes_a_patient_as_any_event(opened: Bench, links: bool) -> None:
    assert opened.event(adt(stay=visit(OPEN), patient=(BORIS,), links=links)).rule == "D-1"
    assert len(opened.rows("stay", state="open")) == 1

"""The last word on a visit is the same in any order of arrival; a visit that ended ends its refusal of consultation (O-16)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.code import Identifier
from gateway.model.event import Position, Right, Scope, Side, Stay, StayState
from gateway.model.when import When
from gateway.rules import stays
from gateway.rules.opposition import in_force
from gateway.rules.stays import Said
from tests.strategies.statements import EPOCH, held, instants, whens

NOW = datetime(2026, 3, 25, 12, tzinfo=UTC)
OPEN, ENDED, CANCELLED = StayState


def said(state: StayState, at: str | None, received: str = "20260320", receipt: str = "r") -> Said:
    visit = Stay(establishment="H1", visit=Identifier(value="V1"), state=state, stated_at=None if at is None else When.read(at))
    return stays.said(visit, When.read(received).start, receipt)


@pytest.mark.parametrize(
    ("last", "first"),
    [
        (said(ENDED, "202603101600"), said(OPEN, "202603101000")),
        (said(OPEN, "202603111000"), said(ENDED, "202603101600")),  # A13
        (said(CANCELLED, "202603101001"), said(OPEN, "202603101000")),
        # No hour, or one instant: a refusal of consultation is kept.
        (said(OPEN, "20260310"), said(ENDED, "20260310")),
        (said(OPEN, "20260310"), said(ENDED, "202603101600")),
        (said(OPEN, "202603101000"), said(CANCELLED, "202603101000")),
        (said(ENDED, "20260311"), said(OPEN, "20260310")),
        # Of one instant the later reception; what is dated ahead, or not at all, counts as of its reception.
        (said(ENDED, "20260310100000", "20260322"), said(OPEN, "20260310100000", "20260321")),
        (said(ENDED, "20260321", "20260322"), said(OPEN, "20620310", "20260320")),
        (said(OPEN, None, "20260322"), said(ENDED, "20260321", "20260322")),
        (said(OPEN, "20260310", receipt="s"), said(OPEN, "20260310", receipt="r")),
    ],
)
def test_who_has_the_last_word(last: Said, first: Said) -> None:
    assert (stays.later(last, first), stays.later(first, last)) == (True, False)
    assert stays.latest((last, first)) == stays.latest((first, last)) == {last.visit: last}


def test_what_repeats_what_is_known() -> None:
    discharge, again = said(ENDED, "202603101600"), said(ENDED, "202603101600", "20260324")
    assert stays.repeats(again, discharge)
    assert stays.repeats(said(OPEN, "202603101000"), discharge)  # overtaken
    assert not stays.repeats(said(OPEN, "202603111000"), discharge)
    assert not stays.repeats(discharge, None)


SAYINGS = st.lists(
    st.builds(
        lambda number, establishment, state, at, received, receipt: stays.said(
            Stay(establishment=establishment, visit=Identifier(value=number), state=state, stated_at=at), received, f"r{receipt}"
        ),
        st.sampled_from(("V1", "V2")),
        st.sampled_from(("H1", "H2")),
        st.sampled_from(StayState),
        st.one_of(st.none(), whens()),
        instants(),
        st.integers(0, 99),
    ),
    max_size=8,
)


@given(held(), SAYINGS, st.data())
def test_any_permutation_of_statements_and_visits_leaves_the_same_in_force(rows, sayings, data):
    """Property 2 of D-5."""
    now = EPOCH + timedelta(days=20)
    ended = stays.ended(stays.latest(sayings).values())
    again = stays.ended(stays.latest(data.draw(st.permutations(sayings))).values())
    assert ended == again
    shuffled = data.draw(st.permutations(rows))
    kept = in_force(rows, now, ended)
    assert [row.id for row in kept] == [row.id for row in in_force(shuffled, now, again)]
    # The end of a visit takes away refusals of consultation about it, and nothing else.
    gone = set(in_force(rows, now)) - set(kept)
    assert {row.statement.right for row in gone} <= {Right.CONSULTATION}
    assert {stays.visit_of(row.statement.collected_by, row.statement.visit) for row in gone} <= ended
    assert set(kept) <= set(in_force(rows, now))


def test_a_refusal_counts_until_its_own_visit_ends():
    from tests.unit.rules.test_opposition import stated

    about = stated("H1", "INC", "20260310", right=Right.CONSULTATION, visit="V1", id="v1")
    general = stated("H1", "INC", "20260310", right=Right.CONSULTATION, id="general")
    feeding = stated("H1", "IO", "20260310", visit="V1", id="io")
    every = (about, general, feeding)
    assert (about.statement.side, about.statement.scope, about.statement.position) == (
        Side.ESTABLISHMENT,
        Scope.ESTABLISHMENT,
        Position.OPPOSES,
    )
    for ended in ({("H1", "", "V2")}, {("H2", "", "V1")}, {("H1", "elsewhere", "V1")}):
        assert {held.id for held in in_force(every, NOW, ended)} == {"v1", "general", "io"}
    assert {held.id for held in in_force(every, NOW, {("H1", "", "V1")})} == {"general", "io"}

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.event import Position, Right, Scope, Side, Statement
from gateway.model.submission import Act
from gateway.model.when import When
from gateway.rules.opposition import Held, decide, in_force, opposing, order_key
from tests.strategies.statements import held, instants, subjects

LATE = datetime(2126, 1, 1, tzinfo=UTC)
NOWS = st.one_of(instants(20), st.just(LATE))
FEEDING = st.just(Right.FEEDING)


@st.composite
def shuffled(draw):
    rows = draw(held())
    order = draw(st.permutations(rows))
    # Another order of arrival is another order of commits, not of receptions.
    again = [
        msgspec.structs.replace(row, sequence=number, committed_at=row.committed_at + timedelta(seconds=number))
        for number, row in enumerate(order)
    ]
    return rows, tuple(again)


@given(shuffled(), NOWS)
def test_any_permutation_leaves_the_same_oppositions_in_force(pair, now):
    rows, again = pair
    assert [row.id for row in in_force(rows, now)] == [row.id for row in in_force(again, now)]


@given(shuffled(), NOWS, subjects())
def test_any_permutation_gives_the_same_decision(pair, now, subject):
    decisions = [decide(Act.ADD, rows, now, subject) for rows in pair]
    assert decisions[0] == decisions[1]


def side(statement: Statement) -> tuple[Side, str | None]:
    return (statement.side, statement.collected_by if statement.side is Side.ESTABLISHMENT else None)


@given(held(FEEDING), NOWS, st.data())
def test_another_side_s_allowance_never_lifts(rows, now, data):
    before = in_force(rows, now)
    extra = data.draw(held(FEEDING, max_size=1).filter(len))[0]
    statement = msgspec.structs.replace(extra.statement, position=Position.ALLOWS)
    extra = msgspec.structs.replace(extra, id="extra", statement=statement)
    after = in_force((*rows, extra), now)
    assert set(after) <= set(before)
    for lifted in set(before) - set(after):
        named = statement.scope is Scope.ESTABLISHMENT and statement.scope_value == lifted.statement.collected_by
        own = side(lifted.statement) == side(statement)
        assert own or (statement.side is Side.PATIENT and named)
        assert order_key(extra) > order_key(lifted)


@given(held(), NOWS)
def test_an_opposition_added_is_never_less_opposition_where_it_is_latest(rows, now):
    for row in rows:
        if row.statement.position is Position.ALLOWS:
            continue
        same = [
            other
            for other in rows
            if (other.statement.right, other.statement.scope, other.statement.scope_value, side(other.statement))
            == (row.statement.right, row.statement.scope, row.statement.scope_value, side(row.statement))
        ]
        if all(order_key(other) <= order_key(row) for other in same) and row.statement.side is Side.PATIENT:
            assert row in in_force(rows, now)


@given(held(FEEDING), NOWS)
def test_every_opposition_can_be_lifted_by_its_own_side_after_reception(rows, now):
    latest = max([row.received_at for row in rows], default=now) + timedelta(seconds=1)
    lifts = tuple(
        msgspec.structs.replace(
            row,
            id=f"lift-{row.id}",
            received_at=latest,
            statement=msgspec.structs.replace(row.statement, position=Position.ALLOWS, collected_at=When.at(latest)),
        )
        for row in rows
    )
    assert in_force((*rows, *lifts), latest) == ()


@given(held(), NOWS)
def test_a_tie_keeps_the_opposition(rows, now):
    for row in rows:
        if row.statement.position is Position.ALLOWS or row.statement.collected_at is None:
            continue
        lift = msgspec.structs.replace(
            row, id="a", statement=msgspec.structs.replace(row.statement, position=Position.ALLOWS, collected_at=None)
        )
        # An undated allowance received when the opposition counts: the same instant.
        lift = msgspec.structs.replace(lift, received_at=order_key(row)[0])
        assert in_force((row, lift), LATE) == (row,)


@given(held(), NOWS, subjects())
def test_what_refuses_is_in_force_and_about_feeding(rows, now, subject):
    found: Held | None = opposing(rows, now, subject)
    about = [row for row in in_force(rows, now) if row.statement.right is Right.FEEDING]
    if subject.by_patient and subject.source_kinds == ("patient",):
        assert found is None
    elif found is None:
        patients = {(row.statement.scope, row.statement.scope_value) for row in about if row.statement.side is Side.PATIENT}
        named = {(Scope.ALL, None), (Scope.TYPE, subject.type_code), (Scope.CLASS, subject.class_code)}
        named |= {(Scope.ESTABLISHMENT, each) for each in subject.establishments}
        named |= {(Scope.SOURCE_KIND, each) for each in subject.source_kinds}
        named |= {(Scope.PROFESSIONAL, each) for each in subject.professionals}
        assert not patients & named
    else:
        assert found in about
    assert not decide(Act.DELETE, rows, now, subject).refuses

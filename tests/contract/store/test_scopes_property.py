"""
Whatever is stated, in whatever scope and order: a deposit is refused exactly where an opposition that is about it is the latest.

The model knows nothing of the rules' code. Each example is another patient of one store.
"""

import itertools
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.event import Position, Scope, StayState
from gateway.model.source import SourceKind
from gateway.model.verdict import Verdict
from tests.contract.store.backends import EXAMPLES, Bench
from tests.strategies import records
from tests.strategies.records import H1, H2, adt, ins, stated, visit

CARDIOLOGIST, SURGEON = "810001234567", "0751234567"

#: What the patient may name, and what is said to an establishment.
SERIES: Final = (
    (None, Scope.ALL, None),
    (None, Scope.SOURCE_KIND, "insurer"),
    (None, Scope.ESTABLISHMENT, H1),
    (None, Scope.ESTABLISHMENT, H2),
    (None, Scope.PROFESSIONAL, CARDIOLOGIST),
    (None, Scope.CLASS, "60"),
    (None, Scope.TYPE, "51969-4"),
    (H1, Scope.ESTABLISHMENT, H1),
    (H2, Scope.ESTABLISHMENT, H2),
)


class Sent(NamedTuple):
    """A deposit as the model keeps it."""

    establishments: tuple[str, ...]
    kind: SourceKind
    author: str
    class_code: str
    type_code: str

    def is_about(self, scope: Scope, value: str | None) -> bool:
        named = {
            Scope.ALL: (None,),
            Scope.SOURCE_KIND: (self.kind.value,),
            Scope.ESTABLISHMENT: self.establishments,
            Scope.PROFESSIONAL: (self.author,),
            Scope.CLASS: (self.class_code,),
            Scope.TYPE: (self.type_code,),
        }
        return value in named[scope]


SENT: Final = (
    Sent((H1,), SourceKind.HOSPITAL, SURGEON, "11", "11502-2"),
    Sent((H2,), SourceKind.HOSPITAL, CARDIOLOGIST, "11", "11502-2"),
    Sent((H1, H2), SourceKind.INSURER, SURGEON, "60", "11502-2"),
    Sent(("elsewhere",), SourceKind.INSURER, SURGEON, "11", "51969-4"),
    Sent(("elsewhere",), SourceKind.LABORATORY, CARDIOLOGIST, "60", "51969-4"),
    Sent(("elsewhere",), SourceKind.LABORATORY, SURGEON, "11", "11502-2"),
)
Said = tuple[tuple[str | None, Scope, str | None], Position, int]


def refuses(said: list[Said], sent: Sent, now: int) -> bool:
    """Whether an opposition that is about a deposit stands; minutes are counted from the one reception of all statements."""
    allowed = [(series, minute) for series, position, minute in said if position is Position.ALLOWS and minute <= now]
    for (side, scope, value), position, minute in said:
        answering = {(side, scope, value)} | ({(None, Scope.ESTABLISHMENT, side)} if side is not None else set())
        answered = any(series in answering and later > minute for series, later in allowed)
        if position is Position.OPPOSES and not answered and sent.is_about(scope, value):
            return True
    return False


_number = itertools.count(1)


def test_a_deposit_is_refused_exactly_where_an_opposition_about_it_stands(bench: Bench) -> None:
    examples = 2 * EXAMPLES[type(bench).__name__.lower()]

    @settings(max_examples=examples, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from(SERIES), st.sampled_from(Position), st.integers(-9, 9)), max_size=8),
        st.sampled_from((0, 5, 20)),
    )
    def property_(said: list[Said], passes: int) -> None:
        patient = ins(f"2750163{next(_number):06}")
        bench.open(patient)
        begun = bench.clock.now().replace(second=0, microsecond=0) + timedelta(minutes=1)
        for (side, scope, value), position, minute in said:
            at = (begun + timedelta(minutes=minute)).strftime("%Y%m%d%H%M%S+0000")
            bench.clock.set(begun)
            taken = records.reception(bench.receipt(), begun)
            event = adt(stated(position, side, at=at, scope=scope, value=value), patient=(patient,), stay=visit(StayState.ENDED))
            assert bench.submit(taken, event).verdict is Verdict.APPLIED
        bench.clock.set(begun + timedelta(minutes=passes, seconds=1))
        made = [
            bench.deposit(
                patient=(patient,),
                establishments=each.establishments,
                kinds=(each.kind,),
                authors=((each.author, None),),
                class_code=each.class_code,
                type_code=each.type_code,
                documents=((f"1.2.{number}", b"x"),),
            )
            for number, each in enumerate(SENT)
        ]
        outcomes = bench.apply(*made)
        assert datetime.fromisoformat(outcomes[0].committed_at or "") > begun
        expected = ["OPPOSED" if refuses(said, each, passes) else "stored" for each in SENT]
        assert [outcome.codes[0] if outcome.codes else outcome.verdict.value for outcome in outcomes] == expected

    property_()
    assert bench.against() == []

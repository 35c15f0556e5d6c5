"""Statements as they come: precise or not, dated ahead or not at all, of every side and scope."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from gateway.model.code import Identifier
from gateway.model.event import Position, Right, Scope, Side, Statement
from gateway.model.when import When
from gateway.rules.opposition import Held, Subject

ESTABLISHMENTS = ("H1", "H2")
CLASSES = ("11", "60")
TYPES = ("11502-2", "51969-4")
KINDS = ("hospital", "insurer", "patient")
PROFESSIONALS = ("810001234567", "0751234567")

#: Everything that is generated is received in the ten days after this instant.
EPOCH = datetime(2026, 3, 10, tzinfo=UTC)

_FORMS = ("%Y", "%Y%m", "%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%d%H%M%S+0100", "%Y%m%d%H%M%S.5")


def instants(days: int = 10) -> st.SearchStrategy[datetime]:
    """Instants on a coarse grid, so that ties are frequent."""
    return st.integers(0, days * 4).map(lambda quarter: EPOCH + timedelta(hours=6 * quarter))


def _written(quarter: int, form: str, year: int | None = None) -> When:
    instant = EPOCH + timedelta(hours=6 * quarter)
    return When.read((instant if year is None else instant.replace(year=year)).strftime(form))


#: Every precision, from a month before to ten days after the last reception; and a year typed 2062. Made once: reading is slow.
_WHENS = tuple(
    [_written(quarter, form) for quarter in (*range(-120, -8, 8), *range(-8, 48), *range(48, 80, 8)) for form in _FORMS]
    + [_written(quarter, form, 2062) for quarter in range(0, 40, 4) for form in _FORMS]
)


def whens() -> st.SearchStrategy[When]:
    """Dates of every precision, some far ahead."""
    return st.sampled_from(_WHENS)


_SCOPED = st.one_of(
    st.just((Scope.ALL, None)),
    st.tuples(st.just(Scope.ESTABLISHMENT), st.sampled_from(ESTABLISHMENTS)),
    st.tuples(st.just(Scope.CLASS), st.sampled_from(CLASSES)),
    st.tuples(st.just(Scope.TYPE), st.sampled_from(TYPES)),
    st.tuples(st.just(Scope.SOURCE_KIND), st.sampled_from(KINDS)),
    st.tuples(st.just(Scope.PROFESSIONAL), st.sampled_from(PROFESSIONALS)),
)


# Strategies that many draws share are made once.
_RIGHTS = st.sampled_from(Right)
_SIDES = st.sampled_from(Side)
_POSITIONS = st.sampled_from(Position)
_COLLECTORS = {Side.PATIENT: st.sampled_from((*ESTABLISHMENTS, "desk")), Side.ESTABLISHMENT: st.sampled_from(ESTABLISHMENTS)}
_OWN = {key: st.one_of(*[st.just((Scope.ESTABLISHMENT, key))] * 2, _SCOPED) for key in ESTABLISHMENTS}
_STATED = st.one_of(st.none(), whens(), whens())
_VISITS = st.sampled_from((None, Identifier(value="V1"), Identifier(value="V2")))


def subjects() -> st.SearchStrategy[Subject]:
    """A document, as oppositions are tested on it; now and then the patient's own."""
    return st.builds(
        Subject,
        establishments=st.lists(st.sampled_from(ESTABLISHMENTS), min_size=1, max_size=2, unique=True).map(tuple),
        source_kinds=st.lists(st.sampled_from(KINDS), max_size=2, unique=True).map(tuple),
        professionals=st.lists(st.sampled_from(PROFESSIONALS), max_size=2, unique=True).map(tuple),
        type_code=st.sampled_from(TYPES),
        class_code=st.sampled_from((*CLASSES, None)),
        by_patient=st.booleans(),
    )


@st.composite
def statements(draw: st.DrawFn, rights: st.SearchStrategy[Right] = _RIGHTS) -> Statement:
    """One statement; an establishment's own is mostly about itself, as ZFA-9 is."""
    side = draw(_SIDES)
    collected_by = draw(_COLLECTORS[side])
    scope, value = draw(_OWN[collected_by] if side is Side.ESTABLISHMENT else _SCOPED)
    right = draw(rights)
    return Statement(
        right=right,
        position=draw(_POSITIONS),
        side=side,
        collected_by=collected_by,
        scope=scope,
        scope_value=value,
        collected_at=draw(_STATED),
        visit=draw(_VISITS) if right is Right.CONSULTATION else None,
    )


@st.composite
def held(draw: st.DrawFn, rights: st.SearchStrategy[Right] = _RIGHTS, max_size: int = 8) -> tuple[Held, ...]:
    """Committed statements in the order of their commits, each with the reception that its door saw."""
    rows = draw(st.lists(st.tuples(statements(rights), instants()), max_size=max_size))
    return tuple(
        Held(
            id=f"S{number}",
            statement=statement,
            received_at=received_at,
            committed_at=EPOCH + timedelta(days=11, seconds=number),
            sequence=number,
        )
        for number, (statement, received_at) in enumerate(rows)
    )

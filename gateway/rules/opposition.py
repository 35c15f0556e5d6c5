"""
Which oppositions are in force, and which of them refuses a deposit (R-13, R-14).

An opposition belongs to a *series*: what it is about, whose it is, what it binds. In a series the latest statement counts;
between series nothing is weighed: one opposition in force that binds the deposit refuses it.
"""

import enum
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from gateway.model.base import Model
from gateway.model.event import Position, Right, Scope, Side, Statement
from gateway.model.source import SourceKind
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from gateway.model.when import When
from gateway.rules.decision import Decision
from gateway.rules.stays import Visit, visit_of


class Held(Model, frozen=True, kw_only=True):
    """A committed statement that binds the patient."""

    id: str
    statement: Statement
    #: When the door received it, aware; it travels with the event (D-3).
    received_at: datetime
    #: When it was committed, aware.
    committed_at: datetime
    #: Its place in the order of commits; for lists, never for precedence (D-5, property 2).
    sequence: int


class Subject(Model, frozen=True, kw_only=True):
    """A document, as far as oppositions to feeding are tested on it."""

    #: Keys of every establishment and site that its source, its sender and its custodian name (D-1).
    establishments: tuple[str, ...] = ()
    #: Every kind that its source is of.
    source_kinds: tuple[str, ...] = ()
    #: Numbers of its authors, its legal authenticator and its sender (`professional_key`).
    professionals: tuple[str, ...] = ()
    type_code: str = ""
    class_code: str | None = None
    #: Its only author is the patient.
    by_patient: bool = False

    @property
    def is_the_patients_own(self) -> bool:
        """Whether the patient wrote it and sent it by the patient's own door: no professional's source is of that kind alone."""
        return self.by_patient and set(self.source_kinds) == {SourceKind.PATIENT}


class Standing(enum.StrEnum):
    """What a statement counts for now."""

    #: An opposition that is in force.
    IN_FORCE = "in_force"
    #: An allowance that has the last word of its series.
    ALLOWS = "allows"
    #: An allowance whose date has not come (O-5).
    WAITING = "waiting"
    #: A later statement of its series has the last word (O-1).
    SUPERSEDED = "superseded"
    #: The patient's later allowance that names the establishment lifts it (O-2); for consultation a later consent (O-16).
    LIFTED = "lifted"
    #: A refusal of consultation for a visit that was discharged or cancelled (O-16).
    VISIT_ENDED = "visit_ended"


class Fate(NamedTuple):
    """What a statement counts for, and the statement that decides it, if another one does."""

    standing: Standing
    by: str | None = None


#: What orders two statements of a series: instant, opposition after allowance, reception, id.
OrderKey = tuple[datetime, bool, datetime, str]

_Series = tuple[str | None, ...]

#: The resolution of an instant.
_INSTANT: Final = timedelta(microseconds=1)

#: Which of several refusing statements is named: the patient's own before an establishment's, the widest scope first.
_SIDES: Final = (Side.PATIENT, Side.ESTABLISHMENT)
_SCOPES: Final = tuple(Scope)

_VERDICTS: Final = {Act.ADD: Verdict.STORED, Act.REPLACE: Verdict.STORED, Act.DELETE: Verdict.DELETED}

_BECAUSE: Final = {
    "O-2": "An opposition to feeding that is in force binds this deposit.",
    "O-4": "An opposition and an allowance were stated at one time, as far as their dates tell: the opposition wins.",
    "O-5": "An opposition dated ahead of its reception is in force from its reception.",
    "O-13": "A deletion protects: no opposition refuses it.",
    "O-14": "The patient's own document passes every opposition to feeding.",
}


def order_key(held: Held) -> OrderKey:
    """
    Return what a statement is ordered by inside its series; the greatest is the latest.

    Precision comes first: a value stands for its last instant in an opposition, for its first in an allowance (Europe/Paris): an
    opposition of a day outlasts an allowance of the same day, and gives way to one of the next day. Then an opposition dated
    after its reception counts as of its reception; an allowance keeps its date. A statement without a usable date counts as of
    its reception. At one instant the opposition is the later one. What still ties is ordered by reception and id, so that the one
    named does not depend on the order of commits.

    Source: D-3; O-3, O-4, O-5.
    """
    opposes = held.statement.position is Position.OPPOSES
    return (_instant(held), opposes, held.received_at, held.id)


def written(held: Held) -> datetime:
    """
    Return the last instant that a statement was stated at as it is written, its reception where nothing usable is.

    An opposition dated ahead is ordered at its reception, or a mistyped year could never be lifted; that must not let an
    allowance that was received before it, and is dated before it too, pass for the later one (our clock may be slow): see
    `_answers`.

    Source: O-5.
    """
    stated = held.statement.collected_at
    return held.received_at if stated is None else _last(stated)


def in_force(statements: Iterable[Held], now: datetime, ended: Collection[Visit] = frozenset()) -> tuple[Held, ...]:
    """
    Return the oppositions in force, at most one per series.

    A series is (right, scope, scope value, side), on an establishment's side the establishment that collected it too, and for
    consultation the visit. An opposition is in force from its commit, whatever its date and whatever the clocks of other machines
    say: each one held counts. An allowance waits for its date. One side never lifts another side's opposition, save the patient's
    own later allowance that names the establishment: it lifts what this establishment's side opposed for the establishment as a
    whole (O-2). Consent to consultation ends that establishment's refusal for the same visit, and one without a visit; the end of
    a visit ends its refusal (O-16).

    Args:
        statements: Every statement that binds the patient, in any order.
        now: The present instant, aware.
        ended: Visits that were discharged or cancelled (`stays.ended`); no matter to feeding.

    Returns:
        The oppositions in the order in which `opposing` would name them: the patient's before an establishment's, the widest
        scope first, then the latest (`order_key`).

    Source: D-3; O-1, O-2, O-4, O-5, O-16.
    """
    every = tuple(statements)
    if not any(_opposes(held) for held in every):
        return ()
    fates = standing(every, now, ended)
    found = [held for held in every if fates[held.id].standing is Standing.IN_FORCE]
    return tuple(sorted(sorted(found, key=order_key, reverse=True), key=_rank))


def standing(statements: Iterable[Held], now: datetime, ended: Collection[Visit] = frozenset()) -> Mapping[str, Fate]:
    """
    Return what each statement counts for, by its id; arguments as `in_force`.

    Source: D-3; O-1, O-2, O-5, O-16.
    """
    every = tuple(statements)
    effective = [placed for placed in map(_placed, every) if placed.opposes or placed.key[0] <= now]
    series: dict[_Series, list[_Placed]] = defaultdict(list)
    for placed in effective:
        series[placed.series].append(placed)
    allowances = sorted((placed for placed in effective if not placed.opposes), key=_by_order, reverse=True)
    latest = {key: _latest(members, allowances) for key, members in series.items()}
    fates = {held.id: Fate(Standing.WAITING) for held in every}
    for placed in effective:
        last = latest[placed.series]
        if last is not placed:
            fate = Fate(Standing.SUPERSEDED, last.held.id)
        elif not placed.opposes:
            fate = Fate(Standing.ALLOWS)
        elif (lifting := next((each for each in allowances if _lifts(each, placed)), None)) is not None:
            fate = Fate(Standing.LIFTED, lifting.held.id)
        else:
            fate = Fate(Standing.VISIT_ENDED if _visit(placed.held.statement) in ended else Standing.IN_FORCE)
        fates[placed.held.id] = fate
    return fates


class _Placed(NamedTuple):
    """A statement with what it is compared by: a patient may have made many, and each is compared with each."""

    held: Held
    opposes: bool
    key: OrderKey
    written: datetime
    series: _Series


def _placed(held: Held) -> _Placed:
    return _Placed(held, _opposes(held), order_key(held), written(held), _series(held.statement))


def _by_order(placed: _Placed) -> OrderKey:
    return placed.key


def _latest(series: list[_Placed], allowances: list[_Placed]) -> _Placed:
    """
    Return the statement that has the last word of its series: an opposition that no allowance answers, else the latest.

    Of several one that no allowance of another series lifts either: what lifts one of them may come before another.
    """
    own = [placed for placed in series if not placed.opposes]
    unanswered = [placed for placed in series if placed.opposes and not any(_answers(each, placed) for each in own)]
    standing = [placed for placed in unanswered if not any(_lifts(each, placed) for each in allowances)]
    return max(standing or unanswered or series, key=_by_order)


def _answers(allowance: _Placed, opposition: _Placed) -> bool:
    """Whether an allowance comes after an opposition: later by what counts, and later as written or received later (O-5)."""
    if allowance.key < opposition.key:
        return False
    return allowance.held.received_at > opposition.held.received_at or allowance.key[0] > opposition.written


def superseded(statements: Iterable[Held], now: datetime, stated: Collection[str]) -> tuple[str, ...]:
    """
    Return which of the statements just stated do not count: an opposition whose series a later allowance has, or the contrary.

    One that gives way to another of its kind is not told: what it asks for is so. An allowance dated ahead does not count yet.

    Args:
        statements: Every statement that binds the patient, in any order.
        now: The present instant, aware.
        stated: Ids of the statements asked about.

    Returns:
        Ids, in the order of `statements`.

    Source: D-3; O-1, O-2, O-6.
    """
    every = tuple(statements)
    opposed = {_series(held.statement) for held in in_force(every, now)}
    return tuple(held.id for held in every if held.id in stated and _opposes(held) != (_series(held.statement) in opposed))


def opposing(statements: Iterable[Held], now: datetime, subject: Subject) -> Held | None:
    """
    Return the statement that refuses a document, or None.

    Only feeding: a statement about consultation never refuses a deposit. The patient's statements bind whatever they name; an
    establishment's bind only deposits that name this establishment (R-14). Nothing refuses the patient's own document (O-14).

    Args:
        statements: Every statement that binds the patient, in any order.
        now: The present instant, aware.
        subject: The document.

    Returns:
        Of several, the first in the order of `in_force`.

    Source: D-1; O-1, O-2, O-14; R-13, R-14.
    """
    if subject.is_the_patients_own:
        return None
    for held in in_force(statements, now):
        if held.statement.right is Right.FEEDING and _binds(held.statement, subject):
            return held
    return None


def decide(act: Act, statements: Iterable[Held], now: datetime, subject: Subject) -> Decision:
    """
    Tell whether an opposition refuses the act: add and replace may be, a deletion and the patient's own document never.

    The rule named is O-4 where an allowance of the same series lies within what the opposition's date can mean, else O-5 where
    the opposition was dated ahead of its reception, else O-2.

    Args:
        act: What the submission asks for.
        statements: Every statement that binds the patient, in any order.
        now: The present instant, aware.
        subject: The document.

    Returns:
        REFUSED with OPPOSED and the statement's id, or the verdict that the act gets if nothing else refuses it.

    Source: D-3, D-4; O-2, O-4, O-5, O-13, O-14.
    """
    passes = "O-13" if act is Act.DELETE else "O-14" if subject.is_the_patients_own else None
    if passes is not None:
        return Decision(verdict=_VERDICTS[act], rule=passes, because=_BECAUSE[passes])
    every = tuple(statements)
    held = opposing(every, now, subject)
    if held is None:
        return Decision(verdict=_VERDICTS[act], rule="O-2", because="No opposition in force binds this deposit.")
    rule = _rule(held, every, now)
    return Decision(verdict=Verdict.REFUSED, problem="OPPOSED", rule=rule, because=_BECAUSE[rule], statement=held.id)


def _opposes(held: Held) -> bool:
    return held.statement.position is Position.OPPOSES


def _instant(held: Held) -> datetime:
    stated = held.statement.collected_at
    if stated is None:
        return held.received_at
    return min(_last(stated), held.received_at) if _opposes(held) else stated.start


def _last(stated: When) -> datetime:
    """Return the last instant that the value can mean: the first of the next day is no longer the same day (O-4)."""
    return stated.end - _INSTANT if stated.end > stated.start else stated.start


def _bound(statement: Statement) -> str | None:
    """Return what the scope names; an establishment that names none means itself."""
    return statement.scope_value or (statement.collected_by if statement.scope is Scope.ESTABLISHMENT else None)


def _series(statement: Statement) -> _Series:
    collector = statement.collected_by if statement.side is Side.ESTABLISHMENT else None
    visit = statement.visit if statement.right is Right.CONSULTATION else None
    return (
        statement.right,
        statement.scope,
        _bound(statement),
        statement.side,
        collector,
        visit.value if visit is not None else None,
        visit.authority if visit is not None else None,
    )


def _lifts(allowance: _Placed, opposition: _Placed) -> bool:
    """Whether an effective allowance of another series lifts the opposition."""
    return _may_lift(allowance.held.statement, opposition.held.statement) and _answers(allowance, opposition)


def _may_lift(allows: Statement, opposes: Statement) -> bool:
    """Whether an allowance lifts oppositions like this one, stated before it."""
    if allows.right is not opposes.right or opposes.side is not Side.ESTABLISHMENT:
        return False
    if allows.side is Side.PATIENT:
        whole = opposes.scope in {Scope.ALL, Scope.ESTABLISHMENT}
        return whole and allows.scope is Scope.ESTABLISHMENT and allows.scope_value in _names(opposes)
    return opposes.right is Right.CONSULTATION and opposes.visit is None and allows.collected_by == opposes.collected_by


def _names(statement: Statement) -> set[str | None]:
    """Return what the patient may name to lift an establishment's statement: the establishment, or the site it is about."""
    own = f"{statement.collected_by}/"
    bound = _bound(statement)
    return {statement.collected_by, bound} if bound is not None and bound.startswith(own) else {statement.collected_by}


def _visit(statement: Statement) -> Visit | None:
    about = statement.visit if statement.right is Right.CONSULTATION else None
    return None if about is None else visit_of(statement.collected_by, about)


def _binds(statement: Statement, subject: Subject) -> bool:
    if statement.side is Side.ESTABLISHMENT and statement.collected_by not in subject.establishments:
        return False
    value = _bound(statement)
    match statement.scope:
        case Scope.ALL:
            return True
        case Scope.SOURCE_KIND:
            return value in subject.source_kinds
        case Scope.ESTABLISHMENT:
            return value in subject.establishments
        case Scope.PROFESSIONAL:
            return value in subject.professionals
        case Scope.CLASS:
            return value is not None and value == subject.class_code
        case Scope.TYPE:
            return value == subject.type_code


def _rank(held: Held) -> tuple[int, int]:
    return (_SIDES.index(held.statement.side), _SCOPES.index(held.statement.scope))


def _rule(held: Held, statements: tuple[Held, ...], now: datetime) -> str:
    stated = held.statement.collected_at
    first = held.received_at if stated is None else min(stated.start, held.received_at)
    same = _series(held.statement)
    rivals = (_instant(other) for other in statements if not _opposes(other) and _series(other.statement) == same)
    if any(first <= rival <= min(_instant(held), now) for rival in rivals):
        return "O-4"
    return "O-5" if stated is not None and stated.start > held.received_at else "O-2"

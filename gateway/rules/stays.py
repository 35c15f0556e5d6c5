"""
Which visits have ended: of everything that was said of a visit, the latest counts (O-16).

Any order of arrival gives the same: what is said is ordered by its own date and then by its reception, never by its commit.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from gateway.model.base import Model
from gateway.model.code import Identifier
from gateway.model.event import Stay, StayState
from gateway.model.when import When

#: (establishment, assigning authority or "", number) of a visit.
Visit = tuple[str, str, str]

_INSTANT: Final = timedelta(microseconds=1)


class Said(Model, frozen=True, kw_only=True):
    """What is known of a visit."""

    visit: Visit
    state: StayState
    #: The instant that orders it, aware.
    ordered_at: datetime
    #: When the door received it, aware.
    received_at: datetime
    receipt: str


def visit_of(establishment: str, number: Identifier) -> Visit:
    """Return what tells a visit from every other."""
    return (establishment, number.authority or "", number.value)


def said(stay: Stay, received_at: datetime, receipt: str) -> Said:
    """
    Return what a message says of a visit.

    A value without an hour stands for its last instant where the visit is open and for its first where it is not: a tie keeps a
    refusal of consultation. What is dated after its reception counts as of its reception, so that a year mistyped can be set
    right.

    Args:
        stay: As the message says it.
        received_at: When the door received it, aware.
        receipt: Of the message.

    Source: O-16; as O-4 and O-5 for statements.
    """
    return Said(
        visit=visit_of(stay.establishment, stay.visit),
        state=stay.state,
        ordered_at=min(_instant(stay.stated_at, stay.state), received_at) if stay.stated_at is not None else received_at,
        received_at=received_at,
        receipt=receipt,
    )


def later(one: Said, other: Said | None) -> bool:
    """Tell whether the first has the last word on the visit; at one instant an open visit has it."""
    return other is None or _order(one) > _order(other)


def repeats(one: Said, other: Said | None) -> bool:
    """Tell whether the first adds nothing to what is known: it is the same, or no longer the latest."""
    if other is None:
        return False
    return (one.ordered_at, one.state) == (other.ordered_at, other.state) or not later(one, other)


def latest(every: Iterable[Said]) -> Mapping[Visit, Said]:
    """Return the last word on each visit, whatever the order."""
    found: dict[Visit, Said] = {}
    for one in every:
        if later(one, found.get(one.visit)):
            found[one.visit] = one
    return found


def ended(known: Iterable[Said]) -> frozenset[Visit]:
    """Return the visits that were discharged or cancelled, of the last word on each."""
    return frozenset(one.visit for one in known if one.state is not StayState.OPEN)


def _order(one: Said) -> tuple[datetime, datetime, bool, str]:
    return (one.ordered_at, one.received_at, one.state is StayState.OPEN, one.receipt)


def _instant(stated: When, state: StayState) -> datetime:
    if state is not StayState.OPEN or stated.end <= stated.start:
        return stated.start
    return stated.end - _INSTANT

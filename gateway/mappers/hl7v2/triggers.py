"""
Every ADT event of PAM France, and what the record does with it: one table.

An event that is not in it is of no concern to the record and is acknowledged.

Source: PAM.FR 2.11, p.13–32 (events), p.26 (unknown events), p.70 (ZFA).
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.model.event import StayState


class Use(enum.StrEnum):
    """What an event is taken for."""

    #: Its identity is applied, and what ZFA states.
    STATES = "states"
    #: Its identity is applied; it has no ZFA in PAM: one that is there all the same is read, with a warning.
    IDENTITY = "identity"
    #: Two files of one patient become one.
    MERGE = "merge"
    #: Identifiers of one patient are replaced, or an INS taken back.
    CHANGE = "change"
    #: Acknowledged and passed over; a ZFA that is there all the same is read, with a warning.
    IGNORED = "ignored"


class Trigger(NamedTuple):
    """What is done with an event."""

    use: Use
    #: What it says of the visit of PV1-19; None: nothing.
    stay: StayState | None = None
    #: Not used in France: read as the event that is.
    excluded: bool = False


_OPEN, _ENDED, _CANCELLED = StayState.OPEN, StayState.ENDED, StayState.CANCELLED

TRIGGERS: Final[Mapping[str, Trigger]] = MappingProxyType({
    # Admissions and their cancellations.
    "A01": Trigger(Use.STATES, _OPEN),
    "A04": Trigger(Use.STATES, _OPEN),
    "A05": Trigger(Use.STATES, _OPEN),
    "A14": Trigger(Use.STATES, _OPEN),
    "A11": Trigger(Use.IDENTITY, _CANCELLED),
    "A38": Trigger(Use.IDENTITY, _CANCELLED),
    "A27": Trigger(Use.IDENTITY, _CANCELLED),
    # Discharge and its cancellation.
    "A03": Trigger(Use.IDENTITY, _ENDED),
    "A13": Trigger(Use.IDENTITY, _OPEN),
    # Transfers, changes of class, leaves, physicians, account moves.
    **dict.fromkeys(
        ("A02", "A12", "A06", "A07", "A21", "A52", "A22", "A53", "A54", "A55", "A44"), Trigger(Use.IDENTITY)
    ),
    # A correction of any of these: it says what it corrects, not that a visit begins or ends.
    "Z99": Trigger(Use.STATES),
    # Identities.
    "A28": Trigger(Use.STATES),
    "A31": Trigger(Use.STATES),
    "A08": Trigger(Use.STATES, excluded=True),
    "A40": Trigger(Use.MERGE),
    "A47": Trigger(Use.CHANGE),
    "A24": Trigger(Use.IGNORED),
    "A37": Trigger(Use.IGNORED),
})  # fmt: skip

#: Any other event.
UNKNOWN: Final = Trigger(Use.IGNORED)


def trigger(code: str) -> Trigger:
    """Return what is done with an event (MSH-9.2)."""
    return TRIGGERS.get(code, UNKNOWN)

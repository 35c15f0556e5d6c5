"""
Which acknowledgments a sender asks for: MSH-15 and MSH-16.

Original mode, both empty: one answer, AA, AE or AR. Enhanced mode: an accept acknowledgment (CA, CE, CR) once the message is
durable or committed, then an application acknowledgment (AA, AE, AR) once it is decided, each only as it is asked for.

Source: HL7 v2.5 § 2.9.3, table 0155; D-2.
"""

import enum
from typing import Final

import msgspec

from gateway.mappers.hl7v2.header import Header


class Condition(enum.StrEnum):
    """When an acknowledgment is wanted (HL7 table 0155)."""

    ALWAYS = "AL"
    NEVER = "NE"
    #: Only errors and rejections.
    ERROR = "ER"
    #: Only successful completion.
    SUCCESS = "SU"

    def wants(self, *, success: bool) -> bool:
        """Tell whether an acknowledgment of success, or of anything else, is wanted."""
        return self is Condition.ALWAYS or self is (Condition.SUCCESS if success else Condition.ERROR)


class Enhanced(msgspec.Struct, frozen=True, kw_only=True):
    """Enhanced mode, as one message asks for it."""

    accept: Condition
    application: Condition

    @property
    def application_wanted(self) -> bool:
        """Whether an application acknowledgment may be wanted at all."""
        return self.application is not Condition.NEVER


_NULL: Final = frozenset({"", '""'})
_TABLE: Final = frozenset(Condition)


def enhanced(header: Header | None) -> Enhanced | None:
    """
    Return what a message asks for, or None for original mode.

    Args:
        header: Its header; None if it has none that can be read.

    Returns:
        Original mode where neither field has a value of table 0155: both empty, or a damaged MSH whose fields have moved. Where
        one of them is empty, it stands for NE; one that the table does not have stands for AL: whoever asks in unknown words is
        not left without an answer.
    """
    if header is None:
        return None
    written = header.accept_ack.upper(), header.application_ack.upper()
    if not _TABLE.intersection(written):
        return None
    accept, application = map(_condition, written)
    return Enhanced(accept=accept, application=application)


def _condition(written: str) -> Condition:
    if written in _NULL:
        return Condition.NEVER
    return Condition(written) if written in _TABLE else Condition.ALWAYS

"""What is known of a message when it arrives: its header as far as it can be read, who sends, its receipt."""

import hashlib
from datetime import datetime

import msgspec

from gateway.mappers.hl7v2.header import Header
from gateway.model.base import storable
from gateway.model.source import Source
from gateway.model.submission import Reception

#: Source of what nobody admitted sent.
UNKNOWN = "unknown"

#: The longest MSH-10 of any version has 199 characters (HL7 v2.7).
_LONGEST = 199


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A message at the door."""

    at: datetime
    #: None if it has no MSH segment.
    header: Header | None
    #: None if the connection does not admit who it says it is.
    source: Source | None
    reception: Reception
    #: Bytes of the payload, or as many as were read of it.
    size: int

    @property
    def control_id(self) -> str:
        """MSH-10 of its answer: 20 characters derived from the receipt, the same if it is written again."""
        return hashlib.sha256(self.reception.receipt.encode()).hexdigest()[:20].upper()

    @property
    def later_control_id(self) -> str:
        """MSH-10 of the application acknowledgment that follows an accept acknowledgment: one of its own, by the same rule."""
        return hashlib.sha256(f"{self.reception.receipt} application".encode()).hexdigest()[:20].upper()


def arrived(
    *, door: str, at: datetime, receipt: str, header: Header | None, source: Source | None, digest: str, size: int
) -> Arrival:
    """
    Return an arrival with the facts of its reception.

    Args:
        door: Way in.
        at: Instant of reception, aware.
        receipt: Its receipt id.
        header: What could be read of MSH.
        source: Who sends, if the connection admits them.
        digest: SHA-256 of the message without MSH-7, empty if it was not received whole.
        size: Bytes received.
    """
    known = header or Header()
    reception = Reception(
        receipt=receipt,
        received_at=at.isoformat(timespec="microseconds"),
        door=door,
        source=source.id if source else UNKNOWN,
        establishment=source.establishment if source else "",
        application=_short(known.application),
        facility=_short(known.facility),
        message_id=_short(known.control_id),
        message_type=_short(known.message_type),
        message_digest=digest,
    )
    return Arrival(at=at, header=header, source=source, reception=reception, size=size)


def _short(text: str) -> str:
    """Return a field of a header that may be damaged: what a database holds, and no more than a field has."""
    try:
        return storable(text[:_LONGEST])
    except ValueError:
        return ""

"""
A message read into what it asks for: a submission, an event, or the reasons why it is refused.

Source: D-1, D-7; P2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.mappers.common.findings import Findings
from gateway.mappers.hl7v2 import deposit, event
from gateway.mappers.hl7v2.header import Header
from gateway.mappers.hl7v2.reading import Reading, Received, rejected
from gateway.mappers.hl7v2.tokens import Message
from gateway.model.source import Directory, Source

__all__ = ["ROUTES", "Reading", "Route", "read", "route"]

_Reader = Callable[[Received], Reading]

#: MSH-11 of what is no production message. Source: HL7 table 0103; D-17.
TEST_IDS: Final = frozenset({"T", "D"})


@dataclass(frozen=True, slots=True)
class Route:
    """
    Which messages go to which reader.

    Attributes:
        type_code: MSH-9.1.
        trigger: MSH-9.2; None is any that is valued.
        read: The reader.
        source: What says so.
    """

    type_code: str
    trigger: str | None
    read: _Reader
    source: str


ROUTES: Final = (
    Route("MDM", "T02", deposit.read, "ANS Trans. CDA en HL7v2 2.1"),
    Route("MDM", "T10", deposit.read, "ANS Trans. CDA en HL7v2 2.1"),
    Route("MDM", "T04", deposit.read, "ANS Trans. CDA en HL7v2 2.1"),
    Route("ORU", "R01", deposit.read, "ANS Trans. CDA en HL7v2 2.1"),
    Route("ADT", None, event.read, "PAM.FR 2.11"),
)

#: Types of which another trigger is an unknown event, not an unknown message.
_EVENT_TYPES: Final = frozenset({"MDM", "ADT"})


def route(type_code: str, trigger: str) -> Route | None:
    """Return the route of a message type and trigger, or None."""
    for known in ROUTES:
        if known.type_code == type_code and (known.trigger == trigger or (known.trigger is None and trigger)):
            return known
    return None


def read(message: Message, header: Header, source: Source, directory: Directory, environment: str) -> Reading:
    """
    Read one message.

    Args:
        message: The message, cut into pieces.
        header: Its header.
        source: Who sends, as the connection and MSH-3, MSH-4 say.
        directory: All establishments and their authorities.
        environment: `production` or `test`: which INS roots and which MSH-11 are taken.

    Returns:
        What it asks for, the bytes that travel with it, the answer as far as the message alone decides it, and every problem.

    Raises:
        Unreadable: A value does not decode in the charset of the message, or cannot be stored.
    """
    findings = Findings()
    findings.take(header.problems)
    if environment == "production" and header.processing_id in TEST_IDS:
        findings.add("PROCESSING_ID", message.header.place(11))
        return rejected(findings)
    found = route(header.type_code, header.trigger)
    if found is None:
        code = "EVENT_UNSUPPORTED" if header.type_code in _EVENT_TYPES else "MESSAGE_TYPE_UNSUPPORTED"
        findings.add(code, message.header.place(9))
        return rejected(findings)
    return found.read(Received(message, header, source, directory, environment, findings))

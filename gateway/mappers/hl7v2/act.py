"""
What a deposit asks for: ORC-1, OBX-11 and the trigger of an MDM say it together, or it is refused.

Source: ANS Trans. CDA en HL7v2 2.1, profils-messages; P2.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.mappers.common.findings import Findings
from gateway.mappers.hl7v2.older import STATUS_CHANGED
from gateway.mappers.hl7v2.tokens import Message, Segment
from gateway.mappers.hl7v2.values import absent, value
from gateway.model.place import Place
from gateway.model.submission import Act

TRIGGERS: Final[Mapping[str, Act]] = {"MDM^T02": Act.ADD, "MDM^T10": Act.REPLACE, "MDM^T04": Act.DELETE}
ORDERS: Final[Mapping[str, Act]] = {"NW": Act.ADD, "RO": Act.REPLACE, "CA": Act.DELETE}
STATUSES: Final[Mapping[str, Act]] = {"F": Act.ADD, "C": Act.REPLACE, "D": Act.DELETE}


@dataclass(frozen=True, slots=True)
class _Voice:
    act: Act
    place: Place
    name: str


def read(
    message: Message, message_type: str, documents: Sequence[Segment], findings: Findings, *, older: bool = False
) -> Act | None:
    """
    Read the act of a deposit.

    Args:
        message: The message.
        message_type: MSH-9, ``MDM^T02``.
        documents: The OBX that carry documents.
        findings: Takes SEGMENT_MISSING, FIELD_REQUIRED, VALUE_UNKNOWN and ACT_INCOHERENT (at the voice that stands alone; of
            two that differ, at the later one).
        older: Whether the message follows an earlier version of the volet: ORC-1 = SC says nothing, and an MDM needs no ORC.

    Returns:
        The act, or None if nothing says it, or not in one voice.
    """
    voices: list[_Voice] = []
    if message_type in TRIGGERS:
        voices.append(_Voice(TRIGGERS[message_type], message.header.place(9, 1, 2), "MSH-9.2"))
    if not message.all("ORC") and not (older and voices):
        findings.add("SEGMENT_MISSING", absent("ORC"), "ORC")
    for orc in message.all("ORC"):
        if older and value(orc, 1) == STATUS_CHANGED:
            continue
        voices += _voice(orc, 1, ORDERS, findings)
    for obx in documents:
        voices += _voice(obx, 11, STATUSES, findings)
    if not voices:
        return None
    counts = Counter(voice.act for voice in voices)
    most = max(counts.values())
    agreed = next(voice.act for voice in voices if counts[voice.act] == most)
    differing = [voice for voice in voices if voice.act is not agreed]
    names = "; ".join(dict.fromkeys(f"{voice.name}: {voice.act.value}" for voice in voices))
    for voice in differing:
        findings.add("ACT_INCOHERENT", voice.place, names)
    return None if differing else agreed


def _voice(segment: Segment, field: int, table: Mapping[str, Act], findings: Findings) -> list[_Voice]:
    written = value(segment, field)
    name = f"{segment.name}-{field}"
    if written is None:
        findings.add("FIELD_REQUIRED", segment.place(field), name)
        return []
    if written not in table:
        findings.add("VALUE_UNKNOWN", segment.place(field), name)
        return []
    return [_Voice(table[written], segment.place(field), name)]

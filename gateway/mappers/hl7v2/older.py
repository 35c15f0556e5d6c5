"""
The forms of earlier versions of the volet: which one a message follows (MSH-21), and what of it is written in an older way.

What only changes the spelling is understood under any version. What says less than version 2.1 asks (ORC-1 = SC or no ORC at all,
a document number of root and extension in one) is taken under the older one only: there OBX-11 and the trigger say the act.

Source: ANS Trans. CDA en HL7v2 1.2 and 2.0, as its example messages are written.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gateway.mappers.common.findings import Findings
from gateway.mappers.common.flags import SPELLINGS
from gateway.mappers.hl7v2.flags import COMPOSITION, REQUIRED, SYSTEM
from gateway.mappers.hl7v2.header import Header
from gateway.mappers.hl7v2.tokens import Message, Segment
from gateway.mappers.hl7v2.values import part, value
from gateway.model.place import Place

#: MSH-21 of the versions before 2.1.
PROFILES: Final = {"1.2^CISIS_CDA_HL7_V1": "1.2", "2.0^CISIS_CDA_HL7_V2": "2.0"}

#: MSH-21 of the present version: a message that names it too is held to it.
_PRESENT: Final = "2.1^CISIS_CDA_HL7_V2"

#: ORC-1 of every order: the change is said by OBX-11.
STATUS_CHANGED: Final = "SC"
_YES_NO: Final = "expandedYes-NoIndicator"
_FORMER_YES_NO: Final = "HL70136"
_FORMER_ROLES: Final = "HL70912"

_Form = tuple[str, Place]


def version(header: Header) -> str | None:
    """Return the version of the volet that a message follows, if it is an older one (MSH-21) and no other."""
    if _PRESENT in header.profiles:
        return None
    return next((PROFILES[profile] for profile in header.profiles if profile in PROFILES), None)


def same_number(written: str, identifier: str) -> bool:
    """
    Tell whether a document number of an older version means a uniqueId: root and extension in one, with a dot or without.

    Args:
        written: TXA-12 or TXA-13.
        identifier: The uniqueId, ``root^extension``.
    """
    root, _, extension = identifier.partition("^")
    return bool(extension) and written in {f"{root}.{extension}", f"{root}{extension}"}


def warn(message: Message, header: Header, flags: Sequence[Segment], findings: Findings) -> None:
    """
    Tell by one warning which forms of an earlier version a message is written in.

    Values of flags without their table are told under an older version only: they say the same, and are common in new messages.

    Args:
        message: The message.
        header: Its header.
        flags: The OBX of it that are flags.
        findings: Takes OLDER_FORM, at MSH-21 where that says so, else at the first form.
    """
    older = version(header)
    found = [*_flags(flags), *_roles(message)]
    if older is not None:
        found += [*_values(flags), *_orders(message)]
    if not found and older is None:
        return
    names = "; ".join(dict.fromkeys(name for name, _ in found))
    if older is None:
        findings.warn("OLDER_FORM", found[0][1], names)
    else:
        findings.warn("OLDER_FORM", message.header.place(21), f"version {older}: {names}" if names else f"version {older}")


def _flags(flags: Iterable[Segment]) -> Iterator[_Form]:
    for obx in flags:
        code = value(obx, 3) or ""
        if code == COMPOSITION:
            yield COMPOSITION, obx.place(3)
            continue
        if code in SPELLINGS:
            yield f"{code} for {SPELLINGS[code]}", obx.place(3)
        if SPELLINGS.get(code, code) not in REQUIRED:
            continue
        if value(obx, 3, 3) != SYSTEM:
            yield "flags without code system", obx.place(3)


def _values(flags: Iterable[Segment]) -> Iterator[_Form]:
    for obx in flags:
        code = value(obx, 3) or ""
        if SPELLINGS.get(code, code) not in REQUIRED:
            continue
        table = value(obx, 5, 3)
        if value(obx, 5) is not None and table != _YES_NO:
            yield f"Y and N of {_FORMER_YES_NO}" if table == _FORMER_YES_NO else "Y and N without code system", obx.place(5)


def _roles(message: Message) -> Iterator[_Form]:
    for prt in message.all("PRT"):
        if any(part(role, 3) == _FORMER_ROLES for role in prt.field(4).repetitions):
            yield f"PRT-4 of {_FORMER_ROLES}", prt.place(4)


def _orders(message: Message) -> Iterator[_Form]:
    orders = message.all("ORC")
    if not orders:
        yield "no ORC", message.header.place(9)
    for orc in orders:
        if value(orc, 1) == STATUS_CHANGED:
            yield f"ORC-1 = {STATUS_CHANGED}", orc.place(1)

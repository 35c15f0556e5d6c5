"""Times of a CDA: the proper form, and the odd ones that occur."""

import re
from typing import Final

import msgspec

from gateway.mappers.cda.walk import Findings, Node
from gateway.model.when import Precision, When, Zone

#: A zone of one to three digits (``+1``, ``+01``, ``+100``) behind a time of day.
_SHORT_ZONE: Final = re.compile(r"(\d{10,14}(?:\.\d{1,9})?)([+-])(\d{1,3})", re.ASCII)
#: Thousandths of a second without their point, before the zone or the end.
_GLUED_FRACTION: Final = re.compile(r"(\d{14})(\d{3})([+-]\d{4})?", re.ASCII)

_LONGEST: Final = 40
_TO_THE_SECOND: Final = (Precision.SECOND, Precision.FRACTION)


def repaired(text: str) -> str | None:
    """
    Return the proper form of a time written in an odd one, None if it is no form that is known.

    Known are spaces around, a zone of fewer than four digits (``+100`` is ``+0100``), and thousandths without their point.

    Source: CI-SIS, CDA R2.
    """
    bare = text.strip()[:_LONGEST]
    short = _SHORT_ZONE.fullmatch(bare)
    if short is not None:
        moment, sign, digits = short.groups()
        zone = digits.zfill(4) if len(digits) > 2 else digits.zfill(2) + "00"
        return f"{moment}{sign}{zone}"
    glued = _GLUED_FRACTION.fullmatch(bare)
    if glued is not None:
        moment, fraction, zone = glued.groups()
        return f"{moment}.{fraction}{zone or ''}"
    return bare if bare != text else None


def read_when(findings: Findings, node: Node | None, *, required: bool = False) -> When | None:
    """
    Read the `@value` of a TS.

    Args:
        findings: Takes the problems.
        node: The element; None if it is absent.
        required: A value that cannot be read is CDA_INVALID; else it is dropped with CDA_UNUSUAL.

    Returns:
        The time; None if there is none, or none that can be read. A time in an odd form is read by its proper one, with
        CDA_UNUSUAL, and kept as written.

    Source: CI-SIS, CDA R2, TS.
    """
    text = node.get("value") if node is not None else None
    if node is None or text is None:
        return None
    place = findings.place(node, "value")
    when = _read(text)
    if when is None and (when := _read(repaired(text))) is not None:
        when = msgspec.structs.replace(when, written=text)
        findings.unusual(place, "a time in an odd form")
    if when is None:
        if required:
            findings.error("CDA_INVALID", place, "not a time")
        else:
            findings.unusual(place, "not a time: left out")
        return None
    if when.zone is Zone.ASSUMED:
        findings.unusual(place, "no zone: Europe/Paris assumed")
    elif required and when.precision not in _TO_THE_SECOND:
        findings.unusual(place, f"precise to the {when.precision.value} only")
    return when


def _read(text: str | None) -> When | None:
    if text is None:
        return None
    try:
        return When.read(text)
    except ValueError:
        return None

"""A day at two establishments: patients nobody has met yet, their reports, what they say about their record."""

import itertools
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tests.harness import traffic
from tests.harness.door import Door

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "samples"))

from recipe import deposits
from recipe.adt import adt
from recipe.cda import Document, render
from recipe.people import ADELE, AUBIER, PATIENTS, VALMONT, Establishment, Patient
from recipe.segments import DPI_A, GAM_A, GAM_V, RIS_V, SIL_V, Source, ins_cx, local_cx

#: ADT whose structure is that of another event. Source: PAM-FR.
_STRUCTURES: Final = {"A28": "ADT_A05", "A31": "ADT_A05", "A40": "ADT_A39", "A47": "ADT_A30", "A13": "ADT_A01", "A03": "ADT_A03"}

_numbers = itertools.count(20_000_000)
_people = itertools.count(100)
_ids = itertools.count(1)


def someone(door: Door | None = None) -> Patient:
    """Return a patient of their own, with an open record if a gateway is given."""
    (patient,) = traffic.patients(1, first=next(_people))
    if door is not None:
        opened(door, patient)
    return patient


def opened(door: Door, patient: Patient) -> None:
    """Open the record of a patient."""
    door.verb("record", "open", "--ins", patient.ins, "--collected-by", "admissions desk")


def ipp(patient: Patient, where: Establishment = VALMONT) -> str:
    """Return the local identifier as `--local` takes it."""
    return f"{where.id}/ipp:{patient.local[where.id]}"


def control_id() -> str:
    """Return an MSH-10 that was not used yet."""
    return f"WALK-{next(_ids):06}"


def stamp(instant: datetime | None = None, *, days: float = 0) -> str:
    """Return an HL7 TS to the second, with its zone: so many days after the instant (now)."""
    return ((instant or datetime.now(UTC)) + timedelta(days=days)).strftime("%Y%m%d%H%M%S%z")


def moment() -> str:
    """Return the present instant as an HL7 TS with its fraction of a second: later than whatever was received before."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%d%H%M%S}.{now.microsecond // 100:04}+0000"


# -- documents


def biology(patient: Patient, where: Establishment = VALMONT, *, replaces: Document | None = None) -> Document:
    """Return a new report of the laboratory."""
    return replace(traffic.document(next(_numbers), patient, where, "biology"), replaces=replaces)


def radiology(patient: Patient, where: Establishment = VALMONT, *, replaces: Document | None = None) -> Document:
    """Return a new radiology report."""
    return replace(traffic.document(next(_numbers), patient, where, "imaging"), replaces=replaces)


def letter(patient: Patient, where: Establishment = AUBIER) -> Document:
    """Return a new discharge letter."""
    return traffic.document(next(_numbers), patient, where, "letter")


# -- messages


def oru(
    *carried: Document,
    act: str = "add",
    raised: Iterable[str] = ("DESTDMP",),
    message_id: str = "",
    source: Source = SIL_V,
    ids: Sequence[str] | None = None,
    charset: str = "UNICODE UTF-8",
    note: str = "",
) -> bytes:
    """Return a report by ORU^R01, as it travels; `ids` goes in the place of PID-3."""
    lines = deposits.oru(message_id or control_id(), carried, act=act, raised=raised, source=source, charset=charset, note=note)
    if ids is not None:
        lines = [with_field(line, 3, "~".join(ids)) if line.startswith("PID|") else line for line in lines]
    return traffic.travelling(lines)


def mdm(
    carried: Document,
    *,
    act: str = "add",
    raised: Iterable[str] = ("DESTDMP",),
    message_id: str = "",
    source: Source = RIS_V,
) -> bytes:
    """Return a report by MDM, as it travels."""
    return traffic.travelling(deposits.mdm(message_id or control_id(), carried, act=act, raised=raised, source=source))


def clinic_letter(patient: Patient) -> bytes:
    """Return a letter of the clinic, by its own system."""
    return mdm(letter(patient), source=DPI_A)


def says(
    patient: Patient,
    position: str | None,
    at: str = "",
    *,
    event: str = "A31",
    source: Source = GAM_V,
    status: str = "VALI",
    ids: Sequence[str] | None = None,
    sent: str = "",
    message_id: str = "",
    consulted: str = "",
) -> bytes:
    """
    Return an ADT.

    Args:
        patient: Who.
        position: ZFA-9; None for no ZFA at all.
        at: ZFA-10; empty for none.
        event: MSH-9.2.
        source: Which admissions system.
        status: PID-32.
        ids: PID-3 instead of IPP and INS.
        sent: MSH-7 and EVN-2; now when empty.
        message_id: MSH-10; one of its own when empty.
        consulted: ZFA-11.
    """
    zfa = None
    if position is not None or consulted:
        zfa = {1: "ACTIF", 2: "20250101", 9: position or "", 11: consulted} | ({10: at} if at else {})
    lines = adt(
        event,
        message_id or control_id(),
        sent or stamp(),
        patient,
        zfa=zfa,
        structure=_STRUCTURES.get(event, ""),
        source=source,
        status=status,
        ids=ids,
        movement=None if event in {"A28", "A31", "A40", "A47"} else {},
    )
    return traffic.travelling(lines)


def with_field(line: str, number: int, value: str) -> str:
    """Return a segment, not MSH, with another value in a field."""
    fields = line.split("|")
    fields[number] = value
    return "|".join(fields)


__all__ = [
    "ADELE",
    "AUBIER",
    "DPI_A",
    "GAM_A",
    "GAM_V",
    "PATIENTS",
    "RIS_V",
    "SIL_V",
    "VALMONT",
    "Document",
    "Patient",
    "biology",
    "clinic_letter",
    "control_id",
    "ins_cx",
    "ipp",
    "letter",
    "local_cx",
    "mdm",
    "moment",
    "opened",
    "oru",
    "radiology",
    "render",
    "says",
    "someone",
    "stamp",
    "with_field",
]

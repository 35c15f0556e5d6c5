"""
ZFA, the DMP status of a patient: what is said about feeding and consulting the record.

Fields 1 to 3 are hearsay of the sender (the store's own state decides), 4 to 8 are obsolete: they are passed over.

Source: PAM.FR 2.11 § 6.14; D-1; O-3, O-9.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.mappers.common.findings import Findings
from gateway.mappers.hl7v2.tokens import Message, Repetition, Segment
from gateway.mappers.hl7v2.values import NULL, part, value, when
from gateway.model.code import Identifier
from gateway.model.event import Position, Right, Scope, Side, StatedBy, Statement
from gateway.model.source import Grant, Source
from gateway.model.when import When

#: Not collected: neither consent nor opposition.
NOT_COLLECTED: Final = "NA"

#: ZFA segments of one message that are read; PAM has one.
MOST: Final = 8

#: Where a CE holds codes: the triplet and the alternate one.
_CODES: Final = (1, 4)


@dataclass(frozen=True, slots=True)
class _Row:
    """One live pair of fields: what is stated, and its date."""

    field: int
    date: int
    right: Right
    positions: Mapping[str, Position]


ROWS: Final = (
    _Row(9, 10, Right.FEEDING, {"IO": Position.OPPOSES, "INO": Position.ALLOWS}),
    _Row(11, 12, Right.CONSULTATION, {"INC": Position.OPPOSES, "IC": Position.ALLOWS}),
)

#: What a source needs to say it.
GRANTS: Final[Mapping[Position, Grant]] = {
    Position.OPPOSES: Grant.STATE_OPPOSITION,
    Position.ALLOWS: Grant.LIFT_OPPOSITION,
}


def read(
    message: Message, source: Source, bound: str, visit: Callable[[], Identifier | None], findings: Findings
) -> tuple[Statement, ...]:
    """
    Read the statements of an ADT.

    Args:
        message: Any ADT.
        source: Who sends: the statements are of its establishment's side and bind its establishment only.
        bound: Key of what they bind: the establishment, or the source's site (O-10).
        visit: Gives the visit that a consultation is about.
        findings: Takes ZFA_NOT_ALLOWED as an error for the feeding (nothing is applied then) and as a warning for the
            consultation (which is left out); ZFA_NULL, ZFA_VALUE (a person decides on both), DATE_INVALID and CARDINALITY as
            warnings.

    Returns:
        At most one statement per right and ZFA; NA and absent fields give none.
    """
    statements: list[Statement] = []
    every = message.all("ZFA")
    segments = _first(every)
    for extra in every[1:MOST]:
        findings.warn("CARDINALITY", extra.whole, "several ZFA: each was read")
    if len(every) > MOST:
        findings.warn("CARDINALITY", every[MOST].whole, f"{len(every)} ZFA: {MOST} were read, what opposes first")
    for zfa in segments:
        for row in ROWS:
            position = _position(zfa, row, findings)
            if position is None:
                continue
            if GRANTS[position] not in source.grants:
                note = findings.add if row.right is Right.FEEDING else findings.warn
                note("ZFA_NOT_ALLOWED", zfa.place(row.field), f"ZFA-{row.field}: {GRANTS[position].value}")
                continue
            consulted = row.right is Right.CONSULTATION
            statement = _statement(zfa, row, position, source.establishment, source.establishment if consulted else bound)
            about = visit() if consulted else None
            collected_at, basis = _collected(message, zfa, row.date, findings)
            statements.append(msgspec.structs.replace(statement, visit=about, collected_at=collected_at, basis=basis))
    return tuple(statements) if len(every) <= MOST else _most_protective(statements)


def _first(every: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """Return the segments that are read, in message order; of too many those that oppose come before the others."""
    if len(every) <= MOST:
        return every
    unheard = Findings()
    by_need = sorted(every, key=lambda zfa: Position.OPPOSES not in {_position(zfa, row, unheard) for row in ROWS})
    return tuple(sorted(by_need[:MOST], key=lambda zfa: zfa.index))


def _most_protective(statements: list[Statement]) -> tuple[Statement, ...]:
    """Drop what allows a right that another statement of the message opposes: where not all was read, nothing is lifted."""
    opposed = {statement.right for statement in statements if statement.position is Position.OPPOSES}
    return tuple(one for one in statements if one.position is Position.OPPOSES or one.right not in opposed)


def _position(zfa: Segment, row: _Row, findings: Findings) -> Position | None:
    """
    Return what a field states: of all its repetitions and triplets what protects most.

    A repetition that holds no code of the table is noted, and then nothing is lifted: it may be an opposition. A code of the
    sender's own beside one of the table says nothing.
    """
    stated: set[Position] = set()
    unknown = erased = False
    for repetition in zfa.field(row.field).repetitions:
        written = {code.upper() for number in _CODES if (code := part(repetition, number)) is not None}
        known = {row.positions[code] for code in written if code in row.positions}
        stated |= known
        if known or NOT_COLLECTED in written:
            continue
        if written or _holds_text(repetition):
            unknown = True
        elif repetition.text.strip() == NULL:
            erased = True
    if erased:
        findings.warn("ZFA_NULL", zfa.place(row.field), f"ZFA-{row.field}")
    if unknown:
        findings.warn("ZFA_VALUE", zfa.place(row.field), f"ZFA-{row.field}")
    if Position.OPPOSES in stated:
        return Position.OPPOSES
    return Position.ALLOWS if stated and not (unknown or erased) else None


def _holds_text(repetition: Repetition) -> bool:
    return any(part(repetition, number) is not None for number in range(1, len(repetition.components) + 1))


def _statement(zfa: Segment, row: _Row, position: Position, establishment: str, bound: str) -> Statement:
    return Statement(
        right=row.right,
        position=position,
        side=Side.ESTABLISHMENT,
        collected_by=establishment,
        scope=Scope.ESTABLISHMENT,
        scope_value=bound,
        stated_by=StatedBy.ESTABLISHMENT,
        place=zfa.place(row.field),
    )


def _collected(message: Message, zfa: Segment, date: int, findings: Findings) -> tuple[When | None, str]:
    """Return the date of a statement and where it comes from: its own field, else EVN-2, else MSH-7 (O-3)."""
    for segment, field in ((zfa, date), (message.first("EVN"), 2), (message.header, 7)):
        if segment is None:
            continue
        name = f"{segment.name}-{field}"
        try:
            found = when(value(segment, field))
        except ValueError:
            findings.warn("DATE_INVALID", segment.place(field), name)
            continue
        if found is not None:
            return found, name
    return None, ""

"""
An ER7 message cut at its declared separators, every piece with its byte span.

Nothing is lost, and nothing is decoded before it is asked for. Lines end with CR, LF or CRLF and with nothing else; separators
are those of MSH-1 and MSH-2. Fields are cut when the message is read, deeper pieces when they are asked for, so that a large
document is passed over and not walked through.

Source: HL7 v2.5 chapter 2; docs/decisions.md, D-11.
"""

import re
from collections.abc import Mapping
from typing import Final, NoReturn, Self

import msgspec

from gateway.mappers.hl7v2.dialect import DEFAULT_LIMITS, Dialect, Limits, read_dialect
from gateway.mappers.hl7v2.lines import cut, first_line, lines_of
from gateway.mappers.hl7v2.pieces import nth, part, pieces
from gateway.model.place import Place, er7_path
from gateway.model.problem import Problem, Unreadable

#: Headers and trailers of batches and files: each message travels in a frame of its own.
_BATCH: Final = frozenset({"FHS", "BHS", "BTS", "FTS"})

_NAME: Final = re.compile(rb"[A-Z][A-Z0-9]{2}")
_NULL: Final = b'""'


class _Piece(msgspec.Struct, frozen=True, eq=False):
    """What every part of a segment can say of itself."""

    segment: "Segment"
    #: Field, then repetition, component, sub-component as far as they go, from 1.
    at: tuple[int, ...]
    #: The bytes as received.
    raw: bytes
    #: First byte in the payload.
    start: int

    def __repr__(self) -> str:
        """Return the path only: a value never reaches a log this way."""
        return f"<{type(self).__name__} {er7_path(self.segment.name, self.segment.occurrence, *self.at)}>"

    @property
    def end(self) -> int:
        """One past the last byte in the payload."""
        return self.start + len(self.raw)

    @property
    def is_empty(self) -> bool:
        """Nothing was written: no information (`""` is not empty, it deletes)."""
        return not self.raw

    @property
    def is_null(self) -> bool:
        """Exactly two double quotes were written: delete the value."""
        return self.raw == _NULL

    @property
    def place(self) -> Place:
        """Path and byte span."""
        path = er7_path(self.segment.name, self.segment.occurrence, *self.at)
        return Place(path=path, start=self.start, end=self.end)


class Component(_Piece, frozen=True, eq=False):
    """A component or a sub-component: what holds a value."""

    @property
    def text(self) -> str:
        """
        The bytes decoded, then unescaped once; of a component with sub-components all of it, separators included.

        Raises:
            Unreadable: UNSTORABLE_TEXT, CHARSET_INVALID.
        """
        return _text(self.segment, self.raw, self.at)

    @property
    def subcomponents(self) -> "tuple[Component, ...]":
        """All sub-components, at least one; of a sub-component, itself."""
        if len(self.at) > 3 or self.segment.is_whole(self.at[0]):
            return (self,)
        separator = self.segment.dialect.subcomponent
        return tuple(
            Component(self.segment, (*self.at, number), raw, start)
            for number, raw, start in pieces(self.raw, separator, self.start)
        )

    def subcomponent(self, number: int) -> "Component":
        """Return the sub-component of that number (from 1); an absent one is empty, at the end of this one."""
        at = (*self.at[:3], number)
        separator = b"" if self.segment.is_whole(self.at[0]) or len(self.at) > 3 else self.segment.dialect.subcomponent
        return Component(self.segment, at, *nth(self.raw, separator, number, self.start))


class Repetition(_Piece, frozen=True, eq=False):
    """One repetition of a field."""

    @property
    def text(self) -> str:
        """The text of component 1."""
        return self.component(1).text

    @property
    def components(self) -> tuple[Component, ...]:
        """All components, at least one."""
        separator = b"" if self.segment.is_whole(self.at[0]) else self.segment.dialect.component
        return tuple(
            Component(self.segment, (*self.at, number), raw, start)
            for number, raw, start in pieces(self.raw, separator, self.start)
        )

    def value(self, component: int, subcomponent: int = 1) -> str:
        """Return a value decoded and unescaped, as `Segment.value` does; empty if it is absent."""
        dialect = self.segment.dialect
        if self.segment.is_whole(self.at[0]):
            return self.component(component).subcomponent(subcomponent).text
        raw = part(self.raw, dialect.component, component)
        raw = raw and part(raw, dialect.subcomponent, subcomponent)
        return _text(self.segment, raw, (*self.at, component, subcomponent)) if raw else ""

    def component(self, number: int) -> Component:
        """Return the component of that number (from 1); an absent one is empty, at the end of the repetition."""
        separator = b"" if self.segment.is_whole(self.at[0]) else self.segment.dialect.component
        return Component(self.segment, (*self.at, number), *nth(self.raw, separator, number, self.start))


class Field(_Piece, frozen=True, eq=False):
    """A field of a segment, written or not."""

    @property
    def text(self) -> str:
        """The text of component 1 of repetition 1."""
        return self.repetition(1).text

    @property
    def repetitions(self) -> tuple[Repetition, ...]:
        """All repetitions, at least one; empty ones are kept."""
        separator = b"" if self.segment.is_whole(self.at[0]) else self.segment.dialect.repetition
        return tuple(
            Repetition(self.segment, (*self.at, number), raw, start)
            for number, raw, start in pieces(self.raw, separator, self.start)
        )

    def repetition(self, number: int) -> Repetition:
        """Return the repetition of that number (from 1); an absent one is empty, at the end of the field."""
        separator = b"" if self.segment.is_whole(self.at[0]) else self.segment.dialect.repetition
        return Repetition(self.segment, (*self.at, number), *nth(self.raw, separator, number, self.start))

    def component(self, number: int) -> Component:
        """Return that component of repetition 1."""
        return self.repetition(1).component(number)


class Segment(msgspec.Struct, frozen=True, eq=False):
    """One segment: a name and its fields."""

    name: str
    #: Among the segments of that name, from 1.
    occurrence: int
    #: Among all segments, from 0.
    index: int
    start: int
    end: int
    #: The line cut at the field separator; `cells[0]` is the name.
    cells: tuple[bytes, ...]
    dialect: Dialect

    def __repr__(self) -> str:
        """Return the path only."""
        return f"<Segment {self.name}[{self.occurrence}]>"

    @property
    def raw(self) -> bytes:
        """The line as received, without its end."""
        return self.dialect.field.join(self.cells)

    @property
    def last(self) -> int:
        """Number of the last field that is written (possibly empty); 0 for a bare name."""
        return len(self.cells) - 1 + (self.name == "MSH")

    @property
    def fields(self) -> tuple[Field, ...]:
        """Every field that is written, in order; of MSH from MSH-1, the separator itself."""
        return tuple(self.field(number) for number in range(1, self.last + 1))

    def is_whole(self, number: int) -> bool:
        """Tell whether the field is never cut: MSH-1 and MSH-2 hold the separators themselves."""
        return number <= 2 and self.name == "MSH"

    def field(self, number: int) -> Field:
        """
        Return a field.

        Args:
            number: From 1, as HL7 counts: MSH-1 is the separator, MSH-2 the other ones.

        Returns:
            The field; an absent one is empty, with a span of no width at the end of the segment.
        """
        start, width = self._span(number)
        if self.name == "MSH":
            return Field(self, (number,), self.dialect.field if number == 1 else self.cells[number - 1] if width else b"", start)
        return Field(self, (number,), self.cells[number] if width else b"", start)

    def _span(self, number: int) -> tuple[int, int]:
        """Return where a field begins, and its bytes; an absent one has none, at the end of the segment."""
        if number < 1:
            raise IndexError("fields count from 1")
        cell = number
        if self.name == "MSH":
            if number == 1:
                return self.start + 3, len(self.dialect.field)
            cell -= 1
        if cell >= len(self.cells):
            return self.end, 0
        return self.start + sum(map(len, self.cells[:cell])) + cell * len(self.dialect.field), len(self.cells[cell])

    def value(self, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
        """
        Return a value decoded and unescaped: one sub-component, by default the first of all.

        Returns:
            The text; empty if it is absent.

        Raises:
            Unreadable: UNSTORABLE_TEXT, CHARSET_INVALID.
        """
        cell = field
        if self.name == "MSH" and field > 0:
            if field <= 2:
                return self.field(field).text if component == subcomponent == repetition == 1 else ""
            cell -= 1
        if not 0 < cell < len(self.cells):
            return ""
        raw = self.cells[cell]
        if not raw:
            return ""
        dialect = self.dialect
        raw = part(raw, dialect.repetition, repetition)
        raw = raw and part(raw, dialect.component, component)
        raw = raw and part(raw, dialect.subcomponent, subcomponent)
        return _text(self, raw, (field, repetition, component, subcomponent)) if raw else ""

    def place(
        self, field: int, repetition: int | None = None, component: int | None = None, subcomponent: int | None = None
    ) -> Place:
        """Return path and span of a field or of a part of it, written or not; ``None`` ends the path."""
        if repetition is None:
            start, width = self._span(field)
            return Place(path=er7_path(self.name, self.occurrence, field), start=start, end=start + width)
        repeated = self.field(field).repetition(repetition)
        if component is None:
            return repeated.place
        part = repeated.component(component)
        return part.place if subcomponent is None else part.subcomponent(subcomponent).place

    @property
    def whole(self) -> Place:
        """Path and span of the segment itself."""
        return Place(path=er7_path(self.name, self.occurrence), start=self.start, end=self.end)


class Message(msgspec.Struct, frozen=True, eq=False):
    """A message as received, cut into segments."""

    payload: bytes
    dialect: Dialect
    segments: tuple[Segment, ...]
    by_name: Mapping[str, tuple[Segment, ...]]

    def __repr__(self) -> str:
        """Return sizes only."""
        return f"<Message of {len(self.payload)} bytes, {len(self.segments)} segments>"

    @property
    def header(self) -> Segment:
        """The MSH segment."""
        return self.segments[0]

    def all(self, name: str) -> tuple[Segment, ...]:
        """Return the segments of that name, in order."""
        return self.by_name.get(name, ())

    def first(self, name: str) -> Segment | None:
        """Return the first segment of that name."""
        found = self.by_name.get(name)
        return found[0] if found else None

    @classmethod
    def read(cls, payload: bytes, codec: str, limits: Limits = DEFAULT_LIMITS) -> Self:
        """
        Cut a message.

        Args:
            payload: One message without MLLP framing: CR, LF or CRLF ends, a UTF-8 BOM and blank lines are allowed.
            codec: Name of the Python codec that the values are in (`charset.decode` finds it).
            limits: How much of each kind is taken.

        Returns:
            The message; joined with what stands between them, its segments are the payload again.

        Raises:
            Unreadable: MSH_ABSENT, SEPARATORS_INVALID, SEGMENT_INVALID, MESSAGES_SEVERAL or CARDINALITY.
        """
        first, msh = first_line(payload)
        if not msh.startswith(b"MSH"):
            name = msh[:3].decode("ascii", "replace")
            if name in _BATCH:
                _refuse("MESSAGES_SEVERAL", Place(path=er7_path(name, 1), start=first, end=first + 3))
            raise Unreadable(Problem(code="MSH_ABSENT"))
        dialect = read_dialect(msh, first, codec)
        _check_size(payload, dialect, first, limits)
        segments: list[Segment] = []
        named: dict[str, list[Segment]] = {}
        separator, most_fields, most_segments = dialect.field, limits.fields, limits.segments
        for start, line in lines_of(payload):
            cells = tuple(cut(line, separator, most_fields + 1))
            if len(cells[0]) != 3 or _NAME.fullmatch(cells[0]) is None:
                previous = segments[-1]
                place = Place(path=er7_path(previous.name, previous.occurrence), start=start, end=start + len(line))
                _refuse("SEGMENT_INVALID", place, "a line after this segment")
            name = cells[0].decode("ascii")
            same = named.setdefault(name, [])
            segment = Segment(name, len(same) + 1, len(segments), start, start + len(line), cells, dialect)
            if segment.last > most_fields:
                _refuse("CARDINALITY", segment.whole, f"more than {most_fields} fields")
            if len(segments) == most_segments:
                _refuse("CARDINALITY", segment.whole, f"more than {most_segments} segments")
            if name in _BATCH or (name == "MSH" and same):
                _refuse("MESSAGES_SEVERAL", segment.whole)
            if len(line) > limits.smallest:
                _check_pieces(segment, limits)
            same.append(segment)
            segments.append(segment)
        return cls(payload, dialect, tuple(segments), {name: tuple(same) for name, same in named.items()})


def _check_size(payload: bytes, dialect: Dialect, first: int, limits: Limits) -> None:
    """Refuse more pieces than can be held, before any is cut."""
    separators = (dialect.field, dialect.repetition, dialect.component, dialect.subcomponent)
    if len(payload) > limits.pieces and sum(map(payload.count, separators)) > limits.pieces:
        place = Place(path=er7_path("MSH", 1), start=first, end=first + 3)
        _refuse("CARDINALITY", place, f"more than {limits.pieces} separators in the message")


def _check_pieces(segment: Segment, limits: Limits) -> None:
    """Refuse too many repetitions, components or sub-components; only what is long enough to hold them is looked at."""
    dialect = segment.dialect
    for field in segment.fields[2 if segment.name == "MSH" else 0 :]:
        if _holds(field, dialect.repetition, limits.repetitions):
            _refuse("CARDINALITY", field.place, f"more than {limits.repetitions} repetitions")
        if _holds(field, dialect.component, limits.components):
            for repetition in field.repetitions:
                if _holds(repetition, dialect.component, limits.components):
                    _refuse("CARDINALITY", repetition.place, f"more than {limits.components} components")
        if _holds(field, dialect.subcomponent, limits.subcomponents):
            for component in (part for repetition in field.repetitions for part in repetition.components):
                if _holds(component, dialect.subcomponent, limits.subcomponents):
                    _refuse("CARDINALITY", component.place, f"more than {limits.subcomponents} sub-components")


def _holds(piece: _Piece, separator: bytes, most: int) -> bool:
    """Tell whether the piece has more than `most` parts."""
    return len(piece.raw) >= most and separator in piece.raw and len(cut(piece.raw, separator, most)) > most


def _text(segment: Segment, raw: bytes, at: tuple[int, ...]) -> str:
    dialect = segment.dialect
    if at[0] <= 2 and segment.is_whole(at[0]):
        return raw.decode(dialect.codec)
    if len(raw) > DEFAULT_LIMITS.value_bytes:
        _refuse("FIELD_INVALID", segment.place(*at), f"longer than {DEFAULT_LIMITS.value_bytes} bytes")
    try:
        text = raw.decode(dialect.codec) if dialect.escape not in raw else dialect.text(raw)
    except UnicodeDecodeError:
        text = None
    if text is None:
        _refuse("CHARSET_INVALID", segment.place(*at))
    if "\0" in text:
        _refuse("UNSTORABLE_TEXT", segment.place(*at))
    return text


def _refuse(code: str, place: Place, detail: str = "") -> NoReturn:
    raise Unreadable(Problem(code=code, place=place, detail=detail))

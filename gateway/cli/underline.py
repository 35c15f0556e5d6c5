"""The place of a problem, underlined in the message it was found in: two lines for a person."""

from typing import Final

import msgspec
from rich.cells import cell_len

from gateway.cli.printable import printable
from gateway.mappers.hl7v2.charset import CHARSETS, known
from gateway.mappers.hl7v2.dialect import Dialect, read_dialect
from gateway.mappers.hl7v2.lines import cut, lines_of
from gateway.model.problem import Unreadable

#: Characters of a line, at most and at least.
WIDEST: Final = 136
_NARROWEST: Final = 51

#: Characters of a value beside the place before it is shortened.
_BESIDE: Final = 24

_ELLIPSIS: Final = "…"
_DEFAULT: Final = Dialect(field=b"|", component=b"^", repetition=b"~", escape=b"\\", subcomponent=b"&", codec="utf-8")


class _Drawn(msgspec.Struct, frozen=True):
    """A text and the part of it that is meant."""

    text: str
    start: int
    end: int
    #: What was looked for is not written.
    absent: bool = False


class _Room(msgspec.Struct, frozen=True):
    """How a line shares its characters: before the place, the place, after it."""

    left: int
    at: int
    right: int


def underline(payload: bytes, erl: tuple[str, ...], width: int = WIDEST) -> tuple[str, str] | None:
    """
    Show where ERR-2 points.

    Values beside the place are shortened, so that the place stays in sight; control characters are shown as dots.

    Args:
        payload: The message as it was sent, without MLLP framing; it need not be readable as a whole.
        erl: The components of ERR-2: segment, sequence, field, repetition, component, sub-component, as far as they go;
            an empty sequence, repetition or component means the first.
        width: Characters that the line of the segment may have.

    Returns:
        The line of the segment and the line of carets under it; under what is absent, one caret and a word. None if `erl`
        names no segment.

    Source: HL7 v2.5, ERR-2 (ERL).
    """
    if not erl or not erl[0].strip():
        return None
    name, numbers = erl[0].strip(), _numbers(erl[1:])
    seventeenth = min(max(width, _NARROWEST), WIDEST) // 17
    room = _Room(left=7 * seventeenth, at=6 * seventeenth, right=4 * seventeenth)
    lines = [line for _, line in lines_of(payload)]
    same = [line for line in lines if line[:3] == name.encode("ascii", "replace")]
    sequence = numbers[0] if numbers else 1
    if sequence > len(same):
        return _missing(printable(name), sequence, len(same))
    line, at = same[sequence - 1], numbers[1:]
    dialect = _dialect(next((each for each in lines if each.startswith(b"MSH")), b""))
    if not at:
        drawn = _Drawn(_short(_text(line, dialect), room.left + room.right), 0, len(name))
        return _under(drawn, "")
    if name == "MSH":
        drawn = _draw_header(line, at, dialect, room.at)
    else:
        drawn = _draw(line, (at[0] + 1, *at[1:]), _levels(dialect), dialect, room.at)
    word = ""
    if drawn.start == drawn.end:
        word = f"{path(erl)} is {'absent' if drawn.absent else 'empty'}"
    return _under(_window(drawn, name, room), word)


def path(erl: tuple[str, ...]) -> str:
    """
    Return ERR-2 as people write it.

    Returns:
        ``PID-3[2].1``, ``OBX[4]-5``, ``MSH``: segment, its occurrence unless it is the first, field, repetition unless it is the
        first, component, sub-component. Empty if `erl` is.
    """
    if not erl:
        return ""
    numbers = _numbers(erl[1:])
    sequence, field, repetition, component, subcomponent = (*numbers, *(0,) * (5 - len(numbers)))
    said = printable(erl[0].strip()) + (f"[{sequence}]" if sequence > 1 else "")
    if field:
        said += f"-{field}" + (f"[{repetition}]" if repetition > 1 else "")
    if component:
        said += f".{component}"
    return said + (f".{subcomponent}" if subcomponent else "")


def header_cells(payload: bytes) -> tuple[bytes, list[bytes]]:
    """Return the field separator and the fields of the MSH line (the first is `MSH`); none if there is no such line."""
    line = next((line for _, line in lines_of(payload) if line.startswith(b"MSH")), b"")
    separator = line[3:4]
    return separator, line.split(separator) if separator else []


def _numbers(parts: tuple[str, ...]) -> tuple[int, ...]:
    """Return the counts of an ERL up to the last one that is written, at most five; what is no count is the first."""
    written = [part.strip() for part in parts[:5]]
    while written and not written[-1]:
        written.pop()
    return tuple(max(1, int(part)) if part.isascii() and part.isdigit() and len(part) < 7 else 1 for part in written)


def _dialect(header: bytes) -> Dialect:
    """Return the separators and the codec of the header, or the usual ones where it has none that can be used."""
    separator, cells = header_cells(header)
    declared = cells[17].split(b"~")[0].decode("ascii", "replace") if separator and len(cells) > 17 else ""
    name = known(declared)
    codec = CHARSETS[name] if name else "utf-8"
    try:
        return read_dialect(header, 0, codec) if header else _DEFAULT
    except Unreadable:
        return msgspec.structs.replace(_DEFAULT, codec=codec, field=separator or b"|")


def _levels(dialect: Dialect) -> tuple[bytes, ...]:
    return (dialect.field, dialect.repetition, dialect.component, dialect.subcomponent)


def _draw_header(line: bytes, at: tuple[int, ...], dialect: Dialect, most: int) -> _Drawn:
    """Draw MSH, whose first field is the separator and whose second one is never cut."""
    if at[0] > 1:
        return _draw(line, at if at[0] > 2 else at[:1], _levels(dialect), dialect, most)
    drawn = _draw(line, (2,), _levels(dialect), dialect, most)
    return _Drawn(drawn.text, 3, 4)


def _draw(raw: bytes, at: tuple[int, ...], levels: tuple[bytes, ...], dialect: Dialect, most: int) -> _Drawn:
    """Draw a piece cut at the first of the separators, the part that `at` leads to marked, the others shortened."""
    if not at or not levels:
        text = _short(_text(raw, dialect), most)
        return _Drawn(text, 0, len(text))
    parts = cut(raw, levels[0])
    between = levels[0].decode(dialect.codec, "replace")
    text, marked = "", None
    for number, part in enumerate(parts, 1):
        text += between if number > 1 else ""
        if number == at[0]:
            inner = _draw(part, at[1:], levels[1:], dialect, most)
            marked = (len(text) + inner.start, len(text) + inner.end, inner.absent)
            text += inner.text
        else:
            text += _short(_text(part, dialect), _BESIDE)
    start, end, absent = marked or (len(text), len(text), True)
    return _Drawn(text, start, end, absent)


def _text(raw: bytes, dialect: Dialect) -> str:
    # A document of megabytes is not decoded for the few characters of it that are shown.
    if len(raw) > 4096:
        raw = raw[:2048] + raw[-2048:]
    return printable(raw.decode(dialect.codec, "replace"))


def _short(text: str, most: int) -> str:
    """Return the text, or its beginning and its end."""
    if len(text) <= most:
        return text
    tail = most // 4
    return text[: most - tail - 1] + _ELLIPSIS + text[-tail:]


def _window(drawn: _Drawn, name: str, room: _Room) -> _Drawn:
    """Cut the line around the place; the name of the segment stays."""
    text, start, end = drawn.text, drawn.start, drawn.end
    if len(text) - end > room.right:
        text = text[: end + room.right - 1].rstrip(_ELLIPSIS) + _ELLIPSIS
    if start > room.left:
        kept = name + text[len(name)] + _ELLIPSIS
        gone = start - (room.left - len(kept))
        text, start, end = kept + text[gone:], start - gone + len(kept), end - gone + len(kept)
    return _Drawn(text, start, end, drawn.absent)


def _under(drawn: _Drawn, word: str) -> tuple[str, str]:
    carets = "^" * max(1, cell_len(drawn.text[drawn.start : drawn.end]))
    return drawn.text, " " * cell_len(drawn.text[: drawn.start]) + carets + (f" {word}" if word else "")


def _missing(name: str, sequence: int, found: int) -> tuple[str, str]:
    said = "the message has no such segment" if not found else f"the message has {found} of them, not {sequence}"
    return f"{name} … {said}", "^" * max(1, cell_len(name))

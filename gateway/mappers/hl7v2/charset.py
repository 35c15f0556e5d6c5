"""What MSH-18 means, and whether the bytes keep to it."""

import itertools
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NoReturn

import msgspec

from gateway.mappers.hl7v2.lines import BOM, lines_of
from gateway.model.place import Place, er7_path
from gateway.model.problem import Problem, Severity, Unreadable

UTF8: Final = "UNICODE UTF-8"
LATIN9: Final = "8859/15"
ASCII: Final = "ASCII"

#: HL7 table 0211 as far as it is handled → Python codec. Source: PAM p.33; HL7 v2.5 chapter 2.
CHARSETS: Final[Mapping[str, str]] = MappingProxyType(
    {UTF8: "utf-8", LATIN9: "iso8859-15", "8859/1": "iso8859-1", ASCII: "ascii"},
)

#: Control characters of ISO 8859 that no French text holds: there, it is cp1252 under a wrong name.
_CONTROLS: Final = bytes(range(0x80, 0xA0))
_CONTROL: Final = re.compile(rb"[\x80-\x9f]")
#: As many lines are counted to name the place of a byte: a message has no more segments.
_MOST_LINES: Final = 20_000
_NAME: Final = re.compile(rb"[A-Z][A-Z0-9]{2}")


class Decoded(msgspec.Struct, frozen=True):
    """How to decode a message; its bytes have been found to keep to it."""

    #: Name in HL7 table 0211.
    charset: str
    #: Name of the Python codec.
    codec: str
    #: MSH-18 was empty and no default was configured.
    assumed: bool = False
    #: CHARSET_ASSUMED, where it was and it matters.
    problems: tuple[Problem, ...] = ()


def known(declared: str) -> str | None:
    """Return the name of table 0211 that was meant (case and blanks around it do not count), or None."""
    name = declared.strip().upper()
    return name if name in CHARSETS else None


def decode(
    payload: bytes, declared: str | None, default: str | None = None, place: Place | None = None, *, forced: bool = False
) -> Decoded:
    """
    Decide the character set of a message and check every byte against it.

    Args:
        payload: The message without MLLP framing.
        declared: First repetition of MSH-18.
        default: What the source is configured to mean by an empty MSH-18 (table 0211).
        place: Place of MSH-18.
        forced: Whether `default` counts whatever is declared (`sources.charset_forced`).

    Returns:
        The character set; where it is forced and another one is declared, with the warning CHARSET_FORCED. Without a declaration
        or a default: UTF-8 after a byte-order mark; else UTF-8 if the bytes allow it, or ISO 8859-15, with the warning
        CHARSET_ASSUMED unless all is ASCII.

    Raises:
        Unreadable: CHARSET_UNKNOWN, or CHARSET_INVALID with the place of the first byte that does not belong.
        ValueError: `default` is not one of `CHARSETS`.

    Source: HL7 v2.5 MSH-18; PAM p.33–34; HL7 v2.5 chapter 2.
    """
    where = place or Place(path=er7_path("MSH", 1, 18))
    if forced and default:
        return _forced(payload, declared or "", default, where)
    if declared and declared.strip():
        name = known(declared)
        if name is None:
            raise Unreadable(Problem(code="CHARSET_UNKNOWN", place=where))
        return _checked(payload, name)
    if default:
        return _checked(payload, _handled(default))
    if payload.startswith(BOM):
        return _checked(payload, UTF8)
    if payload.isascii():
        return Decoded(UTF8, CHARSETS[UTF8], assumed=True)
    name = UTF8 if _wrong(payload, UTF8) is None else LATIN9
    found = _checked(payload, name)
    warning = Problem(code="CHARSET_ASSUMED", severity=Severity.WARNING, place=where, detail=f"read as {name}")
    return Decoded(found.charset, found.codec, assumed=True, problems=(warning,))


def _forced(payload: bytes, declared: str, default: str, where: Place) -> Decoded:
    """Return the character set that a source is read by whatever it declares; another declaration is warned of."""
    name = _handled(default)
    found = _checked(payload, name)
    if not declared.strip() or known(declared) == name:
        return found
    warning = Problem(code="CHARSET_FORCED", severity=Severity.WARNING, place=where, detail=f"read as {name}")
    return Decoded(found.charset, found.codec, problems=(warning,))


def _handled(default: str) -> str:
    name = known(default)
    if name is None:
        raise ValueError("the default charset is not one of HL7 table 0211 that is handled")
    return name


def _checked(payload: bytes, name: str) -> Decoded:
    wrong = _wrong(payload, name)
    if wrong is not None:
        _refuse(payload, wrong)
    return Decoded(name, CHARSETS[name])


def _wrong(payload: bytes, name: str) -> int | None:
    """Return the offset of the first byte that the character set does not have, or None; a byte-order mark is none of them."""
    if payload.isascii():
        return None
    if payload.startswith(BOM):
        wrong = _wrong(payload[len(BOM) :], name)
        return None if wrong is None else wrong + len(BOM)
    codec = CHARSETS[name]
    if codec.startswith("iso8859"):
        if len(payload.translate(None, _CONTROLS)) == len(payload):
            return None
        found = _CONTROL.search(payload)
        return found.start() if found else None
    try:
        payload.decode(codec)
    except UnicodeDecodeError as error:
        return error.start
    return None


def _refuse(payload: bytes, offset: int) -> NoReturn:
    place = place_of(payload, offset)
    raise Unreadable(Problem(code="CHARSET_INVALID", place=place, detail=f"byte {payload[offset]:02X} at offset {offset}"))


def place_of(payload: bytes, offset: int) -> Place:
    """
    Return the place of a byte, to the field, in a message that cannot be read yet.

    Args:
        payload: The message; its field separator is taken to be the byte after ``MSH``.
        offset: Of the byte, from 0.

    Returns:
        Segment and field; the segment before it if the byte stands in a line that is none; the last segment that was looked at
        if more than `_MOST_LINES` lines come before.
    """
    path = er7_path("MSH", 1)
    separator = b""
    counts: dict[bytes, int] = {}
    for start, line in itertools.islice(lines_of(payload), _MOST_LINES):
        if start > offset:
            break
        separator = separator or line[3:4] or b"|"
        name = line[:3]
        if _NAME.fullmatch(name) is None or (line[3:4] not in {b"", separator}):
            continue
        counts[name] = counts.get(name, 0) + 1
        field = line[: offset - start].count(separator) + (name == b"MSH") if offset < start + len(line) else 0
        path = er7_path(name.decode("ascii"), counts[name], field or None)
    return Place(path=path, start=offset, end=offset + 1)

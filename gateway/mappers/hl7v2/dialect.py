"""The separators that a message declares, its codec, and its escapes."""

import functools
import re
from typing import Final

import msgspec

from gateway.model.place import Place, er7_path
from gateway.model.problem import Problem, Unreadable

_LINES: Final = re.compile(rb"\.(?:br|ce|sp *\+? *(\d{0,2}))")

_ESCAPED: Final = {
    **{code: f"\\X{code:02X}\\" for code in (*range(0x20), 0x7F)},
    **{ord(character): f"\\{name}\\" for character, name in zip("|^&~\\", "FSTRE", strict=True)},
}

#: MSH-2 with five characters of at most four bytes.
_LONGEST: Final = 20


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of each kind one message may hold; beyond it is refused (CARDINALITY)."""

    segments: int = 20_000
    #: Per segment.
    fields: int = 1_000
    #: Per field.
    repetitions: int = 10_000
    #: Per repetition.
    components: int = 1_000
    #: Per component.
    subcomponents: int = 1_000
    #: Separators of every kind in the whole message: each is a piece to be held.
    pieces: int = 500_000
    #: Bytes of a value that is decoded; documents are taken as bytes and are no such value.
    value_bytes: int = 64 * 1024

    @property
    def smallest(self) -> int:
        """A line shorter than this holds too much of nothing."""
        return min(self.repetitions, self.components, self.subcomponents)


DEFAULT_LIMITS: Final = Limits()


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """Separators as bytes of the message (one character may be several bytes), and what values are decoded with."""

    field: bytes
    component: bytes
    repetition: bytes
    escape: bytes
    subcomponent: bytes
    #: Truncation character, version 2.7 and later.
    truncation: bytes | None = None
    codec: str

    def text(self, raw: bytes) -> str:
        r"""
        Return a value decoded and unescaped.

        Separators come back as themselves, ``\.br\`` and the like as line feeds, highlighting as nothing, hexadecimal bytes in
        the codec of the message. What is not known, or would not decode, stays as written.

        Args:
            raw: The bytes of one value, already cut at the separators: unescaping comes last, and once.

        Raises:
            UnicodeDecodeError: bytes that the codec does not have.
        """
        if self.escape not in raw:
            return raw.decode(self.codec)
        return self._unescaped(raw).decode(self.codec)

    def _unescaped(self, raw: bytes) -> bytes:
        return _escapes(self.escape).sub(self._meant, raw)

    def _meant(self, found: re.Match[bytes]) -> bytes:
        """Return what one escape stands for, or hexadecimal ones side by side: a character may be cut into several."""
        name = found["name"]
        if name is not None:
            return self._escaped(name) if name else found[0]
        written = found[0]
        bare = written.replace(self.escape, b"").replace(b"X", b"")
        meant = bytes.fromhex(bare.decode("ascii"))
        try:
            meant.decode(self.codec)
        except UnicodeDecodeError:
            return written
        return meant

    def _escaped(self, name: bytes) -> bytes:
        """Return what one escape other than a hexadecimal one stands for; unknown ones as written."""
        match name:
            case b"F":
                return self.field
            case b"S":
                return self.component
            case b"T":
                return self.subcomponent
            case b"R":
                return self.repetition
            case b"E":
                return self.escape
            case b"P" if self.truncation is not None:
                return self.truncation
            case b"H" | b"N":
                return b""
        if lines := _LINES.fullmatch(name):
            return b"\n" * max(1, int(lines.group(1) or b"1"))
        return self.escape + name + self.escape


@functools.lru_cache(maxsize=64)
def _escapes(escape: bytes) -> re.Pattern[bytes]:
    """Return the pattern of one escape, or of a run of hexadecimal ones; it walks over each byte once."""
    mark = re.escape(escape)
    others = b"[^" + mark + b"]*+" if len(escape) == 1 else b".*?"
    return re.compile(b"(?:%(e)sX(?:[0-9A-Fa-f]{2})++%(e)s)++|%(e)s(?P<name>%(o)s)%(e)s" % {b"e": mark, b"o": others}, re.DOTALL)


def read_dialect(line: bytes, start: int, codec: str) -> Dialect:
    r"""
    Read the separators from the first bytes of the MSH segment.

    Args:
        line: The MSH segment.
        start: Its offset in the payload, for the place of a problem.
        codec: Name of the Python codec of the message: a separator is one character of it, which may be several bytes.

    Returns:
        The dialect of the message.

    Raises:
        Unreadable: SEPARATORS_INVALID: MSH-2 must hold four characters, or five with the truncation character of version 2.7.
            With MSH-1 all must be distinct, printable, neither letters, digits nor blanks. One slip is understood: the escape
            character doubled, as in ``^~\\&``, which comes of copying a source text.

    Source: HL7 v2.5 MSH-1, MSH-2; HL7 v2.7 § 2.5.5.2; docs/decisions.md, D-11.
    """
    first = line[3:7].decode(codec, "replace")[:1]
    field = first.encode(codec, "replace")
    end = line.find(field, 3 + len(field)) if field else -1
    written = line[3 + len(field) : end if end >= 0 else len(line)]
    try:
        others = written.decode(codec) if len(written) <= _LONGEST else ""
    except UnicodeDecodeError:
        others = ""
    if len(others) == 5 and others[2] == others[3]:
        others = others[:3] + others[4]
    every = first + others
    usable = len(every) in {5, 6} and len(set(every)) == len(every) and all(_is_separator(c) for c in every)
    if not usable or not line[3:].startswith(field):
        number, begin, width = (
            (2, start + 3 + len(field), min(len(written), _LONGEST)) if _is_separator(first) else (1, start + 3, 0)
        )
        place = Place(path=er7_path("MSH", 1, number), start=begin, end=begin + width)
        raise Unreadable(Problem(code="SEPARATORS_INVALID", place=place))
    component, repetition, escape, subcomponent, *more = (character.encode(codec) for character in others)
    return Dialect(
        field=field,
        component=component,
        repetition=repetition,
        escape=escape,
        subcomponent=subcomponent,
        truncation=more[0] if more else None,
        codec=codec,
    )


def escaped(text: str) -> str:
    r"""
    Return a text as it stands in a message with the separators ``|^~\&``.

    The separators are escaped, and every control character as ``\Xhh\``: CR and LF would end a segment, VT and FS a frame.
    """
    return text.translate(_ESCAPED)


def _is_separator(character: str) -> bool:
    return character.isprintable() and not character.isalnum() and not character.isspace() and character != "\ufffd"

"""
Base64 in OBX-5.5: decoded tolerantly, and cut out of the payload where it can be put back byte for byte.

The fields are large (up to 20 MB): everything here is done by C functions over the whole of them.

Source: ANS Trans. CDA en HL7v2 2.1, OBX with the document; D-11.
"""

import binascii
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.model.submission import Carrier

_ALPHABET: Final = (string.ascii_letters + string.digits + "+/").encode()
#: Line ends and spaces that senders put into base64.
_BLANK: Final = b"\r\n "
#: What a line end becomes when it is escaped, between two escape characters.
_ESCAPED: Final = (rb"\.br", rb"[Xx]0[Dd]", rb"[Xx]0[Aa]", rb"[Xx]0[Dd]0[Aa]")
_MOST_PADDING: Final = 2


class NotBase64(Exception):
    """The text is not base64; `offset` is its first byte that cannot be."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"not base64 at offset {offset}")
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Decoded:
    """
    The bytes of a field of base64.

    Attributes:
        content: What the text stands for.
        padding: How many `=` ended the text, if it is otherwise the canonical base64 of `content`; None if it is written
            in another way, and so cannot be written again from `content`.
    """

    content: bytes
    padding: int | None


@dataclass(frozen=True, slots=True)
class Carried:
    """A document in the payload: what it decodes to, and the span of its text."""

    decoded: Decoded
    start: int
    end: int


def decode(raw: bytes, escape: bytes = b"\\") -> Decoded:
    """
    Decode base64 as it comes in HL7v2.

    Args:
        raw: The field as received.
        escape: The escape character of the message.

    Returns:
        The content; empty if nothing but blanks and padding was written.

    Raises:
        NotBase64: A byte stands there that is neither of the alphabet nor a line end (plain or escaped) nor a space, padding
            is not at the end or longer than two, or the last group has one character only.
    """
    usual = _usual(raw) if not escape or escape not in raw else None
    if usual is not None:
        return usual
    text = raw
    if escape and escape in text:
        text = _line_ends(escape).sub(b"", text)
    text = text.translate(None, _BLANK)
    bare = text.rstrip(b"=")
    padding = len(text) - len(bare)
    if padding > _MOST_PADDING or len(bare) % 4 == 1 or bare.translate(None, _ALPHABET):
        raise NotBase64(_first_bad(raw, escape))
    content = binascii.a2b_base64(bare + b"=" * (-len(bare) % 4))
    canonical = len(text) == len(raw) and _encode(content) == bare
    return Decoded(content, padding if canonical else None)


def cut(payload: bytes, carried: Sequence[Carried]) -> tuple[tuple[bytes, ...], tuple[Carrier, ...]]:
    """
    Take the documents out of a payload.

    Args:
        payload: The message as received.
        carried: Its documents, in message order, spans apart.

    Returns:
        The parts (the payload without the spans that can be written again, then each document), and a carrier for each span
        that was taken out.
    """
    kept: list[bytes] = []
    carriers: list[Carrier] = []
    at = 0
    for part, one in enumerate(carried, 1):
        if one.decoded.padding is None:
            continue
        kept.append(payload[at : one.start])
        at = one.end
        carriers.append(Carrier(part=part, start=one.start, end=one.end, padding=one.decoded.padding))
    kept.append(payload[at:])
    return (b"".join(kept), *(one.decoded.content for one in carried)), tuple(carriers)


def restore(parts: Sequence[bytes], carriers: Sequence[Carrier]) -> bytes:
    """
    Return the payload exactly as it was received: what `cut` undoes.

    Args:
        parts: As `cut` returned them.
        carriers: As `cut` returned them, in any order.
    """
    rest, taken = parts[0], 0
    pieces: list[bytes] = []
    at = 0
    for carrier in sorted(carriers, key=lambda one: (one.start, one.end, one.part)):
        here = carrier.start - taken
        pieces += [rest[at:here], _encode(parts[carrier.part]), b"=" * carrier.padding]
        at = here
        taken += carrier.end - carrier.start
    pieces.append(rest[at:])
    return b"".join(pieces)


def _usual(raw: bytes) -> Decoded | None:
    """Return what a text stands for that is canonical base64 and nothing else, walked over once; None: it is to be looked at."""
    try:
        content = binascii.a2b_base64(raw, strict_mode=True)
    except binascii.Error:
        return None
    # With as many characters as the content asks for, none was passed over; only the last group can be written in several ways.
    last = content[-(len(content) % 3 or 3) :]
    if len(raw) != (len(content) + 2) // 3 * 4 or binascii.b2a_base64(last, newline=False) != raw[-4:]:
        return None
    return Decoded(content, -len(content) % 3)


def _encode(content: bytes) -> bytes:
    return binascii.b2a_base64(content, newline=False).rstrip(b"=")


def _line_ends(escape: bytes) -> re.Pattern[bytes]:
    mark = re.escape(escape)
    return re.compile(mark + b"(?:" + b"|".join(_ESCAPED) + b")" + mark)


def _first_bad(raw: bytes, escape: bytes) -> int:
    blank = b"[\r\n ]" + (b"|" + _line_ends(escape).pattern if escape else b"")
    good = re.compile(b"(?:[A-Za-z0-9+/]++|" + blank + b")*+(?:=(?:" + blank + b")*+){0,2}")
    match = good.match(raw)
    return match.end() if match else 0

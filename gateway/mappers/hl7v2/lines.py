"""A payload cut into lines, without walking through a large document byte by byte."""

import re
from collections.abc import Iterator
from typing import Final

BOM: Final = b"\xef\xbb\xbf"

#: From here on `bytes.split`, which looks at every byte, is slower than a search for the next separator.
_LARGE: Final = 32 * 1024

#: One character class and nothing else: a run of any length is passed in one step.
_BLANKS: Final = re.compile(rb"[ \t\v\f\r\n]*")


def lines_of(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the lines that are not blank, each with its offset; CR, LF and CRLF end one, a byte-order mark is passed over."""
    length = len(payload)
    position = len(BOM) if payload.startswith(BOM) else 0
    next_cr = next_lf = -1
    while position < length:
        blank = _BLANKS.match(payload, position)
        if blank is not None and blank.end() > position:
            if blank.end() == length:
                return
            # Blanks before the first character of a line belong to it.
            position = max(
                position, payload.rfind(b"\r", position, blank.end()) + 1, payload.rfind(b"\n", position, blank.end()) + 1
            )
        if next_cr < position:
            next_cr = _find(payload, b"\r", position)
        if next_lf < position:
            next_lf = _find(payload, b"\n", position)
        end = min(next_cr, next_lf)
        yield position, payload[position:end]
        position = end + 1


def first_line(payload: bytes) -> tuple[int, bytes]:
    """Return the first line that is not blank, with its offset; an empty one at the end if there is none."""
    return next(lines_of(payload), (len(payload), b""))


def _find(payload: bytes, end: bytes, position: int) -> int:
    found = payload.find(end, position)
    return len(payload) if found < 0 else found


def cut(raw: bytes, separator: bytes, most: int = -1) -> list[bytes]:
    """
    Return what `bytes.split` returns, without walking through a large document byte by byte.

    Args:
        raw: Any bytes.
        separator: At least one byte.
        most: How many cuts to make; negative: all.
    """
    if len(raw) < _LARGE:
        return raw.split(separator, most)
    parts: list[bytes] = []
    begin, width = 0, len(separator)
    while len(parts) != most and (found := raw.find(separator, begin)) >= 0:
        parts.append(raw[begin:found])
        begin = found + width
    parts.append(raw[begin:])
    return parts

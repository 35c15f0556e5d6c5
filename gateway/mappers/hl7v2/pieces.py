"""Pieces of bytes between separators, with where each begins."""

from gateway.mappers.hl7v2.lines import cut


def pieces(raw: bytes, separator: bytes, start: int) -> list[tuple[int, bytes, int]]:
    """Return number, bytes and offset of each part; without a separator the whole is the only one."""
    if not separator or separator not in raw:
        return [(1, raw, start)]
    parts, width = [], len(separator)
    for number, part in enumerate(cut(raw, separator), 1):
        parts.append((number, part, start))
        start += len(part) + width
    return parts


def nth(raw: bytes, separator: bytes, number: int, start: int) -> tuple[bytes, int]:
    """Return one part (from 1) with its offset; past the last one nothing, at the end."""
    if number < 1:
        raise IndexError("parts count from 1")
    if number == 1 and (not separator or separator not in raw):
        return raw, start
    parts = cut(raw, separator, number) if separator else [raw]
    if len(parts) < number:
        return b"", start + len(raw)
    return parts[number - 1], start + sum(map(len, parts[: number - 1])) + (number - 1) * len(separator)


def part(raw: bytes, separator: bytes, number: int) -> bytes:
    """Return one part (from 1); nothing past the last one."""
    end = raw.find(separator)
    if number == 1:
        return raw if end < 0 else raw[:end]
    if end < 0:
        return b""
    parts = cut(raw, separator, number)
    return parts[number - 1] if len(parts) >= number else b""

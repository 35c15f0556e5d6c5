"""
Looking for marked text in bytes: as it is, in other charsets, in hexadecimal, in base64 at each alignment, and in whatever stands
there packed: gzip, zlib, zstd from its beginning. Loosely: with a byte between, as PostgreSQL's own compression writes text.
"""

import base64
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_CHARSETS: Final = ("utf-8", "iso-8859-15", "utf-16-le", "utf-16-be")
_KEYS: Final = "keys"
_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_PACKED: Final = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]|\x28\xb5\x2f\xfd")
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
#: What is looked at of one packed stream, and of one inside it.
_UNPACKED_BYTES: Final = 32 * 1024 * 1024
_DEEP: Final = 2
#: A stream is fed in pieces: what came out before it breaks off is looked at too.
_PIECE: Final = 4096


@dataclass(frozen=True)
class Needle:
    """One form of a mark; `size` is that of the mark itself, `shift` where it begins in a group of base64, `hex`: two a byte."""

    bytes: bytes
    mark: str
    form: str
    size: int
    shift: int | None = None
    hex: bool = False


@dataclass(frozen=True)
class Found:
    """Where a mark was found: file, offset, which mark in which form."""

    file: str
    offset: int
    mark: str
    form: str

    def __str__(self) -> str:
        return f"{self.mark} as {self.form} in {self.file} at {self.offset}"


class Canaries:
    """
    Marks, in every form in which they may be left.

    Args:
        marks: Texts of at least 6 characters; those that a charset lacks are not sought in it.
        loose: Also with one foreign byte between any two: literals of a packed page, whatever stands between them.
    """

    def __init__(self, marks: Iterable[str], *, loose: bool = False) -> None:
        self.needles: dict[bytes, Needle] = {}
        self.loose: dict[str, re.Pattern[bytes]] = {}
        for mark in marks:
            if len(mark) < 6:
                raise ValueError("too short to be told from chance")
            for charset in _CHARSETS:
                try:
                    raw = mark.encode(charset)
                except UnicodeEncodeError:
                    continue
                self.needles.setdefault(raw, Needle(raw, mark, charset, len(raw)))
                for shown in (raw.hex().encode(), raw.hex().upper().encode()):
                    self.needles.setdefault(shown, Needle(shown, mark, f"hexadecimal of {charset}", len(raw), hex=True))
                for shift, shown in enumerate(in_base64(raw)):
                    self.needles.setdefault(shown, Needle(shown, mark, f"base64 of {charset}, {shift} bytes in", len(raw), shift))

            if loose:
                self.loose[mark] = re.compile(b".?".join(re.escape(bytes((byte,))) for byte in mark.encode()), re.DOTALL)

    def search(self, data: bytes, name: str, *, deep: int = _DEEP) -> list[Found]:
        """
        Return every mark in bytes, the first place of each form.

        Args:
            data: Where.
            name: Of the place, for a person.
            deep: How many times what is packed is unpacked.
        """
        found = [
            Found(name, place, needle.mark, needle.form)
            for needle in self.needles.values()
            if (place := data.find(needle.bytes)) >= 0
        ]
        found += [
            Found(name, place.start(), mark, "loose text")
            for mark, pattern in self.loose.items()
            if (place := pattern.search(data)) is not None
        ]
        if deep:
            for place, inside in unpacked(data):
                found += [
                    Found(name, place, each.mark, f"{each.form}, packed") for each in self.search(inside, name, deep=deep - 1)
                ]
        return found

    def search_files(self, *places: Path) -> list[Found]:
        """Return every mark in the files of folders, and in files; keys are secrets and are not looked into."""
        return [found for path in files(*places) for found in self.search(content(path), str(path))]

    def followed_by(self, place: Path, length: int) -> Iterator[tuple[str, bytes]]:
        """Yield each place of a mark in the files of a folder, as it is or in base64, with the bytes that follow it."""
        for path in files(place):
            data = content(path)
            for needle in self.needles.values():
                at = data.find(needle.bytes)
                while at >= 0:
                    yield f"{path.name} at {at}, {needle.form}", _after(data, at, needle, length)
                    at = data.find(needle.bytes, at + 1)


def files(*places: Path) -> list[Path]:
    """Return every file of folders, however deep, keys excepted; and files as they are."""
    found = []
    for place in places:
        if place.is_dir():
            found += [path for path in sorted(place.rglob("*")) if path.is_file() and _KEYS not in path.relative_to(place).parts]
        elif place.is_file():
            found.append(place)
    return found


def content(path: Path) -> bytes:
    """Return the bytes of a file; none of one that its owner took away meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def unpacked(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield what stands packed in bytes, with its place: as far as it can be unpacked, up to a number of bytes."""
    for begun in _PACKED.finditer(data):
        reader = zstd.ZstdDecompressor() if begun.group() == _ZSTD else zlib.decompressobj(wbits=47)
        out, place = bytearray(), begun.start()
        try:
            while not reader.eof and place < len(data) and len(out) < _UNPACKED_BYTES:
                out += reader.decompress(data[place : place + _PIECE])
                place += _PIECE
        except (zlib.error, zstd.ZstdError):
            pass
        if out:
            yield begun.start(), bytes(out)


def in_base64(raw: bytes) -> list[bytes]:
    """Return what base64 shows of these bytes wherever they begin: only the characters that depend on them alone."""
    shown = []
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw)
        shown.append(encoded[_lead(shift) : (shift + len(raw)) * 8 // 6])
    return shown


def _after(data: bytes, at: int, needle: "Needle", length: int) -> bytes:
    if needle.hex:
        digits = re.match(rb"(?:[0-9A-Fa-f]{2})*", data[at + len(needle.bytes) : at + len(needle.bytes) + 2 * length])
        return bytes.fromhex(digits.group().decode()) if digits else b""
    if needle.shift is None:
        return data[at + len(needle.bytes) : at + len(needle.bytes) + length]
    # What stands before the mark in its first group of four is not needed: zeros do as well.
    lead = _lead(needle.shift)
    group = data[at : at + len(needle.bytes) + 2 * length + 8].split(b"=")[0]
    whole = b"A" * lead + bytes(character for character in group if character in _ALPHABET)
    plain = base64.b64decode(whole[: len(whole) - len(whole) % 4])
    return plain[needle.shift + needle.size : needle.shift + needle.size + length]


def _lead(shift: int) -> int:
    return -(-shift * 8 // 6)

"""Looking for marked text in bytes: as it is, in other charsets, in base64 at each alignment. Packed bytes are not searched."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CHARSETS: Final = ("utf-8", "iso-8859-15", "utf-16-le", "utf-16-be")
_KEYS: Final = "keys"
_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


@dataclass(frozen=True)
class Needle:
    """One form of a mark; `size` is that of the mark itself, `shift` where it begins in a group of base64."""

    bytes: bytes
    mark: str
    form: str
    size: int
    shift: int | None = None


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
    """

    def __init__(self, marks: Iterable[str]) -> None:
        self.needles: dict[bytes, Needle] = {}
        for mark in marks:
            if len(mark) < 6:
                raise ValueError("too short to be told from chance")
            for charset in _CHARSETS:
                try:
                    raw = mark.encode(charset)
                except UnicodeEncodeError:
                    continue
                self.needles.setdefault(raw, Needle(raw, mark, charset, len(raw)))
                for shift, shown in enumerate(in_base64(raw)):
                    self.needles.setdefault(shown, Needle(shown, mark, f"base64 of {charset}, {shift} bytes in", len(raw), shift))

    def search(self, data: bytes, name: str) -> list[Found]:
        """Return every mark in bytes, the first place of each form."""
        return [
            Found(name, place, needle.mark, needle.form)
            for needle in self.needles.values()
            if (place := data.find(needle.bytes)) >= 0
        ]

    def search_files(self, *places: Path) -> list[Found]:
        """Return every mark in the files of folders, and in files; keys are secrets and are not looked into."""
        return [found for path in files(*places) for found in self.search(path.read_bytes(), str(path))]

    def followed_by(self, place: Path, length: int) -> Iterator[tuple[str, bytes]]:
        """Yield each place of a mark in the files of a folder, as it is or in base64, with the bytes that follow it."""
        for path in files(place):
            data = path.read_bytes()
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


def in_base64(raw: bytes) -> list[bytes]:
    """Return what base64 shows of these bytes wherever they begin: only the characters that depend on them alone."""
    shown = []
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw)
        shown.append(encoded[_lead(shift) : (shift + len(raw)) * 8 // 6])
    return shown


def _after(data: bytes, at: int, needle: "Needle", length: int) -> bytes:
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

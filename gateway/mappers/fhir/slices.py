"""The bytes of a resource as they stand in a body: what a FHIR document inside a transaction is, byte for byte (D-6)."""

import codecs
import json
from collections.abc import Iterator
from typing import Final

_DECODER: Final = json.JSONDecoder(strict=True)
_BLANK: Final = " \t\r\n"


def resource_of(payload: bytes, index: int) -> bytes:
    """
    Return the bytes of `Bundle.entry[index].resource`.

    Args:
        payload: A Bundle that `gateway.mappers.fhir.json.load` has read: valid JSON, each key once.
        index: Of the entry, from 0.

    Raises:
        LookupError: there is no such resource.
    """
    text = payload.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    entries = _member(text, _skip(text, 0), "entry")
    for number, (start, _) in enumerate(_items(text, entries[0])):
        if number == index:
            begin, end = _member(text, start, "resource")
            return text[begin:end].encode()
    raise LookupError(f"no entry {index}")


def _member(text: str, at: int, wanted: str) -> tuple[int, int]:
    """Return where the value of a member begins and ends, in the object that begins there."""
    for name, start, end in _members(text, at):
        if name == wanted:
            return start, end
    raise LookupError(f"no member {wanted}")


def _members(text: str, at: int) -> Iterator[tuple[str, int, int]]:
    at = _skip(text, at + 1)
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, end = _DECODER.raw_decode(text, start)
        yield name, start, end
        at = _next(text, end)


def _items(text: str, at: int) -> Iterator[tuple[int, int]]:
    if text[at] != "[":
        raise LookupError("no array")
    at = _skip(text, at + 1)
    while text[at] != "]":
        _, end = _DECODER.raw_decode(text, at)
        yield at, end
        at = _next(text, end)


def _next(text: str, at: int) -> int:
    """Return where the next member or item begins, or the end of what holds them."""
    at = _skip(text, at)
    return _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANK:
        at += 1
    return at

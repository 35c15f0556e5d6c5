"""Segments and messages of HL7v2, written field by field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

#: Charset of Python by MSH-18.
CHARSETS: Final = {"UNICODE UTF-8": "utf-8", "8859/15": "iso-8859-15", "8859/1": "iso-8859-1", "ASCII": "ascii"}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """
    One file of `samples/`, and what the gateway answers to it.

    Attributes:
        file: Path below `samples/`.
        situation: What it shows.
        content: The bytes of the file.
        answer: MSA-1: AA, AE or AR.
        verdict: What becomes of it, for a record that is open and without opposition unless `becomes` says more.
        becomes: The same in words.
        code: The problem code answered, if any.
        place: ERR-2 of that problem, to the segment or deeper.
        severity: ERR-4 of that problem.
        ins_wrong: Whether the file holds a wrong INS key on purpose.
    """

    file: str
    situation: str
    content: bytes
    answer: str
    verdict: str
    becomes: str
    code: str = ""
    place: str = ""
    severity: str = "E"
    ins_wrong: bool = False


def segment(name: str, fields: Mapping[int, str]) -> str:
    """
    Write one segment.

    Args:
        name: Three letters; not MSH.
        fields: Text by field number, components and repetitions already joined.

    Returns:
        The segment without its end; no separator after the last field given.
    """
    return "|".join([name, *(fields.get(n, "") for n in range(1, max(fields) + 1))])


def msh(fields: Mapping[int, str]) -> str:
    """
    Write the MSH segment.

    Args:
        fields: Text by field number, from 3 on: MSH-1 and MSH-2 are the usual separators.

    Returns:
        The segment without its end.
    """
    return "|".join(["MSH", "^~\\&", *(fields.get(n, "") for n in range(3, max(fields) + 1))])


def message(segments: Sequence[str], charset: str = "UNICODE UTF-8") -> bytes:
    """
    Join segments with line feeds, so that people can read and compare the file.

    Args:
        segments: In message order.
        charset: As MSH-18 names it.

    Returns:
        The bytes of the file.
    """
    return "".join(line + "\n" for line in segments).encode(CHARSETS[charset])

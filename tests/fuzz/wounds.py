"""Bytes with a few wounds: what random and coverage-guided fuzzing both do to a message that was whole."""

import base64
import random
from collections.abc import Sequence
from typing import Final

#: What readers stumble over, put anywhere.
TOKENS: Final = (
    *(bytes([n]) for n in (0, 9, 10, 11, 13, 28, 0x85, 0xA0, 0xFF)),
    *(
        b"|",
        b"^",
        b"~",
        b"\\",
        b"&",
        b"\\X0D\\",
        b"\\.br\\",
        b"\\T\\",
        b'""',
        b"<",
        b">",
        b"]]>",
        b"<!DOCTYPE a>",
        b"&#0;",
        b"&x;",
    ),
    *(
        "é".encode(),
        "€".encode("iso-8859-15"),
        "\u2028".encode(),
        b"\xed\xa0\x80",
        b"99999999999999999999",
        b"-1",
        b"1e999",
        b"20260231",
    ),
)


def wounded(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Return bytes with a few wounds; those of a document inside a message are inflicted before its base64."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at, size = chance.randrange(len(data) + 1), min(chance.choice((1, 1, 2, 8, 64, 1024)), len(data))
        match chance.randrange(7):
            case 0:
                data = data[:at] + data[at + size :]
            case 1:
                data = data[:at] + chance.choice(TOKENS) * chance.choice((1, 1, 1, 2, 50)) + data[at:]
            case 2:
                data = data[:at] + chance.choice(TOKENS) + data[at + size :]
            case 3:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 4:
                data = data[:at] + data[at : at + size] * chance.choice((2, 3, 20)) + data[at + size :]
            case 5:
                other = chance.choice(others)
                start = chance.randrange(len(other) + 1)
                data = data[:at] + other[start : start + size] + data[at:]
            case _:
                data = _inside(data, chance, others)
    return data


def _inside(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    head, found, rest = data.partition(b"^Base64^")
    if not found:
        return data[: chance.randrange(len(data) + 1)]
    encoded, bar, tail = rest.partition(b"|")
    try:
        document = base64.b64decode(encoded)
    except ValueError:
        return data
    inner = wounded(document, chance, others) if document else document
    return head + found + base64.b64encode(inner) + bar + tail

"""Bytes with a few wounds: what random and coverage-guided fuzzing both do to a message that was whole."""

import base64
import json
import random
from collections.abc import Sequence
from typing import Any, Final

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
        b'"',
        b"{",
        b"[",
        b"null",
        b"\\u0000",
        b"\\ud800",
        b'"reference":"#"',
        b'"urn:uuid:',
        b"\rMSH|",
        b"\rBTS|",
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


#: What takes the place of a value in a tree of JSON.
_VALUES: Final = (
    *(
        None,
        True,
        0,
        -1,
        1.950,
        "",
        " ",
        "x",
        [],
        {},
        [[]],
        [{}],
        {"x": 1},
        "urn:uuid:x",
        "#",
        "#x",
        "Patient/1",
        "2026-02-30",
        "2026",
    ),
    *("\u0000", "\ud800", "é" * 300, "../x", "http://127.0.0.1:9/x", "urn:oid:1.2.3", "AAAA", "P1D", [None], [1, "a"], 10**31),
)


def wounded(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Return bytes with a few wounds; those of a document inside a message are inflicted before its base64."""
    if data[:1] == b"{" and chance.random() < 0.8:
        return _tree(data, chance, others)
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


def _tree(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Return JSON with a few values taken away, doubled, moved or put in the place of others: it stays JSON."""
    try:
        tree = json.loads(data)
        other = json.loads(chance.choice(others))
    except (ValueError, RecursionError):
        return data[: chance.randrange(len(data) + 1)]
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        at = chance.choice(_places(tree))
        value = chance.choice((chance.choice(_VALUES), chance.choice(_values(other)), chance.choice(_values(tree))))
        if isinstance(at, dict):
            key = chance.choice([*at, "extension", "contained", "id"])
            match chance.randrange(4):
                case 0:
                    at.pop(key, None)
                case 1:
                    at[f"_{key}"] = value
                case _:
                    at[key] = value
        elif at and chance.random() < 0.5:
            at[chance.randrange(len(at))] = value
        else:
            at.append(value)
    try:
        return json.dumps(tree).encode()
    except (ValueError, RecursionError):
        # A value that was put into itself.
        return data


def _places(tree: Any) -> list[Any]:
    """Every object and array of a tree."""
    found, waiting = [], [tree]
    while waiting and len(found) < 5_000:
        here = waiting.pop()
        found.append(here)
        below = here.values() if isinstance(here, dict) else here
        waiting += [each for each in below if isinstance(each, dict | list)]
    return found


def _values(tree: Any) -> list[Any]:
    """Values of a tree, of any depth."""
    return [each for here in _places(tree) for each in (here.values() if isinstance(here, dict) else here)] or [None]

"""
Reads the part of YAML that `compose.yaml` is written in, and refuses every other: no YAML parser is among what the tests install.

Mappings and lists by indentation, two spaces a step; keys without quotes; scalars as they are, quoted or in brackets as JSON.
"""

import json
import re
from typing import Any

_KEY = re.compile(r"([A-Za-z_][\w-]*):(?: (.+))?")
#: A scalar without quotes that every YAML takes as it is written: none that some make a boolean, null, octal or base 60, or cut.
_PLAIN = re.compile(
    r"(?!(?:y|yes|n|no|on|off|true|false|null|0\d+|\d+(?::\d+)+)$)[A-Za-z0-9./_][\w./:@%=-]*(?<!:)", re.IGNORECASE
)


def read(text: str) -> dict[str, Any]:
    """
    Return a document.

    Raises:
        ValueError: a line is not of this part of YAML; names it.
    """
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        indent = len(line) - len(line.lstrip(" "))
        if indent % 2 or line != line.rstrip() or "\t" in line:
            raise ValueError(f"line {number}: {line}")
        lines.append((number, indent, line.strip()))
    found, left = _block(lines, 0)
    if left or not isinstance(found, dict):
        raise ValueError(f"line {left[0][0] if left else 1}: not of this mapping")
    return found


def _block(lines: list[tuple[int, int, str]], indent: int) -> tuple[Any, list[tuple[int, int, str]]]:
    if lines and lines[0][1] == indent and lines[0][2].startswith("- "):
        return _list(lines, indent)
    found: dict[str, Any] = {}
    while lines and lines[0][1] == indent:
        number, _, line = lines[0]
        key = _KEY.fullmatch(line)
        if key is None or key[1] in found:
            raise ValueError(f"line {number}: {line}")
        lines = lines[1:]
        if key[2] is not None:
            found[key[1]] = _scalar(number, key[2])
        elif lines and lines[0][1] == indent + 2:
            found[key[1]], lines = _block(lines, indent + 2)
        else:
            found[key[1]] = None
    if lines and lines[0][1] > indent:
        raise ValueError(f"line {lines[0][0]}: {lines[0][2]}")
    return found, lines


def _list(lines: list[tuple[int, int, str]], indent: int) -> tuple[list[Any], list[tuple[int, int, str]]]:
    found = []
    while lines and lines[0][1] == indent and lines[0][2].startswith("- "):
        number, _, line = lines[0]
        item = line[2:]
        if _KEY.fullmatch(item):
            # A mapping that begins on the line of its dash.
            value, lines = _block([(number, indent + 2, item), *lines[1:]], indent + 2)
            found.append(value)
        else:
            found.append(_scalar(number, item))
            lines = lines[1:]
    return found, lines


def _scalar(number: int, text: str) -> Any:
    if text[0] in '"[' or text in {"true", "false"}:
        return json.loads(text)
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"line {number}: {text}")
    return int(text) if text.isdigit() else text

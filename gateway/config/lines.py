"""On which line of a TOML file a key stands: the standard library's reader does not tell."""

import re
from collections.abc import Mapping
from typing import Final

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\s-]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")


def places(text: str) -> Mapping[str, int]:
    """
    Find the lines of keys and tables.

    Args:
        text: The file.

    Returns:
        Line, from 1, by path: ``environment``, ``mllp``, ``mllp.port``, ``sources[1]``, ``sources[1].grants``. A key that is
        written in another way (quoted, dotted, inline) is not found.
    """
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.match(line):
            table = _table(header.group(2).replace(" ", ""), counts, several=header.group(1) == "[[")
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault(f"{table}.{key.group(1)}" if table else key.group(1), number)
    return found


def line_of(name: str, known: Mapping[str, int]) -> int | None:
    """
    Return the line of a path, or of what encloses it.

    Args:
        name: A path as in `places`, or one deeper.
        known: What `places` found.
    """
    while name:
        if name in known:
            return known[name]
        cut = max(name.rfind("."), name.rfind("["))
        name = name[:cut] if cut > 0 else ""
    return None


def _table(name: str, counts: dict[str, int], *, several: bool) -> str:
    if several:
        counts[name] = counts.get(name, -1) + 1
        return f"{name}[{counts[name]}]"
    first, _, rest = name.partition(".")
    return f"{first}[{counts[first]}].{rest}" if rest and first in counts else name

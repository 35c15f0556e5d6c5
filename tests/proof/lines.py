"""
The table of the campaigns, gathered from the modules of this folder.

A module that has campaigns names them in a tuple `LINES` of `tests.proof.line.Line`; nothing else is needed.
"""

import importlib
import pkgutil
import re
from collections import Counter
from typing import Final

import tests.proof
from tests.proof.line import Line


def _gathered() -> tuple[Line, ...]:
    found: list[Line] = []
    for module in pkgutil.iter_modules(tests.proof.__path__, "tests.proof."):
        if module.name not in {__name__, "tests.proof.__main__"}:
            found += getattr(importlib.import_module(module.name), "LINES", ())
    twice = [name for name, times in Counter(line.name for line in found).items() if times > 1]
    if twice:
        raise ValueError(f"two campaigns are called {', '.join(twice)}")
    return tuple(sorted(found, key=_order))


def _order(line: Line) -> tuple[bool, int, str]:
    """The faults by their number, then the others."""
    number = re.fullmatch(r"F(\d+)", line.name)
    return number is None, int(number[1]) if number else 0, line.name


LINES: Final = _gathered()

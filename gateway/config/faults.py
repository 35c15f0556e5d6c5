"""What is wrong with a configuration: where, and what to do; the values are never repeated."""

import difflib
from collections.abc import Iterable

from gateway.model.base import Model


class Fault(Model, frozen=True, kw_only=True):
    """One thing that is wrong."""

    #: ``mllp.port``, ``sources[2].establishment``, or the name of an environment variable.
    name: str
    text: str
    #: Line of the file, from 1, where it is known.
    line: int | None = None

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.name}: {self.text}" if self.line is None else f"line {self.line}: {self.name}: {self.text}"


class ConfigurationInvalid(Exception):
    """The configuration cannot be used; everything that is wrong with it, at once."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        """Keep the faults, in the order of the file."""
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.line is None, fault.line or 0)))
        super().__init__("\n".join(map(str, self.faults)))


def nearest(name: str, known: Iterable[str]) -> str:
    """
    Return the end of a sentence that names the nearest known name.

    Args:
        name: What was written.
        known: What might have been meant.

    Returns:
        ``; did you mean …?``, or ``; known: …`` if nothing is near.
    """
    names = sorted(known)
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else f"; known: {', '.join(names)}"

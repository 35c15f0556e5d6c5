"""One hostile input: its name, its door, what must be said of it."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.config.load import samples_directory


@dataclass(frozen=True)
class Case:
    """
    One input that must be refused.

    Attributes:
        name: Unique; says what is tried.
        door: A reader of `tests.security.hostile.doors`.
        data: Makes the bytes: large ones are made when they are read, not before.
        codes: Any of these problem codes (of a frame: faults) refuses it; nothing else does.
    """

    name: str
    door: str
    data: Callable[[], bytes]
    codes: frozenset[str]


def case(name: str, door: str, data: bytes | Callable[[], bytes], codes: str) -> Case:
    """Return a case; codes are separated by blanks."""
    return Case(name, door, (lambda: data) if isinstance(data, bytes) else data, frozenset(codes.split()))


def sample(name: str) -> bytes:
    """Return the one sample whose path begins so."""
    (path,) = samples_directory().glob(f"{name}*")
    return path.read_bytes()

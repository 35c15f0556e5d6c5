"""A promise that was broken, told apart from a scene that did not come about."""

from typing import Protocol


class Breach(AssertionError):
    """A promise is broken. Never tried again: what was seen once is there."""


class Judged(Protocol):
    """What a judge found."""

    @property
    def ok(self) -> bool: ...

    @property
    def broken(self) -> bool: ...

    def told(self) -> str: ...


def held(found: Judged) -> None:
    """
    Assert that a judge found nothing.

    Raises:
        Breach: a promise was broken; the text tells which.
        AssertionError: something came too late, as it may on a machine that is busy.
    """
    if found.broken:
        raise Breach(found.told())
    assert found.ok, found.told()

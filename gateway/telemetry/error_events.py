"""What went wrong in the program: where, never with what."""

import secrets
from typing import Self

from gateway.telemetry import metrics
from gateway.telemetry.event import Event, located
from gateway.telemetry.redaction import label


class InternalError(Event, frozen=True, kw_only=True):
    """An error of the program: its class, where, and the reference that was given to the sender."""

    name = "internal.error"
    level = "error"
    reference: str
    error: str
    place: str
    door: str | None = None
    source: str | None = None
    receipt: str | None = None
    reason: str | None = None

    @classmethod
    def of(
        cls,
        error: BaseException,
        *,
        door: str | None = None,
        source: str | None = None,
        receipt: str | None = None,
        reason: str | None = None,
    ) -> Self:
        """
        Return the event of an exception, with a new reference.

        Args:
            error: The exception, raised and caught.
            door: Way in, if it was one.
            source: Who sent, if known.
            receipt: Receipt, if given.
            reason: A word of the program.
        """
        kind, place = located(error)
        return cls(
            reference=secrets.token_hex(4), error=kind, place=place, door=door, source=source, receipt=receipt, reason=reason
        )

    def count_up(self) -> None:
        """Count it."""
        metrics.ERRORS.labels(label("door", self.door or "none")).inc()


class LibraryWarned(Event, frozen=True, kw_only=True):
    """Another library warned; where to look, not what it said."""

    name = "library.warned"
    level = "warning"
    logger: str
    place: str


class LibraryNoted(Event, frozen=True, kw_only=True):
    """A library of the broker or of the database spoke of its connection: what that means is said by `queue.*` and `store.*`."""

    name = "library.noted"
    level = "debug"
    logger: str
    place: str
    error: str | None = None


class LibraryFailed(Event, frozen=True, kw_only=True):
    """Another library logged an exception."""

    name = "library.failed"
    level = "error"
    logger: str
    reference: str
    error: str
    place: str

    @classmethod
    def of(cls, error: BaseException, *, logger: str, place: str) -> Self:
        """
        Return the event of an exception that another library logged.

        Args:
            error: The exception.
            logger: Name of the logger.
            place: Where it spoke, if the exception itself does not tell.
        """
        kind, found = located(error)
        return cls(logger=logger, reference=secrets.token_hex(4), error=kind, place=found or place)

    def count_up(self) -> None:
        """Count it."""
        metrics.ERRORS.labels("none").inc()

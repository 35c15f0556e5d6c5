"""What is asked of an open transaction about who is who: identifiers with their history, and the identity that a record holds."""

from collections.abc import Sequence
from typing import Protocol

from gateway.rules.identity import Reference


class IdentityRows(Protocol):
    """The part of `gateway.store.transaction.Transaction` that speaks of identity (D-1, D-19)."""

    def set_identifier(self, authority: str, value: str, patient: int, receipt: str, because: str = "seen") -> None:
        """
        Say that an identifier belongs to a patient from now on; what it named before is kept as history.

        Args:
            authority: Of the identifier.
            value: Of the identifier.
            patient: It already names this one: nothing is written.
            receipt: Of the event that says so.
            because: `seen`, `opening`, `link`, `merge`, `unmerge`, `change` or `cut`.
        """
        ...

    def reference_of(self, patient: int) -> Reference | None:
        """Return the identity that a patient's record holds, its last version."""
        ...

    def write_reference(self, patient: int, reference: Reference, receipt: str) -> None:
        """Write a version of it; the earlier ones stay."""
        ...

    def suspended(self, patient: int) -> frozenset[str]:
        """Return the establishments that took back what they had said of a patient's identity."""
        ...

    def suspend(self, patient: int, establishment: str, receipt: str) -> None:
        """Refuse what an establishment deposits for a patient from now on; nothing happens where that is so already."""
        ...

    def resume(self, patient: int, establishment: str) -> None:
        """Take its deposits again."""
        ...

    def named_under(self, patient: int, identifiers: Sequence[tuple[str, str]]) -> list[str]:
        """Return which of the statements that bind a patient now came with one of these (authority, value)."""
        ...

    def watch(self, kind: str, receipt: str, patient: int, detail: str) -> None:
        """
        List something for identity watch, once as long as it is open.

        Args:
            kind: `identity.traits`, `identity.note`, `identity.watch`, `identity.misfiled`, `identity.withdrawn`.
            receipt: Of the message that shows it.
            patient: Whose it is.
            detail: Names of traits, or the establishment; never a value.
        """
        ...

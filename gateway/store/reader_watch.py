"""What identity watch reads of the record store, whatever the database behind it."""

from collections.abc import Mapping
from typing import Protocol

from gateway.store.watch_views import MisfiledLine, TaskLine


class Watch(Protocol):
    """The part of `gateway.store.reader.Reader` that shows what a person must look at."""

    def tasks(self, filters: Mapping[str, str] = {}, *, done: bool = False, limit: int = 1000) -> list[TaskLine]:
        """
        Return what a person must look at, the oldest first.

        Args:
            filters: Of `kind`, `patient` (a value of any of the patient's identifiers), `document`, `since`, `until`.
            done: What was ended instead of what is open.
            limit: How many at most.
        """
        ...

    def misfiled(self, authority: str, value: str, record: tuple[str, str] | None = None) -> list[MisfiledLine]:
        """
        Return the documents that came under a local identifier while it named the patient in whose record they are.

        Args:
            authority: Of the local identifier, which no longer names that patient.
            value: Of the local identifier.
            record: Only those in the record of the patient that this (authority, value) names; None: any.
        """
        ...

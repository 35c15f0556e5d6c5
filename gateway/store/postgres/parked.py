"""What is parked, for an operator, on PostgreSQL."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Final

from gateway.store import pages
from gateway.store.postgres.session import Session
from gateway.store.views import ParkedView

_FILTERS: Final = ("receipt", "source", "establishment", "patient", "message", "code", "since", "until")


class ParkedRead:
    """The part of the reader that shows what is parked; its role sees neither the sealed bytes nor the identifiers."""

    def _reading(self) -> AbstractContextManager[Session]:
        raise NotImplementedError

    def parked(self, filters: Mapping[str, str] = {}, *, limit: int = 1000) -> list[ParkedView]:
        """Return what is parked, the longest first; see `Reader`."""
        asked = {**dict.fromkeys(_FILTERS), **filters, "limit": limit}
        with self._reading() as session:
            return [pages.parked_view(row) for row in session.all("list_parked", asked)]

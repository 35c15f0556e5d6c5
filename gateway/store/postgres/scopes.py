"""What oppositions name, on PostgreSQL: for whoever looks for one that binds nobody."""

from contextlib import AbstractContextManager

from gateway.store.postgres.session import Session


class Scopes:
    """A part of `gateway.store.reader.Reader`."""

    def _reading(self) -> AbstractContextManager[Session]:
        raise NotImplementedError

    def opposed_scopes(self) -> list[tuple[str, str, int]]:
        """Return (scope, what it names, how many patients) of the oppositions to feeding that their own side has not lifted."""
        with self._reading() as session:
            return [(row[0], row[1], row[2]) for row in session.all("opposed_scopes")]

"""The upkeep's statements on SQLite."""

import re
import sqlite3
from collections.abc import Iterable
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

from gateway.store.retention import LastRun
from gateway.store.sqlite.base import Base

_HEADER: Final = re.compile(r"-- name: retention_(?P<name>[a-z_]+)\n")


def _read() -> dict[str, str]:
    text = resources.files("gateway.store").joinpath("sql/sqlite/retention.sql").read_text(encoding="utf-8")
    found = {}
    for block in re.split(r"(?m)^(?=-- name: )", text):
        header = _HEADER.match(block)
        if header is not None:
            lines = block[header.end() :].splitlines()
            found[header["name"]] = "\n".join(line for line in lines if not line.startswith("--")).strip()
    return found


#: The text of each statement, by its name.
TEXTS: Final = MappingProxyType(_read())


class Runs:
    """The part of the reader that tells when the upkeep ran."""

    _connection: sqlite3.Connection

    def upkeep_runs(self) -> list[LastRun]:
        """Return when each job ran to its end last; see `Reader.upkeep_runs`."""
        rows = self._connection.execute(TEXTS["last_runs"])
        return [LastRun(job=row[0], ran_at=row[1], rows=row[2]) for row in rows]


class Retention(Base):
    """What `gateway.store.retention.Keeping` asks for."""

    def keep(self, name: str, /, **values: object) -> list[Any]:
        """Run a statement of `retention.sql` and return its rows."""
        rows = self._connection.execute(TEXTS[name], values).fetchall()
        self.erases = self.erases or (bool(rows) and TEXTS[name].startswith("DELETE"))
        return rows

    def hold(self, patients: Iterable[int]) -> None:
        """Lock patients: the transaction is the lock (ARCHITECTURE.md)."""

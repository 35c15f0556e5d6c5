"""What must always be so, and what was acknowledged: asked of `store.db` by a connection that only reads."""

import contextlib
import json
import re
import sqlite3
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gateway.store.answers import Acknowledged
from gateway.store.checks import Bounds
from gateway.store.sqlite.connection import migrations, open_reader, unusable

_HEADER: Final = re.compile(r"-- name: check_(?P<name>[a-z_]+)\n(?P<text>.*)", re.DOTALL)
_CAME_AGAIN: Final = """
    SELECT json_extract(asked.value, '$[0]') FROM json_each(?) AS asked WHERE EXISTS (
        SELECT 1 FROM receipt r
        WHERE r.establishment = json_extract(asked.value, '$[1]') AND r.application = json_extract(asked.value, '$[2]')
        AND r.message_id = json_extract(asked.value, '$[3]') AND r.message_digest = json_extract(asked.value, '$[4]')
        AND r.received_at > json_extract(asked.value, '$[5]') AND r.verdict <> 'rejected')
"""
_COMMANDED_AGAIN: Final = """
    SELECT json_extract(asked.value, '$[0]') FROM json_each(?) AS asked JOIN (
        SELECT message_digest, max(received_at) AS last FROM receipt
        WHERE establishment = 'operator' AND application = 'operator' GROUP BY message_digest
    ) AS again ON again.message_digest = json_extract(asked.value, '$[1]') AND again.last > json_extract(asked.value, '$[2]')
"""


def _read() -> dict[str, str]:
    text = resources.files("gateway.store").joinpath("sql/sqlite/checks.sql").read_text(encoding="utf-8")
    blocks = (_HEADER.match(block) for block in re.split(r"(?m)^(?=-- name: )", text))
    return {block["name"]: block["text"].strip() for block in blocks if block is not None}


#: The query of each invariant, by its name.
QUERIES: Final = MappingProxyType(_read())


class Checks:
    """The part of the reader that checks."""

    _connection: sqlite3.Connection

    def stored_against_an_opposition(self) -> list[tuple[str, str]]:
        """Return what the DPO asks for; see `Reader`."""
        raise NotImplementedError

    def violations(self, name: str, bounds: Bounds) -> list[str]:
        """Return what breaks an invariant; see `Reader.violations`."""
        if name == "against_opposition":
            return sorted(f"{receipt} ({statement})" for receipt, statement in self.stored_against_an_opposition())
        instants = {"receipts_since": bounds.receipts_since, "parked_since": bounds.parked_since}
        try:
            return [str(row[0]) for row in self._connection.execute(QUERIES[name], instants)]
        except sqlite3.Error as failure:
            raise unusable(Path("store.db"), failure) from failure

    def known_receipts(self, receipts: Sequence[str]) -> set[str]:
        """Return those of the receipts that are there."""
        rows = self._connection.execute(
            "SELECT id FROM receipt WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(receipts),)
        )
        return {row[0] for row in rows}

    def came_again(self, answers: Sequence[Acknowledged]) -> set[str]:
        """Return the receipts of those whose message came again later and was taken; see `Reader.came_again`."""
        sent = [(a.receipt, a.establishment, a.application, a.message_id, a.digest, a.received_at) for a in answers if a.sent]
        typed = [(a.receipt, a.digest, a.received_at) for a in answers if not a.sent]
        return {
            row[0]
            for text, asked in ((_CAME_AGAIN, sent), (_COMMANDED_AGAIN, typed))
            if asked
            for row in self._connection.execute(text, (json.dumps(asked),))
        }


def described(connection: sqlite3.Connection) -> set[str]:
    """Return the schema of a file, a line per table and index, however it is laid out."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {f"{kind}|{name}|{' '.join(text.split())}" for kind, name, text in rows}


def differences(connection: sqlite3.Connection) -> tuple[str, ...]:
    """
    Return what is not as the migrations of the file's number leave it: too much (`+`) or missing (`-`).

    A file of a newer program than this one is not compared: it has one line that says so.
    """
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    known = migrations()
    if layout > known[-1][0]:
        return (f"schema {layout} is newer than this program's {known[-1][0]}",)
    expected = sqlite3.connect(":memory:")
    try:
        for number, text in known:
            if number <= layout:
                expected.executescript(text)
        found, wanted = described(connection), described(expected)
    finally:
        expected.close()
    return (*(f"+ {line}" for line in sorted(found - wanted)), *(f"- {line}" for line in sorted(wanted - found)))


def damage(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return what SQLite finds damaged in a file: pages, indexes that do not fit their tables, rows without what they name."""
    found = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
    broken = {row[0] for row in connection.execute("PRAGMA foreign_key_check")}
    return (*(line for line in found if line != "ok"), *(f"{table}: rows name what is not there" for table in sorted(broken)))


def inspect(path: Path) -> tuple[int, tuple[str, ...]]:
    """
    Return a file's schema number, and what is damaged or not as the migrations leave it.

    Raises:
        FileUnusable: it cannot be read.
    """
    try:
        with contextlib.closing(open_reader(path)) as connection:
            (layout,) = connection.execute("PRAGMA user_version").fetchone()
            return layout, (*damage(connection), *differences(connection))
    except sqlite3.Error as failure:
        raise unusable(path, failure) from failure

"""The floors: the least that anybody does with the same bytes. Nothing is checked, placed, decided or explained."""

import binascii
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from lxml import etree

from gateway.store.sqlite.connection import open_reader, open_writer

#: Every table that a stored deposit writes, the columns that name it, and those that count by themselves.
_TABLES: Final = (
    ("source_form", ("receipt",), ()),
    ("source_part", ("receipt",), ()),
    ("document", ("unique_id", "set_id", "receipt"), ()),
    ("trace", ("receipt", "document"), ("sequence",)),
    ("receipt", ("id", "message_id"), ()),
)


def walk(payload: bytes) -> list[list[list[list[list[str]]]]]:
    """Split a message at every separator, down to the sub-components."""
    return [
        [
            [[component.split("&") for component in repetition.split("^")] for repetition in field.split("~")]
            for field in segment.split("|")
        ]
        for segment in payload.decode("utf-8", "replace").split("\r")
    ]


def parse(document: bytes) -> object:
    """Parse a document with lxml as it comes out of the box."""
    return etree.fromstring(document)


def walk_and_parse(payload: bytes, encoded: Sequence[bytes]) -> None:
    """Split a message, decode its base64, parse its documents."""
    walk(payload)
    for text in encoded:
        parse(binascii.a2b_base64(text))


class Rows(msgspec.Struct, frozen=True):
    """The rows that one stored deposit left, to be written again under other names."""

    #: Statement, columns that get a number, the row.
    rows: tuple[tuple[str, tuple[int, ...], tuple[Any, ...]], ...]

    @classmethod
    def left(cls, store: Path) -> Self:
        """Read the rows of a store that holds one deposit."""
        connection = open_reader(store)
        rows: list[tuple[str, tuple[int, ...], tuple[Any, ...]]] = []
        for table, names, counted in _TABLES:
            # Events left a receipt and a trace as well: those of the deposit name its act.
            where = {"receipt": "act IS NOT NULL", "trace": "document IS NOT NULL"}.get(table, "TRUE")
            found = connection.execute(f"SELECT * FROM {table} WHERE {where}")
            columns = [column[0] for column in found.description]
            kept = [number for number, column in enumerate(columns) if column not in counted]
            marks = ", ".join("?" * len(kept))
            text = f"INSERT INTO {table} ({', '.join(columns[number] for number in kept)}) VALUES ({marks})"
            own = tuple(at for at, number in enumerate(kept) if columns[number] in names)
            rows += [(text, own, tuple(row[number] for number in kept)) for row in found]
        connection.close()
        return cls(tuple(rows))

    def insert(self, connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
        """Write the rows of as many deposits in one transaction, table by table."""
        tails = [f".{number}" for number in numbers]
        connection.execute("BEGIN IMMEDIATE")
        for text, own, row in self.rows:
            named = [
                [f"{value}{tail}" if at in own and value is not None else value for at, value in enumerate(row)] for tail in tails
            ]
            connection.executemany(text, named)
        connection.execute("COMMIT")


def empty_store(path: Path) -> sqlite3.Connection:
    """Return a connection to an empty file with the store's tables, indexes and settings; no patient is asked for."""
    connection = open_writer(path)
    connection.execute("PRAGMA foreign_keys=OFF")
    return connection


def stored(path: Path) -> int:
    """Return how many deposits a store, or the floor's file, holds."""
    connection = open_reader(path)
    try:
        (count,) = connection.execute("SELECT count(*) FROM receipt WHERE verdict = 'stored'").fetchone()
        return int(count)
    finally:
        connection.close()

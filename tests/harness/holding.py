"""Where the record of a run is: the file of a data directory, or a database; read by the judge in one way."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from gateway.store.postgres.reader import PostgresReader
from gateway.store.reader import Reader
from gateway.store.sqlite.connection import open_reader
from gateway.store.sqlite.reader import SqliteReader

#: Runs a query that both kinds of store understand; each row by column.
Query = Callable[[str], list[dict[str, Any]]]


@contextmanager
def queried(data: Path, database: str | None) -> Iterator[Query]:
    """
    Open the rows of a run.

    Args:
        data: The data directory.
        database: Where the record is if not in the data directory's file.
    """
    if database is not None:
        with psycopg.connect(database, autocommit=True, row_factory=dict_row) as connection:
            yield lambda text: connection.execute(text.encode()).fetchall()
        return
    with closing(open_reader(data / "store.db")) as file:
        file.row_factory = sqlite3.Row
        yield lambda text: [dict(row) for row in file.execute(text)]


def reader(data: Path, database: str | None) -> Reader:
    """Open a reader of the record."""
    return SqliteReader(data / "store.db") if database is None else PostgresReader(database)

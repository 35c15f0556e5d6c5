"""Every row of the people of one playing, without what may differ between two runs: times, running numbers, receipts."""

import json
import re
import sqlite3
from typing import Any, Final

import psycopg
from psycopg import sql

from tests.harness import postgres
from tests.harness.cast import Cast

_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)?")
#: What two runs of the same story may give different values.
_RUNNING: Final = frozenset({"sequence", "hash", "trace_head", "entry_uuid", "message_digest"})
_PATIENTS: Final = frozenset({"patient", "merged_into", "absorbed", "survivor", "origin"})
#: Columns by which a row belongs to a playing.
_BY_RECEIPT: Final = ("receipt", "id", "statement")
#: Rows whose order tells.
_IN_ORDER: Final = frozenset({"trace", "statement"})
#: What belongs to no patient and no message.
_FIXED: Final = ("gate", "schema_migration", "upkeep", "lane_day")


def columns_of_postgres(url: str) -> dict[str, dict[str, str]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema()"
        ).fetchall()
        names = postgres.keys(connection).keys() | {"trace"}
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        if table in names and table not in _FIXED:
            tables.setdefault(table, {})[column] = kind
    _text_of_postgres[url] = _statement(tables)
    return tables


_text_of_postgres: dict[str, sql.Composed] = {}


def _statement(tables: dict[str, dict[str, str]]) -> sql.Composed:
    parts = []
    for table, columns in sorted(tables.items()):
        conditions = [
            sql.SQL("t.{} LIKE %(prefix)s").format(sql.Identifier(column))
            for column in _BY_RECEIPT
            if columns.get(column) == "text"
        ]
        column = "id" if table == "patient" else "patient"
        if column in columns:
            conditions.append(sql.SQL("t.{} = ANY (%(patients)s)").format(sql.Identifier(column)))
        parts.append(
            sql.SQL("SELECT {}, to_jsonb(t) FROM {} t WHERE {}").format(
                sql.Literal(table), sql.Identifier(table), sql.SQL(" OR ").join(conditions)
            )
        )
    return sql.SQL(" UNION ALL ").join(parts)


_WHO: Final = (
    "SELECT patient FROM identifier WHERE value = ANY (%(values)s)"
    " UNION SELECT patient FROM binding WHERE receipt LIKE %(prefix)s"
    " UNION SELECT patient FROM trace WHERE receipt LIKE %(prefix)s AND patient IS NOT NULL"
)


def of_postgres(connection: psycopg.Connection[Any], cast: Cast) -> dict[str, list[dict[str, Any]]]:
    asked = {"prefix": cast.prefix + "%", "values": list(cast.names)}
    patients = [row[0] for row in connection.execute(_WHO, asked)]
    found: dict[str, list[dict[str, Any]]] = {}
    url = next(url for url in _text_of_postgres if f"dbname={connection.info.dbname}" in url)
    for table, row in connection.execute(_text_of_postgres[url], {**asked, "patients": patients}):
        found.setdefault(table, []).append(row)
    return found


def columns_of_sqlite(connection: sqlite3.Connection) -> dict[str, dict[str, str]]:
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {
        name: {row[1]: row[2] for row in connection.execute(f"PRAGMA table_info({name})")} for name in names if name not in _FIXED
    }


def of_sqlite(connection: sqlite3.Connection, cast: Cast, tables: dict[str, dict[str, str]]) -> dict[str, list[dict[str, Any]]]:
    marks = ",".join("?" * len(cast.names))
    like = cast.prefix + "%"
    patients = [
        row[0]
        for row in connection.execute(
            f"SELECT patient FROM identifier WHERE value IN ({marks}) UNION SELECT patient FROM binding WHERE receipt LIKE ?"
            " UNION SELECT patient FROM trace WHERE receipt LIKE ? AND patient IS NOT NULL",
            (*cast.names, like, like),
        )
    ]
    found = {}
    for table, columns in tables.items():
        conditions = [f"{column} LIKE ?" for column in _BY_RECEIPT if columns.get(column) == "TEXT"]
        values: list[object] = [like] * len(conditions)
        column = "id" if table == "patient" else "patient"
        if column in columns:
            conditions.append(f"{column} IN ({','.join('?' * len(patients))})")
            values += patients
        rows = connection.execute(f"SELECT * FROM {table} WHERE {' OR '.join(conditions)}", values).fetchall()
        if rows:
            found[table] = [dict(row) for row in rows]
    return found


def scrubbed(tables: dict[str, list[dict[str, Any]]], cast: Cast) -> dict[str, list[Any]]:
    ordinals = {patient: n for n, patient in enumerate(sorted(row["id"] for row in tables.get("patient", ())), start=1)}
    result: dict[str, list[Any]] = {}
    for table, rows in tables.items():
        kept = [
            (
                (ordinals.get(row.get("patient"), 0), row["sequence"]) if table in _IN_ORDER else (),
                {name: _scrub(table, name, value, ordinals, cast) for name, value in sorted(row.items()) if name not in _RUNNING},
            )
            for row in rows
        ]
        kept.sort(key=lambda each: (each[0], json.dumps(each[1], default=str)))
        result[table] = [row for _, row in kept]
    return result


def _scrub(table: str, name: str, value: Any, ordinals: dict[int, int], cast: Cast) -> Any:
    if name in _PATIENTS or (table, name) == ("patient", "id"):
        return value if value is None else f"patient {ordinals.get(value, value)}"
    if name == "id" and not isinstance(value, str):
        return None
    if (table, name) == ("entry", "id"):
        return None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        value = _INSTANT.sub("T", value.replace(cast.prefix, "R."))
        for number, known in cast.names.items():
            value = value.replace(number, known)
    return value

"""A connection that speaks in named statements only, each behind a point where tests stop, interleave or kill."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import psycopg

from gateway.store.postgres.statements import COPIED, STATEMENTS
from gateway.telemetry import points

Row = tuple[Any, ...]
Parameters = Sequence[object] | Mapping[str, object]
#: A named statement and its parameters.
Request = tuple[str, Parameters]

#: What a session is told; milliseconds.
LOCK_TIMEOUT_MS: Final = 5_000
STATEMENT_TIMEOUT_MS: Final = 30_000
IDLE_IN_TRANSACTION_TIMEOUT_MS: Final = 30_000
#: How soon the server notices that our machine is gone: in the middle of a statement's bytes (a COPY) nothing else ends its wait,
#: and the locks are kept until then. Seconds, a number, milliseconds.
_KEEPALIVE_IDLE: Final = 5
_KEEPALIVE_INTERVAL: Final = 2
_KEEPALIVE_COUNT: Final = 3
_USER_TIMEOUT_MS: Final = 10_000


#: The roles that the gateway takes where they are, and the statement that takes each: for writing, for reading, and for the
#: upkeep, which alone may take away what has been kept long enough.
ROLES: Final = {
    "dmp_gateway_write": "take_writing_role",
    "dmp_gateway_read": "take_reading_role",
    "dmp_gateway_erase": "take_erasing_role",
}


class NotCommitted(psycopg.OperationalError):
    """The server answered COMMIT with another word: the transaction had failed before."""


class Session:
    """
    The one way in which the store speaks to PostgreSQL.

    Args:
        connection: In autocommit mode: transactions are begun and ended by statements of their own.
    """

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        """Keep the connection."""
        self._connection = connection

    @property
    def database(self) -> str:
        """Name of the database that it speaks to."""
        return self._connection.info.dbname

    def all(self, name: str, parameters: Parameters = ()) -> list[Row]:
        """Run a named statement and return its rows."""
        return self._execute(name, parameters).fetchall()

    def one(self, name: str, parameters: Parameters = ()) -> Row | None:
        """Run a named statement and return its first row."""
        return self._execute(name, parameters).fetchone()

    def run(self, name: str, parameters: Parameters = ()) -> None:
        """Run a named statement."""
        self._execute(name, parameters)

    def together(self, requests: Iterable[Request]) -> dict[str, list[Row]]:
        """
        Run reads and return the rows of each by its name.

        One after another, never in a pipeline: while one is filled, and from the flush that ends it to the next statement, the
        server counts no idle time (PostgreSQL 15), and a gateway frozen there would keep its locks for ever.
        """
        return {name: self.all(name, parameters) for name, parameters in requests}

    def copy(self, name: str, rows: Iterable[Sequence[object]]) -> None:
        """Send rows by a named COPY, in binary."""
        points.statement(name)
        with self._connection.cursor() as cursor, cursor.copy(STATEMENTS[name].text) as copy:
            copy.set_types(COPIED[name])
            for row in rows:
                copy.write_row(row)

    def script(self, name: str, text: str) -> None:
        """Run a numbered file of several statements, under a name of its own."""
        points.statement(name)
        self._connection.execute(text.encode())

    def commit(self) -> None:
        """
        Commit.

        Raises:
            NotCommitted: the server rolled back, because something had failed before.
        """
        if self._execute("commit", ()).statusmessage != "COMMIT":
            raise NotCommitted

    def abandon(self) -> None:
        """Roll back what is open; close the connection if that cannot be done."""
        if self._connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE:
            return
        try:
            self._execute("rollback", ())
        except psycopg.Error:
            self._connection.close()

    def _execute(self, name: str, parameters: Parameters) -> psycopg.Cursor[Row]:
        points.statement(name)
        return self._connection.execute(STATEMENTS[name].text, parameters or None)


def configure(session: Session, *, application: str, role: str = "dmp_gateway_write") -> None:
    """
    Tell a new session how long it may wait, who it is, and let it drop the rights that it does not need.

    Args:
        session: A new connection.
        application: Shown in the server's list of sessions.
        role: Of `ROLES`, taken where it is; the reading one may only read.
    """
    session.run(
        "configure_session",
        (
            str(LOCK_TIMEOUT_MS),
            str(STATEMENT_TIMEOUT_MS),
            str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
            application,
            "on" if role == "dmp_gateway_read" else "off",
            str(_KEEPALIVE_IDLE),
            str(_KEEPALIVE_INTERVAL),
            str(_KEEPALIVE_COUNT),
            str(_USER_TIMEOUT_MS),
        ),
    )
    usable = session.one("role_usable", {"role": role})
    if usable is not None and usable[0]:
        session.run(ROLES[role])

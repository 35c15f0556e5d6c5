"""Reaching the database: one connection for a person's verb or a start, a pool for the gateway's work."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool

from gateway.store.port import StoreUnusable
from gateway.store.postgres.errors import explained, told, unreached
from gateway.store.postgres.session import STATEMENT_TIMEOUT_MS, Row, Session, configure

_T = TypeVar("_T")

#: Text is UTF-8 whatever the server would choose. A dead host is noticed within so many seconds; the server is told the same of
#: us (`session.configure`).
_NETWORK: Final[dict[str, Any]] = {
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
#: After so many seconds a pool stops trying by itself: whoever wants a connection makes it try again at once.
_RECONNECT_SECONDS: Final = 2.0
#: A server that lives ends a statement in less: whoever waits longer waits for nobody. What lies between may take every byte, and
#: keep the line alive, without a word of the server's.
ANSWER_SECONDS: Final = STATEMENT_TIMEOUT_MS / 1000 + 5
#: The same for the question whether a connection of a pool still lives.
_CHECK_SECONDS: Final = 3.0
#: Durable at the server at least: `off` loses acknowledged commits at a kill.
_NOT_DURABLE: Final = "off"
_LEAST_VERSION: Final = 130_000
#: How the server's list of sessions names ours.
_APPLICATION: Final = "dmp-gateway"


class NoAnswer(psycopg.OperationalError):
    """The server did not answer in time; the connection is closed."""


class Abandoned:
    """
    Sessions that a pool lost and the server may still hold: their locks with them.

    In the middle of a COPY the server waits for bytes, and counts neither idle time nor that of the statement; what lies between
    may keep the line alive long after we gave it up. So the next connection ends them by their number.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._lost: set[int] = set()

    def note(self, pid: int) -> None:
        """Note the server's number of a session that was lost."""
        with self._lock:
            self._lost.add(pid)

    def end(self, session: Session) -> None:
        """End at the server what was lost; `session` is another one of the same user, whose role was not changed yet."""
        with self._lock:
            lost, self._lost = self._lost, set()
        try:
            for pid in sorted(lost):
                # A number is given again: only a session that says it is ours.
                session.run("end_lost_session", (pid, f"{_APPLICATION} %"))
        except BaseException:
            with self._lock:
                self._lost |= lost
            raise


class BoundedConnection(psycopg.Connection[Row]):
    """A connection on which no answer is waited for without end: where none comes in time, it is closed."""

    #: How long an answer is waited for, in seconds.
    answer_seconds = ANSWER_SECONDS
    #: Told the server's number of this session once it is lost.
    lost: Callable[[], object] = staticmethod(lambda: None)

    def wait(self, gen: PQGen[_T], interval: float = 0.1, timeout: float | None = None) -> _T:
        """
        Wait for an answer of the server.

        Raises:
            NoAnswer: none came in time; nobody knows what became of the statement.
            psycopg.OperationalError: the connection was lost.
        """
        try:
            return super().wait(gen, interval, self.answer_seconds if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.info.transaction_status is not psycopg.pq.TransactionStatus.ACTIVE:
                if self.pgconn.status is psycopg.pq.ConnStatus.BAD:
                    self.lost()
                raise
            # Without its answer it can be used for nothing, not even to roll back.
            self.close()
            self.lost()
            raise NoAnswer from None


class DatabaseUnusable(StoreUnusable):
    """The database cannot be used; names server, database and SQLSTATE, never a value or a password."""


@contextlib.contextmanager
def connected(url: str, *, application: str, role: str = "dmp_gateway_write") -> Iterator[Session]:
    """
    Open one connection, configured as every session of the gateway, until the block ends; no answer is waited for without end.

    Raises:
        DatabaseUnusable: it cannot be opened.
    """
    with _opened(url, BoundedConnection) as connection:
        session = Session(connection)
        try:
            configure(session, application=application, role=role)
        except psycopg.Error as failure:
            raise unusable(url, told(failure)) from None
        yield session


@contextlib.contextmanager
def opened(url: str) -> Iterator[psycopg.Connection[Row]]:
    """Open one connection, not configured, in autocommit mode, until the block ends."""
    with _opened(url, psycopg.Connection) as connection:
        yield connection


@contextlib.contextmanager
def _opened(url: str, kind: type[psycopg.Connection[Row]]) -> Iterator[psycopg.Connection[Row]]:
    try:
        connection = kind.connect(url, autocommit=True, prepare_threshold=None, **_NETWORK)
    except psycopg.Error as failure:
        raise unusable(url, unreached(failure)) from None
    with contextlib.closing(connection):
        yield connection


def pool(url: str, name: str, least: int, most: int) -> ConnectionPool[BoundedConnection]:
    """
    Return an open pool whose sessions write; a connection that died, or says nothing, is noticed when it is taken.

    Args:
        url: The database.
        name: Of the pool: a part of the application name.
        least: Connections kept.
        most: Connections at once.
    """
    abandoned = Abandoned()

    def prepare(connection: BoundedConnection) -> None:
        session, pid = Session(connection), connection.info.backend_pid
        abandoned.end(session)
        configure(session, application=f"{_APPLICATION} {name}")
        connection.lost = lambda: abandoned.note(pid)

    made: ConnectionPool[BoundedConnection] = ConnectionPool(
        url,
        connection_class=BoundedConnection,
        min_size=least,
        max_size=most,
        open=False,
        name=f"{_APPLICATION} {name}",
        kwargs={"autocommit": True, **_NETWORK},
        configure=prepare,
        check=_check,
        reconnect_timeout=_RECONNECT_SECONDS,
    )
    made.open()
    return made


def _check(connection: BoundedConnection) -> None:
    """
    Find out whether a connection still lives.

    Raises:
        psycopg.Error: it does not, or does not say so soon.
    """
    connection.answer_seconds = _CHECK_SECONDS
    ConnectionPool.check_connection(connection)
    connection.answer_seconds = ANSWER_SECONDS


def require_durable(session: Session, url: str) -> None:
    """
    Refuse a server whose commits are not kept, or that cannot hold what the gateway writes.

    Raises:
        DatabaseUnusable: says which setting, and what it must be.

    Source: D-2.
    """
    (synchronous_commit, fsync, encoding, version, standby) = session.one("server_facts") or ("", "", "", 0, False)
    if version < _LEAST_VERSION:
        raise unusable(url, f"PostgreSQL {version // 10_000} is older than {_LEAST_VERSION // 10_000}")
    if synchronous_commit == _NOT_DURABLE:
        raise unusable(url, "synchronous_commit is off: an answered commit could be lost; set it to on")
    if fsync != "on":
        raise unusable(url, "fsync is off: a power cut could lose everything; set it to on")
    if encoding != "UTF8":
        raise unusable(url, f"the database's encoding is {encoding}; create it with ENCODING 'UTF8'")
    if standby:
        raise unusable(url, "the server is a standby: decisions are made on the primary")


def unusable(url: str, reason: str) -> DatabaseUnusable:
    """Return the error of the house for a database that cannot be used."""
    return DatabaseUnusable(f"{place(url)} cannot be used: {explained(reason)}")


def place(url: str) -> str:
    """Return where a database is, without user and password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        return "DATABASE_URL"
    host = parts.get("host") or parts.get("hostaddr") or "the local socket"
    return f"database {parts.get('dbname') or 'of the user'} on {host}:{parts.get('port') or 5432}"

"""Reaching the database: one connection for a person's verb or a start, a pool for the gateway's work."""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool

from gateway.store.port import StoreUnusable
from gateway.store.postgres.errors import explained, unreached
from gateway.store.postgres.session import Row, Session, configure

#: Text is UTF-8 whatever the server would choose. A dead host is noticed within so many seconds; with
#: `client_connection_check_interval` the server notices a dead gateway.
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
#: Durable at the server at least: `off` loses acknowledged commits at a kill.
_NOT_DURABLE: Final = "off"
_LEAST_VERSION: Final = 130_000


class DatabaseUnusable(StoreUnusable):
    """The database cannot be used; names server, database and SQLSTATE, never a value or a password."""


@contextlib.contextmanager
def connected(url: str, *, application: str, role: str = "dmp_gateway_write") -> Iterator[Session]:
    """
    Open one connection, configured as every session of the gateway, until the block ends.

    Raises:
        DatabaseUnusable: it cannot be opened.
    """
    with opened(url) as connection:
        session = Session(connection)
        configure(session, application=application, role=role)
        yield session


@contextlib.contextmanager
def opened(url: str) -> Iterator[psycopg.Connection[Row]]:
    """Open one connection, not configured, in autocommit mode, until the block ends."""
    try:
        connection = psycopg.connect(url, autocommit=True, prepare_threshold=None, **_NETWORK)
    except psycopg.Error as failure:
        raise unusable(url, unreached(failure)) from None
    with contextlib.closing(connection):
        yield connection


def pool(url: str, name: str, least: int, most: int) -> ConnectionPool[psycopg.Connection[Row]]:
    """
    Return an open pool whose sessions write; a connection that died is noticed when it is taken.

    Args:
        url: The database.
        name: Of the pool: a part of the application name.
        least: Connections kept.
        most: Connections at once.
    """

    def prepare(connection: psycopg.Connection[Row]) -> None:
        configure(Session(connection), application=f"dmp-gateway {name}")

    made: ConnectionPool[psycopg.Connection[Row]] = ConnectionPool(
        url,
        min_size=least,
        max_size=most,
        open=False,
        name=f"dmp-gateway {name}",
        kwargs={"autocommit": True, **_NETWORK},
        configure=prepare,
        check=ConnectionPool.check_connection,
        reconnect_timeout=_RECONNECT_SECONDS,
    )
    made.open()
    return made


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

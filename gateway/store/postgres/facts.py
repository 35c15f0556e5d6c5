"""What a server says of itself, for `doctor`: how it keeps what it commits, and what stands between it and the gateway."""

import time
from contextlib import ExitStack

import psycopg

from gateway.model.base import Model
from gateway.store.postgres.connection import opened, unusable
from gateway.store.postgres.errors import told
from gateway.store.postgres.session import Session


class ServerFacts(Model, frozen=True, kw_only=True):
    """Settings of a database and of the way to it."""

    version: str
    synchronous_commit: str
    fsync: str
    full_page_writes: str
    encoding: str
    #: The server's default; the gateway's transactions say their own.
    isolation: str
    #: Bytes.
    size: int
    #: How far the server's clock is ahead of this machine's, in seconds.
    clock_ahead: float
    #: Connections that the server takes.
    connections: int
    #: Something between gateway and server answers in the server's place.
    pooled: bool
    #: A session keeps what it was told: else a pooler gives one server connection to several clients in turn.
    sessions_kept: bool


def server_facts(url: str) -> ServerFacts:
    """
    Ask a server; changes nothing.

    Raises:
        DatabaseUnusable: it cannot be reached, or a pooler refuses what a session needs.
    """
    try:
        with ExitStack() as stack:
            connections = [stack.enter_context(opened(url)) for _ in range(2)]
            first, second = (Session(connection) for connection in connections)
            begun = time.time()
            row = first.one("doctor_facts") or ()
            now = (begun + time.time()) / 2
            # A pooler makes up the process id that it gives at the start.
            pooled = connections[0].info.backend_pid != row[9]
            first.one("doctor_marks", ("first",))
            second.one("doctor_marks", ("second",))
            kept = [session.one("doctor_reads") for session in (first, second)]
    except psycopg.Error as failure:
        raise unusable(url, told(failure)) from None
    return ServerFacts(
        version=row[0],
        synchronous_commit=row[1],
        fsync=row[2],
        full_page_writes=row[3],
        encoding=row[4],
        isolation=row[5],
        size=row[6],
        clock_ahead=row[7] - now,
        connections=row[8],
        pooled=pooled,
        sessions_kept=kept == [("first",), ("second",)],
    )

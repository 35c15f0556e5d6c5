"""Reading the record store for an operator, from any machine: a session that may only read."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Self

import psycopg

from gateway.store import pages
from gateway.store.postgres.checks import Checks
from gateway.store.postgres.connection import connected, unusable
from gateway.store.postgres.errors import told
from gateway.store.postgres.lane_days import LanesRead
from gateway.store.postgres.parked import ParkedRead
from gateway.store.postgres.retention import Runs
from gateway.store.postgres.scopes import Scopes
from gateway.store.postgres.session import Session
from gateway.store.postgres.traces import Traces
from gateway.store.postgres.transaction import PostgresTransaction
from gateway.store.postgres.watch import Watch
from gateway.store.views import DepositLine, DepositPage, RecordPage

_FILTERS = ("state", "source", "establishment", "patient", "message", "document", "code", "since", "until")


class PostgresReader(Checks, LanesRead, ParkedRead, Scopes, Traces, Runs, Watch):
    """
    A reading connection.

    Args:
        url: The database.

    Raises:
        DatabaseUnusable: it cannot be reached, or is no store of ours; by any method, if it goes away.
    """

    def __init__(self, url: str) -> None:
        """Connect with the reading role, where there is one."""
        self._url = url
        with ExitStack() as stack:
            self._session = stack.enter_context(connected(url, application="dmp-gateway reader", role="dmp_gateway_read"))
            there = self._session.one("is_store")
            if there is None or not there[0]:
                raise unusable(url, "there is no record store; make it with `dmp-gateway db migrate`")
            self._connection = stack.pop_all()

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._connection.close()

    def deposits(self, filters: dict[str, str], *, limit: int) -> list[DepositLine]:
        """Return decided messages, newest first; see `Reader.deposits`."""
        asked = {**dict.fromkeys(_FILTERS), **filters, "limit": limit}
        with self._reading() as session:
            return [pages.deposit_line(row) for row in session.all("list_receipts", asked)]

    def deposit(self, receipt: str) -> DepositPage | None:
        """Return all that is known of one message."""
        with self._reading() as session:
            row = session.one("show_receipt", (receipt,))
            return None if row is None else pages.deposit_page(row, session.all("show_trace", (receipt,)))

    def record(self, authority: str, value: str, now: datetime) -> RecordPage | None:
        """Return the page of the patient that an identifier names; None if it is unknown here."""
        with self._reading() as session:
            row = session.one("patient_of_identifier", (authority, value))
            if row is None:
                return None
            patient = int(row[0])
            return pages.record_page(
                PostgresTransaction(session, now, patients={(authority, value): patient}),
                patient,
                now,
                documents=session.all("show_documents", (patient,)),
                tasks=[task[0] for task in session.all("show_tasks", (patient,))],
            )

    def counts(self) -> dict[str, int]:
        """Return how many messages ended in each verdict."""
        with self._reading() as session:
            return {row[0]: row[1] for row in session.all("count_verdicts")}

    def stored_against_an_opposition(self) -> list[tuple[str, str]]:
        """Return (receipt, statement) of every document stored against a binding opposition; see `Reader`."""
        with self._reading() as session:
            return [(row[0], row[1]) for row in session.all("stored_against_an_opposition")]

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        """Read one state of the database (REPEATABLE READ, READ ONLY): nothing is decided on it."""
        try:
            self._session.run("begin_reading")
            try:
                yield self._session
            finally:
                self._session.abandon()
        except psycopg.Error as failure:
            raise unusable(self._url, told(failure)) from None

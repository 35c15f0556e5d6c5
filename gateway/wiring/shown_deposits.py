"""The routes that show what became of deposits, over the record store of this gateway: its file, or its database."""

from contextlib import AbstractContextManager
from datetime import timedelta

from gateway.adapters.http.registry import Route
from gateway.config.settings import Settings
from gateway.model.ports import Clock
from gateway.queue.receipt import MacReceipts
from gateway.store.reader import Reader
from gateway.web.deposits import DepositRoutes
from gateway.wiring.data import DataDirectory
from gateway.wiring.database import open_reader


def deposit_routes(directory: DataDirectory, receipts: MacReceipts, clock: Clock, settings: Settings) -> tuple[Route, ...]:
    """
    Return the rows of `/deposits`.

    Args:
        directory: The data directory: without `DATABASE_URL` its file is read, as any other process may (D-12).
        receipts: Know which ids are of this installation.
        clock: The time.
        settings: How long receipts are kept.
    """

    def reading() -> AbstractContextManager[Reader]:
        return open_reader(directory)

    keep = timedelta(days=settings.retention.receipts_days)
    return DepositRoutes(reading, receipts.verify, clock, keep).routes()

"""The rooms of a gateway, opened by whoever owns the data directory, or by any verb where the store is a database (D-12)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from gateway.model.ports import Clock
from gateway.queue.errors import KeysUnusable
from gateway.queue.keys import Keys, initialise, initialised
from gateway.queue.receipt import MacReceipts
from gateway.store.port import Store
from gateway.wiring.answers import Answers, noting
from gateway.wiring.data import DataDirectory
from gateway.wiring.database import open_store


class Rooms(NamedTuple):
    """What an owner holds open."""

    keys: Keys
    receipts: MacReceipts
    #: Its events are noted in `answers`.
    store: Store
    answers: Answers


@contextmanager
def opened(directory: DataDirectory, clock: Clock, made: Callable[[str], None]) -> Iterator[Rooms]:
    """
    Open keys and store of a directory that the caller owns; close the store at the end.

    Args:
        directory: Owned by this process, unless the store is a database.
        clock: The time.
        made: Told when the first keys of a new directory were made.

    Raises:
        KeysUnusable, NewerSchema, FileUnusable, StoreUnusable: it cannot be opened; the text says what to do.
    """
    if not initialised(directory.keys):
        # Without a queue nothing waits that other keys could open: a new directory gets its first secret by itself, and one whose
        # making was cut off gets the rest.
        if directory.queue.exists():
            message = f"{directory.keys} is gone, and what waits in {directory.queue} cannot be opened without it: bring it back"
            raise KeysUnusable(message)
        initialise(directory.keys, clock)
        made(str(directory.keys))
    keys = Keys.open(directory.keys, clock)
    store = open_store(directory, clock)
    answers = Answers(directory.answers, clock)
    try:
        yield Rooms(keys=keys, receipts=MacReceipts(keys.receipts), store=noting(store, answers), answers=answers)
    finally:
        store.close()
        answers.close()

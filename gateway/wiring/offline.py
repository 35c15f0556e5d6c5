"""A verb that writes without a gateway: the directory's lock is taken for its time; a database needs none (D-12)."""

import contextlib
from collections.abc import Iterator

import msgspec

from gateway.model.ports import FileUnusable
from gateway.queue.errors import KeysUnusable
from gateway.store.port import StoreUnusable
from gateway.store.retention import Periods
from gateway.store.sqlite.connection import NewerSchema
from gateway.wiring.clock import SystemClock
from gateway.wiring.control import Request
from gateway.wiring.data import DataDirectory
from gateway.wiring.database import database_url
from gateway.wiring.naming import Names
from gateway.wiring.rooms import opened
from gateway.wiring.verbs import Verbs


def run_offline(directory: DataDirectory, request: Request, names: Names) -> bytes:
    """
    Run a verb as the owner's stand-in.

    Args:
        directory: The data directory.
        request: The verb with its arguments.
        names: What the gateway of this directory knows by name: its configuration's.

    Returns:
        The verb's result as JSON.

    Raises:
        Owned: a gateway has started meanwhile.
        LookupError, ValueError, RuntimeError: as `Verbs.run`; RuntimeError also where the rooms cannot be opened.
    """
    with offline(directory, names) as verbs:
        return verbs.run(request)


@contextlib.contextmanager
def offline(directory: DataDirectory, names: Names, kept: Periods = Periods()) -> Iterator[Verbs]:  # noqa: B008 - frozen
    """Stand in for the owner until the block ends, for several verbs; see `run_offline`."""
    clock = SystemClock()
    with contextlib.ExitStack() as stack:
        if database_url() is None:
            stack.enter_context(directory.owned())
        else:
            directory.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            rooms = stack.enter_context(opened(directory, clock, lambda _: None))
        except (KeysUnusable, NewerSchema, FileUnusable, StoreUnusable) as failure:
            raise RuntimeError(str(failure)) from failure
        yield Verbs(rooms.store, clock, rooms.receipts, names, lambda: msgspec.json.encode({"running": False}), kept=kept)

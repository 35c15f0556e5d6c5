"""What the tests of routes have in common: ports, a loop on a thread of its own, the sample's sources."""

import asyncio
import threading
from collections.abc import Iterator

import msgspec
import pytest

from gateway.adapters.http.engine import Engine
from gateway.config.load import load
from gateway.model.source import Directory, Grant
from gateway.queue.receipt import MacReceipts
from tests.harness.site import Hands, Still


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop on a thread of its own, as a door's is."""
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever)
    thread.start()
    yield running
    running.call_soon_threadsafe(running.stop)
    thread.join(10)
    running.close()


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def clock() -> Still:
    return Still()


@pytest.fixture(scope="session")
def receipts() -> MacReceipts:
    return MacReceipts(b"0123456789abcdef")


@pytest.fixture(scope="session")
def directory() -> Directory:
    """The sample's, every source trusted to send qualified identities."""
    sample = load(None, {}, {}).settings.directory
    sources = [
        msgspec.structs.replace(source, grants=source.grants | {Grant.IDENTITY_ASSERTED} if source.grants else source.grants)
        for source in sample.sources
    ]
    return msgspec.structs.replace(sample, sources=tuple(sources))


@pytest.fixture
def engine(hands: Hands, clock: Still, receipts: MacReceipts, loop: asyncio.AbstractEventLoop) -> Engine:
    return Engine(deposits=hands, events=hands, receipts=receipts, clock=clock, environment="test", loop=loop)

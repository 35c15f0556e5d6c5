"""Many connections against one door: whoever merely connects keeps nobody out."""

import asyncio
import resource
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.model.source import Connection
from tests.door.test_mllp_door import MESSAGE, Opened, framed, peer, run, until
from tests.door.test_mllp_door import opened as opened_plain
from tests.door.test_mllp_tls import SIL, client, opened, row
from tests.harness.pki import Pki

pytestmark = pytest.mark.door

FLOOD = Connection(door="mllp", networks=("127.0.0.0/8",), sources=("sil-valmont",))


async def connected(port: int, count: int, own: str) -> list[socket.socket]:
    """Open connections that say nothing."""
    loop = asyncio.get_running_loop()
    found = []
    for _ in range(count):
        link = socket.socket()
        link.setblocking(False)
        link.bind((own, 0))
        await loop.sock_connect(link, ("127.0.0.1", port))
        found.append(link)
    return found


async def served(found: Opened) -> None:
    """Send a message over a connection of its own."""
    async with peer(found) as other:
        assert (await other.ask(framed(MESSAGE))).code == "AA"


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.proof)])
def test_many_silent_connections_leave_another_served(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 500)), hard))

    async def scenario() -> None:
        async with opened_plain(connection_limit=16, connections=(FLOOD,)) as found:
            links = await connected(found.door.port, count, "127.0.0.2")
            try:
                for _ in range(5):
                    await served(found)
                assert found.door.probe().connections <= 16
            finally:
                for link in links:
                    link.close()

    try:
        run(scenario)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_one_that_spoke_stays_while_silent_ones_come_and_go() -> None:
    async def scenario() -> None:
        async with opened_plain(connection_limit=4, connections=(FLOOD,)) as found, peer(found) as steady:
            assert (await steady.ask(framed(MESSAGE))).code == "AA"
            links = await connected(found.door.port, 50, "127.0.0.2")
            await until(lambda: found.door.probe().connections <= 4)
            assert (await steady.ask(framed(MESSAGE))).code == "AA"
            for link in links:
                link.close()

    run(scenario)


def test_a_machine_that_speaks_on_every_place_gives_half_of_them_up() -> None:
    async def scenario() -> None:
        async with opened_plain(connection_limit=4, connections=(FLOOD,)) as found, AsyncExitStack() as stack:
            hogs = []
            for _ in range(4):
                reader, writer = await asyncio.open_connection("127.0.0.1", found.door.port, local_addr=("127.0.0.2", 0))
                stack.callback(writer.close)
                writer.write(framed(MESSAGE))
                await asyncio.wait_for(reader.readuntil(b"\x1c\r"), 10)
                hogs.append(reader)
            others = [await stack.enter_async_context(peer(found)) for _ in range(2)]
            for other in others:
                assert (await other.ask(framed(MESSAGE))).code == "AA"
            assert [await asyncio.wait_for(hog.read(), 10) for hog in hogs[:2]] == [b"", b""]
            assert found.door.probe().connections == 4

    run(scenario)


def test_handshakes_that_never_end_are_no_places(pki: Pki, tmp_path: Path) -> None:
    pki.write(tmp_path)

    async def scenario() -> None:
        async with opened(tmp_path, row(SIL), FLOOD, connection_limit=8) as found:
            assert found.door.tls is not None
            links = await connected(found.door.tls.port, 300, "127.0.0.2")
            context = client(pki, pki.client, tmp_path)
            for _ in range(3):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", found.door.tls.port, ssl=context, server_hostname="localhost"
                )
                writer.write(framed(MESSAGE))
                assert b"MSA|AA" in await asyncio.wait_for(reader.readuntil(b"\x1c\r"), 10)
                writer.close()
            for link in links:
                link.close()

    run(scenario)

"""`gateway.sock`: one request, one reply, for its user alone (D-12)."""

import asyncio
import contextlib
import os
import socket
import stat
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from gateway.wiring import control
from gateway.wiring.control import ControlServer, Reply, Request, ask


def echo(request: Request) -> bytes:
    """A table of verbs for the tests."""
    match request.verb:
        case "echo":
            return msgspec.json.encode({name: msgspec.json.decode(raw) for name, raw in request.args.items()})
        case "unknown":
            raise LookupError("this gateway has no verb 'unknown'")
        case "value":
            raise ValueError("wrong argument")
        case "away":
            raise RuntimeError("STORE_UNAVAILABLE: later")
        case _:
            raise OverflowError("CANARI")


def serve(folder: Path, talk: Callable[[str], Awaitable[None]]) -> None:
    """Serve `echo` while `talk` runs."""

    async def run() -> None:
        server = ControlServer(folder / "gateway.sock", echo)
        await server.open()
        try:
            await talk(str(folder / "gateway.sock"))
        finally:
            await asyncio.wait_for(server.close(), 5)

    asyncio.run(run())


async def raw(path: str, sent: bytes, *, end: bool = True) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(sent)
    if end:
        writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


def test_a_verb_and_its_answer(tmp_path: Path) -> None:
    async def talk(path: str) -> None:
        request = Request(verb="echo", args={"é": msgspec.Raw(b'["\xc3\xa9", null]')})
        reply = await asyncio.to_thread(ask, path, request)
        assert reply.ok and msgspec.json.decode(reply.result) == {"é": ["é", None]}

    serve(tmp_path, talk)


@pytest.mark.parametrize(
    ("verb", "error"),
    [("unknown", "no verb"), ("value", "wrong argument"), ("away", "STORE_UNAVAILABLE"), ("bug", "its log tells where")],
)
def test_a_failure_is_told(tmp_path: Path, verb: str, error: str) -> None:
    async def talk(path: str) -> None:
        reply = await asyncio.to_thread(ask, path, Request(verb=verb))
        assert not reply.ok and error in (reply.error or "") and "CANARI" not in (reply.error or "")

    serve(tmp_path, talk)


@pytest.mark.parametrize(
    "sent", [b"{}\n", b"\n", b"\xff\xfe\n", b'{"verb": 1}\n', b'{"verb": "echo", "newer": 1}\n', b"[" * 9999 + b"\n"]
)
def test_what_is_no_request_is_told_so(tmp_path: Path, sent: bytes) -> None:
    async def talk(path: str) -> None:
        reply = msgspec.json.decode(await raw(path, sent), type=Reply)
        assert (reply.ok, reply.error) == (False, "the request cannot be read")
        assert (await asyncio.to_thread(ask, path, Request(verb="echo"))).ok

    serve(tmp_path, talk)


@pytest.mark.parametrize("sent", [b"", b'{"verb": "echo"}', b" " * (control._REQUEST_BYTES + 10)])
def test_half_a_request_begins_nothing(tmp_path: Path, sent: bytes) -> None:
    async def talk(path: str) -> None:
        with contextlib.suppress(ConnectionError):  # it was cut while it still spoke
            assert await raw(path, sent) == b""
        assert (await asyncio.to_thread(ask, path, Request(verb="echo"))).ok

    serve(tmp_path, talk)


def test_the_socket_is_its_users_alone_from_the_first_instant_and_goes_away(tmp_path: Path) -> None:
    async def talk(path: str) -> None:
        status = await asyncio.to_thread(os.stat, path)
        assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600

    serve(tmp_path, talk)
    assert not (tmp_path / "gateway.sock").exists()


def test_a_socket_left_by_a_dead_owner_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "gateway.sock"))

    async def talk(path: str) -> None:
        assert (await asyncio.to_thread(ask, path, Request(verb="echo"))).ok

    serve(tmp_path, talk)


def test_an_idle_caller_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as idle:

        async def talk(path: str) -> None:
            idle.connect(path)
            idle.sendall(b'{"verb"')
            await asyncio.sleep(0.05)

        serve(tmp_path, talk)
        idle.settimeout(5)
        assert idle.recv(100) == b""


def test_an_idle_caller_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_REQUEST_SECONDS", 0.05)

    async def talk(path: str) -> None:
        assert await raw(path, b'{"verb"', end=False) == b""

    serve(tmp_path, talk)


def test_a_verb_in_hand_is_finished_by_the_stop(tmp_path: Path) -> None:
    async def run() -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def slow(request: Request) -> bytes:
            loop.call_soon_threadsafe(begun.set)
            time.sleep(0.2)
            return b'"done"'

        server = ControlServer(tmp_path / "gateway.sock", slow)
        await server.open()
        asked = asyncio.create_task(asyncio.to_thread(ask, str(tmp_path / "gateway.sock"), Request(verb="x")))
        await begun.wait()
        await server.close()
        assert (await asked).result == msgspec.Raw(b'"done"')

    asyncio.run(run())


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        ask(str(tmp_path / "gateway.sock"), Request(verb="status"))


def test_an_answer_cut_short_is_no_answer(tmp_path: Path) -> None:
    path = str(tmp_path / "gateway.sock")

    async def run() -> None:
        async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b'{"ok": true')
            writer.close()

        async with await asyncio.start_unix_server(cut, path=path):
            with pytest.raises(ConnectionError):
                await asyncio.to_thread(ask, path, Request(verb="status"))

    asyncio.run(run())

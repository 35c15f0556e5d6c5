"""The HTTP door and senders that mean harm: what they ask for costs no thread, no memory, no place, and nobody else's name."""

import gzip
import re
import socket
import struct
import threading
import time
from contextlib import ExitStack

import msgspec
import pytest

from gateway.adapters.http.application import Application
from gateway.adapters.http.call import Call, Reply
from gateway.adapters.http.channel import Channel
from gateway.adapters.http.registry import Access, Answered, Route
from gateway.adapters.trust import token_hash
from tests.harness.breach import Breach
from tests.harness.http_door import ECHO, Served, answer, echo, everything
from tests.unit.mllp.doubles import SETTINGS

pytestmark = [pytest.mark.door]

SOURCE = "X-DMP-Source: sil-valmont"
POST = f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n{SOURCE}\r\n".encode()
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
LARGE = 256 * 1024
_TEXT = (Answered(status=200, text="Text.", types=("text/plain",)),)


def large(_: Call) -> Reply:
    return Reply(body=b"a" * LARGE, content_type="text/plain")


class Held:
    """A route whose answers wait for a gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)

    def wait(self, call: Call) -> Reply:
        self.entered.release()
        assert self.gate.wait(20)
        return echo(call)

    def route(self) -> Route:
        return msgspec.structs.replace(ECHO, path="/wait", name="wait", handler=self.wait)


BIG = Route(method="GET", path="/big", name="big", summary="Large.", access=Access.PUBLIC, handler=large, answers=_TEXT)


def until(found, said: str) -> None:
    """Wait until something is so."""
    limit = time.monotonic() + 15
    while not found():
        if time.monotonic() > limit:
            raise Breach(said)
        time.sleep(0.01)


def channels(served: Served) -> list[Channel]:
    assert served.door._pool is not None
    return served.door._pool._channels()


def test_who_reads_no_answer_costs_no_thread_and_no_more_memory_than_one_answer() -> None:
    asked = b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n" * 200
    with ExitStack() as opened, Served(more=lambda _: (BIG, ECHO), unread_seconds=1.0) as served:
        links = []
        for _ in range(12):
            link = opened.enter_context(socket.socket())
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.connect(("127.0.0.1", served.port))
            link.sendall(asked)
            links.append(link)
        most = 0
        for _ in range(20):
            with served.connect() as other:
                other.settimeout(5)
                other.sendall(HEALTH + b"Connection: close\r\n\r\n")
                assert answer(everything(other)).status == 200
            most = max(most, *(channel.total_outbufs_len for channel in channels(served)))
        assert most <= 2 * LARGE
        until(lambda: not served.door.probe().connections, "connections of those that read nothing are kept")


def test_pipelined_answers_come_whole_and_in_order() -> None:
    with Served(more=lambda _: (BIG, ECHO)) as served:
        data = served.raw(
            b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n" * 20 + POST + b"Connection: close\r\nContent-Length: 1\r\n\r\na"
        )
    assert data.count(b"HTTP/1.1 200 OK") == 21
    assert data.count(b"a" * LARGE) == 20
    assert data.endswith(b"1 sil-valmont")


def test_many_members_of_gzip_are_refused() -> None:
    with Served() as served:
        body = gzip.compress(b"") * 5000
        found = served.post("/echo", body, SOURCE, "Content-Encoding: gzip")
        assert (found.status, found.code) == (400, "HTTP_BODY_INVALID")
        some = gzip.compress(b"a" * 100_000) * 12
        assert served.post("/echo", some, SOURCE, "Content-Encoding: gzip").body == b"1200000 sil-valmont"


def test_what_is_unpacked_is_bounded_together_too() -> None:
    held = Held()
    size = 1_000_000
    packed = gzip.compress(b"a" * size)
    head = (
        f"POST /wait HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n{SOURCE}\r\nConnection: close\r\n"
        f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    ).encode()
    spec = {"body_limit_bytes": 1 << 20, "held_limit_bytes": 2_100_000}
    with ExitStack() as opened, Served(more=lambda _: (held.route(), ECHO), **spec) as served:
        links = []
        for _ in range(2):
            links.append(served.linked(opened, head + packed))
            assert held.entered.acquire(timeout=10)
        found = served.post("/echo", packed, SOURCE, "Content-Encoding: gzip")
        held.gate.set()
        assert (found.status, found.code, found.headers["retry-after"]) == (503, "OVERLOADED", "5")
        assert [answer(everything(link)).body for link in links] == [b"1000000 sil-valmont"] * 2
        until(lambda: not served.held, "what was unpacked is counted for ever")
        assert served.post("/echo", packed, SOURCE, "Content-Encoding: gzip").status == 200


def test_a_connection_that_ends_with_requests_waiting_gives_back_what_it_held() -> None:
    held = Held()
    first = POST.replace(b"/echo", b"/wait") + b"Content-Length: 1\r\n\r\na"
    with ExitStack() as opened, Served(more=lambda _: (held.route(), ECHO)) as served:
        served.linked(opened, first + (POST + b"Content-Length: 2000\r\n\r\n" + b"a" * 2000) * 4)
        assert held.entered.acquire(timeout=10)
        until(lambda: served.held == 8001, "what waits is not counted")
        for channel in channels(served):
            served.door._pool.later(lambda channel=channel: channel.end("limit"))
        until(lambda: not served.door.probe().connections, "it does not end")
        held.gate.set()
        until(lambda: not served.held, f"{served.held} bytes are counted for nobody")


STRANGE = {
    "an address that is none": b"GET http://[DUPONT]/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "half an address": b"GET http://[/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a folded header": HEALTH + b"X-A: b\r\n c\r\n\r\n",
    "a folded Transfer-Encoding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/1.2": b"GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n",
    "HTTP/2 in words": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an authority": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("case", STRANGE)
def test_what_is_no_request_of_ours_is_told_so(case: str) -> None:
    with Served() as served:
        data = served.raw(STRANGE[case] + HEALTH + b"Connection: close\r\n\r\n")
        found = answer(data)
        assert (found.status, found.code) == (400, "HTTP_REQUEST_INVALID")
        assert len(re.findall(rb"HTTP/1[.][01] [0-9]{3} ", data)) == 1
        assert served.get("/healthz").status == 200


def test_expect_without_a_body_waits_for_none() -> None:
    with Served() as served, served.connect() as link:
        link.settimeout(5)
        link.sendall(HEALTH + b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
        data = everything(link)
        assert b"HTTP/1.1 200 OK" in data
        assert b"at work" in data


def test_a_body_of_chunks_of_one_byte_is_refused() -> None:
    with Served() as served:
        head = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        found = answer(served.raw(head + b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n"))
        assert (found.status, found.code) == (400, "HTTP_BODY_INVALID")
        small = answer(served.raw(head + b"1\r\na\r\n" * 1000 + b"0\r\n\r\n"))
        assert small.body == b"1000 sil-valmont"


def test_requests_of_one_connection_speak_each_for_their_own_token() -> None:
    one, other = "token-of-the-laboratory", "token-of-the-radiology"
    directory = msgspec.structs.replace(
        SETTINGS.directory,
        sources=tuple(
            msgspec.structs.replace(source, tokens=(token_hash(token),))
            for source, token in zip(SETTINGS.directory.sources[:2], (one, other), strict=True)
        ),
    )
    names = [source.id for source in directory.sources]
    bare = POST.replace(SOURCE.encode() + b"\r\n", b"")

    def request(token: str, *, last: bool = False) -> bytes:
        lines = (f"Authorization: Bearer {token}\r\n" if token else "") + ("Connection: close\r\n" if last else "")
        return bare + lines.encode() + b"Content-Length: 1\r\n\r\na"

    with Served(directory=directory, connections=()) as served:
        data = served.raw(request(one) + request(other) + request(one) + request("", last=True))
    found = [found for found in data.replace(b"\r\n\r\n1 ", b"\n1 ").split(b"HTTP/1.1 ") if found]
    assert [each.partition(b"\n1 ")[2].decode() for each in found[:3]] == [names[0], names[1], names[0]]
    assert [each[:3] for each in found] == [b"200", b"200", b"200", b"401"]


def test_one_connection_whose_time_cannot_be_kept_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Channel, _now: float) -> None:
        raise ValueError("DUPONT")

    with Served() as served, served.connect() as link:
        link.sendall(HEALTH + b"\r\n")
        assert link.recv(4096)
        with monkeypatch.context() as patched:
            patched.setattr(Channel, "keep_time", fail)
            until(lambda: not served.door.probe().connections, "a connection that fails stays")
        assert served.get("/healthz").status == 200


def test_no_answer_lets_a_page_of_elsewhere_read_it() -> None:
    with Served() as served:
        found = served.get("/openapi.json", "Origin: https://elsewhere.example")
        assert not [name for name in found.headers if name.startswith("access-control-")]
        data = served.raw(b"OPTIONS /echo HTTP/1.1\r\nHost: x\r\nOrigin: https://x\r\nConnection: close\r\n\r\n")
        assert answer(data).status == 405
        head = answer(served.raw(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
        assert (head.status, head.body) == (200, b"")


def test_a_refusal_that_nobody_is_there_to_read_is_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked, gone, written = threading.Event(), threading.Event(), Application.refused_early

    def late(*given) -> Reply:
        asked.set()
        assert gone.wait(10)
        return written(*given)

    monkeypatch.setattr(Application, "refused_early", late)
    with Served() as served:
        with served.connect() as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            link.sendall(b"nothing of ours\r\n\r\n")
            assert asked.wait(10)
        gone.set()
        until(lambda: not served.door.probe().connections, "the connection of somebody who is gone is kept")
    assert [record for record in caplog.records if record.exc_info] == []

"""What the HTTP door does with strangers: caps, deadlines, smugglers, floods; over real sockets."""

import gzip
import re
import socket
import ssl
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import msgspec
import pytest
import trustme

from gateway.adapters.http.registry import Unruled
from gateway.adapters.tls import TlsFiles
from gateway.model.source import Connection
from tests.harness.breach import Breach
from tests.harness.http_door import ECHO, Served, answer, everything
from tests.unit.mllp.doubles import SAMPLES

pytestmark = [pytest.mark.door]

SOURCE = "X-DMP-Source: sil-valmont"
LIMIT = 4096
POST = f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n{SOURCE}\r\n".encode()


@pytest.fixture(scope="module")
def served():
    with Served(body_limit_bytes=LIMIT) as door:
        yield door


def chunks(*sizes: int) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (size, b"a" * size) for size in sizes) + b"0\r\n\r\n"


@pytest.mark.parametrize(("size", "status"), [(0, 200), (LIMIT - 1, 200), (LIMIT, 200), (LIMIT + 1, 413)])
def test_the_cap_of_a_body_to_the_byte(served: Served, size: int, status: int) -> None:
    found = served.post("/echo", b"a" * size, SOURCE)
    assert found.status == status
    assert found.body.startswith(str(size).encode()) if status == 200 else found.code == "TOO_LARGE"
    chunked = answer(
        served.raw(POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(*([size] if size else [])))
    )
    assert (chunked.status, chunked.headers["content-type"]) == (status, found.headers["content-type"])


def test_a_body_that_is_declared_too_long_is_refused_before_it_comes(served: Served) -> None:
    found = answer(served.raw(POST + b"Content-Length: 999999999999\r\n\r\n"))
    assert (found.status, found.code, found.headers["connection"]) == (413, "TOO_LARGE", "close")


def test_a_chunked_body_without_end_is_cut_at_the_cap_and_its_sender_reads_why(served: Served) -> None:
    with served.connect() as link:
        link.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(64):
            link.sendall(b"400\r\n" + b"a" * 0x400 + b"\r\n")
        assert answer(everything(link)).code == "TOO_LARGE"


@pytest.mark.parametrize("line", [b"1;" + b"x" * 4096, b"0" * 4096, b"F" * 64 + b"\r\n" + b"a" * 8192])
def test_lines_of_chunks_are_bounded(served: Served, line: bytes) -> None:
    found = answer(served.raw(POST + b"Transfer-Encoding: chunked\r\n\r\n" + line))
    assert found.status in {400, 413}


SMUGGLERS = {
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\naaaaaa",
    "length with sign": b"Content-Length: +5\r\n\r\naaaaa",
    "length with blank": b"Content-Length: 5 5\r\n\r\naaaaa",
    "chunk size of no digits": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "chunk size with 0x": b"Transfer-Encoding: chunked\r\n\r\n0x5\r\naaaaa\r\n0\r\n\r\n",
    "chunk longer than it says": b"Transfer-Encoding: chunked\r\n\r\n1\r\naaaa\r\n0\r\n\r\n",
    "other coding": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "bare LF in a header": b"X-A: b\nContent-Length: 5\r\n\r\naaaaa",
    "blank before the colon": b"Content-Length : 5\r\n\r\naaaaa",
    "two hosts": b"Host: y\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("case", SMUGGLERS)
def test_what_two_readers_could_read_in_two_ways_is_refused_and_the_connection_closed(served: Served, case: str) -> None:
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    data = served.raw(POST + SMUGGLERS[case] + smuggled)
    assert len(re.findall(rb"HTTP/1[.]\d \d\d\d ", data)) == 1, data
    found = answer(data)
    assert found.status in {400, 501}, data
    assert found.headers["content-type"] == "application/problem+json"
    assert found.code in {"HTTP_REQUEST_INVALID", "HTTP_BODY_INVALID"}


def test_transfer_encoding_in_http_1_0_is_refused(served: Served) -> None:
    head = POST.replace(b"HTTP/1.1", b"HTTP/1.0")
    assert answer(served.raw(head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")).status == 400


def test_a_request_without_host_or_that_is_none_is_refused(served: Served) -> None:
    assert answer(served.raw(b"GET /healthz HTTP/1.1\r\n\r\n")).code == "HTTP_REQUEST_INVALID"
    assert answer(served.raw(b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n")).status == 400
    assert answer(served.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n")).status == 431


def test_a_body_shorter_than_it_says_is_no_request(served: Served) -> None:
    with served.connect() as link:
        link.sendall(POST + b"Content-Length: 10\r\n\r\naaaaa")
        link.shutdown(socket.SHUT_WR)
        assert everything(link) == b""


def test_expect_is_answered_only_where_the_body_is_wanted(served: Served) -> None:
    with served.connect() as link:
        link.sendall(POST + b"Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert link.recv(100).startswith(b"HTTP/1.1 100 ")
        link.sendall(b"aaaaa")
        assert answer(everything(link)).body == b"5 sil-valmont"
    stranger = POST.replace(b"sil-valmont", b"nobody-here")
    found = answer(served.raw(stranger + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"))
    assert (found.status, found.code) == (403, "SOURCE_UNNAMED")


def test_a_bomb_is_not_unpacked_beyond_the_cap(served: Served) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)[:LIMIT]
    assert served.post("/echo", bomb, SOURCE, "Content-Encoding: gzip").status in {400, 413}
    small = gzip.compress(b"\0" * 1_000_000)
    assert len(small) < LIMIT
    assert served.post("/echo", small, SOURCE, "Content-Encoding: gzip").code == "TOO_LARGE"
    assert served.post("/echo", gzip.compress(b"a" * LIMIT), SOURCE, "Content-Encoding: gzip").body == b"4096 sil-valmont"
    found = served.post("/echo", b"x", SOURCE, "Content-Encoding: br")
    assert (found.status, found.headers["accept-encoding"]) == (415, "gzip")


@pytest.mark.parametrize(
    "path",
    ["//echo", "/./echo", "/echo/..", "/%2e%2e/echo", "/echo%2f", "/echo%00", "/ECHO", "/echo//", "/%C3%A9cho"],
)
def test_a_path_has_one_spelling(served: Served, path: str) -> None:
    assert served.post(path.encode().decode("latin-1"), b"a", SOURCE).code == "HTTP_PATH_UNKNOWN"


@pytest.mark.parametrize("written", ["a\tb", "é", "a b", "<x>", "a" * 129, ""])
def test_an_id_of_a_request_that_could_hurt_is_replaced(served: Served, written: str) -> None:
    found = served.get("/openapi.json", f"X-Request-Id: {written}".encode().decode("latin-1"))
    assert len(found.headers["x-request-id"]) == 32
    assert served.get("/openapi.json", "X-Request-Id: lab-42").headers["x-request-id"] == "lab-42"


def test_no_header_tells_who_is_at_the_other_end(served: Served) -> None:
    forged = ("X-Forwarded-For: 10.9.9.9", "Forwarded: for=10.9.9.9", "X-Real-IP: 10.9.9.9", "gateway.peer: x", "Gateway_Peer: x")
    assert served.get("/healthz", *forged).status == 200
    assert served.post("/echo", b"a", SOURCE, *forged).body == b"1 sil-valmont"


def test_an_error_of_the_program_is_told_by_its_reference_alone(served: Served) -> None:
    found = served.get("/broken")
    assert (found.status, found.code) == (500, "INTERNAL")
    assert b"ZeroDivision" not in found.body
    assert b'"reference":"' in found.body


def test_one_connection_serves_requests_one_after_another(served: Served) -> None:
    with served.connect() as link:
        link.sendall((POST + b"Content-Length: 1\r\n\r\na") * 3)
        found = b""
        while found.count(b"1 sil-valmont") < 3:
            found += link.recv(65_536)
        assert found.count(b"HTTP/1.1 200 ") == 3


def test_slow_senders_are_let_go_and_the_others_served_meanwhile() -> None:
    spec = {"header_seconds": 0.3, "body_seconds": 0.3, "idle_seconds": 0.3, "linger_seconds": 2.0, "connection_limit": 400}
    beginnings = (b"", b"POST /echo HT", POST + b"Content-Length: 100\r\n\r\na")
    with ExitStack() as opened, Served(body_limit_bytes=LIMIT, **spec) as served:
        links = [(served.linked(opened, begun), begun) for _ in range(100) for begun in beginnings]
        for _ in range(10):
            assert served.get("/healthz").status == 200
        for link, begun in links:
            found = everything(link)
            assert answer(found).code == "HTTP_TIMEOUT" if begun else found == b""
        opened.close()
        limit = time.monotonic() + 20
        while served.door.probe().connections and time.monotonic() < limit:
            time.sleep(0.02)
        if served.door.probe().connections:
            raise Breach(f"{served.door.probe().connections} connections are held that nobody has")


def test_a_byte_now_and_then_keeps_no_connection() -> None:
    with Served(header_seconds=0.4, body_seconds=0.1) as served, served.connect() as link:
        link.sendall(POST + b"Content-Length: 1000\r\n\r\n")
        link.settimeout(0.05)
        found, limit = b"", time.monotonic() + 20
        while not found and time.monotonic() < limit:
            try:
                link.sendall(b"a")
                found = link.recv(65_536)
            except TimeoutError:
                continue
        link.settimeout(20)
        assert answer(found + everything(link)).code == "HTTP_TIMEOUT"


def test_what_all_connections_hold_together_is_bounded() -> None:
    spec = {"body_limit_bytes": 1 << 20, "held_limit_bytes": 2 << 20, "header_seconds": 5.0}
    with ExitStack() as opened, Served(**spec) as served:
        head = POST + b"Content-Length: 1000000\r\n\r\n"
        links = [served.linked(opened, head + b"a" * 900_000) for _ in range(2)]
        while served.held < 1_800_000:
            time.sleep(0.01)
        found = answer(everything(served.linked(opened, head + b"a" * 900_000)))
        assert (found.status, found.code, found.headers["retry-after"]) == (503, "OVERLOADED", "5")
        for link in links:
            link.sendall(b"a" * 100_000)
            assert link.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        assert served.post("/echo", b"a" * 1000, SOURCE).status == 200


def test_a_full_house_makes_room_for_one_more() -> None:
    with ExitStack() as opened, Served(connection_limit=4) as served:
        for _ in range(8):
            served.linked(opened)
        assert served.get("/healthz").status == 200


def test_while_the_record_is_away_health_is_answered_and_no_more_than_some_wait() -> None:
    with Served(wait_seconds=3.0) as served:
        served.deposits.gate.clear()
        message = (SAMPLES / "oru").glob("01*")
        body = next(message).read_bytes()
        with ThreadPoolExecutor(12) as senders:
            sent = [senders.submit(served.post, "/hl7v2", body, kind="application/hl7-v2") for _ in range(12)]
            quick = 0
            while quick < 8:
                quick = sum(each.done() for each in sent)
            assert served.get("/healthz").status == 200
            assert {each.result().code for each in sent if each.done()} == {"OVERLOADED"}
            found = [each.result() for each in sent]
        assert sorted({each.status for each in found}) == [503]
        assert sum(b"MSA|AR" in each.body for each in found) == 4


def test_a_stop_answers_what_was_received() -> None:
    with Served(wait_seconds=5.0) as served:
        served.deposits.gate.clear()
        body = next((SAMPLES / "oru").glob("01*")).read_bytes()
        idle = served.connect()
        with ThreadPoolExecutor(1) as sender:
            sent = sender.submit(served.post, "/hl7v2", body, kind="application/hl7-v2")
            while not served.deposits.entered.is_set():
                time.sleep(0.01)
            served._loop.call_later(0.3, served.deposits.gate.set)
            served.stop(5.0)
            assert b"MSA|AA" in sent.result().body
        assert everything(idle) == b""
        idle.close()
        with pytest.raises(ConnectionRefusedError):
            served.connect()


def test_a_route_without_a_rule_does_not_start() -> None:
    for wrong in ({"access": None}, {"access": "public"}):
        with pytest.raises(Unruled):
            Served(more=lambda _, wrong=wrong: (msgspec.structs.replace(ECHO, **wrong),)).__enter__()


# -- TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ours, theirs = ca.issue_cert("127.0.0.1"), ca.issue_cert("lab.example")
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    ours.private_key_pem.write_to_path(str(folder / "key.pem"))
    for place, blob in enumerate(ours.cert_chain_pems):
        blob.write_to_path(str(folder / "chain.pem"), append=place > 0)
    theirs.private_key_and_cert_chain_pem.write_to_path(str(folder / "client.pem"))
    return folder


def secured(folder, *, client: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    if client:
        context.load_cert_chain(str(folder / "client.pem"))
    return context


def with_tls(folder) -> dict[str, object]:
    files = TlsFiles(certificate=str(folder / "chain.pem"), key=str(folder / "key.pem"), authorities=str(folder / "ca.pem"))
    rows = (Connection(door="http", networks=(), sources=("ris-valmont",), certificates=("dns:lab.example",)),)
    return {"tls": files, "tls_listen": ("127.0.0.1", 0), "connections": rows}


@pytest.fixture(scope="module")
def over_tls(authority):
    with Served(**with_tls(authority), handshake_seconds=0.5, body_limit_bytes=1 << 20) as door:
        yield door


def test_a_client_certificate_shows_its_source_and_nothing_else_does(over_tls: Served, authority) -> None:
    assert over_tls.door.tls is not None
    for client, expected in ((True, (200, b"100000 ris-valmont")), (False, (401, None))):
        with (
            over_tls.connect(over_tls.door.tls.port) as plain,
            secured(authority, client=client).wrap_socket(plain, server_hostname="127.0.0.1") as link,
        ):
            head = POST.replace(SOURCE.encode() + b"\r\n", b"").replace(
                b"Host: x\r\n", b"Host: x\r\nX-SSL-Client-Cert: forged\r\n"
            )
            link.sendall(head + b"Connection: close\r\nContent-Length: 100000\r\n\r\n" + b"a" * 100_000)
            found = answer(everything(link))
            assert found.status == expected[0]
            assert expected[1] is None or found.body == expected[1]
    assert over_tls.post("/echo", b"a").status == 401, "the same machine without TLS is nobody"


def test_half_a_handshake_keeps_nobody_out(over_tls: Served, authority) -> None:
    assert over_tls.door.tls is not None
    port = over_tls.door.tls.port
    with ExitStack() as opened:
        silent = [over_tls.linked(opened, begun, port) for _ in range(25) for begun in (b"", b"\x16\x03\x01\x02\x00\x01")]
        served_meanwhile(over_tls, authority, port)
        for link in silent:
            assert everything(link) == b""


def served_meanwhile(over_tls: Served, authority, port: int) -> None:
    with over_tls.connect(port) as plain, secured(authority, client=True).wrap_socket(plain, server_hostname="127.0.0.1") as link:
        link.sendall(POST.replace(SOURCE.encode() + b"\r\n", b"") + b"Connection: close\r\nContent-Length: 1\r\n\r\na")
        assert answer(everything(link)).body == b"1 ris-valmont"


def test_who_stays_after_the_end_keeps_nothing_open(authority) -> None:
    with ExitStack() as opened, Served(**with_tls(authority), idle_seconds=0.2, linger_seconds=0.2) as served:
        assert served.door.tls is not None
        context = secured(authority, client=True)
        for asked in (b"", b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", b"nothing of ours\r\n\r\n"):
            plain = opened.enter_context(served.connect(served.door.tls.port))
            link = opened.enter_context(context.wrap_socket(plain, server_hostname="127.0.0.1"))
            link.sendall(asked)
        nobody_left(served)


def test_who_is_gone_right_after_the_handshake_keeps_no_place(authority) -> None:
    with Served(**with_tls(authority)) as served:
        assert served.door.tls is not None
        context = secured(authority, client=True)
        for _ in range(30):
            plain = served.connect(served.door.tls.port)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with context.wrap_socket(plain, server_hostname="127.0.0.1"):
                pass
        nobody_left(served)


def nobody_left(served: Served) -> None:
    """Wait until neither a place nor a secured connection is left."""
    limit = time.monotonic() + 10
    while served.door.probe().connections or served.door._relays:
        if time.monotonic() > limit:
            raise Breach(f"{served.door.probe().connections} places, {len(served.door._relays)} secured connections are left")
        time.sleep(0.02)

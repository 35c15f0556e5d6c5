"""The page of a process: what it answers, whom it does not wait for, and that nothing that asks it harms it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from gateway.config.addresses import split_address
from gateway.store.port import Transient
from gateway.telemetry import events, metrics
from gateway.wiring import page
from gateway.wiring.health import Health, Lookout, Shown, show_age
from gateway.wiring.page import Page, address, readiness
from tests.harness.page import get

pytestmark = [pytest.mark.door]


class Part:
    """Something that does its work, or does not."""

    def __init__(self) -> None:
        self.missing: str | None = None
        self.notes: tuple[str, ...] = ()
        self.pulse: str | None = "at work"
        self.fails = False

    def check(self) -> str | None:
        if self.fails:
            raise ZeroDivisionError
        return self.missing


@pytest.fixture
def part() -> Part:
    return Part()


@pytest.fixture
def base(part: Part) -> Iterator[str]:
    shown = Page("127.0.0.1", 0, Health({"queue": part.check}, notes=lambda: part.notes), lambda: part.pulse)
    yield shown.url.removesuffix("/metrics")
    shown.close()


def test_readiness_in_words(part: Part, base: str) -> None:
    assert get(f"{base}/readyz") == (200, "ready\n")
    part.missing = "broker away: Connection refused"
    assert get(f"{base}/readyz") == (503, "not ready: queue: broker away: Connection refused\n")
    assert 'dmpgw_ready{check="queue"} 0.0' in get(f"{base}/metrics").text
    part.missing, part.notes = None, ("a key is kept",)
    assert get(f"{base}/readyz") == (200, "ready\nnote: a key is kept\n")
    assert 'dmpgw_ready{check="queue"} 1.0' in get(f"{base}/metrics").text


def test_a_port_that_is_taken_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"Address already in use \(metrics\.listen, 127\.0\.0\.1:{port}\)"):
            Page("127.0.0.1", port, Health({}), lambda: None)


def test_life(part: Part, base: str) -> None:
    assert get(f"{base}/healthz") == (200, "at work\n")
    part.pulse = None
    assert get(f"{base}/healthz").status == 503


def test_a_check_that_fails_is_an_error_and_no_end(part: Part, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(events.InternalError, "emit", lambda event: told.append(event.error))
    part.fails = True
    assert get(f"{base}/readyz").status == 500
    assert get(f"{base}/metrics").status == 500
    assert told == ["ZeroDivisionError"] * 2
    part.fails = False
    assert get(f"{base}/readyz").status == 200


def ask(base: str, request: bytes) -> bytes:
    host, _, port = base.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as asking:
        asking.sendall(request)
        asking.shutdown(socket.SHUT_WR)
        answer = b""
        while read := asking.recv(65_536):
            answer += read
    return answer


def test_what_is_no_question_gets_no_page(base: str) -> None:
    assert ask(base, b"POST /metrics HTTP/1.0\r\nContent-Length: 0\r\n\r\n").startswith(b"HTTP/1.0 405 ")
    assert ask(base, b"GET /metrics/../etc/passwd HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 404 ")
    head = ask(base, b"HEAD /readyz HTTP/1.0\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 ")
    assert head.endswith(b"\r\n\r\n")
    for broken in (b"", b"\0\xff" * 500, b"GET " + b"x" * 70_000 + b" HTTP/1.0\r\n\r\n", b"GET /readyz HTTP/9.9\r\n\r\n"):
        ask(base, broken)
    assert get(f"{base}/readyz").status == 200


def test_those_who_say_nothing_keep_nobody_from_the_page_for_long(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page._Quiet, "timeout", 0.5)
    host, _, port = base.removeprefix("http://").rpartition(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(40)]
    try:
        limit = time.monotonic() + 60
        while True:
            try:
                answered = get(f"{base}/readyz").status
            except OSError:
                answered = 0
            if answered == 200:
                break
            assert time.monotonic() < limit, "whoever says nothing is let go"
            time.sleep(0.1)
        assert sum(thread.name.endswith("(process_request_thread)") for thread in threading.enumerate()) <= 17
    finally:
        for each in silent:
            each.close()


def test_a_port_that_is_taken_is_an_error(base: str, part: Part) -> None:
    _, _, port = base.removeprefix("http://").rpartition(":")
    with pytest.raises(OSError, match="in use"):
        Page("127.0.0.1", int(port), Health({"queue": part.check}), lambda: part.pulse)


def test_an_address_of_either_kind() -> None:
    assert address("off") is None
    assert address("127.0.0.1:0") == ("127.0.0.1", 0)
    assert address("[::1]:8080") == ("::1", 8080)
    assert split_address("8080") == ("", 8080)
    assert split_address("127.0.0.1:x")[1] is None


def test_several_things_that_are_missing_are_several_lines() -> None:
    assert (
        readiness(Shown(missing={"queue": "a", "store": "b"}, notes=("c",)))
        == "not ready: queue: a\nnot ready: store: b\nnote: c"
    )


# -- what only others know


def test_who_is_asked_and_does_not_know_is_not_known() -> None:
    told: list[str] = []

    def look(name: str, failure: Exception | None = None) -> Callable[[], None]:
        def run() -> None:
            if failure is not None:
                raise failure
            told.append(name)

        return run

    Lookout([(look("a", Transient("away")), look("a unknown")), (look("b"), look("b unknown"))]).once()
    assert told == ["a unknown", "b"]


class Noon:
    """A clock that stands."""

    def now(self) -> datetime:
        return datetime(2026, 3, 13, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("oldest", "age"),
    [("2026-03-13T11:59:00+00:00", 60), (None, 0), ("", 0), ("279035121518989", 0), ("2026-03-13T12:30:00+00:00", 0)],
)
def test_the_age_of_a_lane(oldest: str | None, age: float) -> None:
    show_age("bulk", oldest, Noon())
    assert metrics.snapshot()['dmpgw_lane_oldest_age_seconds{lane="bulk"}'] == age

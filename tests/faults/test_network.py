"""F10, F11: a line that goes dark without a word, or is slow: a seeded slice of each campaign of the proof."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from gateway.model.event import Position
from gateway.model.ports import Unavailable
from gateway.model.verdict import Verdict
from gateway.store.port import StoreUnusable, Transient
from gateway.store.postgres import connection as connection_module
from gateway.store.postgres import session as session_module
from gateway.store.postgres import store as store_module
from gateway.store.postgres.store import PostgresStore
from gateway.store.retention import Busy, Periods
from gateway.telemetry import points
from tests.harness import postgres, rabbitmq
from tests.harness.breach import Breach, held
from tests.harness.frozen import Real
from tests.harness.netns_line import FAIR, Line, Weather
from tests.proof.network import dark, slow, troubled
from tests.strategies import records
from tests.strategies.records import START, adt, opening, reception, stated

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

#: Nobody waits so long but one who waits for ever.
_EVER_SECONDS = 60.0


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Line, PostgresStore, PostgresStore]]:
    """A store whose line can go dark, and another one of the same database, both of little patience; a record is open."""
    monkeypatch.setattr(session_module, "IDLE_IN_TRANSACTION_TIMEOUT_MS", 250)
    monkeypatch.setattr(store_module, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(connection_module, "_CHECK_SECONDS", 0.5)
    server = postgres.shared()
    url = server.lend()
    line = Line(server.port)
    wired, other = PostgresStore(psycopg.conninfo.make_conninfo(url, port=line.port), Real()), PostgresStore(url, Real())
    assert other.submit(reception("o", START), opening(), soon()).verdict is Verdict.APPLIED
    yield line, wired, other
    points.hooks.clear()
    line.restore()
    wired.close()
    other.close()
    line.close()
    server.give_back(url)


def soon(seconds: float = _EVER_SECONDS) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def until_applied(store: PostgresStore, name: str) -> float:
    """Apply one deposit as a worker does, again and again; return how long it took."""
    begun = time.monotonic()
    batch = [records.deposit(name, START, documents=((f"1.{name}", b"x"),))]
    while time.monotonic() < begun + _EVER_SECONDS:
        try:
            assert store.apply(batch)[0].verdict is Verdict.STORED
        except Transient:
            continue
        return time.monotonic() - begun
    raise Breach("the line is good again, and nothing is applied")


@pytest.mark.parametrize("point", ["sql.read_statements", "sql.commit"])
def test_a_database_that_says_nothing_any_more_is_not_waited_for_without_end(
    stores: tuple[Line, PostgresStore, PostgresStore], point: str
) -> None:
    """The line takes every byte and loses it: the batch is given up, its locks are freed, and it is applied once, later."""
    line, wired, other = stores
    batch = [records.deposit("b", START, documents=(("1.b", b"x"),))]
    ended: list[BaseException | None] = []

    def apply() -> None:
        try:
            wired.apply(batch)
            ended.append(None)
        except Transient as failure:
            ended.append(failure)

    points.hooks[point] = lambda: (points.hooks.clear(), line.swallow())
    thread = threading.Thread(target=apply, daemon=True)
    thread.start()
    until(lambda: line.swallowed > 0)
    until_applied(other, "beside")
    thread.join(_EVER_SECONDS)
    if not ended:
        raise Breach("whoever waits for the database waits for ever")
    assert isinstance(ended[0], Transient), "nothing was lost: the line went dark too late"
    line.restore()
    until_applied(wired, "b")
    until_applied(wired, "after")


def until(there: object) -> None:
    limit = time.monotonic() + 30
    while not there():  # type: ignore[operator]
        assert time.monotonic() < limit, "nothing was swallowed"
        time.sleep(0.005)


def test_an_event_in_the_dark_is_answered_by_its_deadline(stores: tuple[Line, PostgresStore, PostgresStore]) -> None:
    """Its sender hears AR, and whoever applies events is free for the next one."""
    line, wired, _ = stores
    event = adt(stated(Position.OPPOSES, at=None))
    points.hooks["sql.lock_patients"] = lambda: (points.hooks.clear(), line.swallow())
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        wired.submit(reception("io", START), event, soon(0.5))
    if time.monotonic() - begun > _EVER_SECONDS:
        raise Breach("an event stood in the dark long after its deadline")
    line.restore()
    assert wired.submit(reception("io", START), event, soon()).verdict is Verdict.APPLIED


@pytest.mark.parametrize("point", ["sql.configure_session", "sql.one_upkeep", "sql.commit"])
def test_an_upkeep_in_the_dark_comes_to_its_end_and_runs_again(
    stores: tuple[Line, PostgresStore, PostgresStore], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """One that waited for ever would be the last, and keep the process from its end: nothing more would be taken away."""
    line, wired, _ = stores
    monkeypatch.setattr(connection_module.BoundedConnection, "answer_seconds", 1.0)
    ended: list[BaseException | None] = []

    def retain() -> None:
        try:
            wired.retain(Periods())
            ended.append(None)
        except (Transient, StoreUnusable) as failure:
            ended.append(failure)

    points.hooks[point] = lambda: (points.hooks.clear(), line.swallow())
    thread = threading.Thread(target=retain, daemon=True)
    thread.start()
    thread.join(_EVER_SECONDS)
    if not ended:
        raise Breach("the upkeep waits for the database for ever")
    assert ended[0] is not None, "nothing was lost: the line went dark too late"
    line.restore()
    limit = time.monotonic() + _EVER_SECONDS
    while time.monotonic() < limit:
        try:
            assert {job.job for job in wired.retain(Periods())}
        except (Busy, Transient, StoreUnusable):  # the server has not noticed yet that the one before is gone
            time.sleep(0.1)
        else:
            return
    raise Breach("the line is good again, and there is no upkeep")


def test_the_server_is_told_how_soon_to_notice_that_we_are_gone(stores: tuple[Line, PostgresStore, PostgresStore]) -> None:
    """In the middle of a COPY it counts neither statement nor idle time: its locks would be kept for the system's two hours."""
    _, wired, _ = stores
    with wired._batches.connection() as connection:
        found = {
            name: connection.execute(f"SHOW {name}").fetchone()
            for name in ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
        }
    assert list(found.values()) == [("5",), ("2",), ("3",), ("10000",)]


@pytest.mark.door
def test_a_gateway_on_bad_lines_loses_nothing_and_goes_on(tmp_path: Path) -> None:
    """Its broker far away, some of its clients one byte at a time, then the line to the broker dark without a word."""
    far, trickle = Weather(delay=(0.005, 0.1)), Weather(rate=2_000, piece=1)
    troubles = [slow("broker", far, 1.0), slow("client", trickle, 1.0), dark(("broker",), 5.0, slack=60.0)]
    run = troubled(
        tmp_path / "run",
        10,
        troubles,
        node=rabbitmq.shared(),
        connections=4,
        workers=1,
        answer_seconds=2.0,
        margin=_EVER_SECONDS,
    )
    print(run.line())
    held(run.judgement)
    assert run.ok, run.told()
    assert run.faults == 3
    assert run.judgement.acknowledged > 20


def test_the_line_is_as_bad_as_it_is_told() -> None:
    """What the proxy delays arrives late, in order, and whole; what it swallowed stays away."""
    server = postgres.shared()
    line = Line(server.port, seed=1)
    try:
        with psycopg.connect(psycopg.conninfo.make_conninfo(server.admin, port=line.port), autocommit=True) as connection:
            line.weather = Weather(delay=(0.1, 0.2))
            begun = time.monotonic()
            assert connection.execute("SELECT repeat('x', 100000)").fetchone() == ("x" * 100_000,)
            assert time.monotonic() - begun >= 0.2
            line.weather = Weather(rate=1_000, piece=100)
            begun = time.monotonic()
            assert connection.execute("SELECT repeat('x', 1000)").fetchone() == ("x" * 1_000,)
            assert time.monotonic() - begun >= 0.9
        line.weather = FAIR
        with asking(line.port) as before:
            assert heard(before, 30) == b"N"
            line.swallow()
            with asking(line.port) as during:
                assert (heard(before), heard(during)) == (b"", b""), "what was swallowed was heard"
                line.restore()
                with asking(line.port) as after:
                    assert heard(after, 30) == b"N"
                assert (heard(before), heard(during)) == (b"", b""), "what lost a byte was heard again"
    finally:
        line.close()


def asking(port: int) -> socket.socket:
    """A connection of a client that may ask a PostgreSQL server whether it speaks TLS."""
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def heard(connection: socket.socket, seconds: float = 0.3) -> bytes:
    """Ask, and return the answer; nothing if there is none for a while."""
    connection.sendall(struct.pack("!ii", 8, 80_877_103))
    connection.settimeout(seconds)
    try:
        return connection.recv(1)
    except TimeoutError:
        return b""

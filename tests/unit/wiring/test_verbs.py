"""Verbs of the record: the same by the running owner and offline; what is wrong is told (D-12, D-18)."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from gateway.model.event import Scope, Side, StatedBy
from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable
from gateway.model.source import Directory, Establishment
from gateway.model.verdict import Verdict
from gateway.queue.errors import KeysUnusable
from gateway.queue.receipt import MacReceipts
from gateway.rules.opposition import Standing
from gateway.store.sqlite.reader import SqliteReader
from gateway.wiring.control import ControlServer, Request, ask
from gateway.wiring.data import DataDirectory, Owned
from gateway.wiring.naming import Names
from gateway.wiring.offline import run_offline
from gateway.wiring.ports import StoredEvents
from gateway.wiring.rooms import opened
from gateway.wiring.verbs import Closing, Lift, LiftingAll, Opening, Stating, Verbs
from gateway.wiring.watch_verbs import Ending
from tests.contract.store.backends import Sqlite
from tests.strategies.records import ALICE, H1, Ticking, adt, local, opening, reception


def request(verb: str, arguments: object) -> Request:
    args = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in msgspec.structs.asdict(arguments).items()}
    return Request(verb=verb, args=args)


#: The domains of the local identifiers that the walk uses.
NAMES = Names(
    Directory(establishments=(Establishment(id=H1, name="H1", finess_ej="990000018", authorities={"ipp": ("H1",)}),)), "test"
)

WALK = (
    request("record.open", Opening(patient=ALICE, collected_by="accueil", place="guichet")),
    request("record.open", Opening(patient=ALICE, collected_by="accueil")),
    request("record.oppose", Stating(patient=ALICE)),
    request("record.lift", Stating(patient=ALICE)),
    request("record.oppose", Stating(patient=ALICE, scope="establishment", scope_value=H1, collected_at="20260310")),
    request("record.oppose", Stating(patient=local(H1, "100"))),
    request("record.close", Closing(patient=ALICE)),
    request("record.close", Closing(patient=ALICE)),
    request("record.close", Closing(patient=local(H1, "none"))),
)
VERDICTS = ["applied", "unchanged", "applied", "applied", "applied", "applied", "applied", "unchanged", "refused"]


def verdict(result: bytes) -> str:
    return msgspec.json.decode(result, type=Outcome).verdict.value


def page(directory: DataDirectory) -> tuple[object, ...]:
    with SqliteReader(directory.store) as reader:
        found = reader.record(*ALICE.key, datetime.fromisoformat("2026-12-01T00:00:00+00:00"))
    assert found is not None
    statements = [
        (line.statement.position, line.statement.scope, line.statement.scope_value, line.in_force) for line in found.statements
    ]
    return found.state, found.channel, statements


def online(directory: DataDirectory, *requests: Request) -> list[bytes]:
    """Run verbs through the socket of an owner."""

    async def run() -> list[bytes]:
        clock = Ticking()
        with directory.owned() as owner, opened(directory, clock, lambda _: None) as rooms:
            server = ControlServer(
                Path(owner.socket), Verbs(rooms.store, clock, rooms.receipts, NAMES, lambda: b'{"running":true}').run
            )
            await server.open()
            try:
                replies = [await asyncio.to_thread(ask, owner.socket, each) for each in requests]
            finally:
                await server.close()
        return [bytes(reply.result) if reply.ok else (reply.error or "").encode() for reply in replies]

    return asyncio.run(run())


def test_online_and_offline_give_the_same(tmp_path: Path) -> None:
    one, other = DataDirectory(tmp_path / "one"), DataDirectory(tmp_path / "other")
    assert [verdict(result) for result in online(one, *WALK)] == VERDICTS
    assert [verdict(run_offline(other, each, NAMES)) for each in WALK] == VERDICTS
    assert page(one) == page(other)


def test_offline_takes_the_directory_and_gives_it_back(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    assert msgspec.json.decode(run_offline(directory, Request(verb="status"), NAMES)) == {"running": False}
    with directory.owned(), pytest.raises(Owned):
        run_offline(directory, WALK[0], NAMES)


def test_what_is_wrong_with_a_verb_is_told_the_same_way(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    wrong = {
        "newer.verb": (Request(verb="newer.verb"), LookupError, "no verb 'newer.verb'"),
        "missing": (Request(verb="record.open"), ValueError, "missing required field"),
        "unknown": (request("record.close", Opening(patient=ALICE, collected_by="x")), ValueError, "unknown field"),
        "type": (Request(verb="record.close", args={"patient": msgspec.Raw(b"7")}), ValueError, "Expected `object`"),
        "date": (request("record.oppose", Stating(patient=ALICE, collected_at="hier")), ValueError, "not a time stamp"),
        "nothing named": (request("record.oppose", Stating(patient=ALICE, scope="type")), ValueError, "scope_value"),
        "all of what": (request("record.oppose", Stating(patient=ALICE, scope_value=H1)), ValueError, "scope_value"),
    }
    told = online(directory, *(each for each, _, _ in wrong.values()))
    for (each, kind, text), line in zip(wrong.values(), told, strict=True):
        assert text in line.decode()
        with pytest.raises(kind, match=text):
            run_offline(directory, each, NAMES)


class Nowhere:
    """A store that is away."""

    def submit(self, *_: object) -> Outcome:
        code = "STORE_UNAVAILABLE"
        raise Unavailable(code)


@pytest.mark.parametrize("typed", ["", " \t ", "a\x00b", "\x1b[31mred", "x" * 251])
def test_who_collected_or_asked_is_named(tmp_path: Path, typed: str) -> None:
    """A consent that nobody collected is none (R-01); what was typed is never in the message."""
    directory = DataDirectory(tmp_path / "data")
    wrong = [
        request("record.open", Opening(patient=ALICE, collected_by=typed)),
        request("record.oppose", Stating(patient=ALICE, collected_by=typed)),
        request("record.lift_all", LiftingAll(patient=ALICE, lifts=(Lift(scope=Scope.ALL),), collected_by=typed)),
        request("record.close", Closing(patient=ALICE, requested_by=typed)),
        request("record.task_done", Ending(task=1, by=typed)),
    ]
    for each in wrong:
        with pytest.raises(ValueError, match=r"^(collected_by|requested_by|by): (name who|write it without)") as caught:
            run_offline(directory, each, NAMES)
        assert not typed.strip() or typed not in str(caught.value)
    with SqliteReader(directory.store) as reader:
        assert reader.record(*ALICE.key, datetime.fromisoformat("2026-12-01T00:00:00+00:00")) is None


def test_an_upkeep_that_was_asked_for_ends_when_the_gateway_stops() -> None:
    begun = threading.Event()

    class Long:
        def retain(self, kept: object, *, dry_run: bool, stopping: Callable[[], bool]) -> tuple[()]:
            begun.set()
            end = time.monotonic() + 10
            while not stopping() and time.monotonic() < end:
                time.sleep(0.001)
            assert stopping()
            return ()

    verbs = Verbs(Long(), Ticking(), None, NAMES, bytes)  # type: ignore[arg-type]
    said: list[bytes] = []
    running = threading.Thread(target=lambda: said.append(verbs.run(Request(verb="db.retain"))))
    running.start()
    assert begun.wait(10)
    verbs.stop()
    running.join(10)
    assert said == [b"[]"]


def test_a_store_that_is_away_is_told_with_advice() -> None:
    verbs = Verbs(Nowhere(), Ticking(), MacReceipts(b"0" * 32), NAMES, lambda: b"{}")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=r"STORE_UNAVAILABLE: .+"):
        verbs.run(WALK[0])


def test_each_command_is_a_statement_of_its_own(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    for each in (WALK[0], WALK[2], WALK[3], WALK[2]):
        assert verdict(run_offline(directory, each, NAMES)) == "applied"
    assert page(directory)[2][-1][3]


def test_a_record_is_opened_again_by_the_same_command(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    results = [run_offline(directory, each, NAMES) for each in (WALK[0], WALK[6], WALK[0], WALK[6])]
    assert [msgspec.json.decode(result, type=Outcome).codes for result in results] == [()] * 4
    assert [verdict(result) for result in results] == ["applied"] * 4


# -- the rooms


def test_keys_are_made_at_first_use_and_said(tmp_path: Path) -> None:
    directory, said = DataDirectory(tmp_path / "data"), []
    for _ in range(2):
        with directory.owned(), opened(directory, Ticking(), said.append):
            pass
    assert said == [str(directory.keys)]


def test_without_the_keys_of_a_queue_nothing_is_opened(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.path.mkdir()
    directory.queue.touch()
    with directory.owned(), pytest.raises(KeysUnusable, match="bring it back"), opened(directory, Ticking(), pytest.fail):
        pytest.fail("opened")
    assert not directory.keys.exists() and not directory.store.exists()
    with pytest.raises(RuntimeError, match="bring it back"):
        run_offline(directory, WALK[0], NAMES)


def test_a_newer_store_is_told_offline(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    run_offline(directory, WALK[0], NAMES)
    Sqlite(directory.path).store.close()
    connection = sqlite3.connect(directory.store, isolation_level=None)
    connection.execute("PRAGMA user_version=9999")
    connection.close()
    with pytest.raises(RuntimeError, match="newer"):
        run_offline(directory, WALK[0], NAMES)
    with directory.owned():
        pass


# -- the doors' ports


def test_an_event_of_a_door_is_committed_or_unavailable(tmp_path: Path) -> None:
    bench = Sqlite(tmp_path)

    async def run() -> None:
        events = StoredEvents(bench.store, bench.clock)
        soon = datetime.fromisoformat("2026-03-11T00:00:00+00:00")
        outcome = await events.submit(reception("o", bench.clock.now()), opening(), soon)
        assert outcome.verdict is Verdict.APPLIED
        with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
            await events.submit(reception("e", bench.clock.now()), adt(), datetime.fromisoformat("2026-03-09T00:00:00+00:00"))

    asyncio.run(run())
    bench.store.close()
    assert bench.rows("receipt", id="e") == []


def stood(directory: DataDirectory) -> list[tuple[object, ...]]:
    """What is stated, and what it counts for."""
    with SqliteReader(directory.store) as reader:
        found = reader.record(*ALICE.key, datetime.fromisoformat("2026-12-01T00:00:00+00:00"))
    assert found is not None
    return [
        (known.side, known.collected_by, known.scope, known.scope_value, known.stated_by, line.standing)
        for line in found.statements
        for known in (line.statement,)
    ]


def test_an_establishment_states_something_for_itself_only(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    own = Stating(patient=ALICE, stated_by=StatedBy.ESTABLISHMENT, collected_by=H1.upper())
    assert verdict(run_offline(directory, request("record.oppose", own), NAMES)) == "applied"
    # The series of its ZFA-9: its own allowance lifts it, whoever takes it down.
    assert verdict(run_offline(directory, request("record.lift", own), NAMES)) == "applied"
    whole = (Side.ESTABLISHMENT, H1, Scope.ESTABLISHMENT, H1, StatedBy.ESTABLISHMENT)
    assert stood(directory) == [(*whole, Standing.SUPERSEDED), (*whole, Standing.ALLOWS)]
    for wrong, told in (
        (msgspec.structs.replace(own, scope=Scope.ESTABLISHMENT, scope_value="120456789"), "its own deposits only"),
        (msgspec.structs.replace(own, collected_by="desk"), "desk is no establishment of this gateway"),
    ):
        with pytest.raises(ValueError, match=told):
            run_offline(directory, request("record.oppose", wrong), NAMES)
    assert len(stood(directory)) == 2


@pytest.mark.parametrize("who", [StatedBy.PATIENT, StatedBy.REPRESENTATIVE, StatedBy.MT, StatedBy.DESK])
def test_whoever_states_for_the_patient_is_of_the_patients_side(tmp_path: Path, who: StatedBy) -> None:
    directory = DataDirectory(tmp_path / "data")
    run_offline(directory, request("record.oppose", Stating(patient=ALICE, stated_by=who, collected_by="Mme Martin")), NAMES)
    run_offline(directory, request("record.lift", Stating(patient=ALICE)), NAMES)
    assert [row[0] for row in stood(directory)] == [Side.PATIENT, Side.PATIENT]
    assert [row[-2:] for row in stood(directory)] == [(who, Standing.SUPERSEDED), (StatedBy.PATIENT, Standing.ALLOWS)]


def test_lifting_all_is_an_allowance_for_each(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    for stating in (
        Stating(patient=ALICE),
        Stating(patient=ALICE, scope=Scope.SOURCE_KIND, scope_value="insurer"),
        Stating(patient=ALICE, stated_by=StatedBy.ESTABLISHMENT, collected_by=H1),
    ):
        run_offline(directory, request("record.oppose", stating), NAMES)
    lifts = (
        Lift(scope=Scope.ALL),
        Lift(scope=Scope.SOURCE_KIND, scope_value="insurer"),
        Lift(scope=Scope.ESTABLISHMENT, scope_value=H1),
    )
    assert verdict(run_offline(directory, request("record.lift_all", LiftingAll(patient=ALICE, lifts=lifts)), NAMES)) == "applied"
    assert [row[-1] for row in stood(directory)] == [
        Standing.SUPERSEDED, Standing.SUPERSEDED, Standing.LIFTED, *[Standing.ALLOWS] * 3,
    ]  # fmt: skip
    for wrong, told in (
        (LiftingAll(patient=ALICE, lifts=()), "nothing to lift"),
        (LiftingAll(patient=ALICE, lifts=lifts, stated_by=StatedBy.ESTABLISHMENT), "its own"),
    ):
        with pytest.raises(ValueError, match=told):
            run_offline(directory, request("record.lift_all", wrong), NAMES)

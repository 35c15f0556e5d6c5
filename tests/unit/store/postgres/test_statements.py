"""Every SQL text has a name, every name is a point, and the hot ones find their rows by an index (F2)."""

import ast
import json
from pathlib import Path

import psycopg
import pytest

from gateway.model.document import Entry
from gateway.model.event import DocumentMove, DocumentRelease, FileMerge, Position, StayState, TaskEnding
from gateway.model.lane_day import LanePassed
from gateway.model.submission import Act, Flags
from gateway.model.verdict import Verdict
from gateway.store import checks, retention
from gateway.store.answers import Acknowledged
from gateway.store.postgres.facts import server_facts
from gateway.store.postgres.reader import PostgresReader
from gateway.store.postgres.statements import COPIED, STATEMENTS
from gateway.telemetry import points
from tests.contract.store.backends import Postgres
from tests.contract.store.files import BOTH, OTHER, a40, signed, undo
from tests.harness import postgres
from tests.strategies.identities import changed, identity, qualified
from tests.strategies.records import ALICE, BORIS, CARLA, H1, START, adt, local, reception, stated, visit

#: Said to the server by a start, a migration or a new connection, and tested there.
AT_START = {
    "server_facts", "migration_table_there", "applied_migrations", "make_migration_table", "note_migration", "one_migrator",
    "next_migrator", "no_time_limit",
    "end_lost_session", "may_make_roles", "describe_columns", "describe_constraints", "describe_indexes",
}  # fmt: skip


def test_only_a_session_speaks_to_the_server(root: Path) -> None:
    """A statement that is sent anywhere else would have neither name nor point."""
    found = set()
    for path in sorted((root / "gateway" / "store" / "postgres").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in {"execute", "executemany", "cursor", "copy", "transaction"}:
                found.add((path.name, ast.unparse(node)))
    assert found == {
        ("session.py", "self._connection.execute"),
        ("session.py", "self._connection.cursor"),
        ("session.py", "cursor.copy"),
        ("writing.py", "session.copy"),
    }


def test_every_copy_has_its_types() -> None:
    assert {name for name, named in STATEMENTS.items() if named.text.startswith(b"COPY")} == set(COPIED)


def test_every_statement_is_reached(bench: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that nothing sends, or that is sent past its point, fails here."""
    seen = set()
    reached = points.statement
    monkeypatch.setattr(points, "statement", lambda name: (seen.add(name), reached(name)))
    bench.restart()
    bench.open(BORIS)
    ipp = local(H1, "1")
    bench.event(adt(stated(Position.OPPOSES), patient=(ipp,), links=False))
    kept = bench.deposit(documents=(("1.2.1", b"a"),), set_id="9", version=1, flags=Flags(ack_reception=True))
    bench.park(kept)
    bench.apply(kept)
    bench.send(documents=(("1.2.2", b"b"),), act=Act.REPLACE, replaces=("1.2.1",), patient=(ALICE, local(H1, "unknown")))
    bench.send(documents=(("1.2.3", b"c"),), act=Act.DELETE)
    bench.send(documents=(("1.2.9", b"e"),), entries=(Entry(kind="result", content="{}"),))
    bench.send(documents=(("1.2.9", b"e"),), act=Act.DELETE)
    bench.event(adt(patient=(ALICE, ipp)), message_id="m", digest="d")
    bench.event(adt(patient=(ALICE, ipp)), message_id="m", digest="d")
    assert bench.send(documents=(("1.2.4", b"d"),)).codes == ("OPPOSED",)
    bench.event(adt(stay=visit(StayState.OPEN)))
    bench.event(changed(identity(ipp), ALICE, withdrawn=True))
    bench.event(qualified(identity(ALICE, ipp)))
    bench.store.submit(reception("soon", START), adt(), bench.clock.now().replace(microsecond=999_000))
    watched(bench)
    bench.close_record()
    told = {"at": "", "source": "s", "establishment": H1, "application": "RIS", "digest": "d", "kind": "event", "received_at": ""}
    sent, typed = Acknowledged(receipt="a", message_id="m", **told), Acknowledged(receipt="b", message_id="b", **told)
    with PostgresReader(bench.url) as reader:
        reader.deposits({}, limit=1), reader.deposit("r000002"), reader.counts()
        reader.record(*ALICE.key, START), reader.stored_against_an_opposition(), reader.opposed_scopes()
        assert checks.check(reader, START) == [] and reader.trace_of(1) is not None
        reader.known_receipts(["r000001"]), reader.came_again([sent, typed])
        list(reader.traces()), reader.parked()
    server_facts(bench.url)
    bench.store.pass_lanes([LanePassed(lane="bulk", day=1)])
    assert len(bench.store.lanes_passed()) == 1 and bench.store.first_parked() is None and bench.store.parked() == 0
    bench.store.apply([])
    points.hooks["sql.lock_patients"] = lambda: (_ for _ in ()).throw(ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        bench.send()
    points.hooks.clear()
    upkept(bench)
    assert set(STATEMENTS) - seen <= AT_START
    assert seen <= set(STATEMENTS)


def watched(bench: Postgres) -> None:
    """What identity watch does: files merged and parted, a document moved, released, the list of tasks."""
    bench.event(adt(stated(Position.OPPOSES, at="20260309"), patient=(BORIS,)))
    bench.send(documents=(("1.2.8", b"h"),), establishments=("h9",), patient=(BORIS, local("h9", "1")))
    bench.event(adt(stated(Position.OPPOSES, "h9", at="20260309"), patient=(BORIS,)))
    bench.event(DocumentRelease(identifiers=(BORIS,), unique_id="1.2.8", released_by="desk"))
    for patient in (ALICE, BORIS):
        bench.event(adt(stated(Position.ALLOWS, "h9", at="20260310" if patient is ALICE else "20260301"), patient=(patient,)))
    bench.clock.pass_by(days=2)
    bench.close_record(BORIS)
    bench.open(CARLA)
    merge = bench.event(signed(ALICE, BORIS))
    assert merge.verdict is Verdict.APPLIED and bench.rows("task", kind="rights.ask_again") != []
    bench.event(adt(patient=(OTHER,)))
    assert bench.event(a40()).verdict is Verdict.APPLIED
    later = bench.event(signed(CARLA, ALICE))
    assert undo(bench, merge).codes == ("MERGE_FOLLOWED",)
    assert undo(bench, later).verdict is undo(bench, merge).verdict is Verdict.APPLIED
    bench.event(DocumentMove(identifiers=(BORIS,), to=(ALICE,), unique_id="1.2.8", signed_by=BOTH))
    bench.send(documents=(("1.2.8", b"h"),), act=Act.DELETE, establishments=("h9",), patient=(BORIS,))
    bench.event(FileMerge(trigger="A40", identifiers=(ALICE,), absorbed=(BORIS,)))
    bench.event(TaskEnding(task=1, done_by="desk"))
    with PostgresReader(bench.url) as reader:
        reader.tasks(), reader.misfiled("h9/ipp", "1")


def upkept(bench: Postgres) -> None:
    """What is parked is judged and set aside, and all that is there is taken away when its time has come."""
    for _ in range(2):
        made = bench.deposit(patient=(BORIS,))
        bench.park(made)
        bench.store.set_aside(bench.store.awaiting_review(1)[0][0])
        bench.store.review(made)
    bench.clock.pass_by(days=3_700)
    bench.store.retain(retention.Periods())
    with PostgresReader(bench.url) as reader:
        assert {run.job for run in reader.upkeep_runs()} == {job.name for job in retention.JOBS}


def test_no_rule_is_read_in_the_statement_that_locks() -> None:
    """A statement's snapshot is older than its wait: what it reads beside the lock may have changed meanwhile."""
    locking = {
        name: named.text.decode() for name, named in STATEMENTS.items() if b" FOR " in named.text and b"FROM" in named.text
    }
    locking = {name: text for name, text in locking.items() if "FOR SHARE" in text or "FOR NO KEY UPDATE" in text}
    assert set(locking) == {"lock_patients", "hold_gate", "share_gate"}
    for text in locking.values():
        assert "JOIN" not in text and "WITH" not in text and text.count("SELECT") == 1 and "ORDER BY" in text


def test_decisions_are_made_under_read_committed(bench: Postgres) -> None:
    seen = []

    def look() -> None:
        with bench._connected() as connection:
            seen.extend(
                row[0]
                for row in connection.execute(
                    "SELECT query FROM pg_stat_activity WHERE application_name = 'dmp-gateway batches' AND state LIKE 'idle in%'"
                )
            )

    assert STATEMENTS["begin"].text == b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
    points.hooks["sql.resolve_identifiers"] = look
    bench.send()
    assert seen == ["BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"]


@pytest.fixture(scope="module")
def grown() -> object:
    """A database with enough rows for an index to be the way, and statistics that say so."""
    server = postgres.shared()
    url = server.lend()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL)
        connection.execute("ANALYZE")
    yield url
    server.give_back(url)


FILL = """
    INSERT INTO patient (created_at) SELECT '' FROM generate_series(1, 20000);
    INSERT INTO identifier SELECT 'a', n::text, n, '', '' FROM generate_series(1, 20000) n;
    INSERT INTO record (patient, state, opened_at, channel, traits) SELECT n, 'open', '', '', '' FROM generate_series(1, 20000) n;
    INSERT INTO statement (id, "right", position, statement, ordered_at, written_at, received_at, committed_at, source, receipt)
        SELECT 's' || n, 'feeding', 'opposes', '{}', '', '', '', '', '', 'r' || n FROM generate_series(1, 20000) n;
    INSERT INTO binding (patient, statement, from_at, because, receipt) SELECT n, 's' || n, '', 'statement', 'r' || n
        FROM generate_series(1, 20000) n;
    INSERT INTO document (patient, unique_id, owner, set_id, state, act, digest, visibility, establishments, entry_uuid, entry,
        source, receipt, committed_at)
        SELECT n, 'd' || n, 'h1', 'x' || n, 'current', 'add', '', 'NNN', '[]', '', '{}', '',
        'r' || n, '' FROM generate_series(1, 20000) n;
    INSERT INTO entry SELECT n, 'd' || n, 1, gen_random_uuid(), 1, '{}' FROM generate_series(1, 20000) n;
    INSERT INTO stay SELECT 'h1', '', 'v' || n, n, 'open', '', '', 'r' || n FROM generate_series(1, 20000) n;
    INSERT INTO link SELECT 'a', n::text, n, '', NULL, 'seen', '', NULL FROM generate_series(1, 20000) n;
    INSERT INTO reference SELECT n, 1, '{}', '', FALSE, '', '' FROM generate_series(1, 20000) n;
    INSERT INTO suspended_link SELECT n, 'h1', '', '' FROM generate_series(1, 20000) n;
    INSERT INTO statement_identifier SELECT 's' || n, 'a', n::text FROM generate_series(1, 20000) n;
    INSERT INTO merge SELECT 'r' || n, n, n, '', '[]' FROM generate_series(1, 20000) n;
    INSERT INTO document_move SELECT 'r' || n, 'd' || n, n, n, '' FROM generate_series(1, 20000) n;
    INSERT INTO document_identifier SELECT n, 'd' || n, 'a', n::text FROM generate_series(1, 20000) n;
    INSERT INTO mark SELECT n, 'm' || n, 'h1', 'deleted', NULL, '', '' FROM generate_series(1, 20000) n;
    INSERT INTO receipt SELECT 'r' || n, '', '', '', '', 'h1', 'a', 'm' || n, '', 'd', NULL, 'stored', '[]', NULL, NULL,
        '[]', '{}' FROM generate_series(1, 20000) n;
    INSERT INTO parked SELECT 'p' || n, '', '', '', '', '', '' FROM generate_series(1, 20000) n;
    INSERT INTO parked_identifier SELECT 'p' || n, 'a', n::text FROM generate_series(1, 20000) n;
    INSERT INTO task (raised_at, kind, receipt, patient) SELECT '', '', '', n FROM generate_series(1, 20000) n;
    INSERT INTO trace (at, actor, action, receipt, patient) SELECT '', '', '', 'r' || n, n FROM generate_series(1, 20000) n;
"""


@pytest.mark.parametrize("name", [name for name, named in STATEMENTS.items() if named.hot])
def test_a_hot_statement_reads_by_an_index(grown: str, name: str) -> None:
    """Its plan for any parameters: a server that has seen it five times no longer looks at them."""
    text = STATEMENTS[name].text.decode()
    numbered = "".join(
        part + (f"${number}" if number <= text.count("%s") else "") for number, part in enumerate(text.split("%s"), start=1)
    )
    with psycopg.connect(grown, autocommit=True) as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(f"PREPARE asked AS {numbered}")
        values = ", ".join(["NULL"] * text.count("%s"))
        ((plan,),) = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE asked{f' ({values})' if values else ''}")
    nodes = list(walk(plan if isinstance(plan, list) else json.loads(plan)))
    scanned = {(node["Node Type"], node["Relation Name"]) for node in nodes if "Relation Name" in node}
    assert [each for each in scanned if each[0] == "Seq Scan" and each[1] != "gate"] == [], nodes


def walk(plan: object) -> object:
    if isinstance(plan, list):
        for each in plan:
            yield from walk(each)
    elif isinstance(plan, dict):
        if "Node Type" in plan:
            yield plan
        for each in plan.values():
            yield from walk(each)

"""
F2: the store is killed at every point and every statement of deposits, events and its own start; the next life goes on there.

At the end: what was answered is there as it was answered (L1), every row is as after one clean run (L2, L3), and nothing is
stored against an opposition (L4).
"""

from importlib import resources
from pathlib import Path

import pytest

from gateway.store.postgres.statements import STATEMENTS
from tests.harness import postgres
from tests.harness.breach import held
from tests.harness.lives import Kill, clean_run, differences, judged, live, reached, tables
from tests.harness.store_traffic import SCENES

pytestmark = [pytest.mark.faults]

#: Files of statements that no deposit and no event sends: what they are for instead.
ELSEWHERE = {
    "reader.sql": "a verb or a page reads",
    "scopes.sql": "a verb reads",
    "watch.sql": "a verb of the identity watch reads",
    "checks.sql": "a verb checks",
    "retention.sql": "what is out of its time goes, in batches of its own",
    "lane_days.sql": "a worker keeps which day each lane has passed: killed by tests of their own",
    "answers.sql": "a verb compares a journal",
    "doctor.sql": "a verb asks the server about itself",
    "schema.sql": "the tables are made: killed by a test of their own",
}
#: Statements of the others that the scenes do not send, and why.
APART = {
    "rollback": "a transaction that failed",
    "bound_waiting": "an event whose time is nearly up",
    "end_lost_session": "a connection after one that was lost: test_lost_sessions",
    "begin_reading": "a reader",
    "take_reading_role": "a reader",
    "take_erasing_role": "the upkeep",
    "is_store": "a reader",
    "opposed_scopes": "a reader",
    **dict.fromkeys(("next_traces", "trace_head", "trace_lines"), "a verb checks the chain"),
    **dict.fromkeys(("task_patient", "read_task", "end_task", "is_listed"), "a task is ended by its number, the machine's"),
    **dict.fromkeys(
        ("merges_of_patient", "merges_into_patient"), "a merge that another followed, a closing after a merge: seldom"
    ),
    **dict.fromkeys(("raise_task_once", "end_binding", "set_choices", "resume_link"), "seldom sent: see the contract suites"),
}

#: What is drawn at random, or hashed with what a sequence gave.
DRAWN = {"hash", "trace_head", "id"}


def names(file: str) -> set[str]:
    """The statements of a file."""
    found = resources.files("gateway.store").joinpath("sql/postgres/named", file)
    text = found.read_text(encoding="utf-8") if found.is_file() else ""
    return {line.split()[2] for line in text.splitlines() if line.startswith("-- name: ")}


def test_the_scenes_send_every_statement() -> None:
    met = reached(list(SCENES))
    apart = set(APART).union(*map(names, ELSEWHERE))
    missing = set(STATEMENTS) - {point.removeprefix("sql.") for point in met} - apart
    assert not missing, "a scene must send it, or the tables above say why none does"
    assert set(APART) <= set(STATEMENTS)


def test_a_store_killed_at_every_point_loses_and_repeats_nothing(tmp_path: Path) -> None:
    # In the order in which they are reached for the first time: each life comes to its point in the steps that are left.
    kills, scenes = [Kill(point) for point in reached(list(SCENES))], list(SCENES)
    server = postgres.shared()
    url = server.lend(clean=False)
    try:
        assert live(url, scenes, kills, tmp_path / "ledger") == []
        run = judged(url, scenes, tmp_path / "ledger")
    finally:
        server.give_back(url, thoroughly=False)
    print(f"{len(kills)} kills; {run.line()}")
    held(run)
    assert len(kills) > 90
    assert run.refused > 5


def test_a_store_killed_while_it_makes_its_tables_makes_them(tmp_path: Path) -> None:
    """Every statement of a first start: the tables are whole at the end, and the first deposit is stored once."""
    server = postgres.shared()
    name = server.create()
    try:
        kills = [Kill(f"sql.{each}") for each in ("one_migrator", "make_migration_table", "note_migration", "next_migrator")]
        assert live(server.url(name), ["feeding"], kills, tmp_path / "ledger") == []
        assert differences(tables(server.url(name)), clean_run(("feeding",))) == {}
    finally:
        server.drop(name)


def test_the_comparison_sees_a_row_too_many_and_a_row_changed() -> None:
    clean = clean_run(("feeding",))
    rows = clean.rows
    assert differences(rows, clean) == {}
    assert differences(rows | {"receipt": rows["receipt"][1:]}, clean) == {"receipt": -1}
    changed = [{**row, "state": "deleted"} for row in rows["document"]]
    assert differences(rows | {"document": changed}, clean) == {"document": 0}
    elsewhere = [{**row, "patient": 1 + row["patient"]} for row in rows["document"]]
    assert differences(rows | {"document": elsewhere}, clean) == {"document": 0}
    # Only what a sequence or a random number gives is left out.
    assert {column for columns in clean.drawn.values() for column in columns} <= DRAWN
